"""Ways to make one advantage of many rewards, ours and others', as a table: to be compared on one's own rewards.

`AGGREGATORS["grpo"](of_scores(scores, matrix=..., stats=...))` answers (P, G) advantages and the aggregator for the
next batch. Names that end in `_like` are our reading of a published description; each file says what it departs from.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from matrix.alignment.aggregators.crpo import crpo_like
from matrix.alignment.aggregators.drpo import DrpoLike
from matrix.alignment.aggregators.gdpo import gdpo
from matrix.alignment.aggregators.groups import Aggregator, Declared, Groups, of_scores
from matrix.alignment.aggregators.grpo import grpo
from matrix.alignment.aggregators.hypervolume import HypervolumeGuided
from matrix.alignment.aggregators.mo_grpo import mo_grpo
from matrix.alignment.aggregators.ours import Ours, TriFactor
from matrix.alignment.aggregators.raw_sum import raw_sum
from matrix.alignment.aggregators.rpro import rpro_like
from matrix.alignment.method import WEAKEST_FIRST, MethodConfig
from matrix.alignment.weights import WeightConfig

__all__ = ["AGGREGATORS", "BARE", "UNIFORM", "WIDE", "Aggregator", "Groups", "Ours", "TriFactor", "of_scores"]

BARE = MethodConfig(guards=False)  # without the covariance guard
UNIFORM = replace(BARE, follows=False)  # the declared weights
WIDE = replace(BARE, bound=12.0, limit=12.0)  # rewards and advantages within bounds that training does not meet


OFF = {
    "weakness": WeightConfig(weakness_exponent=0.0),
    "risk": WeightConfig(risk_exponent=0.0),
    "redundancy": WeightConfig(redundancy_exponent=0.0),
}


def _without(factor: str, config: MethodConfig = BARE) -> Ours:
    return Ours(replace(config, weights=OFF[factor]), holds_safety=False)


AGGREGATORS: Mapping[str, Aggregator] = {
    "raw": Declared(raw_sum),
    "grpo": Declared(grpo),
    "gdpo": Declared(gdpo),
    "mo_grpo": Declared(mo_grpo),
    "hypervolume_like": HypervolumeGuided(),
    "crpo_like": Declared(crpo_like),
    "drpo_like": DrpoLike(),
    "rpro_like": Declared(rpro_like),
    "raw_tri": TriFactor(raw_sum),
    "gdpo_tri": TriFactor(gdpo),
    "rfn": Ours(UNIFORM, holds_safety=False),
    "rfn_tri": Ours(BARE, holds_safety=False),
    "rfn_tri_no_weakness": _without("weakness"),
    "rfn_tri_no_risk": _without("risk"),
    "rfn_tri_no_redundancy": _without("redundancy"),
    "rfn_tri_stratified": Ours(BARE),
    "rfn_wide": Ours(replace(WIDE, follows=False), holds_safety=False),
    "rfn_tri_wide": Ours(WIDE, holds_safety=False),
    "rfn_tri_wide_no_weakness": _without("weakness", WIDE),
    "rfn_tri_wide_no_risk": _without("risk", WIDE),
    "rfn_tri_wide_no_redundancy": _without("redundancy", WIDE),
    "rfn_tri_wide_stratified": Ours(WIDE),
    "ours": Ours(),  # the product's defaults: with the covariance guard
    "weakest_first": Ours(WEAKEST_FIRST),
}
