"""Names that a model finds, beside the rules: a port, and the adapter of a spaCy model in a local folder.

spaCy is loaded only where PLUMBLINE_ENTITY_MODEL names a folder, and nothing is ever downloaded. A model adds people,
places and organisations that no rule knows; it takes nothing away from what the rules found.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Protocol

from ingest.redaction import rules
from ingest.redaction.findings import Finding, Kind, masked, resolve
from matrix.errors import InvalidInput

LABELS = {
    "PERSON": Kind.PERSON,
    "PER": Kind.PERSON,
    "GPE": Kind.LOCATION,
    "LOC": Kind.LOCATION,
    "FAC": Kind.ADDRESS,
    "ORG": Kind.ORGANISATION,
    "NORP": Kind.ORIGIN,
}


class NamedEntities(Protocol):
    """Finds names in a text."""

    def find(self, text: str) -> Iterator[Finding]:
        """In any order; overlaps are resolved by the caller."""


class SpacyEntities:
    """A spaCy model of a local folder. InvalidInput where spaCy or the folder is missing."""

    def __init__(self, folder: Path) -> None:
        field, shown = "PLUMBLINE_ENTITY_MODEL", str(folder)
        try:
            spacy = import_module("spacy")
        except ModuleNotFoundError:
            raise InvalidInput(field=field, value=shown, remedy="needs spaCy: pip install spacy") from None
        if not folder.is_dir():  # a bare name would be looked up among packages
            raise InvalidInput(field=field, value=shown, remedy="no such folder")
        try:
            self._pipeline = spacy.load(folder)
        except (OSError, ValueError) as error:
            raise InvalidInput(field=field, value=shown, remedy=f"no spaCy model: {error}") from None

    def find(self, text: str) -> Iterator[Finding]:
        """Entities whose label stands for a kind of ours."""
        for entity in self._pipeline(text).ents:
            if entity.label_ in LABELS:
                yield Finding(entity.start_char, entity.end_char, LABELS[entity.label_])


def beside_rules(entities: NamedEntities) -> Callable[[str], list[Finding]]:
    """The rules' findings, and the model's where the rules say nothing."""

    def find(text: str) -> list[Finding]:
        ruled = rules.find(text)
        certain = [one._replace(sure=True) for one in ruled]
        return resolve(text, [*certain, *entities.find(masked(text))])

    return find


def finder(folder: Path | None) -> Callable[[str], list[Finding]]:
    """Rules alone, or with the model of this folder."""
    return rules.find if folder is None else beside_rules(SpacyEntities(folder))
