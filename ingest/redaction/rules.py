"""The table of recognisers, and what they find together. A new family is a file and a row."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

from ingest.redaction import (
    accounts,
    addresses,
    dates,
    numbers,
    organisations,
    persons,
    phones,
    proper_names,
    secrets,
    web,
)
from ingest.redaction.findings import Finding, masked, resolve
from ingest.redaction.prefilter import signs_of


class Recogniser(NamedTuple):
    """Finds one family; asked only where a text has its sign."""

    sign: str  # a field of Signs
    find: Callable[[str], Iterable[Finding]]


RECOGNISERS: tuple[Recogniser, ...] = (
    Recogniser("at", web.emails),
    Recogniser("dotted", web.urls),
    Recogniser("dotted", web.ip_addresses),
    Recogniser("number", accounts.ibans),
    Recogniser("number", accounts.cards),
    Recogniser("number", numbers.identifiers),
    Recogniser("secret", secrets.secrets),
    Recogniser("number", phones.phones),
    Recogniser("date", dates.dates),
    Recogniser("age", dates.ages),
    Recogniser("capital", dates.weekdays),
    Recogniser("house", addresses.addresses),
    Recogniser("capital", organisations.organisations),
    Recogniser("capital", proper_names.proper_names),
    Recogniser("told", persons.persons_told),
)


def find(text: str) -> list[Finding]:
    """What the rules find, in order and without overlaps."""
    seen = masked(text)
    signs = signs_of(seen)
    if not any(signs):
        return []
    found = [one for row in RECOGNISERS if getattr(signs, row.sign) for one in row.find(seen)]
    return resolve(text, found) if found else []


def find_thoroughly(text: str) -> list[Finding]:
    """The same without looking for signs first: what `find` must equal."""
    return resolve(text, [one for row in RECOGNISERS for one in row.find(masked(text))])
