"""Companies and institutions: by the word that says so, by partners' names joined by "and", or by "work for"."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ingest.redaction.candidates import ONE, REACH, SHORT_WORD, Candidate, is_shouted
from ingest.redaction.everyday_words import is_everyday
from ingest.redaction.findings import Finding, Kind
from ingest.redaction.known_places import COUNTRIES

FORMS = (
    r"Inc|Incorporated|LLC|LLP|Ltd|Limited|PLC|plc|Corp|Corporation|Co|GmbH|AG|KG|SA|SAS|SARL|SRL|BV|NV|Oy|AB|AS|ASA"
    r"|Group|Holdings?"
    r"|Technologies|Technology|Systems|Solutions|Partners|Associates|Industries|Enterprises|Investments|Ventures"
    r"|Labs|Laboratories"
    r"|Pharmaceuticals|Pharma|Software|Networks?|Consulting|Services|Logistics|Media|Bank|Insurance|Capital|Finance"
    r"|Financial"
    r"|Analytics|Markets|Trust|Foundation|Institute|University|College|Academy|Orchestra|Hospital|Clinic"
    r"|Medical Center|Medical Centre"
    r"|Infirmary|Surgery|Pharmacy|Council|Agency|Association|Ministry|Airlines|Airways|Motors|Energy|Company|Sons"
)
FORMED = re.compile(
    rf"(?<![\w@]){SHORT_WORD}(?:(?: (?:of|for|the|&|and|de) | ){SHORT_WORD}){{0,4}}? (?:{FORMS})\b"
    r"(?:,? (?:Inc|Ltd|LLC|Group|Corporation)\b)?\.?(?=\W|$)"
)
ARTICLES = re.compile(r"^(?:The|A|An|My|Our|Your|At|In|From|By|For|I|We|And|Is|This|That|Their|His|Her) ")
PARTNERS = re.compile(
    rf"(?<!\w){SHORT_WORD}(?:, {SHORT_WORD}){{1,6}},? and {SHORT_WORD}(?![\w'’])"
    rf"|(?<!\w)(?:{SHORT_WORD}-{SHORT_WORD})(?!\w)"
)
ANNOUNCED = re.compile(
    rf"\b(?:works?|worked|working|employed|interviewed|hired) (?:for|at|by)\s{{0,{REACH}}}$"
    r"|\b(?:to support|to join|joined|joining|account with"
    rf"|employer(?: is|:)?|company(?: is|:)?|(?:mon|tues|wednes|thurs|fri)day at)\s{{0,{REACH}}}$"
    rf"|{SHORT_WORD} (?:{SHORT_WORD} ){{0,{REACH}}}from $",
    re.IGNORECASE,
)
OF_PEOPLE = re.compile(
    r"(?:founders|friends|colleagues|brothers|sisters|children|kids|parents|doctors|nurses|names|with)[:,]? $"
)
FOLLOWED = re.compile(
    r"^ (?:is a (?:\w+ )?(?:agency|company|firm|startup|business|organi[sz]ation)|office|website|headquarters"
    r"|employees?|corporation|company"
    r"|invested|announced|is the brainchild|is an? \\S+ (?:that|which)|customer|support|stock|shares|orchestra)\b",
    re.IGNORECASE,
)


def is_organisation(candidate: Candidate) -> bool:
    """By what stands beside it."""
    return FOLLOWED.match(candidate.after) is not None or (
        len(candidate.words) <= 3 and ANNOUNCED.search(candidate.before) is not None
    )


def organisations(text: str) -> Iterator[Finding]:
    """By form."""
    if is_shouted(text):
        return
    for found in FORMED.finditer(text):
        start = found.start()
        while (article := ARTICLES.match(text[start : found.end()])) is not None:
            start += article.end()
        named = ONE.findall(text, start, found.end())
        if len(named) > 1 and not all(map(is_everyday, named)):
            yield Finding(start, found.end(), Kind.ORGANISATION)
    for found in PARTNERS.finditer(text):
        partners = ONE.findall(found.group())
        if "," not in found.group() or any(name.lower() in COUNTRIES or is_everyday(name) for name in partners):
            continue
        if not OF_PEOPLE.search(text, max(0, found.start() - 24), found.start()):
            yield Finding(found.start(), found.end(), Kind.ORGANISATION)
