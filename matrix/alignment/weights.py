"""Tri-factor weights: weakness-oriented, risk-prioritized, redundancy-reducing, within floors and caps.

The three adjectives are those of arXiv:2602.11661; the formulae are our own. The factors multiply, so that each can be
switched off by its exponent:

    u = prior · weakness^α · risk^β · redundancy^γ       w = project( normalise( previous^(1-η) · (u/Σu)^η ) )

`sum` is the other reading: u = prior · (1 + α(weakness-1) + β(risk-1) + γ(redundancy-1)), with γ up to 1. It is not
fair to clones: two of them together take more than the one. A ratchet keeps an escalated dimension from losing weight
while its risk lasts. Whether a target can be reached at all is stall.py's question.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from matrix.alignment.dimensions import Matrix
from matrix.alignment.projection import project

Array = NDArray[np.float64]
LEAST_GAP = 0.05  # unit scale: a target just above the reference level must not explode the factor


@dataclass(frozen=True, slots=True)
class WeightConfig:
    """Strengths, exponents and bounds of an update."""

    weakness: float = 2.0  # κ
    risk: float = 3.0  # ρ
    threshold: float = 0.3  # correlation from which dimensions count as redundant
    weakness_exponent: float = 1.0  # α; 0 switches the factor off
    risk_exponent: float = 1.0  # β
    redundancy_exponent: float = 1.0  # γ
    combine: Literal["product", "sum"] = "product"
    smoothing: float = 0.3  # η: share of the new weights, geometrically; 1 forgets the previous ones
    floor: float = 0.02
    escalation_lifts_caps: bool = True  # else an escalated dimension keeps its weight and its cap


@dataclass(frozen=True)
class Standing:
    """Where N dimensions stand when weights are updated; levels on the unit scale, 1 best."""

    prior: Array  # (N,) relative
    level: Array  # (N,) current mean reward
    target: Array  # (N,)
    reference: Array  # (N,) mean reward of the reference policy
    risk: Array  # (N,) in [0, 1]
    severity: Array  # (N,) 1 to 3
    correlation: Array  # (N, N) of Z within prompts
    tier: NDArray[np.int_]  # (N,) 0 for hard dimensions
    cap: Array  # (N,) upper limit of each weight
    escalated: NDArray[np.bool_]  # (N,)


Factors = tuple[Array, Array, Array]  # (N,) each: weakness, risk, redundancy


@dataclass(frozen=True)
class Weights:
    """Weights on the simplex with the factors that led to them, for the audit."""

    values: Array  # (N,)
    weakness: Array  # (N,)
    risk: Array  # (N,)
    redundancy: Array  # (N,)


def standing(
    matrix: Matrix, *, level: Array, reference: Array, risk: Array, correlation: Array, escalated: NDArray[np.bool_]
) -> Standing:
    """A standing with all that the matrix declares filled in."""
    rows = matrix.dimensions
    return Standing(
        prior=np.array([row.prior for row in rows]),
        level=level,
        target=np.array([row.unit(row.target) for row in rows]),
        reference=reference,
        risk=risk,
        severity=np.array([float(row.severity) for row in rows]),
        correlation=correlation,
        tier=np.array([row.tier for row in rows]),
        cap=np.array([row.weight_cap for row in rows]),
        escalated=escalated,
    )


def weakness_factor(level: Array, target: Array, reference: Array, strength: float) -> Array:
    """1 at the target, 1 + strength at or below the reference level."""
    gap = (target - level) / np.maximum(target - reference, LEAST_GAP)
    return 1.0 + strength * np.clip(gap, 0.0, 1.0)


def risk_factor(risk: Array, severity: Array, strength: float) -> Array:
    """1 without risk, up to 1 + strength · severity."""
    return 1.0 + strength * severity * np.clip(risk, 0.0, 1.0)


def redundancy_factor(correlation: Array, tier: NDArray[np.int_], threshold: float) -> Array:
    """One over how many dimensions say the same: of two clones each gets a half.

    Only positive correlation is redundancy (negative is conflict), and none is discounted for a lower tier's sake.
    """
    same = np.clip((correlation - threshold) / (1.0 - threshold), 0.0, 1.0) ** 2
    same = same * (tier[None, :] <= tier[:, None])
    np.fill_diagonal(same, 1.0)
    return np.asarray(1.0 / same.sum(axis=1), dtype=np.float64)


def product(factors: Factors, config: WeightConfig) -> Array:
    """Each factor to the power of its exponent."""
    weakness, risk, redundancy = factors
    return np.asarray(
        weakness**config.weakness_exponent * risk**config.risk_exponent * redundancy**config.redundancy_exponent
    )


def summed(factors: Factors, config: WeightConfig) -> Array:
    """What each factor adds to 1, times its exponent."""
    weakness, risk, redundancy = (factor - 1.0 for factor in factors)
    more = config.weakness_exponent * weakness + config.risk_exponent * risk
    return np.asarray(1.0 + more + min(config.redundancy_exponent, 1.0) * redundancy)


COMBINATIONS: Mapping[str, Callable[[Factors, WeightConfig], Array]] = {"product": product, "sum": summed}


def update_weights(
    now: Standing, previous: Array | None, config: WeightConfig = WeightConfig(), *, patience: Array | None = None
) -> Weights:
    """New weights. `previous` must be within floors and caps (start with `initial_weights`); None: no smoothing.

    `patience` (N,) in [0, 1]: how much of each dimension's weakness still counts (stall.py).

    By hand: prior ¼ each, level (.2 .8 .95 .5), target (.8 .8 .99 .9), reference (0 .4 .9 .1), risk (0 0 .5 0),
    severity (1 1 3 1), correlation .9 between the first two: (.100036 .040015 .721123 .138826) before bounds,
    (.173744 .113722 .5 .212534) within [.02, .5].
    """
    weakness = weakness_factor(now.level, now.target, now.reference, config.weakness)
    if patience is not None:
        weakness = 1.0 + (weakness - 1.0) * patience
    risk = risk_factor(now.risk, now.severity, config.risk)
    redundancy = redundancy_factor(now.correlation, now.tier, config.threshold)
    raw = now.prior * COMBINATIONS[config.combine]((weakness, risk, redundancy), config)
    wanted = raw / raw.sum()
    low, high = np.full(len(wanted), config.floor), now.cap.astype(np.float64)
    if previous is not None:
        wanted = _blend(previous, wanted, config.smoothing)
        # Feasible: the previous weights of the escalated and the floors of the others sum to at most 1.
        low = np.where(now.escalated, np.maximum(low, previous), low)
        lifted = 1.0 if config.escalation_lifts_caps else np.maximum(high, previous)
        high = np.where(now.escalated, lifted, high)
    return Weights(project(wanted, low, high), weakness, risk, redundancy)


def initial_weights(matrix: Matrix, config: WeightConfig = WeightConfig()) -> Array:
    """(N,) the declared priors, within floors and caps."""
    prior = np.array([row.prior for row in matrix.dimensions])
    cap = np.array([row.weight_cap for row in matrix.dimensions])
    return project(prior / prior.sum(), np.full(len(prior), config.floor), cap)


def _blend(previous: Array, wanted: Array, share: float) -> Array:
    """Geometric mean of both, on the simplex."""
    logs = (1.0 - share) * np.log(previous) + share * np.log(wanted)
    blended = np.exp(logs - logs.max())
    return np.asarray(blended / blended.sum(), dtype=np.float64)
