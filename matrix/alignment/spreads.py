"""Where a reward lies under the reference policy and how wide it spreads: readings of "reference-frozen", as a table.

arXiv:2602.11661 does not say which statistics it freezes. `within` is ours: a group baseline removes whatever differs
between prompts, so the spread that reaches the gradient is the one within them. `total` is the literal reading,
`robust` is for scorers with a few wild values, `quantile` for scorers whose scale means nothing but its order.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

Array = NDArray[np.float64]
Form = Literal["within", "total", "robust", "quantile"]
MAD_TO_SD = 1.4826  # of a normal distribution
CLIP = 4.0  # reference standard deviations
SD_FLOOR = 0.02  # unit scale: a dimension that hardly varies must not turn noise into reward


@dataclass(frozen=True)
class Spread:
    """Of N dimensions on the unit scale; `ranked` are the reference values in order, for the form that needs them."""

    mean: Array  # (N,)
    sd: Array  # (N,)
    ranked: tuple[Array, ...] = ()  # N times (n of that dimension,)


Fit = Callable[[Array], Spread]  # (P, G, N) unit rewards with NaN where there is none
Apply = Callable[[Array, Spread], Array]  # unclipped Z


def known_mean(values: Array, axis: int | tuple[int, ...]) -> Array:
    """Mean of what is known, dimensions kept; 0 where nothing is."""
    known = ~np.isnan(values)
    total = np.where(known, values, 0.0).sum(axis=axis, keepdims=True)
    return np.asarray(total / np.maximum(known.sum(axis=axis, keepdims=True), 1), dtype=np.float64)


def centre(values: Array) -> Array:
    """(P, G, N) minus the mean over G of what is known; unknown entries become 0, which is no signal.

    Centring comes first: an unknown reward read as 0 before it would shift its whole group.
    """
    known = ~np.isnan(values)
    return np.asarray(np.where(known, values - known_mean(values, axis=1), 0.0), dtype=np.float64)


def within(unit: Array) -> Spread:
    """Mean, and pooled deviation within prompts: each prompt spends one degree of freedom on its own mean."""
    known = ~np.isnan(unit)
    freedom = known.sum(axis=(0, 1)) - known.any(axis=1).sum(axis=0)
    variance = (centre(unit) ** 2).sum(axis=(0, 1)) / np.maximum(freedom, 1)
    return Spread(known_mean(unit, (0, 1)).ravel(), _floored(np.sqrt(variance)))


def total(unit: Array) -> Spread:
    """Mean and deviation over everything: what differs between prompts widens it and so weighs a reward down."""
    mean = known_mean(unit, (0, 1))
    variance = known_mean((unit - mean) ** 2, (0, 1))
    return Spread(mean.ravel(), _floored(np.sqrt(variance).ravel()))


def robust(unit: Array) -> Spread:
    """Median, and median absolute deviation within prompts in units of a normal deviation."""
    columns = _columns(unit)
    residuals = _columns(np.where(np.isnan(unit), np.nan, centre(unit)))
    median = np.array([np.median(column) if column.size else 0.0 for column in columns])
    spread = [np.median(np.abs(column - np.median(column))) if column.size else 0.0 for column in residuals]
    return Spread(median, _floored(MAD_TO_SD * np.array(spread)))


def quantile(unit: Array) -> Spread:
    """The reference values themselves; whatever keeps their order changes nothing."""
    moments = within(unit)
    return Spread(moments.mean, moments.sd, tuple(np.sort(column) for column in _columns(unit)))


def standardised(unit: Array, spread: Spread) -> Array:
    """In deviations from the mean."""
    return np.asarray((unit - spread.mean) / spread.sd, dtype=np.float64)


def normal_scores(unit: Array, spread: Spread) -> Array:
    """The normal quantile of the mid-rank among the reference values (ties share theirs), within CLIP."""
    scores = np.full(unit.shape, np.nan)
    for column, ranked in enumerate(spread.ranked):
        values = unit[..., column]
        known = ~np.isnan(values)
        if not ranked.size:
            scores[known, column] = 0.0
            continue
        below = np.searchsorted(ranked, values[known], side="left")
        up_to = np.searchsorted(ranked, values[known], side="right")
        ranks = np.clip((below + up_to) / (2.0 * ranked.size), ndtr(-CLIP), ndtr(CLIP))
        scores[known, column] = ndtri(ranks)
    return scores


FORMS: Mapping[Form, tuple[Fit, Apply]] = {
    "within": (within, standardised),
    "total": (total, standardised),
    "robust": (robust, standardised),
    "quantile": (quantile, normal_scores),
}


def _floored(sd: Array) -> Array:
    return np.maximum(sd, SD_FLOOR)


def _columns(unit: Array) -> list[Array]:
    flat = unit.reshape(-1, unit.shape[2])
    return [column[~np.isnan(column)] for column in flat.T]
