"""The numbers behind a gate: the same prompts answered by candidate, champion and anchor, scored on every dimension.

Pairing: which prompts a cell speaks of must not be for the candidate to choose. Most dimensions apply by the prompt
alone; one that applies by the completion (factuality, without a claim that can be checked) has a value for some
policies and none for others. A prompt where nobody has a value stays out. Else:
- the candidate has a value and an opponent none: the opponent said nothing wrong and counts at the best end of the
  range, so that claims which are false where others claim nothing are held against the candidate, and right ones earn
  nothing;
- the candidate has no value and an opponent has: no credit and no blame. In a soft cell all three count alike there (as
  the champion, or where it is silent too as the anchor), once the candidate has `min_n` values of its own; until then,
  and in hard cells always, the prompt stays out: what was not seen must not fill up the number of prompts that a
  bound is computed from. Leaving out claims so never raises a difference above what speaking like an opponent earns.
Prerequisites are training's: here every dimension counts as scored, and a violation is judged by its own hard cell.
Scores stay on the declared range; violations are 1, else 0.
Left out: the verdict. This file makes numbers; the registry, which did not, judges them.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from pydantic import ValidationError

from matrix.alignment.dimensions import DimensionSpec
from matrix.errors import InvalidInput
from matrix.messages.base import Value
from matrix.messages.completion import ChatMessage
from matrix.messages.run import CellScores
from matrix.messages.sample import ScoredSample

ALL = "all"  # the slice that every prompt belongs to

Scores = Mapping[str, float | None]  # dimension -> score, None where it does not apply
Values = tuple[float | None, float | None, float | None]  # of candidate, champion, anchor on one prompt
Paired = tuple[float, float, float]
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
    """JSON lines, in order of prompt id; InvalidInput names the line of a bad or repeated prompt.

    One question under two ids would count as two prompts in every bound: up to case, punctuation and spacing of all
    turns, each conversation comes once.
    """
    prompts: dict[str, GatePrompt] = {}
    lines: dict[tuple[tuple[str, str], ...], int] = {}  # conversation -> where it stands
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
        first = lines.setdefault(_conversation(prompt), number)
        if first != number:
            told = f"each conversation once; line {first} holds it too"
            raise InvalidInput(field=f"{file}:{number}", value=prompt.prompt_id, remedy=told)
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
    dimensions: Iterable[DimensionSpec],
    slices: Mapping[str, str],
    *,
    candidate: ScoredPolicy,
    champion: ScoredPolicy,
    anchor: ScoredPolicy,
) -> tuple[CellScores, ...]:
    """One cell per dimension and slice that has a prompt, slice "all" first; `slices` maps prompt id to slice."""
    names = (ALL, *sorted(set(slices.values())))
    cells = []
    for spec in dimensions:
        found = {
            prompt: (_value(candidate, prompt, spec), _value(champion, prompt, spec), _value(anchor, prompt, spec))
            for prompt in sorted(slices)
        }
        for name in names:
            members = {prompt: values for prompt, values in found.items() if name in (ALL, slices[prompt])}
            paired = paired_values(spec, members)
            if paired:
                cells.append(_cell(spec, name, paired))
    return tuple(cells)


def paired_values(spec: DimensionSpec, found: Mapping[str, Values]) -> dict[str, Paired]:
    """What candidate, champion and anchor count as, by prompt id, on the prompts that count (see the top)."""
    own = sum(candidate is not None for candidate, _, _ in found.values())
    silence_counts = spec.kind == "soft" and own >= spec.min_n
    best = spec.high if spec.higher_is_better else spec.low
    paired: dict[str, Paired] = {}
    for prompt, (candidate, champion, anchor) in found.items():
        if candidate is not None:
            paired[prompt] = (
                candidate,
                best if champion is None else champion,
                best if anchor is None else anchor,
            )
            continue
        shown = anchor if champion is None else champion
        if silence_counts and shown is not None:
            paired[prompt] = (shown, shown, shown)
    return paired


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


def _conversation(prompt: GatePrompt) -> tuple[tuple[str, str], ...]:
    """What is asked, whatever its spelling; a text without letters is its own."""
    return tuple((turn.role, normalized(turn.content) or turn.content) for turn in prompt.messages)


def _value(policy: ScoredPolicy, prompt_id: str, spec: DimensionSpec) -> float | None:
    return policy.scores[prompt_id].get(spec.name)


def _cell(spec: DimensionSpec, name: str, paired: Mapping[str, Paired]) -> CellScores:
    candidate, champion, anchor = zip(*paired.values(), strict=True)
    return CellScores(
        dimension=spec.name,
        slice=name,
        prompt_ids=tuple(paired),
        candidate=candidate,
        champion=champion,
        anchor=anchor,
    )
