"""Recipes as files: strict, with the nearest name for a wrong one."""

from __future__ import annotations

from pathlib import Path

import pytest

from matrix.errors import InvalidInput, InvalidMatrix
from tests.fakes.tiny_run import REPOSITORY, tiny_scoring
from trainer.config import RewardConfig, RunConfig, parse_config
from trainer.rewards import Rewards

RECIPES = sorted((REPOSITORY / "infra" / "demo" / "recipes").glob("*.toml"))


@pytest.mark.parametrize("file", RECIPES, ids=lambda file: file.stem)
def test_the_demo_s_recipes_hold_together(file: Path) -> None:
    config = parse_config(file.read_text(), file=file.name)
    Rewards(tiny_scoring(), config.rewards)


def test_an_unknown_key_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(InvalidMatrix, match=r"run.toml: optimizer.lerning_rate.*'learning_rate'"):
        parse_config('name = "x"\n[optimizer]\nlerning_rate = 0.1\n', file="run.toml")


@pytest.mark.parametrize(
    "text",
    [
        'name = "x"\nsteps = 0',
        'name = "x"\nsteps = "60"',
        "steps = 3",
        'name = "x"\n[rollouts]\ngroup_size = 1',
        "",
        "=",
    ],
)
def test_what_does_not_fit_is_refused(text: str) -> None:
    with pytest.raises(InvalidMatrix):
        parse_config(text, file="run.toml")


def test_the_digest_is_that_of_the_choices_and_not_of_their_spelling() -> None:
    short = parse_config('name = "x"', file="a")
    assert short.digest() == parse_config('steps = 60\nname = "x"  # spelled out', file="b").digest()
    assert short.digest() != RunConfig(name="x", steps=61).digest()


def test_a_dimension_that_the_matrix_does_not_have_is_refused() -> None:
    with pytest.raises(InvalidInput, match="satisfacton"):
        Rewards(tiny_scoring(), RewardConfig(dimensions=("satisfacton",)))
