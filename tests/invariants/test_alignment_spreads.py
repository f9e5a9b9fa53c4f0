"""Laws of the readings of "reference-frozen", of keys, and of the alarms of statistics that do not serve any more."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from scipy.stats import norm

from matrix.alignment.normalization import CLIP, RefKey, alarms, clip_share, drift, fit_ref, rfn
from matrix.alignment.spreads import FORMS, centre

LAW = settings(deadline=None)
Array = NDArray[np.float64]
NAMES = ("a", "b", "c")
FORM = st.sampled_from(sorted(FORMS))
KEY = RefKey(scorers="s1", policy="p1", prompts="q1", ranges="r1")


def rewards(prompts: int = 5, group: int = 3) -> st.SearchStrategy[Array]:
    shares = st.floats(0, 1, allow_subnormal=False).map(lambda x: round(x, 4))
    return arrays(np.float64, (prompts, group, 3), elements=shares)


@LAW
@given(unit=rewards(prompts=6, group=4))
def test_I_RFN_7_total_variance_is_that_within_prompts_and_that_between_their_means(unit: Array) -> None:
    # The law of total variance with the pooled divisor turned back into a mean: exact, not only for large samples.
    wide, narrow = FORMS["total"][0](unit), FORMS["within"][0](unit)
    within_share = (unit.shape[1] - 1) / unit.shape[1]
    between = unit.mean(axis=1).var(axis=0)
    exact = (centre(unit) ** 2).sum(axis=(0, 1)) / (unit.shape[0] * (unit.shape[1] - 1)) * within_share + between
    floored = (wide.sd**2 <= 0.02**2 + 1e-12) | (narrow.sd <= 0.02 + 1e-12)
    assert np.where(floored, exact, wide.sd**2) == pytest.approx(exact, abs=1e-9)


def test_total_deviations_of_the_case_worked_by_hand() -> None:
    unit = np.array([[[0, 0.1], [1, 0.3]], [[1, 0.5], [1, 0.7]]])
    assert fit_ref(unit, ["a", "b"], form="total").sd == pytest.approx([0.433013, 0.223607], abs=1e-6)


@LAW
@given(form=FORM, unit=rewards(), holes=arrays(np.bool_, (5, 3, 3)), reference=rewards())
def test_every_form_keeps_what_is_missing_and_the_clip(
    form: str, unit: Array, holes: NDArray[np.bool_], reference: Array
) -> None:
    stats = fit_ref(reference, NAMES, form=form)  # type: ignore[arg-type]
    normalised = rfn(np.where(holes, np.nan, unit), stats)
    assert np.array_equal(np.isnan(normalised), holes)
    assert (np.abs(normalised[~holes]) <= CLIP).all()


@LAW
@given(form=FORM, unit=rewards(), reference=rewards())
def test_every_form_keeps_order_and_ignores_the_batch(form: str, unit: Array, reference: Array) -> None:
    stats = fit_ref(reference, NAMES, form=form)  # type: ignore[arg-type]
    normalised = rfn(unit, stats)
    assert np.array_equal(rfn(unit[:1], stats), normalised[:1])
    flat, scores = unit.reshape(-1, 3), normalised.reshape(-1, 3)
    for dim in range(3):
        assert (np.diff(scores[np.argsort(flat[:, dim], kind="stable"), dim]) >= -1e-12).all()


@LAW
@given(unit=rewards(), reference=rewards(), power=st.sampled_from([0.5, 2.0, 3.0]))
def test_the_quantile_form_sees_order_alone(unit: Array, reference: Array, power: float) -> None:
    # sqrt, square and cube keep the order of numbers in [0, 1].
    plain = rfn(unit, fit_ref(reference, NAMES, form="quantile"))
    bent = rfn(unit**power, fit_ref(reference**power, NAMES, form="quantile"))
    assert bent == pytest.approx(plain, abs=1e-9)


def test_the_quantile_form_gives_a_tie_the_middle_of_its_ranks() -> None:
    reference = np.array([0.0, 0.5, 0.5, 1.0]).reshape(2, 2, 1)
    stats = fit_ref(reference, ["a"], form="quantile")
    scores = rfn(np.array([[[0.5], [0.7], [0.0]]]), stats).ravel()
    assert scores == pytest.approx(norm.ppf([0.5, 0.75, 0.125]))


def test_one_wild_value_widens_the_robust_spread_less_than_the_usual_one() -> None:
    unit = np.tile([0.4, 0.5, 0.6], (5, 1))[:, :, None]
    spoilt = unit.copy()
    spoilt[0, 0, 0] = 1.0
    robust, usual = (FORMS[form][0](spoilt).sd[0] / FORMS[form][0](unit).sd[0] for form in ("robust", "within"))
    assert robust < 1.1
    assert usual > 1.4


@pytest.mark.parametrize(
    ("changed", "need"),
    [({}, "keep"), ({"scorers": "s2"}, "rescore"), ({"ranges": "r2"}, "rescore"), ({"policy": "p2"}, "regenerate")],
)
def test_only_another_policy_or_other_prompts_ask_for_new_completions(changed: dict[str, str], need: str) -> None:
    wanted = RefKey(**({"scorers": "s1", "policy": "p1", "prompts": "q1", "ranges": "r1"} | changed))
    assert KEY.needs(wanted) == need


def test_a_dimension_at_its_clip_and_a_scorer_that_moved_are_told() -> None:
    stats = fit_ref(np.linspace(0.45, 0.55, 12).reshape(4, 3, 1), ["a"])
    before = np.full((4, 3, 1), 0.5)
    clipped = clip_share(rfn(np.full((4, 3, 1), 1.0), stats))
    found = alarms(["a"], clipped, drift(before, before + 0.2 * stats.sd, stats))
    assert [(alarm.kind, alarm.dimension) for alarm in found] == [("clipped", "a"), ("drifted", "a")]
    assert "100% of samples at the clip" in str(found[0])
    assert "moved by 0.20" in str(found[1])


def test_statistics_that_serve_raise_no_alarm() -> None:
    unit = np.linspace(0, 1, 12).reshape(3, 4, 1).transpose(1, 0, 2)  # each prompt has low and high ones
    stats = fit_ref(unit, ["a"])
    assert alarms(["a"], clip_share(rfn(unit, stats)), drift(unit, unit, stats)) == []
