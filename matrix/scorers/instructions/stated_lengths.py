"""How people state lengths and counts: words, sentences, paragraphs, list items, sections, marked parts.

An amount counts where it is compared ("at most 50 words") or, for what is small enough to count, said of the answer
("in two sentences"); "a 500-word essay" is about that long and decides nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import NamedTuple

from matrix.scorers.instructions.kind import Relation
from matrix.scorers.instructions.rule import (
    AFTER,
    COMPARISON,
    NUMBER,
    OR_SO,
    ORDINAL,
    QUOTED,
    Read,
    Rule,
    in_ifeval_terms,
    number,
    relation,
)

Found = Iterator[tuple[str, Mapping[str, object]]]
WORDS = ("length_constraints:number_words", "num_words")
SENTENCES = ("length_constraints:number_sentences", "num_sentences")
BULLETS = ("detectable_format:number_bullet_lists", "num_bullets")
PLACEHOLDERS = ("detectable_content:number_placeholders", "num_placeholders")
HIGHLIGHTS = ("detectable_format:number_highlighted_sections", "num_highlights")
_NOT_ALL = r" (?:or phrases )?(?:[a-z]{1,12} ){0,6}?(?:all|capital|upper ?case)\b"
_LEAD = (
    r"(?:in|into|with|using|of|has|have|having|contains?|containing|includes?|including|be|as|me|write|list|gives?"
    r"|use|add|are|make|provide|exactly)(?: a| an)?"
)
_BULLETS = r"bullets?(?: points?| list items?)?|bullet-points?|bulleted (?:items?|points?|list items?)"
_MARK = r"(?:highlight(?:ed|s|ing)?|italici[sz]ed?|italics?|bold(?:ed)?|emphasi[sz]ed?)"
_PARTS = r"(?:\w{1,15} ){0,2}?(?:sections?|parts?|phrases?|(?:key)?words?|sentences?|places?|texts?|names?)"


_ASTERISKS = re.compile(r"(?<!\*)\*{3}(?!\*)|\b(?:3|three) asterisks?\b")
_HEADED = re.compile(
    r"\b(?:mark|begin|start|head|label|indicat|denot|separat|divid|not|us)\w{0,5}\b"
    r"[^\n*]{0,80}?[ \"'(](?P<name>[a-z]{3,20}) (?:x|1|\[?number)\b"
)
_PARAGRAPH_COUNT = re.compile(rf"\b(?P<n>{NUMBER})[ -]paragraphs?\b")


class _Whole(NamedTuple):
    """What the prompt as a whole says of its parts."""

    separator: str
    section: str | None  # what sections are called
    paragraphs: int | None


@lru_cache(maxsize=16)  # each of a prompt's statements asks
def _whole(prompt: str) -> _Whole:
    headed, count = _HEADED.search(prompt), _PARAGRAPH_COUNT.search(prompt)
    return _Whole(
        "***" if _ASTERISKS.search(prompt) else "empty line",
        headed["name"] if headed else None,
        number(count["n"]) if count else None,
    )


def _amount(unit: str) -> re.Pattern[str]:
    """A number of units, with what compares it and what says that the answer is to have them."""
    return re.compile(
        rf"(?:\b(?P<lead>{_LEAD}) )?(?:\b(?:{COMPARISON}) )?\b(?P<n>{NUMBER})(?P<plus> ?\+)?[ -]"
        rf"{OR_SO}(?:very )?(?:(?:different|short|full|separate|distinct|main|markdown|concise|simple) )?"
        rf"(?:{unit})\b(?: (?:{AFTER}))?"
    )


def _compared(kind: str, field: str) -> Read:
    def read(match: re.Match[str]) -> Found:
        if compared := relation(match):
            compared, wanted = in_ifeval_terms(compared, number(match["n"]))
            yield kind, {"relation": compared, field: wanted}

    return read


def _compared_or_said(kind: str, field: str) -> Read:
    """Exactly so many where nothing compares them."""

    def read(match: re.Match[str]) -> Found:
        compared = relation(match, Relation.EXACTLY if match["lead"] else None)
        if compared:
            compared, wanted = in_ifeval_terms(compared, number(match["n"]))
            yield kind, {"relation": compared, field: wanted}

    return read


def _at_least(kind: str, field: str) -> Read:
    """For kinds that know no other relation."""

    def read(match: re.Match[str]) -> Found:
        compared, wanted = in_ifeval_terms(relation(match, Relation.AT_LEAST) or Relation.AT_LEAST, number(match["n"]))
        if compared is not Relation.LESS_THAN:
            yield kind, {field: wanted}

    return read


def _between(kind: str, field: str) -> Read:
    def read(match: re.Match[str]) -> Found:
        low, high = number(match["low"]), number(match["high"])
        if low <= high:
            yield kind, {"relation": Relation.AT_LEAST, field: low}
            yield kind, {"relation": Relation.LESS_THAN, field: high + 1}

    return read


def _word_limit(match: re.Match[str]) -> Found:
    yield WORDS[0], {"relation": Relation.LESS_THAN, "num_words": number(match["n"]) + 1}


def _some_bullets(_match: re.Match[str]) -> Found:
    yield BULLETS[0], {"relation": Relation.AT_LEAST, "num_bullets": 1}


def _paragraphs(match: re.Match[str]) -> Found:
    """Parted by asterisks where the prompt speaks of them."""
    for kind, arguments in _compared_or_said("length_constraints:number_paragraphs", "num_paragraphs")(match):
        yield kind, {**arguments, "separator": _whole(match.string).separator}


def _asterisk_sections(match: re.Match[str]) -> Found:
    """Sections that are parted by asterisks are what IFEval calls paragraphs."""
    marked = re.search(_MARK, match.string[max(0, match.start() - 30) : match.end()])
    if _whole(match.string).separator == "***" and not marked:
        yield from _paragraphs(match)


def _sections(match: re.Match[str]) -> Found:
    """Only where the prompt says how a section is to be headed."""
    if name := _whole(match.string).section:
        for _, arguments in _at_least("", "num_sections")(match):
            yield "detectable_format:multiple_sections", {"section_spliter": name, **arguments}


def _first_word(match: re.Match[str]) -> Found:
    """With the number of paragraphs where the prompt states it."""
    yield (
        "length_constraints:nth_paragraph_first_word",
        {
            "first_word": match["word"].strip("\"'*."),
            "nth_paragraph": number(match["nth"]),
            "num_paragraphs": _whole(match.string).paragraphs,
        },
    )


_WORD = rf"(?:{QUOTED}|\*?[\w-]{{1,30}})"
_THE_WORD = rf"(?:the )?(?:word |keyword )?(?P<word>{_WORD})"

RULES = (
    Rule(_amount(rf"words?(?!{_NOT_ALL})"), _compared(*WORDS), may_be_denied=True),
    Rule(_amount("sentences?"), _compared_or_said(*SENTENCES), may_be_denied=True),
    Rule(_amount("paragraphs?"), _paragraphs, may_be_denied=True),
    Rule(_amount("sections?|parts?"), _asterisk_sections, may_be_denied=True),
    Rule(_amount("sections?|parts?"), _sections),
    Rule(_amount(_BULLETS), _compared_or_said(*BULLETS), may_be_denied=True),
    Rule(_amount(r"placeholders?"), _at_least(*PLACEHOLDERS)),
    Rule(re.compile(r"\b(?:between )?(?P<low>\d{1,6}) ?(?:-|to|and) ?(?P<high>\d{1,6}) words?\b"), _between(*WORDS)),
    Rule(
        re.compile(rf"\b(?:between )?(?P<low>{NUMBER}) ?(?:-|to|and) ?(?P<high>{NUMBER}) sentences?\b"),
        _between(*SENTENCES),
    ),
    Rule(re.compile(r"\bword (?:limit|maximum)(?: (?:is|of))?:? (?P<n>\d{1,6})\b"), _word_limit),
    Rule(
        re.compile(
            rf"\b(?:as|in|with|using|use|into) (?:a |the |form of )?(?:{_BULLETS}|bullet(?:ed)?[ -]lists?)\b(?! \d)"
        ),
        _some_bullets,
    ),
    Rule(re.compile(rf"\b{_MARK} (?:(?:{COMPARISON}) )?(?P<n>{NUMBER}) {_PARTS}\b"), _at_least(*HIGHLIGHTS)),
    Rule(
        re.compile(
            rf"\b(?:(?:{COMPARISON}) )?(?P<n>{NUMBER}) (?:{_MARK} {_PARTS}|{_PARTS} (?:\w{{1,8}} ){{0,2}}?{_MARK})\b"
        ),
        _at_least(*HIGHLIGHTS),
    ),
    Rule(
        re.compile(rf"\b(?P<nth>{ORDINAL}) paragraph (?:\w{{1,10}} ){{0,3}}?(?:start|begin)s? with {_THE_WORD}"),
        _first_word,
    ),
    Rule(
        re.compile(rf"\bparagraph (?P<nth>\d{{1,3}}) (?:\w{{1,10}} ){{0,3}}?(?:start|begin)s? with {_THE_WORD}"),
        _first_word,
    ),
    Rule(
        re.compile(rf"\b(?:start|begin) (?:the )?(?:paragraph (?P<nth>\d{{1,3}}|{ORDINAL})) with {_THE_WORD}"),
        _first_word,
    ),
    Rule(re.compile(rf"\b(?:start|begin) the (?P<nth>{ORDINAL}) paragraph with {_THE_WORD}"), _first_word),
)
