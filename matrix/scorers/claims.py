"""Claims: a text cut into pieces that can be judged one by one.

Sentences are cut at semicolons, and at "and", "but", "so" and their like where both sides have a subject and a verb of
their own and nothing on the left reaches over the cut ("if", "that", "whether", an open bracket). Nothing is lost:
between claims stand only spaces, punctuation, list marks and those words. Left out: what "it" stands for; a condition
stays with what follows from it; other languages than English are cut at the ends of sentences alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_LINE = re.compile(r"[^\n]+")
_LIST_MARK = re.compile(r"\s{0,20}(?:[-*\u2022]|\d{1,2}[.)])\s+")
_END = re.compile(r"[.!?\u2026]{1,3}[\"')\]\u2019\u201d*_]{0,4}(?=\s|$)|[\u3002\uff01\uff1f\u0964]")
_ABBREVIATIONS = frozenset(
    {"e.g", "i.e", "dr", "mr", "mrs", "ms", "vs", "approx", "fig", "al", "prof", "cf", "p", "p.p"}
)
_FINITE = (
    r"(?:is|are|was|were|has|have|had|does|do|did|can|may|might|could|should|must|will|would|cannot|\w{2,8}n['\u2019]t"
    r"|(?:i|it|that|you|they|we|he|she|there)['\u2019](?:m|s|re|ve|ll|d)"
    r"|cures?|helps|causes|works|reduces|lowers|treats|needs|means|contains|increases|relieves|prevents)"
)
_NO_SUBJECT = r"(?:that|which|who|whom|whose|when|if|to|of|for|in|on|at|by|with|from|as|then|and|but|or|nor|not|than)"
_NOUN = rf"(?!{_NO_SUBJECT}\b)[\w'\u2019-]{{1,30}}"
_COORDINATOR = (
    r"(?:,\s{0,3}(?:and|but|so|yet|while|whereas)|\s(?:and|but))\s{1,3}"
    r"(?=(?:it|they|you|we|he|she|i|there|this|these|those)(?:['\u2019]\w{1,2})?\s{1,3}\w"
    rf"|{_NOUN}(?:\s{{1,3}}{_NOUN}){{0,3}}\s{{1,3}}{_FINITE}\b)"
)
_HAS_VERB = re.compile(rf"\b{_FINITE}\b", re.IGNORECASE)
_REACHES_OVER = re.compile(
    r"\b(?:if|when|whenever|unless|whether|that|which|who|because|although|though|until|before|after|as|since|either"
    r"|neither|both|between|myth|wrong|false|untrue)\b",
    re.IGNORECASE,
)
_CUT = re.compile(rf";|{_COORDINATOR}", re.IGNORECASE)
_BRACKET = re.compile(r"[()\[\]{}\u201c\u201d]")
_OPENS = frozenset("([{\u201c")
_WORD = re.compile(r"[^\W\d_]{2,}")
_COURTESY = re.compile(
    r"\W{0,3}(?:thank you|thanks for|you(?:['\u2019]re| are) welcome|i hope|(?:please )?let me know|take care|get well"
    r"|feel free|i(?:['\u2019]m| am) (?:so |very |really )?(?:sorry|glad|happy|here)\b|(?:hi|hello|hey|thanks"
    r"|good (?:morning|question))"
    r"\b(?!\W{1,3}\w{1,20}\W{1,3}\w))",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Claim:
    """`text` is source[start:end]."""

    text: str
    start: int
    end: int

    @property
    def is_asserted(self) -> bool:
        """Says something: no question, no heading, no courtesy, and two words at least."""
        said = self.text.rstrip("\"')]\u2019\u201d*_ ")
        if said.endswith(("?", "\uff1f", ":")):
            return False
        if _COURTESY.match(self.text) and not any(map(str.isdigit, self.text)):
            return False
        return sum(1 for _ in _WORD.finditer(self.text)) > 1


def split(text: str) -> list[Claim]:
    """All claims of a text in order, questions and courtesies among them; linear in its length."""
    return [claim for start, end in sentence_spans(text) for claim in _clauses(text, start, end)]


def asserted(text: str) -> list[Claim]:
    """Claims that say something."""
    return [claim for claim in split(text) if claim.is_asserted]


def sentence_spans(text: str) -> list[tuple[int, int]]:
    """Where sentences begin and end, without list marks; a line end ends one."""
    return [
        (start, end)
        for line in _LINE.finditer(text)
        for start, end in _in_line(text, line.start(), line.end())
        if any(character.isalnum() for character in text[start:end])
    ]


def _in_line(text: str, start: int, stop: int) -> Iterator[tuple[int, int]]:
    mark = _LIST_MARK.match(text, start, stop)
    start = mark.end() if mark else start
    for end in _END.finditer(text, start, stop):
        words = text[max(start, end.start() - 8) : end.start()].lower().split()
        if words and words[-1].lstrip("([\"'") in _ABBREVIATIONS:
            continue
        yield start, end.end()
        start = end.end()
    yield start, stop


def _clauses(text: str, start: int, end: int) -> Iterator[Claim]:
    """Looks at each part of the sentence once: what was seen since the last cut is carried along."""
    looked, seen = start, _Seen()
    for cut in _CUT.finditer(text, start, end):
        seen = seen.with_part(text[looked : cut.start()])
        looked = cut.start()
        if seen.depth == 0 and not seen.quoted and (cut.group() == ";" or (seen.has_verb and not seen.reaches)):
            yield from _claim(text, start, cut.start())
            start = looked = cut.end()
            seen = _Seen()
    yield from _claim(text, start, end)


@dataclass(frozen=True, slots=True)
class _Seen:
    """What a sentence held since its last cut."""

    has_verb: bool = False
    reaches: bool = False  # holds a word whose clause may go on over the next "and"
    depth: int = 0  # of open brackets
    quoted: bool = False

    def with_part(self, part: str) -> _Seen:
        depth = self.depth
        for mark in _BRACKET.findall(part):
            depth = depth + 1 if mark in _OPENS else max(depth - 1, 0)
        return _Seen(
            self.has_verb or _HAS_VERB.search(part) is not None,
            self.reaches or _REACHES_OVER.search(part) is not None,
            depth,
            self.quoted != bool(part.count('"') % 2),
        )


def _claim(text: str, start: int, end: int) -> Iterator[Claim]:
    """Without the spaces and commas around it; nothing where nothing is left."""
    inner = text[start:end]
    start += len(inner) - len(inner.lstrip(" \t\r\f\v,;"))
    said = inner.strip(" \t\r\f\v,;")
    if any(character.isalnum() for character in said):
        yield Claim(said, start, start + len(said))
