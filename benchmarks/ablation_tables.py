"""The ablations as tables: which ways of combining rewards are trained in which setting, and how rows are compared.

Every row of a table is trained on the same seeds with the same draws, so that differences are taken seed by seed; what
stands beside a mean is its standard error over seeds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from benchmarks import ablation_toy as toy
from benchmarks.ablation_training import Outcome, Setting, alarmed, train
from matrix.alignment.advantages import advantages
from matrix.alignment.aggregators import AGGREGATORS, BARE, UNIFORM, WIDE, Aggregator, Groups, Ours
from matrix.alignment.normalization import rfn
from matrix.alignment.weights import WeightConfig

Array = NDArray[np.float64]
Table = Mapping[str, Outcome]
SEEDS = tuple(range(12))
UNIT = 1000.0  # by which one reward's unit is changed
RESCALED = ("raw", "grpo", "gdpo", "rfn", "rfn_tri")
FRESH = tuple(range(700, 724))  # seeds on which nothing was chosen
CONFIRMED = ("rfn_tri_stratified", "weakest_first")
COPIES: Mapping[str, tuple[int, float]] = {  # further measurements of engagement, and their noise
    "none": (0, 0.0),
    "4 exact": (4, 0.0),
    "4 noisy": (4, toy.NOISE),
}
WARM_STEPS, HAZARD_STEPS = 250, 150

ONLY_REDUNDANCY = WeightConfig(weakness_exponent=0.0, risk_exponent=0.0)
CLONED: Mapping[str, Aggregator] = {
    "rfn_tri": AGGREGATORS["rfn_tri"],
    "rfn_wide": AGGREGATORS["rfn_wide"],
    "rfn_redundancy_wide": Ours(replace(WIDE, weights=ONLY_REDUNDANCY), holds_safety=False),
    "rfn_tri_wide": AGGREGATORS["rfn_tri_wide"],
}
HAZARD: Mapping[str, Aggregator] = {
    "uniform": AGGREGATORS["rfn"],
    "tri without risk": AGGREGATORS["rfn_tri_no_risk"],
    "tri, risk as weight": AGGREGATORS["rfn_tri"],
    "stratified, λ=1": Ours(replace(UNIFORM, pressure=0.0)),
    "stratified, λ=1+2·risk": Ours(UNIFORM),
    "tri, stratified, λ=1+2·risk": Ours(BARE),
    "tri, stratified, λ=1+5·risk": Ours(replace(BARE, pressure=5.0)),
}


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean over seeds and its standard error."""

    mean: float
    error: float

    @staticmethod
    def of(values: Array) -> Estimate:
        """Of one number for each seed."""
        spread = float(values.std(ddof=1)) if len(values) > 1 else float("nan")
        return Estimate(float(values.mean()), spread / len(values) ** 0.5)

    @property
    def errors(self) -> float:
        """The mean in standard errors from 0; infinite where the seeds agree exactly."""
        if self.error > 0.0:
            return self.mean / self.error
        return 0.0 if self.mean == 0.0 else float("inf") * (1.0 if self.mean > 0 else -1.0)

    def __str__(self) -> str:
        """As people write it."""
        return f"{self.mean:.3f}±{self.error:.3f}"


def mean_attainment(outcome: Outcome) -> Array:
    """(S,) over the five goals."""
    return np.asarray(outcome.attainment.mean(axis=1))


def least_attainment(outcome: Outcome) -> Array:
    """(S,) of the five goals."""
    return np.asarray(outcome.attainment.min(axis=1))


def violating(outcome: Outcome) -> Array:
    """(S,) chance of an unsafe answer at the end."""
    return np.asarray(1.0 - outcome.achieved[:, toy.GOALS.index("safety")])


def mass(outcome: Outcome) -> Array:
    """(S,) chances of an unsafe answer, summed over steps."""
    return np.asarray(outcome.violations.sum(axis=1))


def gain(one: Array, other: Array) -> Estimate:
    """One minus the other, seed by seed."""
    return Estimate.of(one - other)


def compared(
    aggregators: Mapping[str, Aggregator], seeds: Sequence[int] = SEEDS, *, steps: int = toy.STEPS
) -> dict[str, Outcome]:
    """E1 and E2: every way of combining on the same worlds."""
    setting = Setting.of(toy.make_world(seeds))
    return {name: train(setting, aggregator, steps=steps) for name, aggregator in aggregators.items()}


def rescaled(seeds: Sequence[int] = SEEDS, *, steps: int = toy.STEPS) -> dict[str, Outcome]:
    """E1b: usefulness told in a unit UNIT times smaller, with its declared range; what is achieved in the old one."""
    setting = Setting.of(toy.make_world(seeds), scale=UNIT)
    return {name: train(setting, AGGREGATORS[name], steps=steps) for name in RESCALED}


def cloned(seeds: Sequence[int] = SEEDS, *, steps: int = toy.STEPS) -> dict[str, Outcome]:
    """E3: with no and with four further measurements of engagement."""
    found = {}
    for copies, (clones, noise) in COPIES.items():
        setting = Setting.of(toy.make_world(seeds, clones=clones, noise=noise))
        for name, aggregator in CLONED.items():
            found[f"{name}, {copies}"] = train(setting, aggregator, steps=steps)
    return found


def engagement_share(outcome: Outcome) -> Array:
    """(S,) weight of engagement and its clones together, at the end."""
    found = [one.memory.weights[4:].sum() for one in outcome.aggregators if isinstance(one, Ours) and one.memory]
    return np.array(found)


def hazardous(seeds: Sequence[int] = SEEDS, *, warm: int = WARM_STEPS, steps: int = HAZARD_STEPS) -> dict[str, Outcome]:
    """E4: after a warm start that all share, hooks turn out to be unsafe at some places.

    The safety scorer is another one then, so the same reference completions are scored again.
    """
    world = toy.make_world(seeds)
    begun = train(Setting.of(world), AGGREGATORS["rfn"], steps=warm).logits
    setting = Setting.of(alarmed(world))
    return {name: train(setting, aggregator, steps=steps, logits=begun) for name, aggregator in HAZARD.items()}


def shown(table: Table, *, title: str) -> str:
    """The table as text."""
    head = f"{'':34}{'correct':>9}{'useful':>8}{'safety':>8}{'format':>8}{'engage':>8}"
    lines = [title, f"{head}{'violations':>16}{'mass':>14}{'least att.':>14}{'mean att.':>14}"]
    for name, outcome in table.items():
        goals = outcome.achieved.mean(axis=0)
        row = f"{name:34}{goals[0]:9.2f}{goals[1]:8.1f}{goals[2]:8.3f}{goals[3]:8.2f}{goals[4]:8.1f}"
        row += f"{Estimate.of(violating(outcome))!s:>16}{_short(mass(outcome)):>14}"
        lines.append(
            row + f"{Estimate.of(least_attainment(outcome))!s:>14}{Estimate.of(mean_attainment(outcome))!s:>14}"
        )
    return "\n".join(lines)


def _short(values: Array) -> str:
    found = Estimate.of(values)
    return f"{found.mean:.1f}±{found.error:.1f}"


def alone(goal: int, seeds: Sequence[int] = SEEDS, *, steps: int = toy.STEPS) -> Outcome:
    """One goal trained for by itself."""
    setting = Setting.of(toy.make_world(seeds))
    return train(setting, Single(goal), steps=steps)


@dataclass(frozen=True)
class Single:
    """Only one of the dimensions, by its frozen statistics."""

    goal: int

    def __call__(self, groups: Groups) -> tuple[Array, Aggregator]:
        """See Aggregator."""
        weights = np.eye(groups.unit.shape[2])[self.goal]
        found = advantages(rfn(groups.unit, groups.stats), weights, groups.stats.covariance)
        return found.values, self
