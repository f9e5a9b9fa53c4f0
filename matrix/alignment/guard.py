"""Which objectives a weighting serves, and the nearest weighting that works against none that must not suffer.

To first order an objective rises under a policy gradient exactly where its covariance with the advantage within groups
is positive (arXiv:2602.06869); with advantages linear in the weights w that covariance is K·w, so a check of N numbers
stands in for N backward passes. The guard moves weights as little as possible (Euclidean) until none of the named
dimensions is worked against; where all cannot be had at once, only the most severe is held, and the answer says so.
Its result is for the advantages of a step: the tri-factor update goes on from the weights before it, which keep their
floors and caps. Left out: projecting gradients (PCGrad), which needs the N backward passes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from matrix.alignment.projection import nearest_keeping

Array = NDArray[np.float64]
LEAST_VARIANCE = 1e-12
ROUNDING = 1e-12


@dataclass(frozen=True)
class Guarded:
    """Weights that may be used, and what could not be held."""

    values: Array  # (N,) on the simplex
    moved: float  # Euclidean distance from the weights asked for
    given_up: tuple[int, ...]  # dimensions that no weighting serves together with the one that is held


def alignment(weights: Array, covariance: Array) -> Array:
    """(N,) κ = K·w: positive where following the weights raises a dimension, negative where it lowers it."""
    return np.asarray(covariance @ weights, dtype=np.float64)


def shares(weights: Array, covariance: Array) -> Array:
    """(N,) of the advantage's variance that each dimension contributes, w·K·w split by Euler's rule; they sum to 1.

    All 0 where nothing varies. A negative share: the dimension holds the others back.
    """
    total = float(weights @ covariance @ weights)
    if total <= LEAST_VARIANCE:
        return np.zeros(len(weights))
    return np.asarray(weights * (covariance @ weights) / total, dtype=np.float64)


def guard(weights: Array, covariance: Array, must: NDArray[np.bool_], urgency: Array, *, least: float = 0.0) -> Guarded:
    """The nearest weights with κ >= `least` on every dimension of `must`; unchanged where that holds already.

    `covariance` (N, N) of Z within groups; `urgency` (N,) decides which dimension is held where not all can be.
    By hand: weights (.9, .1), covariance ((1, -.8), (-.8, 1)), must = the second: (.555556, .444444).
    """
    held = np.flatnonzero(must)
    if (covariance[held] @ weights >= least - ROUNDING).all():
        return Guarded(weights, 0.0, ())
    found = nearest_keeping(weights, covariance[held], least)
    given_up: tuple[int, ...] = ()
    if found is None:
        first = held[int(np.argmax(urgency[held]))]
        given_up = tuple(int(one) for one in held if one != first)
        found = nearest_keeping(weights, covariance[[first]], least)
    if found is None:  # not even by itself: a dimension that never varies
        return Guarded(weights, 0.0, tuple(int(one) for one in held))
    return Guarded(found, float(np.linalg.norm(found - weights)), given_up)
