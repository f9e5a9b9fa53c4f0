"""What changed between two windows, where, and whether it was the model or the traffic.

A dimension's mean is a mixture over slices: shares π of the traffic times means μ. Its change splits exactly into

    within  Σ π (μ' - μ)      mix  Σ (π' - π)(μ - μ̄)      interaction  Σ (π' - π)(μ' - μ)

(a shift-share analysis; for two groups it is that of Oaxaca and Blinder). Only what changed within slices is the
model's doing and may change rewards: where other questions are asked, nobody has become worse. A slice that is new, or
gone, is traffic. Intervals treat the prompt as the unit, since completions of one prompt are not independent, and take
the shares as drawn from a multinomial. Causes are rules of thumb, and say what they rest on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from matrix.alignment.dimensions import Category

Array = NDArray[np.float64]
Cause = Literal["none", "traffic_shift", "scorer_drift", "capability", "knowledge", "policy"]
CONFIDENCE = 0.95  # two-sided
# What a change within slices says of the model, by what the dimension's category is about.
CAUSES: Mapping[Category, Cause] = {
    "fundamental": "capability",  # what it can do
    "expert": "knowledge",  # what it knows of the field
    "online": "policy",  # how it chooses to behave
    "format": "policy",
}


@dataclass(frozen=True, slots=True)
class Window:
    """Unit rewards of one dimension in one window: a mean and a slice for each prompt."""

    values: tuple[float, ...]  # mean over the prompt's completions
    slices: tuple[str, ...]
    scorer: str = ""  # version that scored it


@dataclass(frozen=True, slots=True)
class Effect:
    """A part of a change with its interval."""

    value: float
    low: float
    high: float

    @property
    def is_shown(self) -> bool:
        """The interval does not hold 0."""
        return self.low > 0.0 or self.high < 0.0


@dataclass(frozen=True, slots=True)
class SliceChange:
    """What one slice contributes."""

    name: str
    share_before: float
    share_after: float
    mean_before: float | None  # None: no prompt of it
    mean_after: float | None
    within: Effect
    mix: float
    interaction: float


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """A dimension's change; the parts sum to the whole."""

    delta: Effect
    within: Effect
    mix: Effect
    interaction: Effect
    slices: tuple[SliceChange, ...]  # the largest effect within first
    cause: Cause
    reason: str


@dataclass(frozen=True)
class _Sides:
    """Both windows by slice, (S,) each."""

    names: tuple[str, ...]
    share: tuple[Array, Array]
    mean: tuple[Array, Array]
    error: tuple[Array, Array]  # variance of each mean
    n: tuple[int, int]


def diagnose(before: Window, after: Window, category: Category) -> Diagnosis | None:
    """None where a window holds no value: then nothing can be said."""
    if not before.values or not after.values:
        return None
    sides = _sides(before, after)
    (old_share, new_share), (old_mean, new_mean) = sides.share, sides.mean
    moved, better = new_share - old_share, new_mean - old_mean
    overall = float(old_share @ old_mean)
    parts = old_share * better, moved * (old_mean - overall), moved * better
    errors = _errors(sides, overall)
    within, mix, interaction = (
        _effect(float(part.sum()), float(error.sum())) for part, error in zip(parts, errors, strict=True)
    )
    delta = _effect(float(new_share @ new_mean) - overall, _mean_error(before) + _mean_error(after))
    slices = [
        SliceChange(
            name,
            float(old_share[i]),
            float(new_share[i]),
            float(old_mean[i]) if old_share[i] > 0 else None,
            float(new_mean[i]) if new_share[i] > 0 else None,
            _effect(float(parts[0][i]), float(errors[0][i])),
            float(parts[1][i]),
            float(parts[2][i]),
        )
        for i, name in enumerate(sides.names)
    ]
    slices.sort(key=lambda one: (-abs(one.within.value), one.name))
    cause, reason = _cause(before, after, category, (delta, within, mix, interaction))
    return Diagnosis(delta, within, mix, interaction, tuple(slices), cause, reason)


def _sides(before: Window, after: Window) -> _Sides:
    names = tuple(sorted(set(before.slices) | set(after.slices)))
    counts, means, errors = zip(*(_by_slice(window, names) for window in (before, after)), strict=True)
    # A slice that one window lacks has there the mean of the other: it came or went, it did not change.
    filled = tuple(np.where(counts[i] > 0, means[i], means[1 - i]) for i in (0, 1))
    spread = tuple(np.where(counts[i] > 0, errors[i], 0.0) for i in (0, 1))
    n = len(before.values), len(after.values)
    return _Sides(names, (counts[0] / n[0], counts[1] / n[1]), (filled[0], filled[1]), (spread[0], spread[1]), n)


def _by_slice(window: Window, names: Sequence[str]) -> tuple[Array, Array, Array]:
    index = {name: i for i, name in enumerate(names)}
    where, values = np.array([index[name] for name in window.slices]), np.array(window.values)
    n = np.bincount(where, minlength=len(names)).astype(np.float64)
    mean = np.bincount(where, weights=values, minlength=len(names)) / np.maximum(n, 1)
    squares = np.bincount(where, weights=(values - mean[where]) ** 2, minlength=len(names))
    return n, mean, squares / np.maximum(n - 1, 1) / np.maximum(n, 1)


def _errors(sides: _Sides, overall: float) -> tuple[Array, Array, Array]:
    """(S,) variances of within, mix and interaction, slice by slice (delta method); each sums to that of its whole."""
    (old_share, new_share), (old_mean, new_mean) = sides.share, sides.mean
    both = sides.error[0] + sides.error[1]
    moved, better = new_share - old_share, new_mean - old_mean
    off = old_mean - overall
    return (
        old_share**2 * both + _multinomial(old_share, better, sides.n[0]),
        moved**2 * sides.error[0] + _multinomial(old_share, off, sides.n[0]) + _multinomial(new_share, off, sides.n[1]),
        moved**2 * both + _multinomial(old_share, better, sides.n[0]) + _multinomial(new_share, better, sides.n[1]),
    )


def _multinomial(share: Array, value: Array, n: int) -> Array:
    """(S,) parts of the variance of Σ share · value where n draws gave the shares; they sum to it."""
    return np.asarray(share * (value - share @ value) ** 2 / n, dtype=np.float64)


def _mean_error(window: Window) -> float:
    values = np.array(window.values)
    return float(values.var(ddof=1) / len(values)) if len(values) > 1 else 0.0


def _effect(value: float, variance: float) -> Effect:
    width = float(ndtri((1.0 + CONFIDENCE) / 2.0)) * float(np.sqrt(max(variance, 0.0)))
    return Effect(value, value - width, value + width)


def _cause(
    before: Window, after: Window, category: Category, effects: tuple[Effect, Effect, Effect, Effect]
) -> tuple[Cause, str]:
    delta, within, mix, interaction = effects
    if before.scorer != after.scorer:
        return "scorer_drift", f"another scorer ({before.scorer} then {after.scorer}): score both windows with one"
    if within.is_shown:
        went = "rose" if within.value > 0 else "fell"
        return CAUSES[category], f"it {went} by {abs(within.value):.3f} within slices, which is the model's doing"
    if mix.is_shown or interaction.is_shown:
        return "traffic_shift", f"other questions were asked ({mix.value:+.3f}); within slices nothing is shown"
    if delta.is_shown:
        return "none", f"it changed by {delta.value:+.3f}, and no part of that is shown by itself"
    return "none", f"a change of {delta.value:+.3f} is within what chance does"
