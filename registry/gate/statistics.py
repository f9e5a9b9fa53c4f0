"""Bounds that the gate's rules are held against; one-sided, at level `alpha`.

Soft cells: paired t on the prompts' mean differences from 100 prompts on; below that the empirical Bernstein bound
(Maurer & Pontil, arXiv:0907.3740), which assumes nothing but the range and is wide on purpose.
Hard cells hold 0 and 1: Clopper-Pearson for a rate, Tango's score bound (Statistics in Medicine 17:891, 1998) for a
paired difference; a t bound is zero wide where no pair differs, and would let a rare new harm pass at any n.
Left out: sequential bounds, and hierarchies that merge small cells.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, stats

Array = NDArray[np.float64]

ENOUGH_FOR_T = 100  # prompts
RANGE = 2.0  # of a difference between two scores on the unit scale


@dataclass(frozen=True, slots=True)
class Bounds:
    """A mean difference with its lower and upper bound, each one-sided.

    `equal_low` is the lower bound that a candidate equal to its opponent would have had with as many prompts and as
    much spread: where it does not clear the margin, not passing says nothing about the candidate.
    """

    n: int
    mean: float
    low: float
    high: float
    equal_low: float


def cluster(prompt_ids: Sequence[str], values: Array) -> dict[str, float]:
    """Mean per prompt: answers to one prompt are not independent, prompts are the unit that was drawn."""
    sums: dict[str, list[float]] = {}
    for prompt_id, value in zip(prompt_ids, values.tolist(), strict=True):
        sums.setdefault(prompt_id, []).append(value)
    # fsum: the order of a prompt's answers must not show in the last digit
    return {prompt_id: math.fsum(found) / len(found) for prompt_id, found in sums.items()}


def clopper_pearson_upper(violations: int, n: int, *, alpha: float) -> float:
    """Exact upper bound of a rate: 0 of 100 gives .0295 at alpha .05. 1 where nothing was seen."""
    return 1.0 if violations >= n else float(stats.beta.ppf(1 - alpha, violations + 1, n - violations))


def clopper_pearson_lower(violations: int, n: int, *, alpha: float) -> float:
    """Exact lower bound of a rate."""
    return 0.0 if violations == 0 else float(stats.beta.ppf(alpha, violations, n - violations + 1))


def needed_for_floor(max_rate: float, *, alpha: float) -> int:
    """Fewest prompts whose upper bound meets the floor without one violation."""
    if not 0 < max_rate < 1:
        return 1
    return math.ceil(math.log(alpha) / math.log1p(-max_rate))


def soft_bounds(differences: Array, *, alpha: float) -> Bounds:
    """Of the mean of (n,) differences in [-1, 1], one per prompt."""
    n = len(differences)
    mean = math.fsum(differences.tolist()) / n
    wide = half_width(n, _deviation(differences, mean), alpha=alpha)
    return Bounds(n, mean, mean - wide, mean + wide, -wide)


def half_width(n: int, deviation: float, *, alpha: float) -> float:
    """Distance from the mean to its one-sided bound; infinite where a single prompt was seen."""
    if n < 2:
        return math.inf
    if n >= ENOUGH_FOR_T:
        return float(stats.t.ppf(1 - alpha, n - 1)) * deviation / math.sqrt(n)
    log_term = math.log(2 / alpha)
    return deviation * math.sqrt(2 * log_term / n) + 7 * RANGE * log_term / (3 * (n - 1))


def needed_for_margin(deviation: float, margin: float, *, alpha: float) -> int:
    """Prompts with which a candidate that is equal, with this spread, would clear the margin (t bound)."""
    z = float(stats.norm.ppf(1 - alpha))
    return max(ENOUGH_FOR_T, math.ceil((z * deviation / margin) ** 2) + 2)


def spread(differences: Array) -> float:
    """Sample standard deviation; 0 for a single value."""
    return _deviation(differences, math.fsum(differences.tolist()) / len(differences))


def _deviation(differences: Array, mean: float) -> float:
    if len(differences) < 2 or float(np.ptp(differences)) == 0.0:
        return 0.0  # rounding must not turn equal differences into spread
    return math.sqrt(math.fsum(((differences - mean) ** 2).tolist()) / (len(differences) - 1))


def hard_bounds(differences: Array, *, alpha: float) -> Bounds:
    """Of the mean of (n,) differences: 1 where only the opponent violates, -1 where only the candidate does."""
    n, better, worse = len(differences), int((differences > 0).sum()), int((differences < 0).sum())
    mean, either = (better - worse) / n, (better + worse) / 2
    low = tango_lower(better, worse, n, alpha=alpha)
    high = -tango_lower(worse, better, n, alpha=alpha)
    return Bounds(n, mean, low, high, tango_lower(either, either, n, alpha=alpha))


def tango_lower(better: float, worse: float, n: int, *, alpha: float) -> float:
    """Lower score bound of (better - worse) / n from the two kinds of discordant pairs."""
    z = float(stats.norm.ppf(1 - alpha))
    mean = (better - worse) / n

    def excess(difference: float) -> float:
        return _tango_statistic(better, worse, n, difference) - z

    lowest = -1 + 1e-12
    if mean <= lowest or excess(lowest) <= 0:
        return -1.0
    return float(optimize.brentq(excess, lowest, mean - 1e-12, xtol=1e-10))


def _tango_statistic(better: float, worse: float, n: int, difference: float) -> float:
    """(observed - difference) over its standard error under that difference, by constrained maximum likelihood."""
    a = 2 * n
    b = -better - worse + (2 * n - better + worse) * difference
    c = -worse * difference * (1 - difference)
    q = (math.sqrt(max(b * b - 4 * a * c, 0.0)) - b) / (2 * a)
    variance = n * (2 * q + difference * (1 - difference))
    distance = better - worse - n * difference
    return distance / math.sqrt(variance) if variance > 0 else math.copysign(math.inf, distance)


def needed_for_hard_margin(discordant: float, margin: float, *, alpha: float) -> int:
    """Prompts with which a candidate that is equal, with this share of discordant pairs, would clear the margin."""
    n = 16
    while n < 1 << 24 and tango_lower(n * discordant / 2, n * discordant / 2, n, alpha=alpha) <= -margin:
        n = math.ceil(n * 1.2)
    return n


def superiority_p(differences: Array) -> float:
    """One-sided p of 'the mean difference is not above 0', by the bound that the number of prompts allows."""
    n = len(differences)
    mean = math.fsum(differences.tolist()) / n
    if n < 2 or mean <= 0:
        return 1.0
    deviation = _deviation(differences, mean)
    if n >= ENOUGH_FOR_T:
        return float(stats.t.sf(mean / (deviation / math.sqrt(n)), n - 1)) if deviation else 0.0
    linear, square = deviation * math.sqrt(2 / n), 7 * RANGE / (3 * (n - 1))
    root = (math.sqrt(linear**2 + 4 * square * mean) - linear) / (2 * square)
    return min(1.0, 2 * math.exp(-(root**2)))


def holm(p_values: Sequence[float], *, alpha: float) -> tuple[bool, ...]:
    """Which hypotheses are rejected, at family-wise level alpha (Holm 1979).

    Not statsmodels' multipletests: it collects garbage on every call, which takes longer than all other rules.
    """
    order = sorted(range(len(p_values)), key=lambda index: p_values[index])
    steps = (p_values[index] <= alpha / (len(order) - rank) for rank, index in enumerate(order))
    rejected = set(order[: sum(1 for _ in takewhile(bool, steps))])
    return tuple(index in rejected for index in range(len(p_values)))
