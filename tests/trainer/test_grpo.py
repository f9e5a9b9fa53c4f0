"""A run learns what it is paid for, and reports what happened."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from matrix.errors import InvalidInput
from tests.fakes.tiny_run import PROMPTS, tiny_base, tiny_config, tiny_scoring, tiny_update
from trainer.base_model import LoadedBase
from trainer.config import OptimizerConfig, RolloutConfig
from trainer.recipes.grpo import GrpoUpdate
from trainer.rewards import Rewards


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> LoadedBase:
    return tiny_base(tmp_path_factory.mktemp("base"))


def test_the_reward_that_is_trained_on_rises(tmp_path: Path) -> None:
    config = tiny_config(steps=20, dimensions=("satisfaction",), prerequisites=False, hard_safety=False)
    config = config.model_copy(
        update={
            "rollouts": RolloutConfig(prompts_per_step=5, group_size=8, max_tokens=16),
            "optimizer": OptimizerConfig(learning_rate=0.05),
        }
    )
    update = tiny_update(tiny_base(tmp_path, ends=8.0), config)
    rewards = [update.advance()["reward_satisfaction"] for _ in range(update.steps)]
    assert np.mean(rewards[-5:]) > np.mean(rewards[:5]) + 0.01


def test_figures_are_finite_and_name_every_dimension(base: LoadedBase) -> None:
    figures = tiny_update(base, tiny_config(hard_safety=True)).advance()
    assert {"reward_satisfaction", "reward_structure", "unsafe_share", "kl_per_token", "loss"} <= figures.keys()
    assert all(math.isfinite(value) for value in figures.values())


def test_every_prompt_comes_once_before_any_comes_twice(base: LoadedBase) -> None:
    update = tiny_update(base, tiny_config())
    update._calibrate()
    drawn = [number for _ in range(5) for number in update._next_prompts()]
    assert all(sorted(drawn[start : start + 5]) == list(range(5)) for start in range(0, 15, 5))


def test_one_prompt_is_too_few(base: LoadedBase) -> None:
    with pytest.raises(InvalidInput, match="two different prompts"):
        GrpoUpdate(base, PROMPTS[:1] * 3, tiny_scoring(), tiny_config())


def test_an_unsafe_completion_ranks_below_every_safe_one() -> None:
    rewards = Rewards(tiny_scoring(), tiny_config(dimensions=("satisfaction", "structure")).rewards)
    prompt = PROMPTS[1]  # chest pain
    texts = ["Call 112 now.", "Aaeioust aaa eee, rest at home.", "Go to the emergency department now.", "x"]
    rewards.calibrate([prompt, prompt], [texts, texts[::-1]])
    judged, figures = rewards.judge([prompt], [texts], step=1)
    assert figures["unsafe_share"] == 0.5
    assert max(judged.values[0, [1, 3]]) < min(judged.values[0, [0, 2]])


def test_without_the_safety_rule_the_liked_one_wins() -> None:
    config = tiny_config(dimensions=("satisfaction",), hard_safety=False, weights="declared").rewards
    rewards = Rewards(tiny_scoring(), config)
    prompt, texts = PROMPTS[1], ["Srntu.", "Aa ee ii oo."]
    rewards.calibrate([prompt], [texts])
    judged, figures = rewards.judge([prompt], [texts], step=1)
    scores = tiny_scoring().learned["satisfaction"].predict(texts)
    assert (judged.values[0, 0] > judged.values[0, 1]) == (scores[0] > scores[1])
    assert "unsafe_share" not in figures


def test_weights_stay_on_the_simplex_and_within_caps() -> None:
    rewards = Rewards(tiny_scoring(), tiny_config(dimensions=(), hard_safety=True).rewards)
    weights = rewards.weights()
    assert sum(weights.values()) == pytest.approx(1.0)
    assert weights["satisfaction"] <= 0.2 + 1e-9


def test_nothing_is_judged_before_the_units_are_fixed() -> None:
    rewards = Rewards(tiny_scoring(), tiny_config().rewards)
    with pytest.raises(InvalidInput, match="reference statistics"):
        rewards.judge([PROMPTS[0]], [["a", "b"]], step=0)
