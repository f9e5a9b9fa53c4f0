"""Nearest weights that keep bounds, and nearest weights that keep linear promises as well; exact, without iterating.

Weights are a point of the simplex. Between bounds the nearest point is the old one, shifted alike for all and clipped:
the shift is where a piecewise linear function crosses 1, found by sorting its kinks (Held, Wolfe and Crowder, 1974).
With half-spaces as well it is a least-distance problem, which non-negative least squares decides in finitely many
steps (Lawson and Hanson, Solving Least Squares Problems, ch. 23): also whether any point keeps them all.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

from matrix.errors import InvalidInput

Array = NDArray[np.float64]
SLACK = 1e-9  # of bounds that a caller computed
INFEASIBLE = 1e-9  # length of the residual below which no point keeps all promises


def project(weights: Array, low: Array, high: Array) -> Array:
    """Nearest point (Euclidean) of {low <= w <= high, Σw = 1}.

    By hand: (.7 .2 .05 .05) within [.1, .5] becomes (.5 .266667 .116667 .116667). Raises InvalidInput where no weights
    fit between the bounds.
    """
    if low.sum() > 1.0 + SLACK or high.sum() < 1.0 - SLACK or (low > high + 1e-12).any():
        bounds = f"floors sum to {low.sum():.3f}, caps to {high.sum():.3f}"
        raise InvalidInput(field="weight bounds", value=bounds, remedy="floors up to 1 and caps from 1 on")
    kinks = np.sort(np.concatenate([weights - high, weights - low]))  # shifts at which a weight leaves its bound
    sums = np.clip(weights - kinks[:, None], low, high).sum(axis=1)  # falls from Σhigh to Σlow
    after = int(np.searchsorted(-sums, -1.0))
    if after == 0 or after == len(kinks):
        shift = kinks[min(after, len(kinks) - 1)]
    else:
        fall = sums[after - 1] - sums[after]
        share = (sums[after - 1] - 1.0) / fall if fall > 0.0 else 0.0
        shift = kinks[after - 1] + share * (kinks[after] - kinks[after - 1])
    found = np.clip(weights - shift, low, high)
    free = (found > low) & (found < high)
    if free.any():  # what rounding left
        found[free] += (1.0 - found.sum()) / free.sum()
    return np.asarray(found, dtype=np.float64)


def nearest_keeping(weights: Array, promises: Array, least: float) -> Array | None:
    """Nearest point of {w >= 0, Σw = 1, promises·w >= least}; None where there is none.

    `weights` (N,) on the simplex; `promises` (M, N), each row on a scale of its own.
    """
    across = _directions(len(weights))  # (N, N - 1) orthonormal, each summing to 0
    rows = np.concatenate([across, promises @ across])
    wanted = np.concatenate([-weights, least - promises @ weights])
    size = np.linalg.norm(rows, axis=1)
    moot = size <= 1e-12  # a row that no move changes
    if (moot & (wanted > SLACK)).any():
        return None
    rows, wanted = rows[~moot] / size[~moot, None], wanted[~moot] / size[~moot]
    system = np.concatenate([rows, wanted[:, None]], axis=1).T  # (N, rows)
    target = np.zeros(len(system))
    target[-1] = 1.0
    multipliers, _ = nnls(system, target)
    residual = system @ multipliers - target
    if -residual[-1] < INFEASIBLE:
        return None
    moved = np.maximum(weights - across @ (residual[:-1] / residual[-1]), 0.0)
    return np.asarray(moved / moved.sum(), dtype=np.float64)


@lru_cache(maxsize=64)
def _directions(n: int) -> Array:
    basis, _ = np.linalg.qr(np.concatenate([np.full((n, 1), 1.0), np.eye(n)[:, : n - 1]], axis=1))
    return np.asarray(basis[:, 1:], dtype=np.float64)
