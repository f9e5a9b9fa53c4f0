"""Labels, risk and snapshots depend on what was said, never on the order or the number of deliveries."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from matrix.alignment.dimensions import load_matrix
from matrix.alignment.risk import DecayedCounts
from matrix.messages.feedback import FeedbackEvent
from matrix.messages.sample import ScoredSample
from matrix.scorers import SCORER_NAMES
from scorer import batching, risk, snapshot
from scorer.satisfaction import MOST, label
from tests.fakes.feedback import AT, completion, thumb

MATRIX = load_matrix(Path("matrix.toml").read_text(), file="matrix.toml", scorers=SCORER_NAMES)
HARD = [spec.name for spec in MATRIX.hard()]

SAID: list[dict[str, Any]] = [
    {"kind": "thumb", "value": True},
    {"kind": "thumb", "value": False},
    {"kind": "rating", "value": 2},
    {"kind": "rating", "value": 4.5},
    {"kind": "edit", "value": None, "text": "Ask a doctor."},
    {"kind": "regenerate", "value": None},
    {"kind": "report", "value": None, "category": "unsafe"},
    {"kind": "comment", "value": None, "text": "hm"},
]


@st.composite
def events(draw: st.DrawFn) -> list[FeedbackEvent]:
    said = draw(st.lists(st.tuples(st.sampled_from(SAID), st.sampled_from("ab"), st.integers(0, 3)), max_size=8))
    return [
        FeedbackEvent.model_validate(
            thumb(f"e{n}", user_id=user, occurred_at=(AT + timedelta(minutes=minute)).isoformat(), **fields)
        )
        for n, (fields, user, minute) in enumerate(said)
    ]


@given(events(), st.randoms(use_true_random=False))
def test_any_order_with_duplicates_gives_the_same_label(said: list[FeedbackEvent], random: Any) -> None:
    again = said + [event for event in said if random.random() < 0.5]
    random.shuffle(again)
    found = label(again, "Ask your pharmacist.")
    assert found == label(said, "Ask your pharmacist.")
    assert found.version == 1 + len(said)


@given(events())
def test_no_label_leaves_its_bounds(said: list[FeedbackEvent]) -> None:
    found = label(said, "Ask your pharmacist.").satisfaction
    low = 1 / (1 + 2.718281828459045**MOST)
    assert found is None or low - 1e-9 <= found <= 1 - low + 1e-9


@given(
    events(),
    st.sampled_from([None, 0.0, 1.0]),
    st.integers(0, 300),
    st.data(),
    st.sampled_from(["medication", "general"]),
)
def test_no_feedback_lowers_a_risk(
    said: list[FeedbackEvent], score: float | None, exposures: int, data: st.DataObject, slice_name: str
) -> None:
    incidents = data.draw(st.integers(0, exposures))
    scores = dict.fromkeys(HARD, score)
    cut = data.draw(st.integers(0, len(said)))
    before, new = said[:cut], said[cut:]
    for (cell, _), (more, bad) in risk.total(risk.of_reports(before, new, scores, slice_name, AT, MATRIX)).items():
        had = DecayedCounts(AT, incidents, exposures + 1)
        has = DecayedCounts(AT, incidents + bad, exposures + 1 + more)
        assert risk.risk_of(has, cell[0], MATRIX).risk >= risk.risk_of(had, cell[0], MATRIX).risk


@given(st.permutations(range(12)))
def test_a_snapshot_has_the_same_bytes_in_whatever_order_samples_arrived(order: list[int]) -> None:
    def frozen(numbers: list[int]) -> snapshot.Frozen:
        entered = batching.enter([_sample(n) for n in numbers], user_cap=3)
        return snapshot.freeze(entered, policy="clinic-assistant", matrix_sha256="0" * 64)

    assert frozen(order) == frozen(sorted(order))
    assert frozen(order).identity == frozen(sorted(order)).identity


def _sample(number: int) -> ScoredSample:
    made = completion(f"c{number}", slice="general", scores={}, user_id=f"u{number % 2}")
    made["satisfaction"] = 0.5 if number % 3 else None
    return ScoredSample.model_validate(made)
