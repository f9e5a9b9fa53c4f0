"""Completions of one batch: each its own, and none dragged along after its end."""

from __future__ import annotations

from typing import Any

import pytest
from transformers import Qwen3ForCausalLM

from tests.fakes.tiny_qwen import tiny_model, tiny_tokenizer
from trainer.generation import generate
from trainer.microbatches import Wanted

END = 2


@pytest.fixture
def model() -> Qwen3ForCausalLM:
    return tiny_model(len(tiny_tokenizer()))  # without dropout: training or not is the same


def wanted(seed: int, *, max_tokens: int, temperature: float = 1.0) -> Wanted:
    return Wanted("base", tuple(range(5, 8 + seed % 3)), max_tokens, temperature, seed)


def test_rows_that_have_ended_leave_the_batch(model: Qwen3ForCausalLM) -> None:
    sizes: list[int] = []

    def note(_module: Any, _arguments: Any, named: dict[str, Any]) -> None:
        sizes.append(len(named["input_ids"]))

    model.double().register_forward_pre_hook(note, with_kwargs=True)  # doubles go by the model's own forward pass
    generate(model, [wanted(seed, max_tokens=1 + 4 * (seed == 3)) for seed in range(8)], end_id=END)
    assert sizes[0] == 8
    assert set(sizes[1:]) <= {1}


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_a_completion_is_the_same_alone_and_among_others_that_end_before_it(
    model: Qwen3ForCausalLM, temperature: float
) -> None:
    asked = [wanted(seed, max_tokens=2 + 3 * seed, temperature=temperature) for seed in range(6)]
    together = generate(model, asked, end_id=END)
    for one, among in zip(asked, together, strict=True):
        [alone] = generate(model, [one], end_id=END)
        assert (among.tokens, among.ended) == (alone.tokens, alone.ended)
        assert among.logprobs == pytest.approx(alone.logprobs, abs=1e-5)
        assert among.ended == (among.tokens[-1] == END)
        assert among.ended or len(among.tokens) == one.max_tokens
