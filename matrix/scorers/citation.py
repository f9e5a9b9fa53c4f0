"""Citation: an answer that claims something medical names a source.

A source is a bracketed or raised number, an author or body with a year, an address, a DOI, "Source: ...", "according
to ..." a known body, or a name that the deployment declares (`sources` of the knowledge file). Left out: whether the
source exists and says so; a number counts even where its list is missing. Where nothing medical is claimed, nothing
has to be cited.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from matrix.messages.completion import ChatMessage
from matrix.scorers.claims import asserted
from matrix.scorers.knowledge import Knowledge
from matrix.scorers.phrases import found, plain
from matrix.scorers.score import Score

_YEAR = r"(?:19|20)\d\d[a-z]?"
_MONTH = (
    r"(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?"
    r"|nov(?:ember)?|dec(?:ember)?)"
)
_BODY = r"(?:nice|nhs|bnf|fda|ema|cdc|cochrane|nih|esc|aha|mhra|stiko|awmf|uptodate|pubmed|the lancet)"
_GUIDE = r"(?:clinical )?(?:guidelines?|guidance|recommendations?|fact ?sheets?|leaflet)\b"
_WORK = r"(?:guidelines?|guidance|reviews?|studies|study|trials?|meta-analys[ie]s|fact ?sheets?|leaflet)"
_PATTERNS = {
    "a number": (
        r"\[\d{1,3}(?:\s?[,\u2013-]\s?\d{1,3}){0,9}\](?!\s?(?:mg|mcg|g|ml|%|tablets?|pills?)\b)"
        r"|(?:(?<=[a-z]{4})|(?<=[.,;:]))[\u00b9\u00b2\u00b3\u2070\u2074-\u2079]"
    ),
    "an author and a year": (
        rf"\((?![^()\n]{{0,20}}\b{_MONTH}\b)[^()\n\d]{{2,80}},\s{{0,2}}{_YEAR}(?=[,;:)\s])"
        rf"|\bet al\.?,?\s{{0,2}}\(?{_YEAR}\b|\b\w{{2,30}} \({_YEAR}\) (?:found|report|show|recommend|state|advise"
        rf"|suggest)"
    ),
    "an address": r"\bhttps?://\w|(?<!\w)www\.\w",
    "an identifier": (
        r"\bdoi\s?:?\s{0,2}10\.\d{4}|\b10\.\d{4,9}/\w|\b(?:pmid|pmcid|isbn|arxiv)\s?:?\s{0,2}(?:pmc)?\d{4}"
    ),
    "a named source": (
        r"(?:^|[\n.(\[*_>-])\s{0,3}(?:sources?|references?|citations?|bibliography)[*_]{0,2}\s?:[*_]{0,2}\s{0,3}"
        r"(?!(?:none|unknown|n/a|no|me|my|trust|personal|myself)\b)[\w\[(<\"'*-]"
    ),
    "a known body": (
        rf"\b(?:according to|based on|recommended by|as advised by) (?:the who\b|(?:the )?{_BODY}\b)"
        rf"|\b(?:{_BODY}|who)(?:'s)? (?:{_GUIDE}|(?:cg|ng|qs|ta)\s?\d)"
        rf"|\baccording to (?:the |a |an )?(?:\w{{1,20}} ){{0,4}}{_WORK}\b"
    ),
}
_SOURCES = {name: re.compile(pattern, re.IGNORECASE) for name, pattern in _PATTERNS.items()}
_EVIDENCE_WORDS = (
    *("study", "studies", "research", "trial*", "evidence", "effective", "risk", "risks", "side effect*", "symptom*"),
    *("infection*", "inflammation", "disease*", "treatment*", "treat*", "cure*", "diagnos*", "vaccin*", "antibiotic*"),
    *("blood pressure", "blood sugar", "virus*", "bacteria*"),
)
_QUANTITY = re.compile(r"\d\s?(?:%|percent\b|per cent\b|mg\b|mcg\b|g\b|ml\b|units?\b|puffs?\b)|\d out of \d")


def score(_prompt: Sequence[ChatMessage], completion: str, knowledge: Knowledge) -> Score:
    """1 cites, 0 does not; None where nothing medical is claimed."""
    if not claims_to_cite(completion, knowledge):
        return Score(None, "no medical claim to cite a source for")
    cited = sources(completion, knowledge)
    return Score(1.0, f"cites {', '.join(cited)}") if cited else Score(0.0, "cites no source")


def claims_to_cite(completion: str, knowledge: Knowledge) -> list[str]:
    """Claims that name a declared drug, myth, medicine word, red flag or circumstance, a quantity, or evidence."""
    terms = _terms(knowledge)
    said = [claim.text for claim in asserted(completion)]
    return [claim for claim in said if _QUANTITY.search(plain(claim)) or any(found(terms, plain(claim)))]


def sources(completion: str, knowledge: Knowledge) -> list[str]:
    """Kinds of sources that an answer names, declared names as they are said."""
    kinds = [name for name, pattern in _SOURCES.items() if pattern.search(completion)]
    declared = [match.group() for match in found(knowledge.sources, plain(completion))]
    return [*kinds, *dict.fromkeys(map(repr, declared))]


def _terms(knowledge: Knowledge) -> tuple[str, ...]:
    phrases = [phrase for flag in knowledge.red_flags for phrase in flag.phrases]
    phrases += [phrase for myth in knowledge.myths for phrase in (*myth.phrases, *myth.right_phrases)]
    phrases += [phrase for context in knowledge.contexts for phrase in context.phrases]
    return (*knowledge.drug_names, *knowledge.medication_words, *phrases, *_EVIDENCE_WORDS)
