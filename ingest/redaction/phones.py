"""Phone numbers: international, formatted as a country formats them, or any digits where a phone is spoken of.

Left alone: emergency and service numbers (five digits or fewer), amounts, doses, counts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from ingest.redaction.findings import Finding, Kind
from ingest.redaction.nearby import after, before

EXTENSION = r"(?: ?(?:x|ext\.?|extension) ?\d{1,6}\b)?"
BEGIN, END = r"(?<![\w/@#$£€-])(?<!\d[.,])", r"(?![\w@]|[.,]\d)"
NUMBER = re.compile(  # any digits that could be one
    rf"{BEGIN}(?:\+ ?|\(\+)?(?<!\d)\(?\d(?:[ .\-/()]{{0,3}}\d){{5,16}}\)?{EXTENSION}{END}", re.IGNORECASE
)
FORMED = tuple(  # unmistakable, also where another number stands before or after
    re.compile(rf"{BEGIN}{form}{EXTENSION}{END}", re.IGNORECASE)
    for form in (
        r"(?:\+ ?|\(\+)\d(?:[ .\-/()]{0,3}\d){7,14}",
        r"(?:\+?1[ .-])?(?:\(\d{3}\) ?|\d{3}[ .-])\d{3}[ .-]\d{4}",
        r"\(?0\d{1,4}\)?(?:[ .\-/]\d{2,4}){2,4}",
    )
)
SAID_BEFORE = re.compile(
    r"\b(?:phone|tel|telephone|mobile|cell|fax|whatsapp|desk|landline|call(?:ed|ing)?|ring|text|sms|messages?"
    r"|answer(?:s|ed|ing)?|registered|dial|reach|contact)\b"
    r"|☎|📞",
    re.IGNORECASE,
)
SAID_AFTER = re.compile(r"\W{0,3}(?:office|home|mobile|work|fax|cell|phone|desk)\b", re.IGNORECASE)
MOST = 15  # digits, of ITU-T E.164
LEAST = 7  # digits; fewer are emergency numbers and codes for text messages, which people must be able to read
SERVICE = re.compile(  # free of charge, so a helpline's: North America, the United Kingdom, Europe's harmonised 116
    r"(?:\+?1[ .-]?)?\(?8(?:00|33|44|55|66|77|88)\)?[ .-]\d{3}[ .-]?\d{4}|080[08][ -]?\d{3}[ -]?\d{3,4}"
    r"|116[ -]?\d{3}$"
)
TRUNK = re.compile(r"\(?0\d")  # a national number as most countries write it
UNIT = re.compile(
    r" ?(?:mg|ml|mcg|µg|g|kg|iu|mmol|mm|cm|m|km|%|€|\$|£|eur|usd|times|people|years?|steps|kcal"
    r"|cal)\b",
    re.IGNORECASE,
)


def phones(text: str) -> Iterator[Finding]:
    """Digits in a number's form, with 7 to 15 digits before an extension."""
    for form in (NUMBER, *FORMED):
        for found in form.finditer(text):
            main = re.split(r"[xe]", found.group(), maxsplit=1, flags=re.IGNORECASE)[0].strip()
            digits = sum(map(str.isdigit, main))
            if not LEAST <= digits <= MOST or SERVICE.match(main):
                continue
            if form is not NUMBER or _is_likely(text, found.span(), main, digits):
                yield Finding(found.start(), found.end(), Kind.PHONE)


def _is_likely(text: str, span: tuple[int, int], main: str, digits: int) -> bool:
    if UNIT.match(text, span[1]):
        return False
    return _has_a_phones_form(main, digits) or _is_called_a_phone(text, *span)


def _has_a_phones_form(main: str, digits: int) -> bool:
    if main.startswith(("+", "(+")):
        return digits >= 8
    grouped = any(separator in main for separator in " .-/(")
    return grouped and digits >= 9 and TRUNK.match(main) is not None and main.count(".") != 1


def _is_called_a_phone(text: str, start: int, end: int) -> bool:
    return before(text, start, SAID_BEFORE, 40) is not None or after(text, end, SAID_AFTER, 12) is not None
