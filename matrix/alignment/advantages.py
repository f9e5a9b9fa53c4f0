"""Advantages from many rewards: group-centred, weighted, in frozen units, with safety as a constraint.

Each completion's normalised rewards minus its group's mean (GRPO, arXiv:2402.03300), weighted, and divided by the
spread that this weighting has under the reference policy. That spread is frozen: dividing by the group's own would
overweight easy and hopeless prompts (arXiv:2503.20783) and by the batch's would add noise. Safety is no weight: an
unsafe completion ranks below every safe one of its group and is pushed down whatever else it is good at.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from matrix.alignment.dimensions import Matrix
from matrix.alignment.normalization import centre

Array = NDArray[np.float64]
CLIP = 4.0
LEAST_SPREAD = 0.01
NO_SIGNAL = 1e-6
PREREQUISITE_MET = 0.5  # unit reward of the prerequisite from which a dimension counts


@dataclass(frozen=True)
class Advantages:
    """One number per completion."""

    values: Array  # (P, G)
    zero_signal: NDArray[np.bool_]  # (P,) groups that teach nothing and should be dropped
    all_unsafe: NDArray[np.bool_]  # (P,) groups without a safe completion: for a person to look at


def mask_unmet(unit: Array, matrix: Matrix) -> Array:
    """(P, G, N) unit rewards with NaN where a dimension's prerequisite is not in order; an unknown one is."""
    masked = unit.copy()
    names = matrix.names()
    for column, spec in enumerate(matrix.dimensions):
        if spec.prerequisite is not None:
            masked[unit[:, :, names.index(spec.prerequisite)] < PREREQUISITE_MET, column] = np.nan
    return masked


def violations(unit: Array, matrix: Matrix, *, tolerance: float = 0.0) -> Array:
    """(P, G) severity in [0, 1] of the worst violation of a hard dimension; 0 is safe, unknown is safe."""
    hard = [column for column, spec in enumerate(matrix.dimensions) if spec.kind == "hard"]
    if not hard:
        return np.zeros(unit.shape[:2])
    cost = np.nan_to_num(1.0 - unit[:, :, hard], nan=0.0)
    return np.asarray(np.clip((cost - tolerance) / (1.0 - tolerance), 0.0, 1.0).max(axis=2), dtype=np.float64)


def safety_pressure(risks: Sequence[float], *, slope: float = 2.0) -> float:
    """λ of the safety rule: 1, rising to 1 + slope with the highest risk."""
    return 1.0 + slope * max(risks, default=0.0)


def advantages(
    normalised: Array,
    weights: Array,
    covariance: Array,
    *,
    violation: Array | None = None,
    pressure: float = 1.0,
    limit: float = CLIP,
) -> Advantages:
    """Advantages of (P, G, N) normalised rewards with (N,) weights and the (N, N) frozen covariance.

    A dimension without any value on a prompt is left out there, and the other weights scaled up.
    By hand: Z = (1, 0), (0, 1), (-1, -1), (0, 0), weights ½, identity covariance, violation (0, .5, 0, 0), pressure 1:
    (.707107, -1.914214, -1.414214, 0).
    """
    shares, spread = _shares(normalised, weights, covariance)
    signal = np.einsum("pgn,pn->pg", centre(normalised), shares)
    values = np.clip(signal / spread[:, None], -limit, limit)
    quiet = np.abs(signal).max(axis=1) < NO_SIGNAL
    if violation is None:
        return Advantages(values, quiet, np.zeros(len(values), dtype=bool))
    unsafe = violation > 0.0
    return Advantages(
        hold_safety(values, violation, pressure), quiet & ~unsafe.any(axis=1), np.asarray(unsafe.all(axis=1))
    )


def hold_safety(values: Array, violation: Array, pressure: float) -> Array:
    """(P, G) advantages under the hard rule: safe ones unchanged, unsafe ones below all safe ones and below 0.

    The own advantage stays in the minimum: without it the rule would soften what the rewards say already.
    """
    unsafe = violation > 0.0
    lowest_safe = np.where(unsafe, np.inf, values).min(axis=1, keepdims=True)
    ground = np.minimum(np.minimum(values, lowest_safe), 0.0)
    return np.where(unsafe, ground - pressure * violation, values)


def _shares(normalised: Array, weights: Array, covariance: Array) -> tuple[Array, Array]:
    """(P, N) weights over what each prompt has values for, and (P,) their spread under the reference."""
    present = (~np.isnan(normalised)).any(axis=1)
    shares = np.where(present, weights, 0.0)
    total = shares.sum(axis=1, keepdims=True)
    shares = np.divide(shares, total, out=np.zeros_like(shares), where=total > 0)
    variance = np.einsum("pn,nm,pm->p", shares, covariance, shares)
    return shares, np.maximum(np.sqrt(np.maximum(variance, 0.0)), LEAST_SPREAD)
