"""A step of the alignment matrix's method, its guard, and a refresh of many cells' risk, beside a plain twin.

A step is what a training step pays: N = 12 dimensions, P = 64 prompts, G = 16 completions, from unit rewards over
levels, weights and guard to advantages. The twin (matrix_twin.py) does the same one number at a time.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from benchmarks import matrix_twin
from infra.bench import Figure, Profile, Target
from matrix.alignment.dimensions import DimensionSpec, Matrix, RiskPolicy
from matrix.alignment.guard import guard
from matrix.alignment.levels import correlation
from matrix.alignment.method import Memory, Method, Peril
from matrix.alignment.normalization import fit_ref
from matrix.alignment.risk import DecayedCounts, cell_risk, cell_risks
from matrix.alignment.weights import standing

Array = NDArray[np.float64]
N, P, G = 12, 64, 16
CELLS = 10_000
ROUNDS, PEER_ROUNDS = 200, 3  # the median counts
MISSING, UNSAFE = 0.1, 0.05  # shares
GUARDED = (0, 1, 2)
DYKSTRA_ROUNDS = 300
PEER = "plain twin, one number at a time"


def measure(profile: Profile) -> list[Figure]:
    """Milliseconds, beside the twin's, and how far the two lie apart."""
    drawn = np.random.default_rng(profile.seed)
    rounds = 5 if profile.quick else ROUNDS
    return [*_step(drawn, rounds), *_guard(drawn, rounds), *_risk(drawn, rounds)]


def _step(drawn: np.random.Generator, rounds: int) -> list[Figure]:
    method = Method(_matrix(), fit_ref(drawn.random((64, 4, N)), _matrix().names()))
    unit = drawn.random((P, G, N))
    unit[drawn.random(unit.shape) < MISSING] = np.nan
    violation = np.where(drawn.random((P, G)) < UNSAFE, drawn.random((P, G)), 0.0)
    peril = Peril(np.where(np.arange(N) < len(GUARDED), 0.4, 0.0), np.arange(N) < len(GUARDED))
    memory = method.reweighed(method.begin(), peril, first=True)

    def ours() -> tuple[Array, Array]:
        seen = method.reweighed(method.observed(memory, unit), peril)
        return seen.weights, method.judged(seen, unit, violation=violation, pressure=2.0).advantages.values

    def theirs() -> tuple[Array, Array]:
        return _twin_step(method, memory, unit, violation, peril)

    apart = max(float(np.abs(a - b).max()) for a, b in zip(ours(), theirs(), strict=True))
    return [
        _figure(f"a step: {N} dimensions, {P} prompts, {G} completions", ours, theirs, rounds, at_most=2.0),
        Figure("largest difference from the twin, of weights and advantages", "1", apart, target=Target(at_most=1e-6)),
    ]


def _twin_step(method: Method, memory: Memory, unit: Array, violation: Array, peril: Peril) -> tuple[Array, Array]:
    """The same step; what it observed is the method's own, weights and all after them the twin's."""
    seen = method.observed(memory, unit)
    now = standing(
        method.matrix,
        level=seen.level,
        reference=method.stats.mean,
        risk=peril.risk,
        correlation=correlation(seen.covariance),
        escalated=peril.escalated,
    )
    found = matrix_twin.weights(now, memory.weights, method.config.weights)
    held = [i for i in range(N) if now.tier[i] == 0 or peril.escalated[i]]
    used = found
    if any(float(seen.covariance[i] @ found) < 0.0 for i in held):
        used = matrix_twin.guard(found, seen.covariance, held, DYKSTRA_ROUNDS)
    normalised = matrix_twin.rfn(unit, method.stats)
    return found, matrix_twin.advantages(normalised, used, method.stats.covariance, violation, 2.0)


def _guard(drawn: np.random.Generator, rounds: int) -> list[Figure]:
    roots = drawn.normal(size=(N, 4 * N))
    roots[: len(GUARDED)] -= 0.6 * roots[len(GUARDED) : 2 * len(GUARDED)] * 2.0  # what others do works against these
    covariance = roots @ roots.T / (4 * N)
    asked = np.full(N, 1.0)
    asked[len(GUARDED) : 2 * len(GUARDED)] = 8.0
    asked /= asked.sum()
    must = np.arange(N) < len(GUARDED)

    def ours() -> Array:
        return guard(asked, covariance, must, np.ones(N)).values

    def theirs() -> Array:
        return matrix_twin.guard(asked, covariance, list(GUARDED), DYKSTRA_ROUNDS)

    apart = float(np.abs(ours() - theirs()).max())
    return [
        _figure(f"covariance guard that has to move {N} weights", ours, theirs, rounds, at_most=0.3),
        Figure("largest difference from the twin, of guarded weights", "1", apart, target=Target(at_most=1e-6)),
    ]


def _risk(drawn: np.random.Generator, rounds: int) -> list[Figure]:
    policy = RiskPolicy()
    exposures = drawn.gamma(2.0, 200.0, CELLS)
    incidents = exposures * drawn.beta(0.5, 20.0, CELLS)
    tolerance = np.full(CELLS, 0.05)
    noon = datetime(2026, 1, 1, 12, tzinfo=UTC)

    def ours() -> Array:
        return cell_risks(incidents, exposures, tolerance, policy)[0]

    def theirs() -> Array:
        cells = zip(incidents, exposures, strict=True)
        return np.array([cell_risk(DecayedCounts(noon, k, n), tolerance=0.05, policy=policy).risk for k, n in cells])

    apart = float(np.abs(ours() - theirs()).max())
    return [
        _figure(f"risk of {CELLS:,} cells", ours, theirs, min(rounds, 20), at_most=20.0),
        Figure("largest difference from cells one by one, of risks", "1", apart, target=Target(at_most=1e-9)),
    ]


def _figure(
    name: str, ours: Callable[[], object], theirs: Callable[[], object], rounds: int, *, at_most: float
) -> Figure:
    value, peer = _median_ms(ours, rounds), _median_ms(theirs, min(rounds, PEER_ROUNDS))
    return Figure(name, "ms", value, peer, PEER, Target(at_most=at_most))


def _median_ms(act: Callable[[], object], rounds: int) -> float:
    act()
    took = []
    for _ in range(rounds):
        began = time.perf_counter()
        act()
        took.append((time.perf_counter() - began) * 1000.0)
    return float(np.median(took))


def _matrix() -> Matrix:
    hard = {"kind": "hard", "higher_is_better": False, "target": 0.0, "severity": 3, "weight_cap": 0.2}
    rows = [
        {"name": f"d{i}", "category": "expert", "scorer": f"d{i}", "target": 0.9, "weight_cap": 0.4}
        | (hard if i < len(GUARDED) else {})
        for i in range(N)
    ]
    return Matrix(dimensions=tuple(DimensionSpec.model_validate(row) for row in rows))
