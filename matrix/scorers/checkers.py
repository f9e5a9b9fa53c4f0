"""Who judges a claim: a port that a retriever or a model may fill, and the checker over a deployment's declared facts.

The port is that of assertion-level reward models (GARM in Quark, arXiv:2602.11661: claims apart, each held against
evidence). The declared facts decide doses of declared drugs and declared myths, and nothing else of medicine.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from matrix.messages.completion import ChatMessage
from matrix.scorers.doses import dose_claims, named_drugs
from matrix.scorers.knowledge import Drug, Knowledge
from matrix.scorers.phrases import affirmed
from matrix.scorers.score import question


class Verdict(StrEnum):
    """What evidence says of a claim."""

    SUPPORTED = "supported"
    REFUTED = "refuted"
    UNKNOWN = "unknown"


class Checker(Protocol):
    """Judges what a completion claims."""

    def judge(self, prompt: Sequence[ChatMessage], claims: Sequence[str]) -> Sequence[Verdict]:
        """One verdict for each claim; they are one completion's, in its order, so that "it" may be told."""
        ...


@dataclass(frozen=True, slots=True)
class Fact:
    """Something stated that the declaration decides."""

    subject: str  # name of the drug or myth
    is_right: bool


def declared_facts(text: str, asked: Sequence[Drug], knowledge: Knowledge) -> list[Fact]:
    """What a text states of declared drugs and myths; `asked` has the drug of an amount that names none."""
    facts = [Fact(claim.drug.name, claim.is_right) for claim in dose_claims(text, knowledge, asked) if claim.is_stated]
    for myth in knowledge.myths:
        facts += [Fact(myth.name, is_right=True)] * bool(affirmed(myth.right_phrases, text))
        facts += [Fact(myth.name, is_right=False)] * bool(affirmed(myth.phrases, text))
    return facts


@dataclass(frozen=True, slots=True)
class DeclaredFacts:
    """The checker over the knowledge file: refuted where anything in a claim is, supported where something is."""

    knowledge: Knowledge

    def judge(self, prompt: Sequence[ChatMessage], claims: Sequence[str]) -> list[Verdict]:
        """A dose without a drug is that of the drug named last before it, else of the one asked about."""
        subject = named_drugs(question(prompt), self.knowledge)
        verdicts: list[Verdict] = []
        for claim in claims:
            verdicts.append(_verdict(declared_facts(claim, subject, self.knowledge)))
            subject = named_drugs(claim, self.knowledge)[-1:] or subject
        return verdicts


def _verdict(facts: Sequence[Fact]) -> Verdict:
    if not facts:
        return Verdict.UNKNOWN
    return Verdict.SUPPORTED if all(fact.is_right for fact in facts) else Verdict.REFUTED
