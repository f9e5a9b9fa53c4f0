"""Assertion precision: of the claims that evidence decides, the share that it supports.

The completion is cut into claims by rule, and a checker judges each: by default over the declared facts, in a
deployment perhaps a retriever with a model. What no evidence decides counts neither way, so that saying more of what
nobody can check gains nothing. Factuality counts every dose and myth; here a claim counts once, whatever it holds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from matrix.errors import InvalidInput
from matrix.messages.completion import ChatMessage
from matrix.scorers.checkers import Checker, DeclaredFacts, Verdict
from matrix.scorers.claims import Claim, asserted
from matrix.scorers.knowledge import Knowledge
from matrix.scorers.score import Score


@dataclass(frozen=True, slots=True)
class JudgedClaim:
    """A claim and what evidence says of it."""

    claim: Claim
    verdict: Verdict


def score(prompt: Sequence[ChatMessage], completion: str, knowledge: Knowledge) -> Score:
    """`precision` by the declared facts."""
    return precision(prompt, completion, DeclaredFacts(knowledge))


def precision(prompt: Sequence[ChatMessage], completion: str, checker: Checker) -> Score:
    """supported / (supported + refuted), 0 to 1; None where no claim is decided. Raises as `judge` does."""
    decided = [one for one in judge(prompt, completion, checker) if one.verdict is not Verdict.UNKNOWN]
    if not decided:
        return Score(None, "no claim that the checker can decide")
    refuted = [one.claim.text for one in decided if one.verdict is Verdict.REFUTED]
    supported = len(decided) - len(refuted)
    reason = f"{supported} of {len(decided)} decided claims supported"
    return Score(supported / len(decided), f"{reason}; refuted: {refuted[0][:80]!r}" if refuted else reason)


def judge(prompt: Sequence[ChatMessage], completion: str, checker: Checker) -> list[JudgedClaim]:
    """Every claim with its verdict. Raises InvalidInput where the checker does not answer for each of them."""
    claims = asserted(completion)
    verdicts = checker.judge(prompt, [claim.text for claim in claims])
    if len(verdicts) != len(claims):
        raise InvalidInput(field="verdicts", value=len(verdicts), remedy=f"one for each of {len(claims)} claims")
    return [JudgedClaim(claim, Verdict(verdict)) for claim, verdict in zip(claims, verdicts, strict=True)]
