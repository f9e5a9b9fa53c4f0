"""Laws of the diagnosis of a change."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from matrix.alignment.diagnosis import Window, diagnose

LAW = settings(deadline=None)
SLICES = ("emergency", "general", "medication")
VALUES = st.floats(0, 1).map(lambda x: round(x, 4))
WINDOW = st.lists(st.tuples(VALUES, st.sampled_from(SLICES)), min_size=1, max_size=30).map(
    lambda rows: Window(tuple(value for value, _ in rows), tuple(name for _, name in rows))
)


def window(**slices: list[float]) -> Window:
    rows = [(value, name) for name, values in slices.items() for value in values]
    return Window(tuple(value for value, _ in rows), tuple(name for _, name in rows))


@LAW
@given(before=WINDOW, after=WINDOW)
def test_I_DIAG_the_parts_sum_to_the_change(before: Window, after: Window) -> None:
    found = diagnose(before, after, "expert")
    assert found is not None
    change = float(np.mean(after.values) - np.mean(before.values))
    assert found.delta.value == pytest.approx(change, abs=1e-12)
    parts = found.within.value + found.mix.value + found.interaction.value
    assert parts == pytest.approx(change, abs=1e-12)
    by_slice = sum(one.within.value + one.mix + one.interaction for one in found.slices)
    assert by_slice == pytest.approx(change, abs=1e-12)


@LAW
@given(before=WINDOW, after=WINDOW)
def test_slices_come_with_the_largest_effect_within_first_and_intervals_hold_their_effects(
    before: Window, after: Window
) -> None:
    found = diagnose(before, after, "expert")
    assert found is not None
    sizes = [abs(one.within.value) for one in found.slices]
    assert sizes == sorted(sizes, reverse=True)
    for effect in (found.delta, found.within, found.mix, found.interaction):
        assert effect.low <= effect.value <= effect.high


@LAW
@given(before=WINDOW, data=st.data())
def test_the_order_of_prompts_does_not_matter(before: Window, data: st.DataObject) -> None:
    order = data.draw(st.permutations(range(len(before.values))))
    turned = Window(tuple(before.values[i] for i in order), tuple(before.slices[i] for i in order))
    found = diagnose(before, turned, "expert")
    assert found is not None
    assert found.delta.value == pytest.approx(0.0, abs=1e-12)
    assert found.within.value == pytest.approx(0.0, abs=1e-12)


@LAW
@given(before=WINDOW, times=st.integers(2, 5))
def test_traffic_that_only_moves_between_slices_leaves_no_effect_within(before: Window, times: int) -> None:
    # The same answers, those of one slice asked for oftener.
    rows = list(zip(before.values, before.slices, strict=True))
    more = rows + [row for row in rows if row[1] == rows[0][1]] * times
    after = Window(tuple(value for value, _ in more), tuple(name for _, name in more))
    found = diagnose(before, after, "expert")
    assert found is not None
    assert found.within.value == pytest.approx(0.0, abs=1e-12)
    assert found.interaction.value == pytest.approx(0.0, abs=1e-12)


def test_other_questions_are_traffic_and_worse_answers_are_the_model() -> None:
    good, bad = [0.9, 0.8, 0.9, 0.8] * 10, [0.2, 0.3, 0.2, 0.3] * 10
    asked_more = diagnose(window(general=good, emergency=bad[:10]), window(general=good[:10], emergency=bad), "expert")
    worse = diagnose(window(general=good), window(general=bad), "expert")
    assert asked_more is not None
    assert worse is not None
    assert asked_more.cause == "traffic_shift"
    assert worse.cause == "knowledge"
    assert worse.within.value == pytest.approx(-0.6)
    assert "fell by 0.600 within slices" in worse.reason


def test_a_slice_that_comes_or_goes_is_traffic() -> None:
    found = diagnose(window(general=[0.5, 0.6]), window(general=[0.5, 0.6], emergency=[0.0, 0.1]), "expert")
    assert found is not None
    assert found.within.value == pytest.approx(0.0)
    assert found.interaction.value == pytest.approx(0.0)
    new = next(one for one in found.slices if one.name == "emergency")
    assert new.mean_before is None
    assert new.mix < 0


def test_another_scorer_is_told_before_anything_else() -> None:
    before, after = Window((0.9,) * 20, ("all",) * 20, "v1"), Window((0.1,) * 20, ("all",) * 20, "v2")
    found = diagnose(before, after, "expert")
    assert found is not None
    assert found.cause == "scorer_drift"


def test_a_change_within_chance_has_no_cause_and_an_empty_window_no_diagnosis() -> None:
    found = diagnose(window(general=[0.4, 0.6, 0.5]), window(general=[0.5, 0.6, 0.5]), "expert")
    assert found is not None
    assert found.cause == "none"
    assert diagnose(Window((), ()), window(general=[0.5]), "expert") is None


def test_intervals_hold_the_truth_about_as_often_as_they_say() -> None:
    draw = np.random.default_rng(5)
    held = 0
    for _ in range(400):
        old_n, new_n = draw.multinomial(200, [0.5, 0.5]), draw.multinomial(200, [0.3, 0.7])
        old = window(general=list(draw.normal(0.7, 0.1, old_n[0])), emergency=list(draw.normal(0.4, 0.1, old_n[1])))
        new = window(general=list(draw.normal(0.6, 0.1, new_n[0])), emergency=list(draw.normal(0.4, 0.1, new_n[1])))
        found = diagnose(old, new, "expert")
        assert found is not None
        held += found.within.low <= -0.05 <= found.within.high
    assert 0.92 <= held / 400 <= 0.98  # 95 %, within three standard errors
