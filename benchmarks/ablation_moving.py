"""E12: statistics that move with the policy instead of being frozen at the reference policy.

Everything else is the same method. Watched is what an operator would see on a dashboard, the mean normalised reward of
each dimension (0 in every batch by construction where the statistics are the batch's), and the weakness factor that the
weights act on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from benchmarks import ablation_toy as toy
from benchmarks.ablation_training import Outcome, Setting, train
from matrix.alignment.aggregators import AGGREGATORS, Aggregator, Groups, Ours
from matrix.alignment.normalization import fit_ref, rfn

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Watched:
    """Our method, with statistics of each batch where `moving`; and what the last batch looked like."""

    inner: Aggregator
    moving: bool
    shown: Array | None = None  # (N,) mean Z

    def __call__(self, groups: Groups) -> tuple[Array, Aggregator]:
        """See Aggregator."""
        stats = fit_ref(groups.unit, groups.stats.names) if self.moving else groups.stats
        advantages, inner = self.inner(replace(groups, stats=stats))
        return advantages, replace(self, inner=inner, shown=rfn(groups.unit, stats, bound=np.inf).mean(axis=(0, 1)))

    @property
    def weakness(self) -> Array:
        """(N,) factors of the last update of the weights."""
        memory = self.inner.memory if isinstance(self.inner, Ours) else None
        if memory is None or memory.factors is None:
            return np.full(0, np.nan)
        return memory.factors.weakness


def moving(seeds: Sequence[int], *, steps: int = toy.STEPS) -> dict[str, Outcome]:
    """Frozen and moving, on the same seeds."""
    setting, inner = Setting.of(toy.make_world(seeds)), AGGREGATORS["rfn_tri"]
    return {name: train(setting, Watched(inner, moving=name == "moving"), steps=steps) for name in ("frozen", "moving")}


def seen(outcome: Outcome, goal: str) -> tuple[Array, Array]:
    """(S,) mean Z and weakness factor of a goal, as last seen."""
    column, watched = toy.GOALS.index(goal), [one for one in outcome.aggregators if isinstance(one, Watched)]
    shown = [one.shown[column] for one in watched if one.shown is not None]
    return np.array(shown), np.array([one.weakness[column] for one in watched])
