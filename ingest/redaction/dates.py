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
    r"\b(?:in|since|during|from|until|till|of|by|before|after|year|born|circa|c\.|©|an?|the|between|and|early|late"
    r"|mid)[ -]"
    rf"({YEAR})(?:s\b)?(?![\w/-]|[.,:]\d| ?(?:mg|ml|k?cal|calories?|iu|steps|people|units?)\b)",
    re.IGNORECASE,
)
OLD = re.compile(
    r"(?<![\w.,-])(1[0-4]\d|\d{1,2})(?:[ -](?:years?|yrs?|months?)(?:[ -]olds?)|[ -]?(?:yo|y/o)|-year-old)\b",
    re.IGNORECASE,
)
AGED = re.compile(
    r"\b(?:aged|age of|when (?:he|she|they|i|we) (?:was|were)|age is|age:|(?:just|will|'ll|be|is|soon"
    r"|have) turn(?:ed|ing)?|i turn(?:ed)?)[ \n](1[0-4]\d|\d{1,2})(?![\w:-]|[.,]\d| ?%)",
    re.IGNORECASE,
)
BORN = re.compile(r"\bborn\b|\bbirth", re.IGNORECASE)
VERY_OLD = 90  # from here an age alone singles a person out (45 CFR 164.514)


def dates(text: str) -> Iterator[Finding]:
    """Numeric or written with a day or a year; years alone where a word makes them one."""
    for form in (NUMERIC, WRITTEN):
        for found in form.finditer(text):
            yield Finding(found.start(), found.end(), Kind.DATE)
    for found in YEAR_ALONE.finditer(text):
        born = found.group().lower().startswith("born") or BORN.search(text, max(0, found.start() - 12), found.start())
        yield Finding(found.start(1), found.end(1), Kind.DATE if born else Kind.PERIOD)


WEEKDAY = re.compile(
    r"\b(?:on|next|(?<!the )last|this|until|by|since|meet|before|after|from|for|come|see you|tomorrow,?|yesterday,?) "
    r"((?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day)\b"
)


def weekdays(text: str) -> Iterator[Finding]:
    """Those that stand for a date; what somebody does every Monday is none."""
    for found in WEEKDAY.finditer(text):
        yield Finding(found.start(1), found.end(1), Kind.PERIOD)


def ages(text: str) -> Iterator[Finding]:
    """The number alone."""
    for found in (*OLD.finditer(text), *AGED.finditer(text)):
        yield Finding(found.start(1), found.end(1), Kind.DATE if int(found[1]) >= VERY_OLD else Kind.AGE)
