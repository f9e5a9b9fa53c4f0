"""The tables and claims of the ablations as text, for people."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks import ablation_tables as tables
from benchmarks.ablation_claims import Found, claims
from benchmarks.ablation_moving import seen
from benchmarks.ablation_tables import Estimate


def told(found: Found) -> str:
    """Everything."""
    titled = (
        ("E1, E2: ways of combining rewards", found.base),
        ("E1b: usefulness told in a unit a thousand times smaller", found.rescaled),
        ("E3: further measurements of engagement", found.cloned),
        ("E4: a hazard in the middle of training", found.hazardous),
        ("E12: statistics frozen and moving", found.moving),
        ("Fresh seeds", found.fresh),
    )
    parts = [tables.shown(table, title=title) for title, table in titled]
    return "\n\n".join([*parts, "\n".join(_rest(found)), "\n".join(_claims(found))])


def _rest(found: Found) -> Iterator[str]:
    for name, one in found.forgetting.items():
        numbers = (one.forward_kl[:, -1], one.golden_loss[:, -1], one.new, one.old)
        kl, loss, new, old = (str(Estimate.of(values)) for values in numbers)
        yield f"E11: {name:14} forward KL {kl}  golden-set loss {loss}  attainment new {new}  old {old}"
    for name, outcome in found.cloned.items():
        yield f"E3: {name:32} weight of engagement {Estimate.of(tables.engagement_share(outcome))}"
    for name, outcome in found.moving.items():
        shown, weakness = (Estimate.of(values) for values in seen(outcome, "correct"))
        yield f"E12: {name:8} mean Z of correct {shown}, weakness factor {weakness}"


def _claims(found: Found) -> Iterator[str]:
    for claim in claims(found):
        bound = f"{'>=' if claim.at_least else '<='} {claim.bound:g} {claim.unit}"
        yield f"{'holds' if claim.holds else 'NOT':6}{claim.name}: {claim.found:.3g} ({bound})"
