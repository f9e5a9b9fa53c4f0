"""Our method beside every other way to combine rewards, on a small world in which rewards conflict.

`plumbline bench ablation --json` tells every row of every table with its standard error over seeds, our row in the same
run as its peer, and every claim as a difference in standard errors with the bound that it must keep. A claim that does
not hold is told as missed: the world (ablation_toy.py) was fixed before it was looked at. --seed chooses other seeds.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from benchmarks import ablation_tables as tables
from benchmarks.ablation_claims import Claim, claims, run
from benchmarks.ablation_forgetting import Learned
from benchmarks.ablation_moving import seen
from benchmarks.ablation_tables import Estimate, Table
from benchmarks.ablation_toy import GOALS
from infra.bench import Figure, Profile, Target

Array = NDArray[np.float64]
OURS = "rfn_tri_stratified"  # the peer of every row
QUICK_SEEDS = 2
UNITS = ("share", "points", "share", "share", "points")


def measure(profile: Profile) -> list[Figure]:
    """Every table, then every claim."""
    seeds = range(profile.seed, profile.seed + (QUICK_SEEDS if profile.quick else len(tables.SEEDS)))
    found = run(seeds, quick=profile.quick)
    figures = [*_rows("E2", found.base, beside=OURS)]
    figures += _rows("E1b, usefulness ×1000", found.rescaled)
    figures += _rows("E3", found.cloned)
    figures += [
        figure
        for name, outcome in found.cloned.items()
        for figure in _figure(f"E3: {name}: weight of engagement", "share", tables.engagement_share(outcome))
    ]
    figures += _rows("E4", found.hazardous, beside="tri, stratified, λ=1+2·risk")
    for name, learned in found.forgetting.items():
        figures += _learned(name, learned)
    for name, outcome in found.moving.items():
        shown, weakness = seen(outcome, "correct")
        figures += _figure(f"E12: {name}: mean Z of correct at the end", "reference deviations", shown)
        figures += _figure(f"E12: {name}: weakness factor of correct at the end", "factor", weakness)
    figures += _rows("search, fresh seeds", found.fresh, beside=OURS)
    return figures + [_claim(claim) for claim in claims(found)]


def _rows(title: str, table: Table, *, beside: str | None = None) -> Iterator[Figure]:
    peer = table.get(beside) if beside else None
    for name, outcome in table.items():
        for column, goal in enumerate(GOALS):
            yield from _figure(f"{title}: {name}: {goal}", UNITS[column], outcome.achieved[:, column])
        for about, unit, of in (
            ("violations", "share", tables.violating),
            ("cumulative violations", "steps", tables.mass),
            ("least attainment", "share", tables.least_attainment),
            ("mean attainment", "share", tables.mean_attainment),
        ):
            yield from _figure(
                f"{title}: {name}: {about}",
                unit,
                of(outcome),
                peer=None if peer is None or name == beside else of(peer),
                peer_name=beside,
            )


def _figure(
    name: str, unit: str, values: Array, *, peer: Array | None = None, peer_name: str | None = None
) -> list[Figure]:
    """The mean, beside the peer's, and its standard error."""
    found = Estimate.of(values)
    beside = None if peer is None else float(peer.mean())
    return [
        Figure(name, unit, found.mean, beside, None if peer is None else peer_name),
        Figure(f"{name}, standard error", unit, found.error),
    ]


def _learned(name: str, learned: Learned) -> Iterator[Figure]:
    for about, unit, values in (
        ("forward KL on new kinds", "nat/token", learned.forward_kl[:, -1]),
        ("golden-set loss above the champion's", "nat/token", learned.golden_loss[:, -1]),
        ("mean attainment on new kinds", "share", learned.new),
        ("mean attainment on old kinds", "share", learned.old),
    ):
        yield from _figure(f"E11: {name}: {about}", unit, values)


def _claim(claim: Claim) -> Figure:
    target = Target(at_least=claim.bound) if claim.at_least else Target(at_most=claim.bound)
    return Figure(f"claim {claim.name}", claim.unit, claim.found, target=target)
