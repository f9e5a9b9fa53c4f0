"""What is claimed of the tables, each as one number and the bound that it must keep.

The inequalities are those of a first toy, no longer at hand, on which the method was designed; here they are held
against another one, written from its description. Differences are taken seed by seed and told in standard errors.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr

from benchmarks import ablation_tables as tables
from benchmarks.ablation_forgetting import Learned, forgetting
from benchmarks.ablation_moving import moving, seen
from benchmarks.ablation_tables import Table, gain, mean_attainment
from matrix.alignment.aggregators import AGGREGATORS

Array = NDArray[np.float64]
QUICK_STEPS = 20
SURE = 2.0  # standard errors
ERRORS, POINTS = "standard errors", "share"


@dataclass(frozen=True)
class Found:
    """Every table."""

    base: Table
    rescaled: Table
    cloned: Table
    hazardous: Table
    forgetting: Mapping[str, Learned]
    moving: Table
    fresh: Table  # seeds on which nothing was chosen


@dataclass(frozen=True, slots=True)
class Claim:
    """One number and its bound."""

    name: str
    found: float
    bound: float
    unit: str = ERRORS
    at_least: bool = True

    @property
    def holds(self) -> bool:
        """The bound itself is within."""
        return self.found >= self.bound if self.at_least else self.found <= self.bound


def run(seeds: Sequence[int] = tables.SEEDS, *, quick: bool = False) -> Found:
    """All of them; a quick run shows that they run."""
    confirmed = {name: AGGREGATORS[name] for name in tables.CONFIRMED}
    if quick:
        few = QUICK_STEPS
        return Found(
            tables.compared(AGGREGATORS, seeds, steps=few),
            tables.rescaled(seeds, steps=few),
            tables.cloned(seeds, steps=few),
            tables.hazardous(seeds, warm=few, steps=few),
            forgetting(seeds, champion_steps=few, steps=few),
            moving(seeds, steps=few),
            tables.compared(confirmed, seeds, steps=few),
        )
    return Found(
        tables.compared(AGGREGATORS, seeds),
        tables.rescaled(seeds),
        tables.cloned(seeds),
        tables.hazardous(seeds),
        forgetting(seeds),
        moving(seeds),
        tables.compared(confirmed, tables.FRESH),
    )


def claims(found: Found) -> list[Claim]:
    """All of them, in the order of the tables."""
    return [
        *of_base(found.base),
        *of_rescaled(found.base, found.rescaled),
        *of_cloned(found.cloned),
        *of_hazardous(found.hazardous),
        *of_forgetting(found.forgetting),
        *of_moving(found.moving),
        *of_confirmed(found.fresh),
    ]


def more(name: str, one: Array, other: Array) -> Claim:
    """One is above the other by SURE standard errors."""
    return Claim(name, gain(one, other).errors, SURE)


def of_base(base: Table) -> Iterator[Claim]:
    """E1 and E2."""
    mean = {name: mean_attainment(outcome) for name, outcome in base.items()}
    least = {name: tables.least_attainment(outcome) for name, outcome in base.items()}
    mass = {name: tables.mass(outcome) for name, outcome in base.items()}
    yield Claim("E1: rfn attains more than raw", float((mean["rfn"] - mean["raw"]).mean()), 0.25, POINTS)
    for rfn in ("rfn", "rfn_wide"):
        above = float((least[rfn] - least["gdpo"]).mean())
        yield Claim(f"E1: {rfn}'s least attainment is above gdpo's", above, 0.05, POINTS)
    yield more("E1: rfn attains more than gdpo", mean["rfn"], mean["gdpo"])
    yield more("E1: rfn attains more than mo_grpo", mean["rfn"], mean["mo_grpo"])
    for tri, uniform in (("rfn_tri", "rfn"), ("rfn_tri_wide", "rfn_wide")):
        yield more(f"E2: {tri} attains more than {uniform}", mean[tri], mean[uniform])
        yield more(f"E2: {tri} attains less without weakness", mean[tri], mean[f"{tri}_no_weakness"])
        yield more(f"E2: {tri} attains less without redundancy", mean[tri], mean[f"{tri}_no_redundancy"])
        worse = max(gain(mean[tri], mean[f"{tri}_no_risk"]).errors, gain(mass[f"{tri}_no_risk"], mass[tri]).errors)
        yield Claim(f"E2: {tri} attains less or violates more without risk", worse, SURE)
        yield more(f"E2: {tri} violates less with stratified safety", mass[tri], mass[f"{tri}_stratified"])
    above = float((mean["raw_tri"] - mean["raw"]).mean())
    yield Claim("E2: tri without rfn is no better than raw", above, 0.05, POINTS, at_least=False)


def of_confirmed(fresh: Table) -> Iterator[Claim]:
    """The setting that was looked for on other seeds."""
    ours, found = fresh["rfn_tri_stratified"], fresh["weakest_first"]
    yield more("search: weakest_first attains more", mean_attainment(found), mean_attainment(ours))
    yield more("search: its least attainment is above", tables.least_attainment(found), tables.least_attainment(ours))
    for about, of in (("at the end", tables.violating), ("in all", tables.mass)):
        risen = gain(of(found), of(ours)).errors
        yield Claim(f"search: it violates no more {about}", risen, SURE, at_least=False)


def of_rescaled(base: Table, again: Table) -> Iterator[Claim]:
    """E1b: whose result depends on the unit that a scorer counts in."""
    for name in ("raw", "grpo"):
        engaged = np.abs(again[name].achieved[:, 4] - base[name].achieved[:, 4])
        yield Claim(f"E1b: {name} turns away from engagement", float(engaged.mean()), 50.0, "points")
    for name in ("gdpo", "rfn", "rfn_tri"):
        apart = float(np.abs(again[name].achieved - base[name].achieved).max())
        yield Claim(f"E1b: {name} is the same", apart, 1e-6, "units", at_least=False)


def of_cloned(cloned: Table) -> Iterator[Claim]:
    """E3: what further measurements of the same thing do."""
    share = {name: float(tables.engagement_share(outcome).mean()) for name, outcome in cloned.items()}
    mean = {name: mean_attainment(outcome) for name, outcome in cloned.items()}
    for copies in ("4 exact", "4 noisy"):
        for name in ("rfn_redundancy_wide", "rfn_tri_wide", "rfn_tri"):
            grown = share[f"{name}, {copies}"] - share[f"{name}, none"]
            yield Claim(f"E3: {name}: weight that {copies} copies add", grown, 0.1, POINTS, at_least=False)
        for name in ("rfn_redundancy_wide", "rfn_tri_wide"):
            claim = f"E3: {name} attains more than rfn_wide with {copies} copies"
            yield more(claim, mean[f"{name}, {copies}"], mean[f"rfn_wide, {copies}"])


def of_hazardous(hazardous: Table) -> Iterator[Claim]:
    """E4: what ends a hazard soonest, and what it costs."""
    mass = {name: tables.mass(outcome) for name, outcome in hazardous.items()}
    for better, worse in (
        ("tri, risk as weight", "tri without risk"),
        ("stratified, λ=1", "uniform"),
        ("stratified, λ=1+2·risk", "stratified, λ=1"),
        ("stratified, λ=1+2·risk", "tri, risk as weight"),
        ("tri, stratified, λ=1+2·risk", "tri, risk as weight"),
        ("tri, stratified, λ=1+5·risk", "tri, stratified, λ=1+2·risk"),
    ):
        yield more(f"E4: {better} violates less than {worse}", mass[worse], mass[better])
    attained = {name: mean_attainment(outcome) for name, outcome in hazardous.items()}
    costs = max(gain(attained["uniform"], one).errors for one in attained.values())
    yield Claim("E4: safety costs no attainment", costs, SURE, at_least=False)
    means = [float(one.mean()) for one in attained.values()]
    yield Claim("E4: attainments are alike", max(means) - min(means), 0.05, POINTS, at_least=False)


def of_forgetting(learned: Mapping[str, Learned]) -> Iterator[Claim]:
    """E11: whether forward KL on what is new tells what is forgotten, and what keeps it."""
    moved = np.stack([one.forward_kl for one in learned.values()], axis=1)  # (S, arms, points)
    lost = np.stack([one.golden_loss for one in learned.values()], axis=1)
    ranks = [float(spearmanr(a.ravel(), b.ravel()).statistic) for a, b in zip(moved, lost, strict=True)]
    yield more("E11: golden-set loss rises with forward KL along the way", np.array(ranks), np.zeros(len(ranks)))
    order = spearmanr(moved[:, :, -1].mean(axis=0), lost[:, :, -1].mean(axis=0)).statistic
    yield Claim("E11: what moves further at the end has forgotten more", float(order), 1.0 - 1e-9, "rank correlation")
    both = learned["KL and replay"]
    for name in ("neither", "KL", "replay"):
        other = learned[name].golden_loss[:, -1]
        yield more(f"E11: KL and replay forget less than {name}", other, both.golden_loss[:, -1])
    behind = float((learned["neither"].new - both.new).mean())
    yield Claim("E11: KL and replay cost nothing on new kinds", behind, 0.02, POINTS, at_least=False)


def of_moving(watched: Table) -> Iterator[Claim]:
    """E12: what moving statistics hide, and what the weights make of it."""
    frozen, frozen_weakness = seen(watched["frozen"], "correct")
    moving_z, moving_weakness = seen(watched["moving"], "correct")
    yield Claim("E12: frozen statistics show the progress", float(frozen.mean()), 0.5, "reference deviations")
    hidden = float(np.abs(moving_z).max())
    yield Claim("E12: moving statistics hide it", hidden, 0.1, "deviations", at_least=False)
    yield more("E12: with moving statistics weakness does not decay", moving_weakness, frozen_weakness)
