"""What was found where, and which finding stands where several overlap.

Placeholders are what a text holds afterwards; nothing is ever found inside one, so redacting twice is redacting once.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from enum import StrEnum
from typing import NamedTuple


class Kind(StrEnum):
    """What can be found. A value is a placeholder's name too."""

    EMAIL = "EMAIL"
    PHONE = "PHONE"
    CARD = "CARD"
    IBAN = "IBAN"
    NATIONAL_ID = "NATIONAL_ID"  # social security, health service, tax and citizens' numbers
    DOCUMENT = "DOCUMENT"  # passports, driver's licences, number plates
    PATIENT_ID = "PATIENT_ID"  # medical record numbers and their like
    SECRET = "SECRET"  # keys, tokens and passwords
    IP = "IP"
    URL = "URL"
    DATE = "DATE"
    PERSON = "PERSON"
    ADDRESS = "ADDRESS"
    LOCATION = "LOCATION"
    ORGANISATION = "ORGANISATION"
    ORIGIN = "ORIGIN"  # nationality, religion or political group
    AGE = "AGE"  # below 90
    PERIOD = "PERIOD"  # a year or a weekday
    COUNTRY = "COUNTRY"
    WITHHELD = "REDACTED"  # a whole text that would not settle
    TITLE = "TITLE"  # Mr, Dr, and professions where they stand beside a name


# Found and reported but left in the text: they single nobody out (45 CFR 164.514(b)(2) keeps years, ages below 90 and
# what is larger than a state), and doses and vaccinations hang on them.
KEPT = frozenset({Kind.AGE, Kind.PERIOD, Kind.COUNTRY, Kind.TITLE})
PLACEHOLDER = re.compile(rf"<(?:{'|'.join(Kind)})>")


class Finding(NamedTuple):
    """A kind at [start, end) of a text; `sure` where a checksum or an unmistakable form says so."""

    start: int
    end: int
    kind: Kind
    sure: bool = False


def masked(text: str) -> str:
    """The text with other marks in place of placeholders: <PHONE> is no word about phones."""
    return PLACEHOLDER.sub(lambda mark: "<" * (mark.end() - mark.start()), text) if "<" in text else text


def resolve(text: str, findings: Iterable[Finding]) -> list[Finding]:
    """Findings without overlaps, in order: placeholders stand, then the sure before the likely, then the longer."""
    ranked = sorted(findings, key=lambda one: (not one.sure, one.start - one.end, one.start, one.kind))
    taken = bytearray(len(text))
    for mark in PLACEHOLDER.finditer(text) if "<" in text else ():
        taken[mark.start() : mark.end()] = b"\1" * (mark.end() - mark.start())
    kept = []
    for one in ranked:
        if one.start < one.end and not any(taken[one.start : one.end]):
            taken[one.start : one.end] = b"\1" * (one.end - one.start)
            kept.append(one)
    return sorted(kept)
