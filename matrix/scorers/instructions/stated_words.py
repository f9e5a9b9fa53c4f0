"""How people state words and letters: include, avoid, so often, ends with, a postscript."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from matrix.scorers.instructions.kind import Relation
from matrix.scorers.instructions.rule import (
    BARE,
    COMPARISON,
    NEXT,
    NUMBER,
    OR_SO,
    QUOTED,
    Rule,
    in_ifeval_terms,
    items,
    number,
    relation,
)

Found = Iterator[tuple[str, Mapping[str, object]]]
_NEGATED = (
    r"(?:do not|don't|must not|mustn't|should not|shouldn't|cannot|can't|can not|not|never|without|avoid|refrain from"
    r"|exclude|excluding|omit)(?! forget)"
)
_USE = (
    r"(?:us(?:es?|ing)|includ(?:es?|ing)|mention(?:s|ing)?|say(?:s|ing)?|contain(?:s|ing)?|has|have|having|add(?:ing)?"
    r"|put)"
)
_NO_WORD = (
    r"(?!(?:count|limit|counts|limits|that|of|in|for|with|to|is|are|should|must|from|you|at|as|like|the|a|per|below"
    r"|above|before|after|or|and|else|each|every)\b)"
)
_WORD, _WORDS = r"(?<!\d )(?<!\d-)\b(?:key)?(?:word|term)", r"(?<!\d )(?<!\d-)\b(?:key)?(?:words|terms|phrases)"
_ONE = rf"(?P<word>{QUOTED}(?:{NEXT}{QUOTED}){{0,15}}|{_NO_WORD}{BARE})"
_LIST = (
    rf":? ?[\[({{]?(?P<list>{QUOTED}(?:{NEXT}(?:the \w{{1,8}} )?{QUOTED}){{0,15}}"
    rf"|{_NO_WORD}{BARE}(?:{NEXT}{_NO_WORD}{BARE}){{0,15}})"
)
_SAYS_MANY = rf"{_WORDS}{_LIST}"
_SAYS_ONE = rf"{_WORD}:? {_ONE}"
_MAY_NOT = (
    r"[\])}]? (?:cannot|can't|should not|shouldn't|must not|may not|does not|doesn't|are not allowed|is not allowed)\b"
    r"(?! \w{1,10} (?:more|less|fewer))"
)
_SIGNS = {"exclamation mark": "!", "question mark": "?", "hashtag": "#", "comma": ",", "semicolon": ";"}


def _so_often(match: re.Match[str]) -> tuple[Relation, int]:
    """Said without a comparison it is taken as the least; "avoid it more than twice" is at most."""
    compared = relation(match) or Relation.AT_LEAST
    if compared is Relation.MORE_THAN and re.search(
        rf"\b{_NEGATED}\b", match.string[max(0, match.start() - 40) : match.start()]
    ):
        compared = Relation.AT_MOST
    return in_ifeval_terms(compared, number(match["n"]))


def _keywords(match: re.Match[str]) -> Found:
    """How often is for another rule to say."""
    if not _SO_OFTEN.match(match.string, match.end()):
        yield "keywords:existence", {"keywords": items(match["list"])}


def _keyword(match: re.Match[str]) -> Found:
    if not _SO_OFTEN.match(match.string, match.end()):
        yield "keywords:existence", {"keywords": items(match["word"])}


def _forbidden(match: re.Match[str]) -> Found:
    yield "keywords:forbidden_words", {"forbidden_words": items(match["list"])}


def _forbidden_word(match: re.Match[str]) -> Found:
    if not _SO_OFTEN.match(match.string, match.end()):
        yield "keywords:forbidden_words", {"forbidden_words": items(match["word"])}


def _frequency(match: re.Match[str]) -> Found:
    compared, wanted = _so_often(match)
    if keyword := items(match["word"]):
        yield "keywords:frequency", {"relation": compared, "keyword": keyword[0], "frequency": wanted}


def _letters(match: re.Match[str]) -> Found:
    compared, wanted = _so_often(match)
    yield (
        "keywords:letter_frequency",
        {"let_relation": compared, "letter": match["letter"].strip("\"'"), "let_frequency": wanted},
    )


def _signs(match: re.Match[str]) -> Found:
    compared, wanted = _so_often(match)
    yield (
        "keywords:letter_frequency",
        {"let_relation": compared, "letter": _SIGNS[match["sign"]], "let_frequency": wanted},
    )


def _capital_words(match: re.Match[str]) -> Found:
    compared, wanted = _so_often(match)
    yield "change_case:capital_word_frequency", {"capital_relation": compared, "capital_frequency": wanted}


def _end(match: re.Match[str]) -> Found:
    phrase = match["phrase"].strip("\"'")
    if re.search(r"\w{2}", phrase):
        yield "startend:end_checker", {"end_phrase": phrase}


def _postscript(match: re.Match[str]) -> Found:
    marker = _MARKER.search(match.string, match.start())
    yield "detectable_content:postscript", {"postscript_marker": marker.group() if marker else "p.s."}


_SO_OFTEN = re.compile(
    rf"[\"']?(?: (?:\w{{1,12}} ){{0,4}}?|,? )(?:(?:{COMPARISON}) )?(?:once|twice|{NUMBER} {OR_SO}times)\b"
)
_MARKER = re.compile(r"\bp\.? ?p\.? ?s\b\.?|\bp\.? ?s\b\.?")
_TIMES = (
    rf"(?:(?:{COMPARISON}) )?(?P<n>once|twice|{NUMBER}(?= (?:or \w{{4,5}} )?times?\b))(?: {OR_SO})?(?! or \d| to \d)"
)
_CAPITALS = (
    r"(?:words? (?:with|in|of) (?:all )?(?:capital|upper ?case)(?: letters?)?"
    r"|(?:all[- ])?(?:capital|capitali[sz]ed|upper ?case) words?"
    r"|words?(?: or phrases)? (?:\w{1,10} ){0,5}?in all (?:caps|capitals?))"
)
_PHRASE = r"(?P<phrase>\"[^\"\n]{1,200}\"|(?<=[ :])'[^\n]{1,200}?'(?=[\s.]|$))"

_NOT_DENIED = r"(?<!not )(?<!n't )(?<!without )(?<!avoid )(?<!from )"

RULES = (
    Rule(re.compile(rf"{_NOT_DENIED}\b{_USE} (?:\w{{1,12}} ){{0,3}}?{_SAYS_MANY}"), _keywords),
    Rule(re.compile(rf"{_NOT_DENIED}\b{_USE} (?:\w{{1,12}} ){{0,3}}?{_SAYS_ONE}"), _keyword),
    Rule(re.compile(rf"{_NOT_DENIED}\b(?:mention|include) (?P<word>{QUOTED})"), _keyword),
    Rule(re.compile(rf"\b{_NEGATED} (?:\w{{1,12}} ){{0,4}}?{_SAYS_MANY}"), _forbidden, may_be_denied=True),
    Rule(re.compile(rf"\b{_NEGATED} (?:\w{{1,12}} ){{0,4}}?{_SAYS_ONE}"), _forbidden_word, may_be_denied=True),
    Rule(
        re.compile(rf"\b{_NEGATED} {_USE} (?:the )?(?P<list>{QUOTED}(?:{NEXT}{QUOTED}){{0,15}})"),
        _forbidden,
        may_be_denied=True,
    ),
    Rule(re.compile(rf"{_SAYS_MANY}{_MAY_NOT}"), _forbidden, may_be_denied=True),
    Rule(re.compile(rf"{_SAYS_ONE}{_MAY_NOT}"), _forbidden_word, may_be_denied=True),
    Rule(re.compile(rf"{_SAYS_ONE}(?: (?:\w{{1,12}} ){{0,6}}?|,? ){_TIMES}"), _frequency, may_be_denied=True),
    Rule(re.compile(rf"\b{_USE} (?P<word>{QUOTED}) {_TIMES}"), _frequency, may_be_denied=True),
    Rule(
        re.compile(rf"\bletter (?P<letter>\"[^\s]\"|'[^\s]'|[^\s\"'])(?= )(?: (?:\w{{1,12}} ){{0,4}}?){_TIMES}"),
        _letters,
        may_be_denied=True,
    ),
    Rule(
        re.compile(rf"\b(?:(?:{COMPARISON}) )?(?P<n>{NUMBER}) {OR_SO}(?P<sign>{'|'.join(_SIGNS)})s?\b"),
        _signs,
        may_be_denied=True,
    ),
    Rule(
        re.compile(rf"\b{_CAPITALS}\b[^.\n]{{0,60}}? {_TIMES}"),
        _capital_words,
        may_be_denied=True,
    ),
    Rule(
        re.compile(rf"\b(?:{COMPARISON}) (?P<n>{NUMBER}) {_CAPITALS}\b"),
        _capital_words,
        may_be_denied=True,
    ),
    Rule(
        re.compile(
            rf"\b(?:end|ends|ending|finish|conclude|close)\b[^.\n\"]{{0,80}}? (?:with|by saying|in|be|read|say)\b"
            rf"[^.\n\"]{{0,60}}?{_PHRASE}"
        ),
        _end,
    ),
    Rule(
        re.compile(
            rf"\b(?:very end|last (?:sentence|words?|line|phrase))\b[^.\n\"]{{0,60}}? (?:is|be|read|say)\b"
            rf"[^.\n\"]{{0,30}}?{_PHRASE}"
        ),
        _end,
    ),
    Rule(
        re.compile(
            r"\b(?:end|finish|conclude)\b[^.\n\":]{0,80}? phrase[^.\n\":]{0,30}: ?"
            r"(?P<phrase>[^\"'\n]{2,150}?[.?!])(?=\s|$)"
        ),
        _end,
    ),
    Rule(
        re.compile(r"\b(?:postscript|post script)\b|\b(?:add|with|include) (?:a )?p\. ?(?:p\. ?)?s\b"),
        _postscript,
    ),
)
