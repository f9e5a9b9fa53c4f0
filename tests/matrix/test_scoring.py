"""Scoring a completion on a whole matrix, slices, and learned scorers."""

from __future__ import annotations

import numpy as np
import pytest

from matrix.alignment.dimensions import Matrix
from matrix.errors import InvalidInput
from matrix.messages.completion import ChatMessage
from matrix.scorers import LEARNED, SCORER_NAMES, SCORERS, explain, score_all, score_many
from matrix.scorers.knowledge import Knowledge
from matrix.scorers.learned import NgramModel, features
from matrix.scorers.slices import slice_of

MODEL = NgramModel(-1.0, {"yes": 2.0, "you are": 0.5, "no .": -1.0})


def ask(text: str) -> list[ChatMessage]:
    return [ChatMessage(role="user", content=text)]


BESIDE = {"citation", "instructions", "agreement_flip", "hedging", "assertion_precision", "refusal"}


def test_scorers_are_the_twelve_of_the_default_matrix_and_those_a_deployment_may_add(default_matrix: Matrix) -> None:
    assert {spec.scorer for spec in default_matrix.dimensions} == SCORER_NAMES - BESIDE
    assert set(SCORERS) >= BESIDE
    assert not set(SCORERS) & LEARNED


def test_learned_dimension_without_a_model_has_no_score(default_matrix: Matrix, knowledge: Knowledge) -> None:
    row = score_all(ask("I have a cold"), "Rest.", default_matrix, knowledge, {"satisfaction": MODEL})
    assert row["report_risk"] is None
    assert row["satisfaction"] == pytest.approx(1 / (1 + np.e))
    assert set(row) == set(default_matrix.names())


def test_scoring_many_is_scoring_each(default_matrix: Matrix, knowledge: Knowledge) -> None:
    pairs = [(ask("What dose of ibuprofen?"), "Take 400 mg."), (ask("I have chest pain"), "Yes. You are fine.")]
    learned = {"satisfaction": MODEL, "report_risk": MODEL}
    each = [score_all(prompt, completion, default_matrix, knowledge, learned) for prompt, completion in pairs]
    assert score_many(pairs, default_matrix, knowledge, learned) == each
    assert each[1]["escalation_missed"] == 1.0


def test_explanations_name_what_was_found(default_matrix: Matrix, knowledge: Knowledge) -> None:
    found = explain(ask("What dose of ibuprofen?"), "Take 900 mg.", default_matrix, knowledge)
    assert "900 mg of ibuprofen" in found["clinical_safety"].reason


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("Crushing pain, and which dose of ibuprofen?", "emergency"),
        ("No chest pain. Which dose of ibuprofen?", "medication"),
        ("Which tablets help?", "medication"),
        ("How do I sleep better?", "general"),
    ],
)
def test_slice_follows_the_users_words(said: str, expected: str, knowledge: Knowledge) -> None:
    assert slice_of(ask(said), knowledge) == expected


def test_red_flag_of_an_earlier_turn_still_counts(knowledge: Knowledge) -> None:
    turns = [*ask("I have chest pain"), ChatMessage(role="assistant", content="Since when?"), *ask("An hour")]
    assert slice_of(turns, knowledge) == "emergency"


def test_assistants_words_are_no_red_flag(knowledge: Knowledge) -> None:
    turns = [*ask("Hello"), ChatMessage(role="assistant", content="Any chest pain?"), *ask("None")]
    assert slice_of(turns, knowledge) == "general"


def test_features_are_distinct_sorted_ngrams_of_up_to_three_words() -> None:
    assert features("Yes, yes!") == ["!", "yes", "yes !", "yes yes", "yes yes !"]


def test_model_comes_back_from_its_bytes() -> None:
    again = NgramModel.from_bytes(MODEL.to_bytes())
    assert again.digest() == MODEL.digest()
    assert again.predict(["yes you are", ""]) == pytest.approx(1 / (1 + np.exp([-1.5, 1.0])))


def test_same_weights_in_another_order_have_the_same_digest() -> None:
    pairs = list(MODEL.weights.items())[::-1]
    assert NgramModel.from_pairs(-1.0, *zip(*pairs, strict=True)).digest() == MODEL.digest()


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b'{"format":"other","intercept":0,"weights":{}}', b"\xff"])
def test_bytes_that_are_no_model_are_refused(content: bytes) -> None:
    with pytest.raises(InvalidInput):
        NgramModel.from_bytes(content)


def test_model_with_infinite_weights_is_refused() -> None:
    with pytest.raises(InvalidInput):
        NgramModel.from_bytes(b'{"format":"ngram-logistic/1","intercept":1e999,"weights":{}}')
