"""Where dimensions stand and which say the same, followed over updates: what the tri-factor weights look at.

Levels are running means, shrunk towards what was believed before by how little was seen, so that one lucky batch of a
dimension that seldom applies moves nothing. Correlations are those within groups of the present rollouts, shrunk
towards none. Both are plain values in and out; who keeps them is the caller.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from matrix.alignment.spreads import centre

Array = NDArray[np.float64]
DECAY = 0.9  # share of the old value that an update keeps
BELIEF_N = 50.0  # samples that the old level counts as
SHRINKAGE = 0.1  # share of a correlation that is taken away
LEAST_VARIANCE = 1e-12


def followed_level(level: Array, unit: Array, *, decay: float = DECAY, belief_n: float = BELIEF_N) -> Array:
    """(N,) levels after (P, G, N) more unit rewards; a dimension without a value stays where it was."""
    known = ~np.isnan(unit)
    n = known.sum(axis=(0, 1))
    total = np.where(known, unit, 0.0).sum(axis=(0, 1))
    seen = np.where(n > 0, (total + belief_n * level) / np.maximum(n + belief_n, 1.0), level)
    return np.asarray(decay * level + (1.0 - decay) * seen, dtype=np.float64)


def group_covariance(normalised: Array) -> Array:
    """(N, N) covariance within groups of (P, G, N) rewards; what is unknown counts as its group's mean."""
    flat = centre(normalised).reshape(-1, normalised.shape[2])
    freedom = max(normalised.shape[0] * (normalised.shape[1] - 1), 1)
    return np.asarray(flat.T @ flat / freedom, dtype=np.float64)


def correlation(covariance: Array, *, shrinkage: float = SHRINKAGE) -> Array:
    """(N, N) shrunk correlations; a dimension that does not vary correlates with none."""
    deviation = np.sqrt(np.maximum(np.diag(covariance), LEAST_VARIANCE))
    found = (1.0 - shrinkage) * covariance / np.outer(deviation, deviation)
    np.fill_diagonal(found, 1.0)
    return np.asarray(np.clip(found, -1.0, 1.0), dtype=np.float64)


def followed_covariance(covariance: Array, normalised: Array, *, decay: float = DECAY) -> Array:
    """(N, N) running covariance after another batch."""
    return np.asarray(decay * covariance + (1.0 - decay) * group_covariance(normalised), dtype=np.float64)
