"""Which recognisers could find anything at all, told by searches that are cheap: most texts need none of them.

A sign may be there without a finding, never a finding without its sign (tests hold the two ways against each other).
"""

from __future__ import annotations

import re
from typing import NamedTuple

from ingest.redaction.candidates import CAPITAL
from ingest.redaction.everyday_words import is_everyday

DIGIT = re.compile(r"\d")
NUMBER = re.compile(r"\d(?:[ .,:/()-]{0,3}[A-Za-z]?\d){3}")  # four digits or more, however grouped
PARTED = re.compile(r"\d[-/.]\d")
HOUSE = re.compile(
    rf"\d[A-Za-z]?,? {CAPITAL}|{CAPITAL}[\w.'’-]{{0,60}}+ (?:\w{{1,5}}\.? )?\d|\d (?:rue|ulica|ul)\b|[Cc]orner of"
    r"|(?i:apt|apartment|suite|flat|ste|box)\.? ?#?\d"
)
DOTTED = re.compile(r"[^\s.][.:][^\W_]|://|::")
CAPITALISED = re.compile(rf"(?<!\w){CAPITAL}[^\W\d_]*+(?:['’-][^\W\d_]++)*+")
MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
AGES = ("year", "yr", "month", "yo", "y/o", "age", "turn", "when")
TOLD = (
    "name", "call", "go by", "known as", "regards", "sincerely", "cheers", "yours", "dear", "user", "patient", "signed",
    "from:", "to:", "mr", "ms", "miss", "mx", "dr", "prof", "doctor", "nurse", "herr", "frau", "mme", "rev",
)  # fmt: skip
SECRETS = ("pass", "pwd", "key", "secret", "token", "sk-", "sk_", "pk_", "rk_", "plb_", "gh", "xox", "akia", "eyj")


class Signs(NamedTuple):
    """What a text holds; a recogniser names the one that its findings cannot be without."""

    dotted: bool  # a dot or a colon inside a word
    at: bool  # an @, written or spelled
    number: bool  # four digits that could belong together
    date: bool
    age: bool
    house: bool  # a number beside a capitalised word
    capital: bool  # a capitalised word that is not of every day
    told: bool  # a title, or words that announce a name
    secret: bool


def signs_of(text: str) -> Signs:
    """Substrings and searches that stop at their first hit."""
    low = text.lower()
    digit = DIGIT.search(text) is not None
    number = digit and NUMBER.search(text) is not None
    return Signs(
        dotted=DOTTED.search(text) is not None,
        at="@" in text or "dot" in low,
        number=number,
        date=digit and (number or PARTED.search(text) is not None or any(month in low for month in MONTHS)),
        age=digit and any(word in low for word in AGES),
        house=digit and HOUSE.search(text) is not None,
        capital=not all(map(is_everyday, CAPITALISED.findall(text))),
        told=any(word in low for word in TOLD),
        secret=any(word in low for word in SECRETS),
    )
