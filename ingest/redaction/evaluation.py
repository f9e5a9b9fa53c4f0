"""How well findings agree with labels: strict (same span and kind), lenient (overlap of the same kind), by tokens.

A token is a word or a punctuation mark. Over tokens `same` asks for the kind too and `any` only whether it is personal;
f1 weighs precision and recall alike, f2 recall twice (what presidio-research reports).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ingest.redaction.findings import Finding, Kind

TOKEN = re.compile(r"\w+|[^\w\s]")
LABELS: dict[str, Kind] = {  # labels of presidio-research and of Presidio, beside our own
    "EMAIL_ADDRESS": Kind.EMAIL,
    "PHONE_NUMBER": Kind.PHONE,
    "CREDIT_CARD": Kind.CARD,
    "IBAN_CODE": Kind.IBAN,
    "US_SSN": Kind.NATIONAL_ID,
    "UK_NHS": Kind.NATIONAL_ID,
    "US_DRIVER_LICENSE": Kind.DOCUMENT,
    "US_PASSPORT": Kind.DOCUMENT,
    "MEDICAL_LICENSE": Kind.PATIENT_ID,
    "IP_ADDRESS": Kind.IP,
    "DOMAIN_NAME": Kind.URL,
    "DATE_TIME": Kind.DATE,
    "STREET_ADDRESS": Kind.ADDRESS,
    "ZIP_CODE": Kind.ADDRESS,
    "GPE": Kind.LOCATION,
    "ORGANIZATION": Kind.ORGANISATION,
    "NRP": Kind.ORIGIN,
} | {kind.value: kind for kind in Kind}
COUNTED_AS = {Kind.PERIOD: Kind.DATE, Kind.COUNTRY: Kind.LOCATION}  # files label them so


class Span(NamedTuple):
    """A labelled or found span, its kind as files know it."""

    start: int
    end: int
    kind: Kind

    def overlaps(self, other: Span) -> bool:
        """Of the same kind, with a character in common."""
        return self.kind is other.kind and self.start < other.end and other.start < self.end


@dataclass(slots=True)
class Tally:
    """Counts of one kind."""

    labelled: int = 0
    found: int = 0
    same: int = 0  # found exactly as labelled
    labels_met: int = 0  # labelled spans that a finding overlaps
    findings_met: int = 0


@dataclass(slots=True)
class Evaluation:
    """Grows by one text at a time."""

    kinds: dict[Kind, Tally] = field(default_factory=dict)
    tokens: Counter[str] = field(default_factory=Counter)
    texts: int = 0

    def add(self, text: str, labelled: Sequence[Span], findings: Sequence[Finding]) -> None:
        """Count one text."""
        found = [Span(one.start, one.end, COUNTED_AS.get(one.kind, one.kind)) for one in findings]
        self.texts += 1
        for span in labelled:
            tally = self.kinds.setdefault(span.kind, Tally())
            tally.labelled += 1
            tally.same += span in found
            tally.labels_met += any(map(span.overlaps, found))
        for span in found:
            tally = self.kinds.setdefault(span.kind, Tally())
            tally.found += 1
            tally.findings_met += any(map(span.overlaps, labelled))
        self._add_tokens(text, labelled, found)

    def answer(self) -> dict[str, Any]:
        """What `--evaluate --json` prints."""
        return {
            "texts": self.texts,
            "kinds": [
                {"kind": kind, "labelled": tally.labelled, "found": tally.found}
                | {"strict": _rates(tally.same, tally.same, tally), "lenient": _lenient(tally)}
                for kind, tally in sorted(self.kinds.items())
            ],
            "tokens": {name: self._token_rates(name) for name in ("same", "any")},
        }

    def _add_tokens(self, text: str, labelled: Sequence[Span], found: Sequence[Span]) -> None:
        for token in TOKEN.finditer(text):
            said, seen = _kind_at(token, labelled), _kind_at(token, found)
            self.tokens["labelled"] += said is not None
            self.tokens["found"] += seen is not None
            self.tokens["any"] += said is not None and seen is not None
            self.tokens["same"] += said is not None and said is seen

    def _token_rates(self, name: str) -> dict[str, float | None]:
        hits = self.tokens[name]
        precision, recall = _ratio(hits, self.tokens["found"]), _ratio(hits, self.tokens["labelled"])
        rates = {"precision": precision, "recall": recall}
        return rates | {"f1": _f(precision, recall, weight=1), "f2": _f(precision, recall, weight=2)}


def _kind_at(token: re.Match[str], spans: Sequence[Span]) -> Kind | None:
    return next((span.kind for span in spans if span.start < token.end() and token.start() < span.end), None)


def _lenient(tally: Tally) -> dict[str, float | None]:
    return _rates(tally.findings_met, tally.labels_met, tally)


def _rates(found_right: int, labels_met: int, tally: Tally) -> dict[str, float | None]:
    return {"precision": _ratio(found_right, tally.found), "recall": _ratio(labels_met, tally.labelled)}


def _ratio(part: int, whole: int) -> float | None:
    return round(part / whole, 4) if whole else None


def _f(precision: float | None, recall: float | None, *, weight: int) -> float | None:
    if not precision or not recall:
        return None
    square = weight * weight
    return round((1 + square) * precision * recall / (square * precision + recall), 4)
