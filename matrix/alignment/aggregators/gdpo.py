"""Normalise, then sum, then whiten over the batch: the form of GDPO, written from the equation of arXiv:2601.05242.

The sum over rewards is MO-GRPO's; the second step gives the batch unit variance, so that the step's size does not
depend on how many rewards there are. The authors' code was not read: its licence forbids use.
"""

from __future__ import annotations

import numpy as np

from matrix.alignment.aggregators.groups import ROUNDING, Array, Groups
from matrix.alignment.aggregators.mo_grpo import mo_grpo


def gdpo(groups: Groups, weights: Array) -> Array:
    """MO-GRPO's advantages, minus the batch's mean, over its deviation; 0 where the batch does not vary."""
    return whitened(mo_grpo(groups, weights))


def whitened(values: Array) -> Array:
    """(P, G) with mean 0 and deviation 1 over all; 0 where nothing varies."""
    deviation = values.std()
    return np.asarray((values - values.mean()) / deviation) if deviation > ROUNDING else np.zeros_like(values)
