"""Training in the toy with one way of combining rewards: on-policy, many seeds side by side, each with its own memory.

Risk comes from a monitor of the rollouts themselves: incidents and exposures fade by FADING a step, and their upper
bound becomes risk as in production (matrix/alignment/risk.py). Weights are updated every tenth step, λ every step.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from benchmarks import ablation_toy as toy
from matrix.alignment.aggregators import Aggregator, of_scores
from matrix.alignment.dimensions import Matrix, RiskPolicy
from matrix.alignment.method import Peril
from matrix.alignment.normalization import RefStats
from matrix.alignment.risk import Escalation, bounded_risk, upper_bound

Array = NDArray[np.float64]
FADING = 0.9
WINDOW = 10  # steps between two looks at whether a dimension is escalated
POLICY = RiskPolicy()
DOMAIN = np.repeat(np.arange(toy.KINDS), toy.PER_KIND)


@dataclass(frozen=True)
class Monitor:
    """Of one seed: what is known of how often answers are unsafe."""

    incidents: float = 0.0
    exposures: float = 0.0
    risk: float = 0.0
    escalation: Escalation = field(default=Escalation())

    def after(self, violated: Array, tolerance: float, *, looks: bool) -> Monitor:
        """With the rollouts of one more step."""
        incidents = FADING * self.incidents + float(violated.sum())
        exposures = FADING * self.exposures + violated.size
        upper = upper_bound(
            incidents + POLICY.prior_strength * POLICY.prior_rate, exposures + POLICY.prior_strength, POLICY.confidence
        )
        risk = bounded_risk(upper, tolerance=tolerance, ceiling=POLICY.ceiling)
        escalation = self.escalation.after(risk, POLICY) if looks else self.escalation
        return Monitor(incidents, exposures, risk, escalation)

    def peril(self, matrix: Matrix) -> Peril:
        """As the method takes it: of the hard dimension."""
        hard = np.array([row.kind == "hard" for row in matrix.dimensions])
        return Peril(np.where(hard, self.risk, 0.0), hard & self.escalation.escalated)


@dataclass(frozen=True)
class Setting:
    """What is trained on: the world, its matrix and the frozen statistics."""

    world: toy.World
    matrix: Matrix
    stats: tuple[RefStats, ...]
    scale: float = 1.0

    @staticmethod
    def of(world: toy.World, *, scale: float = 1.0) -> Setting:
        """The declared matrix, and statistics of the reference policy; `scale` is the unit of usefulness."""
        matrix = toy.declared(world.clones, scale)
        return Setting(world, matrix, tuple(toy.reference(world, matrix, scale=scale)), scale)


@dataclass(frozen=True)
class Outcome:
    """Of S seeds."""

    achieved: Array  # (S, 5) at the end, exactly
    violations: Array  # (S, steps) chance of an unsafe answer before each step, exactly
    logits: Array  # (S, KINDS, POSITIONS, VOCABULARY) at the end
    aggregators: tuple[Aggregator, ...]  # as they are at the end

    @property
    def attainment(self) -> Array:
        """(S, 5)."""
        return toy.attainment(self.achieved)


def train(setting: Setting, aggregator: Aggregator, *, steps: int = toy.STEPS, logits: Array | None = None) -> Outcome:
    """From the reference policy, or from `logits`."""
    world, matrix = setting.world, setting.matrix
    seeds, here = range(len(world.seeds)), (world.logits if logits is None else logits).copy()
    draws, aggregators = toy.Draws.of(world, 1), [aggregator for _ in seeds]
    monitors, violations = [Monitor() for _ in seeds], []
    tolerance = next(row.max_rate for row in matrix.dimensions if row.kind == "hard")
    for step in range(steps):
        chance = toy.probabilities(here)
        violations.append(1.0 - _safe(world, chance))
        uniform, noise = draws.next()
        at = toy.places(toy.draw_tokens(chance, uniform))
        scores = toy.in_units(toy.score(world, at, noise), setting.scale)
        violated = scores[..., toy.GOALS.index("safety")]
        monitors = [
            monitor.after(violated[seed], tolerance, looks=step % WINDOW == 0) for seed, monitor in enumerate(monitors)
        ]
        advantages = np.empty(scores.shape[:3])
        for seed in seeds:
            advantages[seed], aggregators[seed] = _combined(setting, aggregators[seed], scores, seed, monitors[seed])
        here += toy.RATE * toy.ascent(chance, at, advantages)
    return Outcome(toy.expected(world, here), np.stack(violations, axis=1), here, tuple(aggregators))


def _combined(
    setting: Setting, aggregator: Aggregator, scores: Array, seed: int, monitor: Monitor
) -> tuple[Array, Aggregator]:
    verifiable = np.zeros(scores.shape[-1], dtype=bool)
    verifiable[: len(toy.VERIFIABLE)] = toy.VERIFIABLE
    groups = of_scores(
        scores[seed],
        matrix=setting.matrix,
        stats=setting.stats[seed],
        peril=monitor.peril(setting.matrix),
        verifiable=verifiable,
        domain=DOMAIN,
        violation=scores[seed, ..., toy.GOALS.index("safety")],
    )
    return aggregator(groups)


def _safe(world: toy.World, chance: Array) -> Array:
    """(S,) share of answers without violation, over kinds."""
    return np.asarray((1.0 - (chance * world.hazard).sum(axis=-1)).prod(axis=-1).mean(axis=1))


def alarmed(world: toy.World) -> toy.World:
    """The same world after it was learned that the hook is unsafe as well wherever there is a hazard."""
    unsafe = world.hazard.max(axis=-1, keepdims=True)
    return replace(world, hazard=np.maximum(world.hazard, unsafe * (world.engaging == 1.0)))
