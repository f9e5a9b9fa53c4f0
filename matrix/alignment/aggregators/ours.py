"""Our own method as one of the aggregators, and its weights on other methods' normalization.

`Ours` is matrix/alignment/method.py, step by step: levels and covariances followed, weights updated every so many
batches, advantages from frozen statistics, safety as a constraint where `holds_safety`. `TriFactor` takes the weights
alone and gives them to another way of combining, which shows what the normalization beneath them is worth.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from matrix.alignment.aggregators.groups import Aggregator, Array, Combine, Groups
from matrix.alignment.method import Memory, Method, MethodConfig


@dataclass(frozen=True)
class Ours:
    """Reference-frozen normalization with tri-factor weights, or the declared ones (config.follows)."""

    config: MethodConfig = field(default=MethodConfig())
    holds_safety: bool = True  # False: safety is a reward like the others
    memory: Memory | None = None
    batches: int = 0

    def __call__(self, groups: Groups) -> tuple[Array, Aggregator]:
        """See Aggregator."""
        method = Method(groups.matrix, groups.stats, self.config)
        memory = _followed(method, self.memory, groups, batches=self.batches)
        violation = groups.violation if self.holds_safety else None
        found = method.judged(memory, groups.unit, violation=violation, pressure=method.pressure(groups.peril))
        return found.advantages.values, replace(self, memory=memory, batches=self.batches + 1)


@dataclass(frozen=True)
class TriFactor:
    """Tri-factor weights for another way of combining."""

    combine: Combine
    config: MethodConfig = field(default=MethodConfig(guards=False))
    memory: Memory | None = None
    batches: int = 0

    def __call__(self, groups: Groups) -> tuple[Array, Aggregator]:
        """See Aggregator."""
        method = Method(groups.matrix, groups.stats, self.config)
        memory = _followed(method, self.memory, groups, batches=self.batches)
        advantages = self.combine(groups, memory.guarded.values)
        return advantages, replace(self, memory=memory, batches=self.batches + 1)


def _followed(method: Method, memory: Memory | None, groups: Groups, *, batches: int) -> Memory:
    """Memory with this batch, and new weights where they are due."""
    seen = method.observed(method.begin() if memory is None else memory, groups.unit)
    return method.reweighed(seen, groups.peril, first=batches == 0) if batches % method.config.period == 0 else seen
