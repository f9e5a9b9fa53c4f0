"""DRPO-like (QoQ-Med, arXiv:2506.00711): advantages scaled up where a domain is rare or hard, and prompts within it.

The paper divides GRPO's advantages by √n·μ of the prompt's domain and again by √n·μ of the prompt's cluster within
it: n prompts seen so far, μ their mean reward. Our reading differs in three ways: the reward is the weighted sum on the
unit scale; clusters are BINS equal ranges of a prompt's mean reward instead of k-means over its rewards; μ is at least
LEAST, where the paper's epsilon would give one hopeless prompt the whole batch. Then the batch is given deviation 1, as
in the authors' trainer. The damping by KL is left out.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from matrix.alignment.aggregators.groups import ROUNDING, Aggregator, Array, Groups, in_deviations, weighted

BINS = 4
LEAST = 0.02  # unit scale


@dataclass(frozen=True)
class DrpoLike:
    """With what was seen of every domain and bin: (D, BINS) prompts, and the sums of their mean rewards."""

    count: Array | None = None
    total: Array | None = None

    def __call__(self, groups: Groups) -> tuple[Array, Aggregator]:
        """See Aggregator."""
        reward = weighted(groups.unit, groups.prior)
        # Summed in the order of size: else a group in another order could round to the other side of a bin's edge.
        mean = np.clip(np.sort(reward, axis=1).mean(axis=1), 0.0, 1.0)  # (P,)
        bins = np.minimum((mean * BINS).astype(np.int_), BINS - 1)
        seen = self._after(groups.domain, bins, mean)
        return seen._scaled(groups.domain, bins, in_deviations(reward[:, :, None])[:, :, 0]), seen

    def _after(self, domain: np.ndarray, bins: np.ndarray, mean: Array) -> DrpoLike:
        rows = max(int(domain.max()) + 1, 0 if self.count is None else len(self.count))
        count, total = np.zeros((rows, BINS)), np.zeros((rows, BINS))
        if self.count is not None and self.total is not None:
            count[: len(self.count)], total[: len(self.total)] = self.count, self.total
        np.add.at(count, (domain, bins), 1.0)
        np.add.at(total, (domain, bins), mean)
        return DrpoLike(count, total)

    def _scaled(self, domain: np.ndarray, bins: np.ndarray, advantages: Array) -> Array:
        if self.count is None or self.total is None:
            return advantages
        of_bin = _temperature(self.count, self.total)[domain, bins]
        of_domain = _temperature(self.count.sum(axis=1), self.total.sum(axis=1))[domain]
        scaled = advantages / (of_bin * of_domain)[:, None]
        deviation = scaled.std()
        return np.asarray(scaled / deviation) if deviation > ROUNDING else np.zeros_like(scaled)


def _temperature(count: Array, total: Array) -> Array:
    """√n·μ, at least √n·LEAST."""
    mean = total / np.maximum(count, 1.0)
    return np.asarray(np.sqrt(np.maximum(count, 1.0)) * np.maximum(mean, LEAST))
