"""Keys, tokens and passwords that people paste: by how issuers begin them, or by the word before."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ingest.redaction.findings import Finding, Kind

ISSUED = re.compile(r"(?<![\w-])(?:sk|pk|rk|plb|ghp|gho|ghs|xox[abprs]|AKIA|eyJ)[-_A-Za-z0-9.]{16,}+")
SAID = re.compile(
    r"\b(?:pass ?word|passwd|passcode|pwd|api[ _-]?key|secret(?: key)?|access[ _-]key|token)(?: is| was)?"
    r"(?:: ?| ?= ?| )"
    r"(?P<secret>(?=[^\s<>]{0,128}\d)[^\s<>]{6,}+)",
    re.IGNORECASE,
)


def secrets(text: str) -> Iterator[Finding]:
    """The secret alone, without the word."""
    for found in ISSUED.finditer(text):
        yield Finding(found.start(), found.end(), Kind.SECRET, sure=True)
    for found in SAID.finditer(text):
        yield Finding(*found.span("secret"), Kind.SECRET)
