"""Reference-frozen normalization: every reward in units of the reference policy's spread, fixed once.

The name and the purpose are those of arXiv:2602.11661, whose formula was not to be had; this form is our own reading
of it. Scale is the pooled standard deviation within prompts, since a group baseline removes whatever differs between
prompts and the total deviation would weigh down rewards that differ there. Statistics come from reference completions
only: no sample's reward depends on its batch (unlike per-batch forms), and Z = 1 means the same all through training.
Left out: robust and quantile forms.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from matrix.alignment.dimensions import Matrix
from matrix.errors import InvalidInput

Array = NDArray[np.float64]
SD_FLOOR = 0.02  # unit scale: a dimension that hardly varies must not turn noise into reward
CLIP = 4.0  # reference standard deviations
MISSING_MAX = 0.8  # share of reference completions on which an active dimension may be without value


@dataclass(frozen=True)
class RefStats:
    """Frozen reference statistics of N dimensions, for rewards on the unit scale."""

    names: tuple[str, ...]
    mean: Array  # (N,)
    sd: Array  # (N,) within prompts, at least SD_FLOOR
    covariance: Array  # (N, N) of Z within prompts, positive semi-definite
    n: int  # reference completions


def unit_rewards(scores: Sequence[Sequence[Mapping[str, float | None]]], matrix: Matrix) -> Array:
    """(P, G, N) rewards on [0, 1], 1 best, from the scores of P prompts with G completions; None becomes NaN.

    Dividing by the declared range makes a reward independent of the unit its scorer counts in.
    """
    low = np.array([spec.low for spec in matrix.dimensions])
    high = np.array([spec.high for spec in matrix.dimensions])
    up = np.array([spec.higher_is_better for spec in matrix.dimensions])
    raw = [[[_number(row[name]) for name in matrix.names()] for row in group] for group in scores]
    unit = (np.asarray(raw, dtype=np.float64).reshape(len(scores), -1, len(low)) - low) / (high - low)
    return np.asarray(np.where(up, unit, 1.0 - unit), dtype=np.float64)


def fit_ref(unit: Array, names: Sequence[str]) -> RefStats:
    """Statistics of (P, G, N) reference rewards on the unit scale.

    By hand: rewards [[(0, .1), (1, .3)], [(1, .5), (1, .7)]] have means (.75, .4) and within-prompt deviations
    (.5, .141421). Raises InvalidInput for a dimension without value on more than MISSING_MAX of the completions: its
    statistics would be those of a few prompts.
    """
    known = ~np.isnan(unit)
    _refuse_mostly_missing(known, names)
    count = known.sum(axis=(0, 1))
    groups = known.any(axis=1).sum(axis=0)
    centred = centre(unit)
    variance = (centred**2).sum(axis=(0, 1)) / np.maximum(count - groups, 1)
    sd = np.maximum(np.sqrt(variance), SD_FLOOR)
    mean = np.where(known, unit, 0.0).sum(axis=(0, 1)) / np.maximum(count, 1)
    flat = (centred / sd).reshape(-1, unit.shape[2])
    covariance = flat.T @ flat / max(unit.shape[0] * (unit.shape[1] - 1), 1)
    return RefStats(tuple(names), mean, sd, covariance, unit.shape[0] * unit.shape[1])


def rfn(unit: Array, stats: RefStats) -> Array:
    """(P, G, N) normalised rewards, clipped to CLIP reference deviations; NaN stays NaN, entry by entry."""
    return np.clip((unit - stats.mean) / stats.sd, -CLIP, CLIP)


def centre(values: Array) -> Array:
    """(P, G, N) minus the mean over G of what is known; unknown entries become 0, which is no signal.

    Centring comes first: an unknown reward read as 0 before it would shift its whole group.
    """
    known = ~np.isnan(values)
    total = np.where(known, values, 0.0).sum(axis=1, keepdims=True)
    mean = total / np.maximum(known.sum(axis=1, keepdims=True), 1)
    return np.asarray(np.where(known, values - mean, 0.0), dtype=np.float64)


def _refuse_mostly_missing(known: NDArray[np.bool_], names: Sequence[str]) -> None:
    missing = 1.0 - known.mean(axis=(0, 1))
    for name, share in zip(names, missing, strict=True):
        if share > MISSING_MAX:
            remedy = f"a value on at least {1 - MISSING_MAX:.0%} of the reference completions, else leave it out"
            raise InvalidInput(field=f"dimension {name}", value=f"no value on {share:.0%}", remedy=remedy)


def _number(value: float | None) -> float:
    return float("nan") if value is None else value
