"""The table of recognisers, and what they find together. A new family is a file and a row."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

from ingest.redaction import accounts, dates, numbers, phones, web
from ingest.redaction.findings import Finding, resolve
from ingest.redaction.prefilter import Signs, signs_of


class Recogniser(NamedTuple):
    """Finds one family; asked only where a text has one of its signs."""

    signs: Signs
    find: Callable[[str], Iterable[Finding]]


RECOGNISERS: tuple[Recogniser, ...] = (
    Recogniser(Signs.AT | Signs.DOTTED, web.emails),
    Recogniser(Signs.DOTTED, web.urls),
    Recogniser(Signs.DIGIT, web.ip_addresses),
    Recogniser(Signs.DIGIT, accounts.ibans),
    Recogniser(Signs.DIGIT, accounts.cards),
    Recogniser(Signs.DIGIT, numbers.identifiers),
    Recogniser(Signs.DIGIT, phones.phones),
    Recogniser(Signs.DIGIT, dates.dates),
    Recogniser(Signs.DIGIT, dates.ages),
)


def find(text: str) -> list[Finding]:
    """What the rules find, in order and without overlaps."""
    signs = signs_of(text)
    if not signs:
        return []
    found = [one for row in RECOGNISERS if row.signs & signs for one in row.find(text)]
    return resolve(text, found) if found else []
