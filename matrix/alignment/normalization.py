"""Reference-frozen normalization: every reward in units of the reference policy's spread, fixed once.

The name and the purpose are those of arXiv:2602.11661, whose formula was not to be had; this form is our own reading
of it (others: spreads.py). Statistics come from reference completions only: no sample's reward depends on its batch
(unlike per-batch forms), and Z = 1 means the same all through training. They are frozen under a key of what they were
made from: another scorer re-scores the same completions, and nothing but a decision replaces the reference policy.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from matrix.alignment.dimensions import Matrix
from matrix.alignment.levels import group_covariance
from matrix.alignment.spreads import CLIP, FORMS, SD_FLOOR, Form, Spread, centre
from matrix.digests import digest_json
from matrix.errors import InvalidInput

Array = NDArray[np.float64]
MISSING_MAX = 0.8  # share of reference completions on which an active dimension may be without value
REANCHOR_SHARE = 0.25  # of a dimension's samples at the clip, from which its progress cannot be seen any more
ROUNDING = 1e-9  # of a range's ends
DRIFT_SD = 0.1  # by which a scorer may have moved on the same completions under the same version

__all__ = [
    "CLIP",
    "SD_FLOOR",
    "Alarm",
    "RefKey",
    "RefStats",
    "alarms",
    "centre",
    "fit_ref",
    "rfn",
    "unit_rewards",
]


@dataclass(frozen=True, slots=True)
class RefKey:
    """What statistics were made from; others than these are no longer frozen, they are other statistics."""

    scorers: str  # digest of the scorers' versions
    policy: str  # digest of the reference policy
    prompts: str  # digest of the reference set
    ranges: str  # digest of the declared ranges

    def needs(self, wanted: RefKey) -> str:
        """What is to be done to have the statistics of `wanted`: `keep`, `rescore` the completions, or `regenerate`.

        Only the policy and the prompts decide what was generated.
        """
        if self == wanted:
            return "keep"
        return "rescore" if (self.policy, self.prompts) == (wanted.policy, wanted.prompts) else "regenerate"


@dataclass(frozen=True)
class RefStats:
    """Frozen reference statistics of N dimensions, for rewards on the unit scale."""

    names: tuple[str, ...]
    mean: Array  # (N,)
    sd: Array  # (N,) at least SD_FLOOR
    covariance: Array  # (N, N) of Z within prompts, positive semi-definite
    n: int  # reference completions
    form: Form = "within"
    ranked: tuple[Array, ...] = ()  # of the form `quantile`: the reference values in order
    key: RefKey | None = None

    @property
    def spread(self) -> Spread:
        """As the form's functions take it."""
        return Spread(self.mean, self.sd, self.ranked)


@dataclass(frozen=True, slots=True)
class Alarm:
    """A dimension whose statistics do not serve any more."""

    dimension: str
    kind: str  # clipped or drifted
    found: float
    limit: float

    def __str__(self) -> str:
        if self.kind == "clipped":
            return f"{self.dimension}: {self.found:.0%} of samples at the clip (limit {self.limit:.0%}); re-anchor it"
        moved = f"its scorer moved by {self.found:.2f} reference deviations on the same completions"
        return f"{self.dimension}: {moved} (limit {self.limit:.2f}); give the scorer a new version"


def unit_rewards(scores: Sequence[Sequence[Mapping[str, float | None]]], matrix: Matrix) -> Array:
    """(P, G, N) rewards on [0, 1], 1 best, from the scores of P prompts with G completions; None becomes NaN.

    Dividing by the declared range makes a reward independent of the unit its scorer counts in. Raises InvalidInput for
    a reward outside of its range or infinite, with its dimension and sample: it would be a spread of its own.
    """
    low, high = ranges(matrix)
    up = np.array([spec.higher_is_better for spec in matrix.dimensions])
    rows = [[[_number(row[name]) for name in matrix.names()] for row in group] for group in scores]
    raw = np.asarray(rows, dtype=np.float64).reshape(len(scores), -1, len(low))
    _refuse_outside(raw, matrix)
    unit = (raw - low) / (high - low)
    return np.asarray(np.where(up, unit, 1.0 - unit), dtype=np.float64)


def ranges(matrix: Matrix) -> tuple[Array, Array]:
    """(N,) lowest and (N,) highest declared values."""
    return np.array([spec.low for spec in matrix.dimensions]), np.array([spec.high for spec in matrix.dimensions])


def range_digest(matrix: Matrix) -> str:
    """Identity of the declared ranges: part of a RefKey."""
    return digest_json([[spec.name, spec.low, spec.high, spec.higher_is_better] for spec in matrix.dimensions])


def fit_ref(unit: Array, names: Sequence[str], *, form: Form = "within", key: RefKey | None = None) -> RefStats:
    """Statistics of (P, G, N) reference rewards on the unit scale.

    By hand: rewards [[(0, .1), (1, .3)], [(1, .5), (1, .7)]] have means (.75, .4), deviations (.5, .141421) within
    prompts and (.433013, .223607) in all. Raises InvalidInput for a dimension without value on more than MISSING_MAX
    of the completions: its statistics would be those of a few prompts.
    """
    _refuse_mostly_missing(~np.isnan(unit), names)
    fit, apply = FORMS[form]
    spread = fit(unit)
    covariance = group_covariance(apply(unit, spread))
    n = unit.shape[0] * unit.shape[1]
    return RefStats(tuple(names), spread.mean, spread.sd, covariance, n, form, spread.ranked, key)


def rfn(unit: Array, stats: RefStats, *, bound: float = CLIP) -> Array:
    """(P, G, N) normalised rewards, clipped to `bound` reference deviations; NaN stays NaN, entry by entry.

    A bound that is narrow for a dimension hides what lies beyond it: all completions there are alike, and a success
    that is rare under the reference, as one in n, counts as `bound` where it is √n.
    """
    return np.clip(FORMS[stats.form][1](unit, stats.spread), -bound, bound)


def clip_share(normalised: Array) -> Array:
    """(N,) share of what is known that lies at the clip; 0 where nothing is known."""
    known = ~np.isnan(normalised)
    at_clip = (np.abs(np.where(known, normalised, 0.0)) >= CLIP).sum(axis=(0, 1))
    return np.asarray(at_clip / np.maximum(known.sum(axis=(0, 1)), 1), dtype=np.float64)


def drift(before: Array, after: Array, stats: RefStats) -> Array:
    """(N,) by how many reference deviations a scorer moved on average on the same completions, scored twice."""
    moved = after - before
    known = ~np.isnan(moved)
    mean = np.where(known, moved, 0.0).sum(axis=(0, 1)) / np.maximum(known.sum(axis=(0, 1)), 1)
    return np.asarray(np.abs(mean) / stats.sd, dtype=np.float64)


def alarms(names: Sequence[str], clipped: Array, drifted: Array) -> list[Alarm]:
    """Which dimensions are over their limits, in order."""
    found = []
    for name, share, moved in zip(names, clipped, drifted, strict=True):
        if share > REANCHOR_SHARE:
            found.append(Alarm(name, "clipped", float(share), REANCHOR_SHARE))
        if moved > DRIFT_SD:
            found.append(Alarm(name, "drifted", float(moved), DRIFT_SD))
    return found


def _refuse_mostly_missing(known: NDArray[np.bool_], names: Sequence[str]) -> None:
    missing = 1.0 - known.mean(axis=(0, 1))
    for name, share in zip(names, missing, strict=True):
        if share > MISSING_MAX:
            remedy = f"a value on at least {1 - MISSING_MAX:.0%} of the reference completions, else leave it out"
            raise InvalidInput(field=f"dimension {name}", value=f"no value on {share:.0%}", remedy=remedy)


def _refuse_outside(raw: Array, matrix: Matrix) -> None:
    low, high = ranges(matrix)
    outside = np.argwhere(~np.isnan(raw) & ~((raw >= low - ROUNDING) & (raw <= high + ROUNDING)))
    if len(outside):
        prompt, sample, column = outside[0]
        spec = matrix.dimensions[column]
        where = f"dimension {spec.name}, prompt {prompt}, completion {sample}"
        remedy = f"a reward from {spec.low:g} to {spec.high:g}, its declared range, or none"
        raise InvalidInput(field=where, value=float(raw[prompt, sample, column]), remedy=remedy)


def _number(value: float | None) -> float:
    return float("nan") if value is None else value
