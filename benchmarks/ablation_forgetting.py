"""E11: what a policy forgets while it learns something new, with and without a pull to where it came from and replay.

A champion is trained on the first three kinds of prompt; then it learns the other three. A step for one kind moves all
others by SHARED of it, as shared parameters would: in the toy as it is nothing can be forgotten. Two settings are
crossed, a KL term against the champion on the prompts of the batch and a share of the batch for replay of old kinds.
Measured at the end, exactly: forward KL of champion and policy per token on the new kinds, and by how much the loss of
the champion's own answers on the old kinds has risen (the golden set), which RL's Razor (arXiv:2509.04259) relates.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks import ablation_toy as toy
from benchmarks.ablation_training import DOMAIN, Setting
from matrix.alignment.aggregators import AGGREGATORS, of_scores

Array = NDArray[np.float64]
OLD, NEW = slice(0, 3), slice(3, 6)
SHARED = 1.0
CHAMPION_STEPS, STEPS, EVERY = 400, 200, 20
ARMS: Mapping[str, tuple[float, float]] = {  # KL coefficient, share of replay
    "neither": (0.0, 0.0),
    "KL": (0.02, 0.0),
    "replay": (0.0, 0.2),
    "KL and replay": (0.02, 0.2),
}


@dataclass(frozen=True)
class Learned:
    """Of S seeds, along the way: every EVERY steps, the last at the end."""

    forward_kl: Array  # (S, points) per token, on the new kinds
    golden_loss: Array  # (S, points) per token, above the champion's own, on the old kinds
    new: Array  # (S,) mean attainment on the new kinds at the end
    old: Array  # (S,) and on the old ones


def forgetting(seeds: Sequence[int], *, champion_steps: int = CHAMPION_STEPS, steps: int = STEPS) -> dict[str, Learned]:
    """The four arms, from one champion for each seed."""
    setting = Setting.of(toy.make_world(seeds))
    shares = np.where(np.arange(toy.KINDS) < OLD.stop, 1.0 / 3.0, 0.0)
    champion, _ = _trained(setting, setting.world.logits, shares, steps=champion_steps, stream=3)
    return {name: _arm(setting, champion, *arm, steps=steps) for name, arm in ARMS.items()}


def _arm(setting: Setting, champion: Array, kl_coeff: float, replay: float, *, steps: int) -> Learned:
    shares = np.where(np.arange(toy.KINDS) < OLD.stop, replay / 3.0, (1.0 - replay) / 3.0)
    logits, path = _trained(setting, champion, shares, kl_coeff=kl_coeff, steps=steps, stream=4)
    before = toy.probabilities(champion)
    apart = np.stack([divergence(before, toy.probabilities(point)) for point in path], axis=1)  # (S, points, KINDS)
    return Learned(
        apart[:, :, NEW].mean(axis=2),
        apart[:, :, OLD].mean(axis=2),
        _attained(setting.world, logits, NEW),
        _attained(setting.world, logits, OLD),
    )


def divergence(one: Array, other: Array) -> Array:
    """(S, KINDS) KL(one ‖ other) per token."""
    return np.asarray((one * (np.log(one) - np.log(other))).sum(axis=-1).mean(axis=-1))


def _trained(
    setting: Setting, start: Array, shares: Array, *, steps: int, stream: int, kl_coeff: float = 0.0
) -> tuple[Array, list[Array]]:
    """Logits at the end and along the way. `shares` (KINDS,) of the batch."""
    world, here, path = setting.world, start.copy(), []
    draws, anchor = toy.Draws.of(world, stream), np.log(toy.probabilities(start))
    rfn = AGGREGATORS["rfn"]
    for step in range(steps):
        chance = toy.probabilities(here)
        uniform, noise = draws.next()
        at = toy.places(toy.draw_tokens(chance, uniform))
        scores = toy.score(world, at, noise)
        advantages = np.stack(
            [
                rfn(of_scores(scores[seed], matrix=setting.matrix, stats=stats, domain=DOMAIN))[0]
                for seed, stats in enumerate(setting.stats)
            ]
        )
        apart = np.log(chance) - anchor
        pull = chance * (apart - (chance * apart).sum(axis=-1, keepdims=True))
        gradient = toy.KINDS * toy.ascent(chance, at, advantages) - kl_coeff * pull
        gradient = gradient * shares[:, None, None]
        here = here + toy.RATE * (gradient + SHARED * gradient.sum(axis=1, keepdims=True))
        if (step + 1) % EVERY == 0 or step + 1 == steps:
            path.append(here)
    return here, path


def _attained(world: toy.World, logits: Array, kinds: slice) -> Array:
    return np.asarray(toy.attainment(toy.expected(world, logits, kinds)).mean(axis=1))
