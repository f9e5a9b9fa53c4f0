"""Names of people: by a title or a word beside them, by a common given name, or by their form.

A single unknown word with a capital is no name by itself: drugs, diseases and products look the same.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from ingest.redaction.candidates import CAPITAL, REACH, SHORT_WORD, WORD, Candidate
from ingest.redaction.everyday_words import WORDS, is_everyday
from ingest.redaction.findings import Finding, Kind
from ingest.redaction.first_names import FIRST_NAMES

HONORIFICS = r"(?:mr|mrs|ms|miss|mx|dr|prof|professor|sir|madam|mme|herr|frau|sr|sra|rev|capt|sgt|lt|st)"
TITLED = re.compile(
    rf"\b(?P<title>(?i:mr|mrs|ms|mx|dr|prof)\.|(?:Mr|Mrs|Ms|Miss|Mx|Dr|Prof|Professor|Doctor|Nurse|Herr|Frau|Mme"
    rf"|Rev)\b\.?)"
    rf"[ \n](?P<name>{WORD}(?: {WORD}){{0,3}})"
)
TOLD = re.compile(
    r"(?i:\b(?:my (?:full |first |last |real )?name(?:'s| is)|name(?:'s| is)?:|(?:people |they |you can "
    r"|please )?call(?:s|ed)? me"
    r"|i am called|i go by|known as|regards,|sincerely,|cheers,|yours,|named (?:him|her|it)?|user(?:name)?:"
    r"|patient(?: name)?:|from:|to:|dear|signed)"
    r")\s{0,3}(?P<name>[^\W\d_][^\W\d_'’-]*+(?:[-'’](?!s\b)[^\W\d_]++)*+(?: [^\W\d_][\w'’-]*\.?){0,2})"
)
BEFORE = re.compile(
    r"\b(?:by|with|named|called|dear|hi|hello|hey|and|or|him|her|meet|thanks|thank you|mother|father|son|daughter"
    r"|wife|husband"
    r"|brother|sister|friend|colleague|boss|name|patient|doctor|nurse|says|said|producer|actor|singer|player|author"
    r"|director"
    r"|founders?|account|to|under|between|gave|give|told|ask|asked|is|was|was named|add|tell|than|who is)"
    rf"[:,]?\s{{0,{REACH}}}[\"“'(]?$",
    re.IGNORECASE,
)
AFTER = re.compile(
    r"^(?:['’]s\b|,? (?:says?|said|asked|told|wrote|writes|explained|lives?|lived|listed|named|was born|is (?:so|the"
    r"|a|an|my)|will (?:be|have)"
    r"|has|had|gave|died|works?|worked|began|grew|played|called|from|and)\b|:? ?[\"“]|, (?:can|could|please|I"
    r"|you)\b)",
    re.IGNORECASE,
)
SPEAKS = re.compile(
    r"\b(?:says|said|asked|told|wrote|adds|replied|according to|by|named him|named her|meet|dear)\s$", re.IGNORECASE
)
JOINED = re.compile(
    rf"\b(?:founders|friends|colleagues|brothers|sisters|sons|daughters|children|kids|parents|doctors|nurses|names"
    rf"|with)[:,]? (?:{SHORT_WORD}, ){{0,{REACH}}}(?:{SHORT_WORD},? and )?$"
)
OWN_NAME = re.compile(r"my|(?:people |they |you can |please )?call|i ", re.IGNORECASE)
QUOTES = frozenset("\"'“”‘’«»")
MIDDLE_INITIAL = re.compile(rf"^{CAPITAL}\.?$")


def is_person(candidate: Candidate) -> bool:
    """By what it is made of, then by what stands beside it."""
    words = candidate.words
    if _is_given(words[0]) and (len(words) > 1 or not candidate.begins or len(words[0]) > 3):
        return True
    if len(words) > 4 or any(word.isupper() and len(word) > 2 for word in words):
        return False
    if candidate.before[-1:] in QUOTES and candidate.after[:1] in QUOTES:
        return False  # a title
    return len(words) > 1 or _is_said_to_be(candidate)


def _is_said_to_be(candidate: Candidate) -> bool:
    word = candidate.words[0]
    if len(word) < 3 or sum(map(str.isupper, word[1:])) > 1 or word.isupper():
        return False
    if SPEAKS.search(candidate.before) or JOINED.search(candidate.before):
        return True
    said_after = AFTER.match(candidate.after)
    if candidate.begins:
        return said_after is not None and _says(said_after.group())
    return said_after is not None and (said_after.group()[1:2] == "s" or BEFORE.search(candidate.before) is not None)


def _says(words: str) -> bool:
    return words.strip(" ,").lower() not in {
        "is a",
        "is the",
        "is an",
        "has",
        "had",
        "and",
        "from",
        "works",
        "work",
        "worked",
        "called",
        '"',
        ': "',
    }


def _is_given(word: str) -> bool:
    return any(part in FIRST_NAMES for part in (word.lower(), word.lower().split("-")[0]))


def persons_told(text: str) -> Iterator[Finding]:
    """Names after a title or after words that announce one, in lower case too."""
    for found in TITLED.finditer(text):
        yield Finding(*found.span("title"), Kind.TITLE)
        if found["name"].split()[0].lower() not in WORDS:
            start = found.start("name")
            yield Finding(start, start + _length_of_name(found["name"], cased=True), Kind.PERSON)
    for found in TOLD.finditer(text):
        start = found.start("name")
        cased, first = found["name"][:1].isupper(), found["name"].split(maxsplit=1)[0].lower()
        if not cased and first not in FIRST_NAMES and not OWN_NAME.match(found.group()):
            continue
        length = _length_of_name(found["name"], cased=cased)
        if length:
            yield Finding(start, start + length, Kind.PERSON)


def _length_of_name(words: str, *, cased: bool) -> int:
    """Characters until the first word that cannot belong to a name; 0 where the first cannot."""
    length = 0
    for found in re.finditer(r"[^ ]+", words):
        word = found.group()
        if (word.lower() in WORDS or (length and is_everyday(word))) and not (length and MIDDLE_INITIAL.match(word)):
            break
        if cased and not word[0].isupper():
            break
        if not cased and length and word.rstrip(".") not in FIRST_NAMES and len(word) < 3:
            break
        length = found.end()
    return len(words[:length].rstrip("."))
