"""Which kind of name a run of capitalised words is: the first row that claims it has it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from ingest.redaction.candidates import Candidate, candidates
from ingest.redaction.findings import Finding, Kind
from ingest.redaction.known_places import PEOPLES
from ingest.redaction.organisations import is_organisation
from ingest.redaction.persons import is_person
from ingest.redaction.places import is_country, is_people, is_place

CLAIMS: tuple[tuple[Kind, Callable[[Candidate], bool]], ...] = (
    (Kind.COUNTRY, is_country),
    (Kind.LOCATION, is_place),
    (Kind.ORIGIN, is_people),
    (Kind.ORGANISATION, is_organisation),
    (Kind.PERSON, is_person),
)


def proper_names(text: str) -> Iterator[Finding]:
    """People, places, peoples and organisations."""
    for candidate in candidates(text):
        first = candidate.words[0]
        if len(candidate.words) > 1 and first.lower() in PEOPLES:
            yield Finding(candidate.start, candidate.start + len(first), Kind.ORIGIN)
            continue
        kind = next((kind for kind, claims in CLAIMS if claims(candidate)), None)
        if kind is not None:
            yield Finding(candidate.start, candidate.end, kind)
