"""Fitting a base model: small here, the same each time, and refused where there is nothing to learn."""

from __future__ import annotations

from pathlib import Path

import pytest

from matrix.errors import InvalidInput, NotFound
from matrix.messages.completion import ChatMessage
from trainer.base_model import BaseConfig, Dialogue, encode_prompt, fit_base, load_base
from trainer.rollouts.transformers_sampler import TransformersSampler

TINY = BaseConfig(vocabulary=300, hidden=32, layers=1, heads=2, key_value_heads=1, intermediate=48, steps=60, batch=8)


def dialogue(question: str, answer: str) -> Dialogue:
    return (ChatMessage(role="user", content=question), ChatMessage(role="assistant", content=answer))


DIALOGUES = [dialogue("Is it safe?", "Yes."), dialogue("Is it wise?", "Yes.")]


@pytest.mark.slow
def test_a_model_learns_its_dialogues_and_loads_by_its_digest(tmp_path: Path) -> None:
    losses: list[float] = []
    digest = fit_base(DIALOGUES, tmp_path, TINY, lambda _done, _of, loss: losses.append(loss))
    base = load_base(tmp_path)
    assert base.digest == digest
    assert len(losses) == TINY.steps
    assert losses[-1] < losses[0] / 4
    sampler = TransformersSampler(base.model, base.tokenizer, max_tokens=8)
    assert sampler.greedy([encode_prompt(base.tokenizer, DIALOGUES[0][:-1])]) == ["Yes."]


def test_the_same_text_and_seed_give_the_same_model(tmp_path: Path) -> None:
    short = TINY.model_copy(update={"steps": 3})
    digests = [fit_base(DIALOGUES, tmp_path / name, short) for name in ("one", "two")]
    assert digests[0] == digests[1]
    assert fit_base(DIALOGUES, tmp_path / "three", short.model_copy(update={"seed": 1})) != digests[0]


def test_the_default_size_is_between_one_and_two_million_parameters() -> None:
    config = BaseConfig()
    per_layer = config.hidden * (2 * config.hidden + 2 * config.hidden // 2) + 3 * config.hidden * config.intermediate
    assert 1e6 < config.vocabulary * config.hidden + config.layers * per_layer < 2e6


@pytest.mark.parametrize("dialogues", [[], [(ChatMessage(role="user", content="?"),)], [DIALOGUES[0][::-1]]])
def test_text_without_answers_is_refused(dialogues: list[Dialogue], tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="dialogues"):
        fit_base(dialogues, tmp_path, TINY)


def test_a_folder_without_a_model_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="base model"):
        load_base(tmp_path)
