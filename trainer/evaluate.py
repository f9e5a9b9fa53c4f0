"""The numbers behind a gate: the same prompts answered by candidate, champion and anchor, scored on every dimension.

Pairing: a prompt enters a cell only where the dimension applies to it under all three policies. Most dimensions apply
by the prompt alone, so nothing is lost; where one applies by the completion (a prerequisite, say), the cell speaks of
the prompts that all three can be compared on. Scores stay on the declared range; violations are 1, else 0.
Left out: the verdict. This file makes numbers; the registry, which did not, judges them.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from pydantic import ValidationError

from matrix.errors import InvalidInput
from matrix.messages.base import Value
from matrix.messages.completion import ChatMessage
from matrix.messages.run import CellScores
from matrix.messages.sample import ScoredSample

ALL = "all"  # the slice that every prompt belongs to

Scores = Mapping[str, float | None]  # dimension -> score, None where it does not apply
ScoreMany = Callable[[Sequence[tuple[Sequence[ChatMessage], str]]], Sequence[Scores]]


class GatePrompt(Value):
    """One held-out conversation that awaits an answer."""

    prompt_id: str
    messages: tuple[ChatMessage, ...]


@dataclass(frozen=True, slots=True)
class ScoredPolicy:
    """What one policy wrote for every gate prompt, and how it scored; both by prompt id."""

    digest: str
    completions: Mapping[str, str]
    scores: Mapping[str, Scores]


def parse_gate_prompts(content: bytes, *, file: str) -> tuple[GatePrompt, ...]:
    """JSON lines, in order of prompt id; InvalidInput names the line of a bad or repeated prompt."""
    prompts: dict[str, GatePrompt] = {}
    for number, line in enumerate(content.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            prompt = GatePrompt.model_validate_json(line)
        except ValidationError as error:
            told = f"a gate prompt: {error.errors()[0]['msg']}"
            raise InvalidInput(
                field=f"{file}:{number}", value=line[:60].decode(errors="replace"), remedy=told
            ) from error
        if prompt.prompt_id in prompts or not prompt.messages:
            raise InvalidInput(
                field=f"{file}:{number}", value=prompt.prompt_id, remedy="an id of its own, and messages"
            )
        prompts[prompt.prompt_id] = prompt
    if not prompts:
        raise InvalidInput(field=file, value="", remedy="at least one gate prompt")
    return tuple(prompts[prompt_id] for prompt_id in sorted(prompts))


def score_policy(
    digest: str, prompts: Sequence[GatePrompt], completions: Sequence[str], score: ScoreMany
) -> ScoredPolicy:
    """`completions` in the order of `prompts`."""
    scores = score([(prompt.messages, text) for prompt, text in zip(prompts, completions, strict=True)])
    ids = [prompt.prompt_id for prompt in prompts]
    return ScoredPolicy(
        digest,
        completions=dict(zip(ids, completions, strict=True)),
        scores=dict(zip(ids, scores, strict=True)),
    )


def paired_cells(
    dimensions: Iterable[str],
    slices: Mapping[str, str],
    *,
    candidate: ScoredPolicy,
    champion: ScoredPolicy,
    anchor: ScoredPolicy,
) -> tuple[CellScores, ...]:
    """One cell per dimension and slice that has a prompt, slice "all" first; `slices` maps prompt id to slice."""
    names = (ALL, *sorted(set(slices.values())))
    policies = (candidate, champion, anchor)
    cells = []
    for dimension in dimensions:
        shared = [prompt for prompt in sorted(slices) if all(_applies(p, prompt, dimension) for p in policies)]
        for name in names:
            members = tuple(prompt for prompt in shared if name in (ALL, slices[prompt]))
            if members:
                cells.append(_cell(dimension, name, members, policies))
    return tuple(cells)


def count_leaked(prompts: Iterable[GatePrompt], training_texts: Iterable[str]) -> int:
    """Gate prompts whose last words occur, up to case, punctuation and spacing, as a prompt of the training text."""
    seen = {normalized(text) for text in training_texts}
    return sum(normalized(prompt.messages[-1].content) in seen for prompt in prompts)


def user_turns(samples: Iterable[ScoredSample]) -> Iterator[str]:
    """Everything that people said in the training prompts, early turns too."""
    return (turn.content for sample in samples for turn in sample.prompt if turn.role == "user")


def normalized(text: str) -> str:
    """Letters and digits of the text in lower case, single-spaced."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return " ".join("".join(c if c.isalnum() else " " for c in folded).split())


def _applies(policy: ScoredPolicy, prompt_id: str, dimension: str) -> bool:
    return policy.scores[prompt_id].get(dimension) is not None


def _cell(dimension: str, name: str, members: tuple[str, ...], policies: Sequence[ScoredPolicy]) -> CellScores:
    candidate, champion, anchor = (
        tuple(float(policy.scores[prompt].get(dimension) or 0.0) for prompt in members) for policy in policies
    )
    return CellScores(
        dimension=dimension, slice=name, prompt_ids=members, candidate=candidate, champion=champion, anchor=anchor
    )
