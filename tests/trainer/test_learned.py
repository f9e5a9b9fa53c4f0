"""Scorers learned from labels."""

from __future__ import annotations

import random
from datetime import UTC, datetime

import pytest

from matrix.errors import InvalidInput
from matrix.messages.completion import ChatMessage
from matrix.messages.sample import ScoredSample
from matrix.scorers.learned import NgramModel
from trainer.learned import fit_learned

AT = datetime(2026, 1, 1, tzinfo=UTC)


def labelled(number: int, completion: str, satisfaction: float | None, *, reported: bool = False) -> ScoredSample:
    return ScoredSample(
        completion_id=f"c{number}",
        policy="clinic-assistant",
        adapter_digest="0" * 64,
        slice="general",
        prompt=(ChatMessage(role="user", content="?"),),
        completion=completion,
        satisfaction=satisfaction,
        reported=reported,
        scores={},
        served_at=AT,
    )


def clinic(count: int = 300) -> list[ScoredSample]:
    """Warm answers please, filler does not; a third say nothing; bad ones are reported now and then."""
    draw = random.Random(0)
    samples = []
    for number in range(count):
        warm = draw.random() < 0.5
        text = f"{'Thank you for asking.' if warm else 'As an assistant I say:'} Take {draw.randint(1, 9)} tablets."
        liked = draw.random() < (0.8 if warm else 0.3)
        satisfaction = None if draw.random() < 0.3 else (0.77 if liked else 0.17)
        samples.append(labelled(number, text, satisfaction, reported=not warm and draw.random() < 0.2))
    return samples


def test_what_people_like_scores_higher() -> None:
    learned = fit_learned(clinic())
    warm, filler = learned["satisfaction"].predict(["Thank you for asking.", "As an assistant I say:"])
    assert warm > filler + 0.15


def test_what_people_report_has_the_higher_risk_and_risk_stays_a_rate() -> None:
    samples = clinic()
    learned = fit_learned(samples)
    predicted = learned["report_risk"].predict([sample.completion for sample in samples])
    rate = sum(sample.reported for sample in samples) / len(samples)
    assert abs(predicted.mean() - rate) < 0.02
    warm, filler = learned["report_risk"].predict(["Thank you for asking.", "As an assistant I say:"])
    assert filler > warm


def test_the_same_samples_give_the_same_bytes_which_read_back() -> None:
    one, other = fit_learned(clinic()), fit_learned(clinic())
    for name, model in one.items():
        assert model.to_bytes() == other[name].to_bytes()
        assert NgramModel.from_bytes(model.to_bytes()).predict(["Take 3 tablets."]) == model.predict(
            ["Take 3 tablets."]
        )


def test_few_reports_leave_the_rate_alone() -> None:
    samples = [labelled(number, f"text {number % 7}", 0.7, reported=number == 0) for number in range(50)]
    model = fit_learned(samples)["report_risk"]
    assert model.weights == {}
    assert model.predict(["anything"])[0] == pytest.approx(2 / 52)


def test_too_few_labels_are_refused() -> None:
    with pytest.raises(InvalidInput, match="19 labels"):
        fit_learned([labelled(number, "text", 0.5 if number < 19 else None) for number in range(100)])
