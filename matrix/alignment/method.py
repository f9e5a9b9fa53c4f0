"""The method from end to end: rewards of a batch in, weights with their reasons and advantages out.

    unit rewards ─▶ levels, covariance within groups ─▶ tri-factor weights ─▶ guard ─┐
    unit rewards ─▶ reference-frozen Z ───────────────────────────────────────────────┴▶ advantages, safety held

Everything that lasts from step to step is a Memory, a plain value: the trainer keeps it with its checkpoints, the
command on files with nothing. The parts are the files beside this one; this one says in which order they act.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from matrix.alignment import guard as guards
from matrix.alignment import levels
from matrix.alignment.advantages import CLIP as LIMIT
from matrix.alignment.advantages import Advantages, advantages, mask_unmet, safety_pressure
from matrix.alignment.dimensions import Matrix
from matrix.alignment.normalization import CLIP, RefStats, rfn
from matrix.alignment.stall import Patience
from matrix.alignment.weights import Standing, WeightConfig, Weights, initial_weights, standing, update_weights

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class MethodConfig:
    """What may be switched off, for comparisons; the defaults are the method."""

    weights: WeightConfig = field(default=WeightConfig())
    follows: bool = True  # tri-factor weights; else the declared priors
    guards: bool = True  # no weighting works against a hard or an escalated dimension
    prerequisites: bool = True
    pressure: float = 2.0  # by how much full risk raises λ of the safety rule
    bound: float = CLIP  # of a normalised reward, in reference deviations
    limit: float = LIMIT  # of an advantage
    period: int = 10  # batches between two updates of the weights
    level_decay: float = levels.DECAY  # share of the old level that a batch keeps
    level_belief: float = levels.BELIEF_N  # completions that the old level counts as
    redundancy_of: Literal["rollouts", "reference"] = "rollouts"  # whose correlations


# Nothing that training can reach is clipped, and what is furthest from its target comes first, anew at every batch;
# risk counts for more, in the weights and in λ, so that safety does not pay for it. More targets are met together
# (DECISIONS.md). It asks for targets that are meant.
WEAKEST_FIRST = MethodConfig(
    weights=WeightConfig(weakness=6.0, weakness_exponent=4.0, risk=10.0),
    pressure=10.0,
    bound=12.0,
    limit=12.0,
    period=1,
)


METHODS: Mapping[str, MethodConfig] = {"default": MethodConfig(), "weakest_first": WEAKEST_FIRST}


@dataclass(frozen=True)
class Memory:
    """What lasts from step to step."""

    weights: Array  # (N,) within floors and caps, before the guard
    level: Array  # (N,) unit scale
    covariance: Array  # (N, N) running, within groups
    patience: Patience
    guarded: guards.Guarded  # what the advantages of the coming steps use
    factors: Weights | None = None  # of the last update

    def as_json(self) -> dict[str, Any]:
        """JSON values; `of_json` reads them back. The factors are told by the update that made them."""
        return {
            "weights": self.weights.tolist(),
            "level": self.level.tolist(),
            "covariance": self.covariance.tolist(),
            "patience": self.patience.left.tolist(),
            "levels_at_cap": [[None if np.isnan(x) else x for x in row] for row in self.patience.levels.tolist()],
            "guarded": self.guarded.values.tolist(),
            "moved": self.guarded.moved,
            "given_up": list(self.guarded.given_up),
        }

    @staticmethod
    def of_json(told: Mapping[str, Any]) -> Memory:
        """As it was."""
        at_cap = [[np.nan if x is None else x for x in row] for row in told["levels_at_cap"]]
        return Memory(
            weights=np.array(told["weights"], dtype=np.float64),
            level=np.array(told["level"], dtype=np.float64),
            covariance=np.array(told["covariance"], dtype=np.float64),
            patience=Patience(np.array(told["patience"], dtype=np.float64), np.array(at_cap, dtype=np.float64)),
            guarded=guards.Guarded(
                np.array(told["guarded"], dtype=np.float64), float(told["moved"]), tuple(told["given_up"])
            ),
        )


@dataclass(frozen=True)
class Peril:
    """What the online monitor says of N dimensions."""

    risk: Array  # (N,) in [0, 1]
    escalated: NDArray[np.bool_]  # (N,)

    @staticmethod
    def none(n: int) -> Peril:
        """All is calm."""
        return Peril(np.zeros(n), np.zeros(n, dtype=bool))


@dataclass(frozen=True)
class Judged:
    """A batch after the method."""

    normalised: Array  # (P, G, N)
    advantages: Advantages
    alignment: Array  # (N,) κ of the weights that were used, on this batch
    shares: Array  # (N,) of the advantage's variance on this batch


@dataclass(frozen=True)
class Method:
    """The declared matrix and the frozen statistics, and what they make of a batch."""

    matrix: Matrix
    stats: RefStats
    config: MethodConfig = field(default=MethodConfig())

    def begin(self) -> Memory:
        """Before anything is seen: the declared priors within bounds, the reference policy's levels."""
        weights = initial_weights(self.matrix, self.config.weights)
        return Memory(
            weights=weights,
            level=self.stats.mean.copy(),
            covariance=self.stats.covariance.copy(),
            patience=Patience.full(len(weights)),
            guarded=guards.Guarded(weights, 0.0, ()),
        )

    def observed(self, memory: Memory, unit: Array) -> Memory:
        """After (P, G, N) more unit rewards."""
        return replace(
            memory,
            level=levels.followed_level(
                memory.level, unit, decay=self.config.level_decay, belief_n=self.config.level_belief
            ),
            covariance=levels.followed_covariance(memory.covariance, self._normalised(unit)),
        )

    def reweighed(self, memory: Memory, peril: Peril, *, first: bool = False) -> Memory:
        """After an update of the weights; the `first` does not smooth."""
        if not self.config.follows:
            return memory
        now = self._standing(memory, peril)
        previous = None if first else memory.weights
        found = update_weights(now, previous, self.config.weights, patience=memory.patience.left)
        guarded = guards.Guarded(found.values, 0.0, ())
        if self.config.guards:
            must = (now.tier == 0) | peril.escalated
            urgency = now.severity * (1.0 + now.risk)
            guarded = guards.guard(found.values, memory.covariance, must, urgency)
        patience = memory.patience.after(memory.level, found.values, now.cap)
        return replace(memory, weights=found.values, patience=patience, guarded=guarded, factors=found)

    def judged(self, memory: Memory, unit: Array, *, violation: Array | None = None, pressure: float = 1.0) -> Judged:
        """Advantages of (P, G, N) unit rewards with the weights as they are."""
        counted = mask_unmet(unit, self.matrix) if self.config.prerequisites else unit
        normalised, used = self._normalised(counted), memory.guarded.values
        covariance = levels.group_covariance(normalised)
        return Judged(
            normalised,
            advantages(
                normalised,
                used,
                self.stats.covariance,
                violation=violation,
                pressure=pressure,
                limit=self.config.limit,
            ),
            guards.alignment(used, covariance),
            guards.shares(used, covariance),
        )

    def pressure(self, peril: Peril) -> float:
        """λ of the safety rule: of the highest risk of a hard dimension."""
        rows = zip(self.matrix.dimensions, peril.risk, strict=True)
        return safety_pressure([float(risk) for row, risk in rows if row.kind == "hard"], slope=self.config.pressure)

    def _normalised(self, unit: Array) -> Array:
        return rfn(unit, self.stats, bound=self.config.bound)

    def _standing(self, memory: Memory, peril: Peril) -> Standing:
        return standing(
            self.matrix,
            level=memory.level,
            reference=self.stats.mean,
            risk=peril.risk,
            correlation=levels.correlation(
                memory.covariance if self.config.redundancy_of == "rollouts" else self.stats.covariance
            ),
            escalated=peril.escalated,
        )


def named(names: Sequence[str], values: Array) -> dict[str, float]:
    """A number for each dimension."""
    return {name: float(value) for name, value in zip(names, values, strict=True)}


def told_of(memory: Memory, names: Sequence[str]) -> dict[str, Any]:
    """An update of the weights in JSON values: what is used, what led to it, and what was given up."""
    factors = memory.factors
    told = {} if factors is None else {name: getattr(factors, name) for name in ("weakness", "risk", "redundancy")}
    return {
        "dimensions": list(names),  # rows and columns of the covariance
        "weights": named(names, memory.guarded.values),
        "unguarded": named(names, memory.weights),
        "factors": {name: named(names, values) for name, values in told.items()},
        "levels": named(names, memory.level),
        "covariance": memory.covariance.tolist(),
        "given_up": [names[index] for index in memory.guarded.given_up],
        "stalled": [name for name, stalled in zip(names, memory.patience.stalled(), strict=True) if stalled],
    }
