"""Numbers that a state, a clinic or an insurer knows a person by.

A number with check digits is taken on them where its form is unmistakable; any other needs a word beside it.
NHS numbers: mod 11 (NHS Data Dictionary). US social security numbers: never 000, 666 or 9xx first (SSA).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

from ingest.redaction.findings import Finding, Kind
from ingest.redaction.nearby import before

DIGITS = re.compile(r"\d")


class Form(NamedTuple):
    """A number's form; `words` must stand before it (always, or where the form alone says too little)."""

    kind: Kind
    form: re.Pattern[str]
    words: re.Pattern[str] | None = None
    check: Callable[[str], bool] | None = None  # of the digits alone


def passes_nhs(digits: str) -> bool:
    """Ten digits, the last a check: 9434765919 passes."""
    if len(digits) != 10:
        return False
    check = 11 - sum(int(digit) * weight for digit, weight in zip(digits, range(10, 1, -1), strict=False)) % 11
    return check != 10 and check % 11 == int(digits[9]) and len(set(digits)) > 1


def passes_ssn(digits: str) -> bool:
    """Area, group and serial were issued."""
    area, group, serial = digits[:3], digits[3:5], digits[5:]
    return area not in {"000", "666"} and area < "900" and group != "00" and serial != "0000"


def passes_verhoeff(digits: str) -> bool:
    """Aadhaar's check digit, in the dihedral group of ten."""
    check = 0
    for place, digit in enumerate(reversed(digits)):
        turned = int(digit)
        for _ in range(place % 8):
            turned = VERHOEFF_TURN[turned]
        check = _dihedral(check, turned)
    return check == 0


VERHOEFF_TURN = (1, 5, 7, 6, 2, 8, 3, 0, 9, 4)


def _dihedral(left: int, right: int) -> int:
    if left < 5:
        return (left + right) % 5 if right < 5 else 5 + (left + right - 5) % 5
    return 5 + (left - 5 - right) % 5 if right < 5 else (left - right) % 5


def words(*found: str) -> re.Pattern[str]:
    """Any of these, as whole words."""
    return re.compile(rf"\b(?:{'|'.join(found)})\b", re.IGNORECASE)


EDGE, END = r"(?<![\w-])(?<!\d\.)", r"(?![\w-]|\.\d)"
NUMBERED = r"(?=[A-Z0-9-]*\d)"  # letters alone are a word
OF_PATIENTS = words(
    "mrn", "medical record", "record (?:no|number|id)", "patient (?:no|number|id|identifier)", "hospital (?:no|number)",
    "chart (?:no|number)", "health (?:plan|card|insurance)", "member (?:id|no|number)", "insurance (?:id|no|number)",
    "policy (?:no|number)", "medicare", "medicaid", "case (?:no|number)", "chi number", "accession",
)  # fmt: skip
OF_STATES = words(
    "ssn", "social security", "social insurance", "sin", "national (?:id|identity|insurance|identification)", "nino",
    "ni number", "nhs(?: (?:no|number))?", "tax (?:id|no|number)", "tin", "itin", "nif", "nie", "dni", "pesel", "bsn",
    "cpf", "aadhaar", "aadhar", "codice fiscale", "steuer-?id(?:nummer)?", "personnummer",
    "citizen(?:'s)? (?:id|number)",
    "identity card", "id card", "personal (?:number|code)", "cnp", "fnr", "cpr", "hetu", "curp", "insee", "nir",
)  # fmt: skip
OF_PAPERS = words(
    "passport", "driv(?:er|ing|ers|er's|er’s) ?licen[cs]e", "driver'?s? licen[cs]e",
    "licen[cs]e",
    "number plate", "license plate", "registration (?:no|number)", "visa (?:no|number)",
)  # fmt: skip
CODE = re.compile(rf"{EDGE}{NUMBERED}[A-Z0-9](?:[A-Z0-9]|[-/ ](?=[A-Z]*\d)){{3,18}}[A-Z0-9]{END}", re.IGNORECASE)
FORMS = (
    Form(Kind.NATIONAL_ID, re.compile(rf"{EDGE}\d{{3}}-\d\d-\d{{4}}{END}"), None, passes_ssn),
    Form(Kind.NATIONAL_ID, re.compile(rf"{EDGE}\d{{3}} ?\d\d ?\d{{4}}{END}"), OF_STATES, passes_ssn),
    Form(Kind.NATIONAL_ID, re.compile(rf"{EDGE}\d{{3}}[ -]\d{{3}}[ -]\d{{4}}{END}"), OF_STATES, passes_nhs),
    Form(Kind.NATIONAL_ID, re.compile(rf"{EDGE}\d{{3}} \d{{3}} \d{{4}}{END}"), None, passes_nhs),
    Form(Kind.NATIONAL_ID, re.compile(rf"{EDGE}\d{{10}}{END}"), words("nhs", "hospital", "patient"), passes_nhs),
    Form(Kind.NATIONAL_ID, re.compile(rf"{EDGE}[2-9]\d{{3}} \d{{4}} \d{{4}}{END}"), None, passes_verhoeff),
    Form(  # United Kingdom: national insurance
        Kind.NATIONAL_ID,
        re.compile(rf"{EDGE}(?![DFIQUV])[A-Z](?![DFIQUVO])[A-Z] ?\d\d ?\d\d ?\d\d ?[A-D]{END}"),
    ),
    Form(Kind.NATIONAL_ID, re.compile(rf"{EDGE}[A-Z]{{6}}\d\d[A-EHLMPRST]\d\d[A-Z]\d{{3}}[A-Z]{END}")),  # Italy
    Form(Kind.NATIONAL_ID, re.compile(rf"{EDGE}\d{{3}}\.\d{{3}}\.\d{{3}}-\d\d{END}")),  # Brazil
    Form(Kind.NATIONAL_ID, CODE, OF_STATES),
    Form(Kind.DOCUMENT, CODE, OF_PAPERS),
    Form(Kind.PATIENT_ID, CODE, OF_PATIENTS),
)
REACH = 30


def identifiers(text: str) -> Iterator[Finding]:
    """Every form of the table."""
    for row in FORMS:
        if row.words is not None and row.words.search(text) is None:
            continue
        for found in row.form.finditer(text):
            if row.words is not None and before(text, found.start(), row.words, REACH) is None:
                continue
            if row.check is None or row.check("".join(DIGITS.findall(found.group()))):
                yield Finding(found.start(), found.end(), row.kind, sure=row.check is not None or row.words is None)
