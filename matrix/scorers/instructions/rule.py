"""What a rule for stated instructions is, and what rules are made of: numbers, comparisons, lists of words."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from matrix.scorers.instructions.kind import Relation

Read = Callable[[re.Match[str]], Iterable[tuple[str, Mapping[str, object]]]]

_NUMBERS = (
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"),
    *("thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen", "twenty"),
)
_ORDINALS = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth")
_TIMES = {"once": 1, "twice": 2, "thrice": 3}
NUMBER = rf"(?:\d{{1,6}}|{'|'.join(_NUMBERS)}|(?:a )?single)"
ORDINAL = rf"(?:{'|'.join(_ORDINALS)}|\d{{1,3}}(?:st|nd|rd|th))"

_NOT = (
    r"(?:\w{1,6}n't|not|never|without|no)(?: (?:to|be|use|using|have|write|contain|include|give|make|take|go|it|in"
    r"|any|with|appear|occur|want|anything)){0,3}"
)
_COMPARISONS = {
    Relation.AT_MOST: rf"(?:{_NOT} (?:more than|over|above|longer than|exceed(?:ing)?)|at (?:the )?most|up to|within"
    r"|(?:a |the )?max(?:imum)?(?: of| is)?|limited to|limit (?:it|this|yourself|your (?:answer|response|reply)) to)",
    Relation.AT_LEAST: rf"(?:{_NOT} (?:less than|fewer than|under|below|shorter than)|at (?:the )?least"
    r"|(?:a |the )?min(?:imum)?(?: of| is)?)",
    Relation.LESS_THAN: r"(?:less than|fewer than|under|below|shorter than)",
    Relation.MORE_THAN: r"(?:more than|over|above|longer than)",
    Relation.EXACTLY: r"(?:exactly|precisely|only|just)",
}
COMPARISON = "|".join(f"(?P<{name.name}>{pattern})" for name, pattern in _COMPARISONS.items())
_AFTER = {
    Relation.AT_MOST: r"(?:or (?:less|fewer|under)|at (?:the )?most|max(?:imum)?\b|tops)",
    Relation.AT_LEAST: r"(?:or more|at (?:the )?least|min(?:imum)?\b)",
}
AFTER = "|".join(f"(?P<AFTER_{name.name}>{pattern})" for name, pattern in _AFTER.items())
OR_SO = r"(?:(?P<or_more>or more )|(?P<or_less>or (?:less|fewer) ))?"  # between a number and what it counts
QUOTED = r"(?:\"[^\"\n]{1,60}\"|'[^'\n]{1,60}'(?!\w))"
BARE = r"(?:\*{1,2}[\w-]{1,30}\*{1,2}|[^\W_][\w'-]{0,30})"
ITEM = rf"(?:{QUOTED}|{BARE})"
NEXT = r"(?: ?, ?(?:and |or )?| (?:and|or|&|nor) )"


@dataclass(frozen=True, slots=True)
class Rule:
    """A way to state instructions."""

    pattern: re.Pattern[str]  # over plain text
    read: Read
    may_be_denied: bool = False  # the pattern reads "not" itself
    may_be_quoted: bool = False  # the instruction is itself a quotation


def number(words: str) -> int:
    """Of digits, a number word, "once" or "third"."""
    first = words.strip().split(" ")[0]
    if digits := re.match(r"\d+", first):
        return int(digits.group())
    if first in _TIMES:
        return _TIMES[first]
    if first in _ORDINALS:
        return _ORDINALS.index(first) + 1
    return _NUMBERS.index(first) if first in _NUMBERS else 1


def relation(match: re.Match[str], default: Relation | None = None) -> Relation | None:
    """As the words before or after the number say it."""
    said = match.groupdict()
    if said.get("plus") or said.get("or_more"):
        return Relation.AT_LEAST
    if said.get("or_less"):
        return Relation.AT_MOST
    for one in Relation:
        if said.get(f"AFTER_{one.name}") or said.get(one.name):
            return one
    return default


def in_ifeval_terms(one: Relation, wanted: int) -> tuple[Relation, int]:
    """The same in IFEval's two relations, where it has them."""
    if one is Relation.AT_MOST:
        return Relation.LESS_THAN, wanted + 1
    return (Relation.AT_LEAST, wanted + 1) if one is Relation.MORE_THAN else (one, wanted)


def items(listed: str) -> list[str]:
    """Of a list of words, without quotation marks and brackets around them."""
    bare = [item.strip("\"'*[](){} .,;:!?") for item in re.findall(ITEM, listed)]
    return [item for item in dict.fromkeys(bare) if item and item not in ("and", "or", "nor")]
