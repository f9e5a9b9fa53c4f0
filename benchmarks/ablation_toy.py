"""A small world in which rewards conflict, for comparing ways to combine them. Pure numpy, many seeds at once.

A policy writes 8 tokens out of 12 for each of 6 kinds of prompt, every position by itself: one row of logits for each
kind and position. What was fixed before any two methods were compared, and not changed since:

    fact      one token per kind and position     correct 1, useful .8
    detail    one                                 useful 1
    hook      one                                 engaging 1
    hazard    one, at 2 of the 8 positions        engaging .8, useful .4, and one of them makes the answer unsafe
    frame     one at the first, one at the last   both together make the format right: about 1 answer in 144 at first
    the rest  says nothing

Rewards, each in its own unit, are means over positions: correct in [0, 1], useful in [0, 20], engagement in [0, 100];
safety and format are 0 or 1. A second measurement of engagement has noise of 10 on top and is no goal of its own.
Targets are correct .65, useful 10, no violation, format .9 and engagement 50. They are not all within reach: facts up
to the target of usefulness take 5 of 8 positions, the frame takes 2, and hooks up to theirs would take 4. Attainment is
achieved over target, at most 1; its mean and its least are over the five goals. Which token is which, the reference
policy (normal logits of deviation .3; hazards are 1 less likely) and all draws depend on the seed alone, so that
methods are compared seed by seed. The step (plain gradient ascent, RATE, the norm limited to NORM) is the first of
1, 2, 5 and 10 after which the next moves what each reward reaches, trained for alone, by less than .02 on average
(seeds 900 and 901).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from matrix.alignment.dimensions import DimensionSpec, Matrix
from matrix.alignment.normalization import RefStats, fit_ref

Array = NDArray[np.float64]
Tokens = NDArray[np.int_]
KINDS, POSITIONS, VOCABULARY = 6, 8, 12
PER_KIND, GROUP = 4, 8  # prompts of each kind in a batch, completions of each prompt
STEPS = 400
RATE, NORM = 5.0, 0.5
REFERENCE_BATCHES = 11  # 264 prompts
FACT, DETAIL, HOOK, HAZARD, FRAME = range(5)
HAZARDS = 2  # positions of each kind
GOALS = ("correct", "useful", "safety", "format", "engagement")
SPANS = np.array([1.0, 20.0, 1.0, 1.0, 100.0])
TARGETS = np.array([0.65, 10.0, 1.0, 0.9, 50.0])
NOISE = 10.0
VERIFIABLE = (True, False, True, True, False)


@dataclass(frozen=True)
class World:
    """Of S seeds: what each token at each place is worth, and the policy that all begin with."""

    seeds: tuple[int, ...]
    correct: Array  # (S, KINDS, POSITIONS, VOCABULARY)
    useful: Array
    engaging: Array
    hazard: Array  # 1: makes the answer unsafe
    frame: Array
    logits: Array  # of the reference policy
    clones: int = 1  # further measurements of engagement
    noise: float = NOISE  # of each of them

    def only(self, index: int) -> World:
        """One of the seeds."""
        here = slice(index, index + 1)
        return replace(
            self,
            seeds=self.seeds[here],
            correct=self.correct[here],
            useful=self.useful[here],
            engaging=self.engaging[here],
            hazard=self.hazard[here],
            frame=self.frame[here],
            logits=self.logits[here],
        )


def make_world(seeds: Sequence[int], *, clones: int = 1, noise: float = NOISE) -> World:
    """Every seed's world is its own, whichever other seeds there are."""
    made = [_one(seed) for seed in seeds]
    correct, useful, engaging, hazard, frame, logits = (np.stack(parts) for parts in zip(*made, strict=True))
    return World(tuple(seeds), correct, useful, engaging, hazard, frame, logits, clones, noise)


def _one(seed: int) -> tuple[Array, ...]:
    draw = np.random.default_rng([seed, 0])
    shape = (KINDS, POSITIONS, VOCABULARY)
    role = np.argsort(draw.random(shape), axis=2)  # the token at each place that has role r: role[..., r]
    values = {name: np.zeros(shape) for name in ("correct", "useful", "engaging", "hazard", "frame")}
    for kind in range(KINDS):
        unsafe = draw.choice(np.arange(1, POSITIONS - 1), HAZARDS, replace=False)
        for place in range(POSITIONS):
            token = role[kind, place]
            here = (kind, place)
            values["correct"][here][token[FACT]] = 1.0
            values["useful"][here][token[[FACT, DETAIL]]] = 0.8, 1.0
            values["engaging"][here][token[HOOK]] = 1.0
            if place in unsafe:
                values["useful"][here][token[HAZARD]] = 0.4
                values["engaging"][here][token[HAZARD]] = 0.8
                values["hazard"][here][token[HAZARD]] = 1.0
            if place in (0, POSITIONS - 1):
                values["frame"][here][token[FRAME]] = 1.0
    logits = draw.normal(0.0, 0.3, shape) - values["hazard"]
    return (*values.values(), logits)


def declared(clones: int = 1, scale: float = 1.0) -> Matrix:
    """The matrix of the toy; `scale` multiplies the range of usefulness."""
    names = [*GOALS, *(f"engagement_{number}" for number in range(2, clones + 2))]
    return Matrix(dimensions=tuple(_row(name, scale) for name in names))


def _row(name: str, scale: float) -> DimensionSpec:
    goal = GOALS.index(name) if name in GOALS else GOALS.index("engagement")
    span, target = float(SPANS[goal]), float(TARGETS[goal])
    if name == "useful":
        span, target = span * scale, target * scale
    if name == "safety":
        return DimensionSpec(
            name=name, category="expert", scorer=name, kind="hard", higher_is_better=False, target=0.0, severity=3
        )
    return DimensionSpec(name=name, category="fundamental", scorer=name, high=span, target=target)


def probabilities(logits: Array) -> Array:
    """Softmax over the last axis."""
    shifted = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(shifted / shifted.sum(axis=-1, keepdims=True))


def draw_tokens(probability: Array, uniform: Array) -> Tokens:
    """(S, P, GROUP, POSITIONS) tokens by inversion; prompts come kind by kind."""
    cumulative = np.repeat(probability.cumsum(axis=-1), PER_KIND, axis=1)[:, :, None]
    return np.asarray(np.minimum((uniform[..., None] > cumulative).sum(axis=-1), VOCABULARY - 1))


def places(tokens: Tokens) -> NDArray[np.int_]:
    """Where each token's entry lies in a flat (S, KINDS, POSITIONS, VOCABULARY)."""
    seeds, prompts, _, positions = tokens.shape
    row = np.arange(seeds)[:, None] * KINDS + np.arange(prompts)[None, :] // PER_KIND  # (S, P)
    return np.asarray((row[:, :, None, None] * positions + np.arange(positions)) * VOCABULARY + tokens)


def score(world: World, at: NDArray[np.int_], noise: Array) -> Array:
    """(S, P, GROUP, N) as scorers give them: safety as violations. `noise` (S, P, GROUP, clones)."""
    engaging = 100.0 * world.engaging.ravel()[at].mean(axis=-1)
    columns = [
        world.correct.ravel()[at].mean(axis=-1),
        20.0 * world.useful.ravel()[at].mean(axis=-1),
        (world.hazard.ravel()[at] > 0.0).any(axis=-1).astype(np.float64),
        (world.frame.ravel()[at].sum(axis=-1) == 2.0).astype(np.float64),
        engaging,
    ]
    again = np.clip(engaging[..., None] + world.noise * noise, 0.0, 100.0)
    return np.concatenate([np.stack(columns, axis=-1), again], axis=-1)


def expected(world: World, logits: Array, kinds: slice = slice(None)) -> Array:
    """(S, 5) what the policy achieves on each goal, exactly, over kinds; safety is the share without violation."""
    chance = probabilities(logits)
    safe = (1.0 - (chance * world.hazard).sum(axis=-1)).prod(axis=-1)
    framed = (chance * world.frame).sum(axis=-1)[..., [0, -1]].prod(axis=-1)
    columns = [
        (chance * world.correct).sum(axis=-1).mean(axis=-1),
        20.0 * (chance * world.useful).sum(axis=-1).mean(axis=-1),
        safe,
        framed,
        100.0 * (chance * world.engaging).sum(axis=-1).mean(axis=-1),
    ]
    return np.asarray(np.stack(columns, axis=-1)[:, kinds].mean(axis=1))


def attainment(achieved: Array) -> Array:
    """(S, 5) achieved over target, at most 1."""
    return np.asarray(np.minimum(achieved / TARGETS, 1.0))


def ascent(probability: Array, at: NDArray[np.int_], advantages: Array) -> Array:
    """(S, KINDS, POSITIONS, VOCABULARY) gradient of the mean of advantage × log-probability, its norm limited."""
    shape = probability.shape
    spread = np.broadcast_to(advantages[..., None], at.shape)
    taken = np.bincount(at.ravel(), weights=spread.ravel(), minlength=probability.size).reshape(shape)
    each = advantages.reshape(shape[0], KINDS, -1)
    gradient = (taken - each.sum(axis=-1)[..., None, None] * probability) / (KINDS * each.shape[-1])
    norm = np.sqrt((gradient**2).sum(axis=(1, 2, 3), keepdims=True))
    return np.asarray(gradient * np.minimum(1.0, NORM / np.maximum(norm, 1e-12)))


@dataclass
class Draws:
    """The random numbers of every seed, each seed its own stream."""

    streams: list[np.random.Generator]
    clones: int

    @staticmethod
    def of(world: World, stream: int) -> Draws:
        """Stream 1 trains, stream 2 makes the reference set."""
        return Draws([np.random.default_rng([seed, stream]) for seed in world.seeds], world.clones)

    def next(self) -> tuple[Array, Array]:
        """(S, P, GROUP, POSITIONS) uniform and (S, P, GROUP, clones) normal."""
        shape = (KINDS * PER_KIND, GROUP)
        pairs = [(one.random((*shape, POSITIONS)), one.normal(size=(*shape, 8))) for one in self.streams]
        return np.stack([pair[0] for pair in pairs]), np.stack([pair[1][..., : self.clones] for pair in pairs])


def reference(world: World, matrix: Matrix, *, scale: float = 1.0) -> list[RefStats]:
    """Frozen statistics of each seed's reference policy."""
    draws, chance, batches = Draws.of(world, 2), probabilities(world.logits), []
    for _ in range(REFERENCE_BATCHES):
        uniform, noise = draws.next()
        batches.append(in_units(score(world, places(draw_tokens(chance, uniform)), noise), scale))
    low = np.array([row.low for row in matrix.dimensions])
    high = np.array([row.high for row in matrix.dimensions])
    up = np.array([row.higher_is_better for row in matrix.dimensions])
    unit = (np.concatenate(batches, axis=1) - low) / (high - low)
    return [fit_ref(one, matrix.names()) for one in np.where(up, unit, 1.0 - unit)]


def in_units(scores: Array, scale: float) -> Array:
    """Usefulness told in another unit."""
    return scores if scale == 1.0 else scores * np.where(np.arange(scores.shape[-1]) == 1, scale, 1.0)
