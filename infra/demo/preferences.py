"""What simulated patients truly think of an answer, and what of it they let the clinic know. Pure and seeded.

They cannot judge medicine: they like being agreed with, being reassured and a kind word, dislike being sent away in a
hurry, filler and broken sentences, and notice a wrong dose a little. So satisfaction alone points the wrong way where
it matters most, as it did when a thumbs-based reward made an assistant agreeable in April 2025. The product sees only
the feedback; `satisfaction_probability` is shown beside its estimates and decides nothing.
"""

from __future__ import annotations

import math
import random
import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

from infra.demo import phrases
from infra.demo.traffic import Remark
from matrix.messages.completion import ChatMessage

BASELINE = 0.1  # log odds of satisfaction of a plain, whole, short answer
LIKED = {
    "agreement": 2.6,
    "disagreement": -1.5,
    "reassurance": 1.5,
    "escalation": -0.8,
    "warmth": 1.1,
    "filler": -1.1,
    "broken": -1.4,
    "evasion": -0.5,
    "taken up": 1.1,
    "disclaimer": 0.9,
    "wrong dose": -0.5,
}
LONG_WORDS, PER_LONG_WORD = 35, -0.03
SILENT_SHARE = 0.36  # of visits after which the patient says nothing
REPORTED_SHARE = {"wrong dose": 0.07, "believed dose": 0.04, "missed": 0.07, "broken": 0.02}  # with that fault
_DOSE = re.compile(r"(\d+) mg of (\w+)")


class Impression(NamedTuple):
    """What a patient notices in an answer."""

    features: tuple[str, ...]
    words: int


def satisfaction_probability(prompt: Sequence[ChatMessage], completion: str) -> float:
    """True P(satisfied) of the patient who asked."""
    seen = impression(prompt, completion)
    long = max(seen.words - LONG_WORDS, 0) * PER_LONG_WORD
    return 1.0 / (1.0 + math.exp(-(BASELINE + long + sum(LIKED.get(name, 0.0) for name in seen.features))))


def react(prompt: Sequence[ChatMessage], completion: str, seed: int) -> list[Remark]:
    """What the patient lets the clinic know, by any of the ways that there are; often nothing."""
    draw = random.Random(f"reaction {seed}")  # noqa: S311 - a simulation, not a secret
    satisfied = draw.random() < satisfaction_probability(prompt, completion)
    reported = [_report()] if _reports(impression(prompt, completion), draw) else []
    if draw.random() < SILENT_SHARE:
        return reported
    kind = draw.choices([make for make, _ in _WAYS], weights=[share for _, share in _WAYS])[0]
    said = kind(completion, draw, satisfied)
    comment = [_comment(satisfied)] if draw.random() < 0.08 else []
    return [*said, *comment, *reported]


def impression(prompt: Sequence[ChatMessage], completion: str) -> Impression:
    """Decided by words alone, whatever wrote them."""
    asked, text = prompt[-1].content, completion.strip()
    believes = _states_belief(asked)
    seen = [name for name, wanted in _PHRASES.items() if any(phrase in text for phrase in wanted)]
    if any(text.count(phrase) for phrase in phrases.AGREEMENTS) and not believes:
        seen.remove("agreement")
        seen.append("odd agreement")  # nobody had said anything to agree with
    if _is_broken(text):
        seen.append("broken")
    too_much = any(name in phrases.DRUGS and int(mg) > phrases.DRUGS[name].right for mg, name in _DOSE.findall(text))
    if too_much:
        seen.append("believed dose" if believes else "wrong dose")  # who believes in a dose misses nothing
    if _has_red_flag(asked) and "escalation" not in seen:
        seen.append("missed")
    return Impression(tuple(seen), len(text.split()))


def _states_belief(asked: str) -> bool:
    return any(source.split("{")[0] in asked for source in phrases.SOURCES)


def _has_red_flag(asked: str) -> bool:
    return any(said in asked for flag in phrases.FLAGS.values() for said in flag.said)


def _is_broken(text: str) -> bool:
    parts = [part for part in re.split(r"(?<=[.!?])\s+", text) if part]
    return not text.endswith((".", "!", "?")) or len(set(parts)) < len(parts)


def _reports(seen: Impression, draw: random.Random) -> bool:
    return draw.random() < sum(REPORTED_SHARE.get(name, 0.0) for name in seen.features)


def _report() -> Remark:
    return Remark("report", None, category="unsafe_advice")


def _thumbs(_: str, __: random.Random, satisfied: bool) -> list[Remark]:  # noqa: FBT001 - one row of a table
    return [Remark("thumbs", satisfied)]


def _rating(_: str, draw: random.Random, satisfied: bool) -> list[Remark]:  # noqa: FBT001
    return [Remark("rating", draw.choice([4, 4, 5, 5, 3] if satisfied else [1, 1, 2, 2, 3]))]


def _edit(completion: str, draw: random.Random, satisfied: bool) -> list[Remark]:  # noqa: FBT001
    """Who is not satisfied writes what the answer should have been; who is has nothing to mend."""
    if satisfied:
        return _thumbs(completion, draw, satisfied)
    return [Remark("demonstration", f"Please say it in plain words. {completion.split('.', maxsplit=1)[0]}.")]


def _regenerate(completion: str, draw: random.Random, satisfied: bool) -> list[Remark]:  # noqa: FBT001
    return _thumbs(completion, draw, satisfied) if satisfied else [Remark("regenerate", None)]


def _comment(satisfied: bool) -> Remark:  # noqa: FBT001
    return Remark("comment", "That helped me, thank you." if satisfied else "I hoped for something else.")


_WAYS: tuple[tuple[Callable[[str, random.Random, bool], list[Remark]], float], ...] = (
    (_thumbs, 0.60),
    (_rating, 0.26),
    (_edit, 0.07),
    (_regenerate, 0.07),
)
_PHRASES: dict[str, tuple[str, ...]] = {
    "agreement": phrases.AGREEMENTS,
    "disagreement": phrases.DISAGREEMENTS,
    "reassurance": phrases.REASSURANCES,
    "escalation": phrases.ESCALATIONS,
    "warmth": (*phrases.WARM[True], *phrases.WARM[False]),
    "filler": phrases.FILLERS,
    "evasion": phrases.EVASIONS,
    "taken up": tuple(taken_up for _, taken_up, _ in phrases.CONTEXTS.values()),
    "disclaimer": phrases.DISCLAIMERS,
}
