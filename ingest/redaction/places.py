"""Countries, cities and peoples: known by name, or announced by the words before."""

from __future__ import annotations

import re

from ingest.redaction.candidates import REACH, Candidate
from ingest.redaction.first_names import FIRST_NAMES
from ingest.redaction.known_places import CITIES, COUNTRIES, PEOPLES

ANNOUNCED = re.compile(
    r"\b(?:(?:i am|i'm|we are|we're|based|live|lives|living|lived|stay|staying|born|grew up|arrived|resident?"
    r"|located|offices?|conference"
    r"|trip|holiday|vacation|restaurants?|shops?|weather|year|hospital|clinic|now) in"
    r"|(?:travel|travell?ing|moved?|moving|move here|moved here|fly|flying|flew|drive|driving|going|went|go"
    r"|relocated?|back|return|came|come|comes)"
    r" (?:to|from)|(?:i am|i'm|are|is|we're) from|(?:university|city|town|village|region|province|county|state) of"
    r"|visit(?:ed|ing|s)?"
    rf"|southern|northern|western|eastern|downtown)\s{{0,{REACH}}}$",
    re.IGNORECASE,
)
BESIDE_A_COUNTRY = re.compile(
    rf",?\s{{1,{REACH}}}(?:{'|'.join(sorted(map(re.escape, COUNTRIES), key=len, reverse=True))})\b", re.IGNORECASE
)
POSTCODE_AFTER = re.compile(r" \d{3,6}\b")
DIRECTIONS = frozenset(
    {"southern", "northern", "western", "eastern", "north", "south", "west", "east", "central", "downtown"}
)


def is_country(candidate: Candidate) -> bool:
    """One of the list, unless it is somebody's name too."""
    name = candidate.text
    if name not in COUNTRIES and not (
        candidate.words[-1].lower() in COUNTRIES and candidate.words[0].lower() in DIRECTIONS
    ):
        return False
    return candidate.words[-1].lower() not in FIRST_NAMES or ANNOUNCED.search(candidate.before) is not None


def is_place(candidate: Candidate) -> bool:
    """A name of the list, or any name where a place is spoken of."""
    name = candidate.text
    if name in CITIES:
        return candidate.words[-1].lower() not in FIRST_NAMES or ANNOUNCED.search(candidate.before) is not None
    if candidate.before.endswith(" in ") and POSTCODE_AFTER.match(candidate.after):
        return True
    return ANNOUNCED.search(candidate.before) is not None or (
        candidate.begins and BESIDE_A_COUNTRY.match(candidate.after) is not None
    )


def is_people(candidate: Candidate) -> bool:
    """One word that says where somebody is from or what they believe; languages are written the same."""
    word = candidate.text
    return word in PEOPLES or word.removesuffix("s") in PEOPLES or word.removesuffix("n") in COUNTRIES - {"ira"}
