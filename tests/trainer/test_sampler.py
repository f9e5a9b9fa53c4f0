"""Drawing completions in groups."""

from __future__ import annotations

import pytest
import torch

from tests.fakes.tiny_run import PROMPTS, tiny_base
from trainer.base_model import LoadedBase, encode_prompt
from trainer.rollouts.transformers_sampler import TransformersSampler

LONGEST = 10


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> LoadedBase:
    return tiny_base(tmp_path_factory.mktemp("base"))


@pytest.fixture
def sampler(base: LoadedBase) -> TransformersSampler:
    return TransformersSampler(base.model, base.tokenizer, max_tokens=LONGEST)


@pytest.fixture
def prompts(base: LoadedBase) -> list[list[int]]:
    return [encode_prompt(base.tokenizer, prompt) for prompt in PROMPTS]


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_the_same_generator_draws_the_same(sampler: TransformersSampler, prompts: list[list[int]]) -> None:
    assert sampler.sample(prompts, 3, seeded()).texts == sampler.sample(prompts, 3, seeded()).texts
    assert sampler.sample(prompts, 3, seeded()).texts != sampler.sample(prompts, 3, seeded(1)).texts


def test_greedy_needs_no_generator_and_repeats(sampler: TransformersSampler, prompts: list[list[int]]) -> None:
    assert sampler.greedy(prompts) == sampler.greedy(prompts)


def test_greedy_answers_are_the_same_alone(sampler: TransformersSampler, prompts: list[list[int]]) -> None:
    assert sampler.greedy(prompts) == [sampler.greedy([prompt])[0] for prompt in prompts]


def test_shapes_and_masks_agree(sampler: TransformersSampler, prompts: list[list[int]]) -> None:
    rollouts = sampler.sample(prompts, 4, seeded())
    rows = len(prompts) * 4
    assert rollouts.completion_tokens.shape == rollouts.completion_mask.shape == rollouts.old_logprobs.shape
    assert len(rollouts.completion_tokens) == len(rollouts.finished) == rows
    assert len(rollouts.texts) == len(prompts)
    assert all(len(group) == 4 for group in rollouts.texts)
    assert ((rollouts.old_logprobs != 0) <= rollouts.completion_mask.bool()).all()
    starts = rollouts.completion_mask.diff(dim=1)
    assert (starts <= 0).all()  # ones, then zeros


def test_what_ended_holds_one_end_mark_at_its_end(
    base: LoadedBase, sampler: TransformersSampler, prompts: list[list[int]]
) -> None:
    rollouts = sampler.sample(prompts * 4, 8, seeded())
    ends = (rollouts.completion_tokens == base.tokenizer.eos_token_id) & rollouts.completion_mask.bool()
    assert (ends.sum(1) == rollouts.finished.long()).all()
    lengths = rollouts.completion_mask.sum(1)
    assert (lengths[~rollouts.finished] == LONGEST).all()


def test_frequencies_follow_the_model(base: LoadedBase, prompts: list[list[int]]) -> None:
    sampler = TransformersSampler(base.model, base.tokenizer, max_tokens=1)
    rollouts = sampler.sample(prompts[:1], 4000, seeded())
    with torch.no_grad():
        expected = torch.softmax(base.model(torch.tensor([prompts[0]])).logits[0, -1].double(), -1)
    seen = torch.bincount(rollouts.completion_tokens[:, 0], minlength=len(expected)) / 4000
    assert float((seen - expected).abs().max()) < 0.03
