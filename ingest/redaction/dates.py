"""Dates and ages. A time of day, a weekday without a date and a duration name nobody and are left alone."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ingest.redaction.findings import Finding, Kind

MONTH = (
    r"(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?"
    r"|nov(?:ember)?|dec(?:ember)?)\.?"
)
DAY, YEAR = r"(?:0?[1-9]|[12]\d|3[01])", r"(?:1[89]\d\d|20\d\d)"
TIME = r"(?:[ T,]{1,2}(?:[01]?\d|2[0-3]):[0-5]\d(?::[0-5]\d(?:\.\d+)?)?(?: ?[ap]m\b)?(?:Z|[+-]\d\d:?\d\d)?)?"
NUMERIC = re.compile(
    rf"(?<![\w./-])(?:{YEAR}[-/.](?:0?[1-9]|1[0-2])[-/.]{DAY}|{DAY}[-/.](?:0?[1-9]|1[0-2])[-/.](?:{YEAR}|\d\d)"
    rf"|(?:0?[1-9]|1[0-2])[-/.]{DAY}[-/.](?:{YEAR}|\d\d)){TIME}(?![\w/-]|\.\d)"
)
WRITTEN = re.compile(
    rf"(?<![\w-])(?:{DAY}(?:st|nd|rd|th)?(?: of)?[ -]{MONTH}(?:,?[ -]{YEAR})?"
    rf"|{MONTH}[ -]{DAY}(?:st|nd|rd|th)?(?:,? {YEAR})?|{MONTH},? (?:of )?{YEAR}){TIME}(?!\w)",
    re.IGNORECASE,
)
YEAR_ALONE = re.compile(
    r"\b(?:in|since|during|from|until|till|of|by|before|after|year|born|circa|c\.|©|between|and|early|late|mid)[ -]"
    rf"({YEAR})(?:s\b)?(?![\w/-]|[.,:]\d)",
    re.IGNORECASE,
)
OLD = re.compile(
    r"(?<![\w.,-])(1[0-4]\d|\d{1,2})(?:[ -](?:years?|yrs?|months?)(?:[ -]olds?)|[ -]?(?:yo|y/o)|-year-old)\b",
    re.IGNORECASE,
)
VERY_OLD = 90  # from here an age alone singles a person out (45 CFR 164.514)


def dates(text: str) -> Iterator[Finding]:
    """Numeric or written with a day or a year; years alone where a word makes them one."""
    for form in (NUMERIC, WRITTEN):
        for found in form.finditer(text):
            yield Finding(found.start(), found.end(), Kind.DATE)
    for found in YEAR_ALONE.finditer(text):
        yield Finding(found.start(1), found.end(1), Kind.DATE)


def ages(text: str) -> Iterator[Finding]:
    """The number alone."""
    for found in OLD.finditer(text):
        yield Finding(found.start(1), found.end(1), Kind.DATE if int(found[1]) >= VERY_OLD else Kind.AGE)
