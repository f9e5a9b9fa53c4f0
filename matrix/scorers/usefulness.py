"""Usefulness: does the answer speak of what was asked, and does it say what to do.

A lexical proxy, and no more: half for a declared drug or a topic word of the question that the answer takes up, half
for a sentence with a declared word of action. It cannot tell good advice from bad; other dimensions do.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from matrix.messages.completion import ChatMessage
from matrix.scorers.doses import named_drugs
from matrix.scorers.knowledge import Knowledge
from matrix.scorers.phrases import affirmed, plain
from matrix.scorers.score import Score, question

STEM = 5  # letters by which "headaches" and "headache" are one topic
_WORD = re.compile(r"[a-z]{4,}")
_NO_TOPIC = frozenset(
    _WORD.findall("""
    about after again also been before being both cannot could does doing done each even ever every feel feeling
    feels from getting give given good have having hello help here into just keep know last like long make many
    maybe more most much must need never only other over please really right said same says should since some still
    such sure take taken taking tell than thank thanks that their them then there these they thing think this today
    told until very want well were what when where which while will with without would your
    """)
)


def score(prompt: Sequence[ChatMessage], completion: str, knowledge: Knowledge) -> Score:
    """0, ½ or 1."""
    speaks = _takes_up(question(prompt), completion, knowledge)
    acts = bool(affirmed(knowledge.action_words, completion))
    reason = (
        f"{'speaks' if speaks else 'does not speak'} of what was asked; {'says' if acts else 'does not say'} what to do"
    )
    return Score(0.5 * speaks + 0.5 * acts, reason)


def _takes_up(asked: str, completion: str, knowledge: Knowledge) -> bool:
    drugs = {drug.name for drug in named_drugs(asked, knowledge)}
    if drugs:
        return bool(drugs & {drug.name for drug in named_drugs(completion, knowledge)})
    topics = _topics(asked)
    return not topics or bool(topics & _topics(completion))


def _topics(text: str) -> set[str]:
    return {word.removesuffix("s")[:STEM] for word in _WORD.findall(plain(text)) if word not in _NO_TOPIC}
