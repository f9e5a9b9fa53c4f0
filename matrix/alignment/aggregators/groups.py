"""What every aggregator is given, and what it is: rewards of groups in, advantages and its next state out.

An aggregator is a frozen value that is called. One that remembers answers with another value that remembers more; one
that does not answers with itself. So each can be tried on the same rewards, in any order, as often as one likes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from matrix.alignment.dimensions import Matrix
from matrix.alignment.method import Peril
from matrix.alignment.normalization import RefStats, ranges
from matrix.alignment.spreads import known_mean

Array = NDArray[np.float64]
ROUNDING = 1e-9  # of a number's size: below, numbers do not differ
Combine = Callable[["Groups", Array], Array]  # (N,) weights in, (P, G) advantages out


@dataclass(frozen=True)
class Groups:
    """Rewards of one batch with all that any of the methods asks about them; NaN where a dimension does not apply."""

    raw: Array  # (P, G, N) in the scorers' units, turned so that higher is better
    unit: Array  # (P, G, N) the same on [0, 1]
    matrix: Matrix
    stats: RefStats
    peril: Peril
    verifiable: NDArray[np.bool_]  # (N,) a rule decides it: neither a model nor a person
    domain: NDArray[np.int_]  # (P,) which kind of prompt
    violation: Array | None = None  # (P, G) severity in [0, 1]; 0 is safe

    @property
    def prior(self) -> Array:
        """(N,) declared weights, summing to 1."""
        declared = np.array([row.prior for row in self.matrix.dimensions])
        return np.asarray(declared / declared.sum())


class Aggregator(Protocol):
    """A way to make one advantage of many rewards. Never NaN; a group without differences gets 0."""

    def __call__(self, groups: Groups) -> tuple[Array, Aggregator]:
        """(P, G) advantages, and the aggregator for the next batch."""
        ...


@dataclass(frozen=True)
class Declared:
    """An aggregator without memory, with the declared weights."""

    combine: Combine

    def __call__(self, groups: Groups) -> tuple[Array, Aggregator]:
        """See Aggregator."""
        return self.combine(groups, groups.prior), self


def of_scores(  # noqa: PLR0913 - every fact of a batch, by name
    scores: Array,
    *,
    matrix: Matrix,
    stats: RefStats,
    peril: Peril | None = None,
    verifiable: NDArray[np.bool_] | None = None,
    domain: NDArray[np.int_] | None = None,
    violation: Array | None = None,
) -> Groups:
    """Groups of (P, G, N) scores as the scorers give them; what is not told: calm, judged by models, of one domain."""
    raw = oriented(scores, matrix)
    low, high = ranges(matrix)
    n = scores.shape[2]
    return Groups(
        raw,
        (raw - low) / (high - low),
        matrix,
        stats,
        Peril.none(n) if peril is None else peril,
        np.zeros(n, dtype=bool) if verifiable is None else verifiable,
        np.zeros(len(scores), dtype=np.int_) if domain is None else domain,
        violation,
    )


def oriented(scores: Array, matrix: Matrix) -> Array:
    """Scores of which less is better, mirrored within their declared range."""
    low, high = ranges(matrix)
    up = np.array([row.higher_is_better for row in matrix.dimensions])
    return np.asarray(np.where(up, scores, low + high - scores), dtype=np.float64)


def weighted(rewards: Array, weights: Array) -> Array:
    """(P, G) weighted sums of (P, G, N) rewards over what is known, the weights of each completion summing to 1.

    A completion of which nothing is known gets the mean of its group, which is no signal.
    """
    known = ~np.isnan(rewards)
    share = np.where(known, weights, 0.0)
    total = share.sum(axis=2)
    sums = (np.where(known, rewards, 0.0) * share).sum(axis=2)
    found = np.divide(sums, total, out=np.full(total.shape, np.nan), where=total > 0.0)
    return np.where(np.isnan(found), known_mean(found[:, :, None], axis=1)[:, :, 0], found)


def in_deviations(rewards: Array) -> Array:
    """(P, G, N) rewards minus their group's mean over their group's deviation; 0 for what is unknown or constant.

    The deviation divides by the number, not by one less. What differs by rounding alone is constant.
    """
    known = ~np.isnan(rewards)
    centred = np.where(known, rewards - known_mean(rewards, axis=1), 0.0)
    count = np.maximum(known.sum(axis=1, keepdims=True), 1)
    deviation = np.sqrt((centred**2).sum(axis=1, keepdims=True) / count)
    size = np.where(known, np.abs(rewards), 0.0).max(axis=1, keepdims=True)
    varies = deviation > ROUNDING * size
    return np.asarray(np.divide(centred, deviation, out=np.zeros_like(centred), where=varies))
