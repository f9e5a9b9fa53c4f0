"""The toy is what it says: seeds stand alone, exact values are what samples tend to, steps are gradients."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks import ablation_toy as toy
from benchmarks.ablation_training import Setting, train
from matrix.alignment.aggregators import AGGREGATORS


def test_a_seed_does_not_depend_on_the_other_seeds() -> None:
    alone, among = (
        train(Setting.of(toy.make_world(seeds)), AGGREGATORS["rfn_tri"], steps=12) for seeds in ([7], [3, 7])
    )
    assert alone.achieved[0].tolist() == among.achieved[1].tolist()


def test_what_is_expected_is_what_samples_tend_to() -> None:
    world = toy.make_world([1])
    draws, chance = toy.Draws.of(world, 6), toy.probabilities(world.logits)
    scores = [
        toy.score(world, toy.places(toy.draw_tokens(chance, draws.next()[0])), draws.next()[1]) for _ in range(60)
    ]
    mean = np.stack(scores).mean(axis=(0, 1, 2, 3))
    mean[2] = 1.0 - mean[2]
    assert mean[:5] == pytest.approx(toy.expected(world, world.logits)[0], rel=0.05, abs=0.005)


def test_a_step_is_the_gradient_of_the_weighted_log_probability() -> None:
    world = toy.make_world([2])
    draws, logits = toy.Draws.of(world, 7), world.logits.copy()
    at = toy.places(toy.draw_tokens(toy.probabilities(logits), draws.next()[0]))
    advantages = 0.1 * np.random.default_rng(0).normal(size=at.shape[:3])

    def objective(nudged: np.ndarray) -> float:
        return float((advantages * np.log(toy.probabilities(nudged)).ravel()[at].sum(axis=-1)).mean())

    step = toy.ascent(toy.probabilities(logits), at, advantages)
    nudge = np.zeros_like(logits)
    nudge[0, 3, 5, 1] = 1e-5
    slope = (objective(logits + nudge) - objective(logits - nudge)) / 2e-5
    assert step[0, 3, 5, 1] == pytest.approx(slope, rel=1e-4, abs=1e-9)
