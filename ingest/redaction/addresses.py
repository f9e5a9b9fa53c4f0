"""Postal addresses: a core that is unmistakable (number and street, flat, box, corner), and the lines that follow it.

A number and a capitalised word alone are no address: doses and lists look the same.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from ingest.redaction.candidates import CAPITAL
from ingest.redaction.everyday_words import is_everyday
from ingest.redaction.findings import Finding, Kind

NUMBER = r"\d{1,6}(?:[/-]\d{1,4})?[a-zA-Z]?"
NAME = rf"{CAPITAL}[\w.'’-]{{0,60}}+"  # bounded, since what follows may fail: candidates.SHORT_WORD
LINK = r"(?:of|de|des|del|dei|da|do|dos|das|di|la|van|den|der|am|im|zu|y|e|and|the)"
NAMES = rf"{NAME}(?: (?:{LINK} )?(?:{NAME}|\d{{1,2}}(?:st|nd|rd|th)?)){{0,4}}"
SUFFIX = (
    r"(?:street|st|road|rd|avenue|ave|lane|ln|drive|dr|court|ct|place|pl|square|squares|streets|sq|boulevard|blvd|way"
    r"|terrace|close|crescent|parkway|pkwy|highway|hwy|gardens?|grove|hill|mews|row|walk|quay|alley|circle|cir|trail"
    r"|loop"
    r"|path|plaza|bypass|lodge|mount|utca|út|útja|tér|tere|u|kapu|sokak|caddesi|str|ulica|ul|cesta|trg|náměstí)"
)
SUFFIXES = rf"(?={CAPITAL}|utca|út|tér|tere|u\b|kapu|ul\b|str\b|street|road)(?i:{SUFFIX})"
PREFIX = (
    r"(?:[Rr]ue|Via|Viale|Piazza|Piazzetta|Corso|Strada|Calle|Avenida|Avda|Plaza|Paseo|Rua|Rúa|Travessa|[Uu]lica|[Uu]l"
    r"|Aleja|Boulevard|Chemin|Place)\.?"
)
COMPOUND = (
    rf"{CAPITAL}\w{{1,40}}(?:straße|strasse|str|gasse|weg|platz|allee|ring|ufer|vej|gade|gata|gatan|götu|vägen|veien|vegen"
    rf"|gate"
    r"|katu|tie|kuja|straat|laan|plein|kade|vegur|braut|stígur|ova|ska|ská|ského|eva)"
)
CORES = tuple(
    re.compile(pattern)
    for pattern in (
        rf"(?<![\w.])(?:{NUMBER} ){{0,2}}{NUMBER},? {NAMES} (?:{SUFFIXES})\b\.?(?: {NUMBER}\b)?",
        rf"(?<![\w.])(?:{NUMBER} ){{0,2}}{PREFIX} (?:{LINK} )?{NAMES}(?: {NUMBER}\b)?",
        rf"(?<![\w.])(?:{NUMBER} ){{0,2}}{COMPOUND} {NUMBER}\b",
        rf"(?<![\w.])(?:{NUMBER} )?\d{{3,6}} {NAMES} {NUMBER}\b\.?(?! ?(?:mg|ml|mcg|g|%|times|years|days|hours)\b)",
        rf"(?<![\w.]){NAMES} (?i:utca|út|útja|tér|u|kapu|ul)\.? {NUMBER}\b\.?",
        r"\b(?i:apt|apartment|suite|flat|ste)\b\.? ?#?\d{1,5}[A-Za-z]?\b|\b(?:Unit|Room) \d{1,5}[A-Za-z]?\b",
        r"\b(?i:p\.? ?o\.? ?box|post ?box|psc \d{1,6},? box|unit \d{1,6} box) \d{1,6}\b",
        r"\b(?:APO|FPO|DPO) (?:AA|AE|AP) \d{5}\b",
        rf"\b(?i:the corner of) (?:{NUMBER} )?{NAMES}(?: {NUMBER})?\.?,? and (?:{NUMBER} )?{NAMES}(?: {NUMBER}\b)?\.?",
    )
)
STREET, CORNER = CORES[0], CORES[-1]
PLAIN = (STREET, *CORES[5:8])
POSTCODE = (
    r"(?:\d{4,6}(?:-\d{3,4})?|\d{2,3}[- ]\d{2,3}|[A-Z]\d[A-Z] ?\d[A-Z]\d|[A-Z]{1,2}\d[A-Z\d]? ?\d[A-Z]{2})"
    r"(?![\w-]| ?\d)"
)
LINE = rf"{NAME}(?: (?:(?:{LINK}|\() ?)?{CAPITAL}[\w.'’)-]{{0,60}}+){{0,4}}"
BREAK = r"(?:[ ]{0,20}+,[\s>]{0,40}+|[ ]{0,20}+\n[\s>]{0,40}+(?:, ?)?)"  # between the lines of an address
MORE = re.compile(
    rf"(?:{BREAK}|[ ])(?:(?:{LINE}|nan|\d\d?(?=\n))(?:{BREAK}|[ ]))?(?P<postcode>{POSTCODE})|{BREAK}(?:{LINE}|nan\b)"
    rf"(?:[ ][A-Z][A-Z]\b)?"
)
TOWN = re.compile(rf" ({CAPITAL}[\w'’-]+)(?: {CAPITAL}[\w'’-]+)*")
BRIDGE = re.compile(r"[\s,>.]{0,6}(?:and )?")


def addresses(text: str) -> Iterator[Finding]:
    """Cores joined where only commas and line ends lie between them, then drawn out to the postcode or country."""
    spans = sorted(found.span() for form in CORES for found in form.finditer(text) if _counts(found))
    at = 0
    while at < len(spans):
        start, end = spans[at]
        at += 1
        end = _drawn_out(text, end)
        while at < len(spans) and (spans[at][0] <= end or BRIDGE.fullmatch(text, end, spans[at][0])):
            end = _drawn_out(text, max(end, spans[at][1]))
            at += 1
        yield Finding(start, start + len(text[start:end].rstrip(".,")), Kind.ADDRESS)


def _counts(found: re.Match[str]) -> bool:
    """There is a number, and a word that is not of every day unless the form says enough."""
    if found.re is CORNER:
        return True
    if not any(character.isdigit() for character in found.group()):
        return False
    words = re.findall(rf"{CAPITAL}[\w'’-]*", found.group())
    return found.re in PLAIN or any(not is_everyday(word) for word in words)


def _drawn_out(text: str, end: int) -> int:
    for _ in range(4):
        more = MORE.match(text, end)
        if more is None or more.end() == end:
            break
        words = re.findall(rf"{CAPITAL}[\w'’-]*", more.group())
        if words and all(is_everyday(word) for word in words):
            break
        end = more.end()
        if more["postcode"] is not None:
            town = TOWN.match(text, end)
            return end if town is None or is_everyday(town[1]) else town.end()
    return end
