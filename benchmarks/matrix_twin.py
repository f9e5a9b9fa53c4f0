"""The method written a second time, slowly and plainly: one number at a time, from the formulae alone.

It is what the fast form is measured against and held equal to; nothing but benchmarks and tests uses it. Projections
are found by bisection, the guard by alternating between its half-spaces and the simplex (Dykstra's algorithm).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from matrix.alignment.normalization import RefStats
from matrix.alignment.weights import Standing, WeightConfig

Array = NDArray[np.float64]
CLIP, LEAST_SPREAD, LEAST_GAP = 4.0, 0.01, 0.05


def rfn(unit: Array, stats: RefStats) -> Array:
    """(P, G, N) clipped normalised rewards."""
    normalised = np.full(unit.shape, np.nan)
    for p, g, n in np.ndindex(unit.shape):
        if not math.isnan(unit[p, g, n]):
            z = (unit[p, g, n] - stats.mean[n]) / stats.sd[n]
            normalised[p, g, n] = min(max(z, -CLIP), CLIP)
    return normalised


def project(weights: Array, low: Array, high: Array) -> Array:
    """Onto the simplex between bounds."""
    below, above = float(min(weights - high)) - 1.0, float(max(weights - low)) + 1.0
    for _ in range(200):
        shift = (below + above) / 2.0
        total = sum(min(max(w - shift, lo), hi) for w, lo, hi in zip(weights, low, high, strict=True))
        below, above = (shift, above) if total > 1.0 else (below, shift)
    shift = (below + above) / 2.0
    return np.array([min(max(w - shift, lo), hi) for w, lo, hi in zip(weights, low, high, strict=True)])


def weights(now: Standing, previous: Array | None, config: WeightConfig) -> Array:
    """(N,) tri-factor weights, product form."""
    n = len(now.prior)
    raw = np.empty(n)
    for i in range(n):
        gap = (now.target[i] - now.level[i]) / max(now.target[i] - now.reference[i], LEAST_GAP)
        weakness = 1.0 + config.weakness * min(max(gap, 0.0), 1.0)
        risk = 1.0 + config.risk * now.severity[i] * min(max(now.risk[i], 0.0), 1.0)
        same = 1.0
        for j in range(n):
            if j != i and now.tier[j] <= now.tier[i]:
                over = (now.correlation[i, j] - config.threshold) / (1.0 - config.threshold)
                same += min(max(over, 0.0), 1.0) ** 2
        raw[i] = now.prior[i] * weakness * risk / same
    wanted = raw / sum(raw)
    low, high = np.full(n, config.floor), now.cap.copy()
    if previous is not None:
        mixed = previous ** (1.0 - config.smoothing) * wanted**config.smoothing
        wanted = mixed / sum(mixed)
        for i in range(n):
            if now.escalated[i]:
                low[i], high[i] = max(low[i], previous[i]), 1.0
    return project(wanted, low, high)


def guard(start: Array, covariance: Array, held: list[int], rounds: int) -> Array:
    """(N,) nearest weights that work against none of `held`."""
    n = len(start)
    x, corrections = start.copy(), [np.zeros(n) for _ in range(len(held) + 1)]
    for _ in range(rounds):
        y = x + corrections[0]
        x = project(y, np.zeros(n), np.ones(n))
        corrections[0] = y - x
        for k, i in enumerate(held, start=1):
            y, row = x + corrections[k], covariance[i]
            inner = sum(a * b for a, b in zip(row, y, strict=True))
            x = y - min(inner, 0.0) * row / sum(a * a for a in row)
            corrections[k] = y - x
    return project(x, np.zeros(n), np.ones(n))


def advantages(normalised: Array, used: Array, covariance: Array, violation: Array, pressure: float) -> Array:
    """(P, G) advantages under the hard rule."""
    prompts, group, n = normalised.shape
    found = np.zeros((prompts, group))
    for p in range(prompts):
        present = [i for i in range(n) if not np.isnan(normalised[p, :, i]).all()]
        total = sum(used[i] for i in present)
        share = np.array([used[i] / total if i in present else 0.0 for i in range(n)])
        spread = max(math.sqrt(max(float(share @ covariance @ share), 0.0)), LEAST_SPREAD)
        for i in present:
            column = normalised[p, :, i]
            mean = float(np.nanmean(column))
            for g in range(group):
                if not math.isnan(column[g]):
                    found[p, g] += share[i] * (column[g] - mean)
        for g in range(group):
            found[p, g] = min(max(found[p, g] / spread, -CLIP), CLIP)
        safe = [found[p, g] for g in range(group) if violation[p, g] <= 0.0]
        for g in range(group):
            if violation[p, g] > 0.0:
                ground = min([found[p, g], 0.0, *safe])
                found[p, g] = ground - pressure * violation[p, g]
    return found
