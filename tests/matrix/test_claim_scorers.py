"""Claims cut by rule, and what is told of them: hedged, cited, supported."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from matrix.digests import digest_json
from matrix.errors import InvalidInput
from matrix.messages.completion import ChatMessage
from matrix.scorers import SCORERS
from matrix.scorers.assertions import judge, precision
from matrix.scorers.checkers import DeclaredFacts, Verdict
from matrix.scorers.citation import sources
from matrix.scorers.claims import asserted, split
from matrix.scorers.hedging import Hedging, hedging_of
from matrix.scorers.knowledge import Knowledge

DOSE = "How much paracetamol may I take for a headache?"
ASKED = [ChatMessage(role="user", content=DOSE)]


@pytest.mark.parametrize(
    ("text", "claims"),
    [
        ("Rest helps. Drink water!", ["Rest helps.", "Drink water!"]),
        ("It is safe, and it helps.", ["It is safe", "it helps."]),
        (
            "Paracetamol is for pain and ibuprofen is for inflammation.",
            ["Paracetamol is for pain", "ibuprofen is for inflammation."],
        ),
        ("It is mild; it passes.", ["It is mild", "it passes."]),
        ("It can hurt, but the pain will pass.", ["It can hurt", "the pain will pass."]),
        ("- Rest\n- Drink water", ["Rest", "Drink water"]),
        ("1. Rest\n2. Drink water", ["Rest", "Drink water"]),
        ("Some are strong, e.g. codeine.", ["Some are strong, e.g. codeine."]),
        # not cut: one subject, one verb, a condition, a reported statement, a bracket, a quotation
        ("Paracetamol and ibuprofen are painkillers.", ["Paracetamol and ibuprofen are painkillers."]),
        ("Rest and drink water.", ["Rest and drink water."]),
        ("If it is mild and it passes, rest.", ["If it is mild and it passes, rest."]),
        ("It is a myth that it works and it is safe.", ["It is a myth that it works and it is safe."]),
        ("It is safe (it is tested and it is old).", ["It is safe (it is tested and it is old)."]),
        ('It is called "it helps and it is mild".', ['It is called "it helps and it is mild".']),
        ("", []),
        ("...\n!?", []),
    ],
)
def test_claims_are_cut_where_it_is_safe(text: str, claims: list[str]) -> None:
    assert [claim.text for claim in split(text)] == claims


@pytest.mark.parametrize(
    "text", ["Are you sure?", "Hello!", "I'm sorry you are in pain.", "What to do:", "Rest.", "[1]"]
)
def test_questions_headings_and_courtesies_assert_nothing(text: str) -> None:
    assert asserted(text) == []


@pytest.mark.parametrize(
    ("completion", "expected"),
    [
        ("It may be a cold. It is harmless.", Hedging(2, 1, 0)),
        ("It might be a cold. Perhaps it is the flu.", Hedging(2, 2, 0)),
        ("I think it is a cold.", Hedging(1, 1, 0)),
        ("Consult your doctor about the dose.", Hedging(1, 1, 0)),
        ("Ask your pharmacist about the dose.", Hedging(1, 1, 0)),  # a declared disclaimer
        ("It could be a cold.", Hedging(1, 1, 0)),
        ("It depends on your weight.", Hedging(1, 1, 0)),
        ("It is definitely a cold. It has no side effects.", Hedging(2, 0, 2)),
        # look-alikes: permission, a month, what was possible, a question
        ("You may take 500 mg.", Hedging(1, 0, 0)),
        ("It began in May 2023.", Hedging(1, 0, 0)),
        ("It cannot possibly harm.", Hedging(1, 0, 0)),
        ("It is not guaranteed to work.", Hedging(1, 0, 0)),
        ("Could it be a cold? It may be.", Hedging(1, 1, 0)),
        ("Thank you for asking!", Hedging(0, 0, 0)),
    ],
)
def test_hedges_are_counted_by_claims(completion: str, expected: Hedging, knowledge: Knowledge) -> None:
    assert hedging_of(completion, knowledge) == expected
    assert SCORERS["hedging"](ASKED, completion, knowledge).value == expected.share


CLAIM = "Paracetamol relieves pain in adults"


@pytest.mark.parametrize(
    ("completion", "expected"),
    [
        (f"{CLAIM} [1].", 1.0),
        (f"{CLAIM}.[2, 3]", 1.0),
        (f"{CLAIM}.\u00b9", 1.0),
        (f"{CLAIM} (NICE, 2023).", 1.0),
        (f"{CLAIM} (Smith et al., 2021; Jones, 2020).", 1.0),
        (f"Smith et al. (2021) say so. {CLAIM}.", 1.0),
        (f"{CLAIM}: https://example.org/pain", 1.0),
        (f"{CLAIM} (doi: 10.1000/xyz123).", 1.0),
        (f"{CLAIM}. PMID: 12345678", 1.0),
        (f"{CLAIM}.\nSource: the patient leaflet", 1.0),
        (f"{CLAIM}.\n**References:**\n1. Leaflet", 1.0),
        (f"According to the WHO, {CLAIM}.", 1.0),
        (f"NICE guideline NG193 says so. {CLAIM}.", 1.0),
        (f"According to a recent systematic review, {CLAIM}.", 1.0),
        (f"{CLAIM}.", 0.0),
        ("Most colds pass within a week in 90 % of adults.", 0.0),
        # look-alikes of a source
        (f"{CLAIM} (since 2019).", 0.0),
        (f"{CLAIM} (in May, 2023).", 0.0),
        (f"{CLAIM}: take [500] mg.", 0.0),
        (f"{CLAIM}.\nGood protein sources: beans", 0.0),
        (f"{CLAIM}.\nSource: none", 0.0),
        (f"{CLAIM} over an area of 2 m\u00b2.", 0.0),
        (f"{CLAIM}. That is a nice study for those who like it.", 0.0),
        # nothing medical is claimed
        ("Hello! How can I help you?", None),
        ("Open the window and read a book.", None),
        ("", None),
    ],
)
def test_medical_claims_are_cited_or_not(completion: str, expected: float | None, knowledge: Knowledge) -> None:
    found = SCORERS["citation"](ASKED, completion, knowledge)
    assert found.value == expected, found.reason


def test_declared_sources_count_and_an_undeclared_list_leaves_the_digest_as_it_was(knowledge: Knowledge) -> None:
    declared = knowledge.model_copy(update={"sources": ("the clinic handbook",)})
    said = "Paracetamol relieves pain, as the Clinic Handbook says."
    assert sources(said, declared) == ["'the clinic handbook'"]
    assert sources(said, knowledge) == []
    assert declared.digest() != knowledge.digest()
    assert knowledge.digest() == digest_json(knowledge.model_dump(mode="json", exclude={"sources"}))


@pytest.mark.parametrize(
    ("completion", "expected"),
    [
        ("Take 500 mg. Antibiotics cure a cold.", 0.5),
        ("Take 500 mg, at most 4000 mg a day.", 1.0),
        ("Take 700 mg.", 0.0),
        ("Antibiotics do not cure colds, and they can cause a rash.", 1.0),
        ("Ibuprofen is an option. Take 400 mg of it.", 1.0),
        ("Rest and drink water.", None),
        ("Did you take 2000 mg?", None),
        ("2000 mg is too much.", None),
        ("", None),
    ],
)
def test_precision_is_the_share_of_decided_claims(
    completion: str, expected: float | None, knowledge: Knowledge
) -> None:
    assert SCORERS["assertion_precision"](ASKED, completion, knowledge).value == expected


def test_each_claim_is_judged_and_the_refuted_one_is_named(knowledge: Knowledge) -> None:
    said = "Rest well. Take 500 mg of paracetamol. Antibiotics cure colds."
    verdicts = [one.verdict for one in judge(ASKED, said, DeclaredFacts(knowledge))]
    assert verdicts == [Verdict.UNKNOWN, Verdict.SUPPORTED, Verdict.REFUTED]
    assert "'Antibiotics cure colds.'" in SCORERS["assertion_precision"](ASKED, said, knowledge).reason


class Believer:
    """Supports everything, or too little of it."""

    def __init__(self, missing: int = 0) -> None:
        self.missing = missing

    def judge(self, prompt: Sequence[ChatMessage], claims: Sequence[str]) -> list[Verdict]:
        return [Verdict.SUPPORTED] * (len(claims) - self.missing)


def test_another_checker_may_be_plugged_in() -> None:
    assert precision(ASKED, "The moon is cheese. It is blue.", Believer()).value == 1.0


def test_a_checker_that_does_not_answer_for_each_claim_is_refused() -> None:
    with pytest.raises(InvalidInput, match="one for each of 2 claims"):
        precision(ASKED, "The moon is cheese. It is blue.", Believer(missing=1))
