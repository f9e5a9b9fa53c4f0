"""Laws of a run: what it does follows from its recipe, its snapshot and its state, and from nothing else."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.fakes.tiny_run import PROMPTS, tiny_base, tiny_config, tiny_update
from trainer import losses
from trainer.adapters import CHAMPION, adapter_digest, attach, merge_into, speaking_as
from trainer.base_model import LoadedBase, encode_prompt
from trainer.checkpoints import latest_checkpoint, save_checkpoint
from trainer.config import LossConfig
from trainer.logprobs import completion_logprobs
from trainer.recipes.grpo import GrpoUpdate
from trainer.rollouts.transformers_sampler import Rollouts, TransformersSampler


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> LoadedBase:
    return tiny_base(tmp_path_factory.mktemp("base"))


@pytest.fixture
def sampler(base: LoadedBase) -> TransformersSampler:
    return TransformersSampler(base.model, base.tokenizer, max_tokens=12)


def drawn(base: LoadedBase, sampler: TransformersSampler, *, count: int = 5, group_size: int = 4) -> Rollouts:
    prompts = [encode_prompt(base.tokenizer, prompt) for prompt in PROMPTS[:count]]
    return sampler.sample(prompts, group_size, torch.Generator().manual_seed(3))


def finished(update: GrpoUpdate) -> dict[str, bytes]:
    while update.step < update.steps:
        update.advance()
    return update.adapter_files()


@pytest.mark.slow
def test_the_same_seed_gives_the_same_adapter_bytes(base: LoadedBase) -> None:
    config = tiny_config()
    assert finished(tiny_update(base, config)) == finished(tiny_update(base, config))


@pytest.mark.slow
def test_another_seed_gives_another_adapter(base: LoadedBase) -> None:
    one, other = (adapter_digest(finished(tiny_update(base, tiny_config(seed=seed)))) for seed in (0, 1))
    assert one != other


@pytest.mark.slow
@pytest.mark.parametrize("stop", [0, 1, 3])
def test_a_run_that_stopped_and_went_on_from_its_checkpoint_ends_in_the_same_bytes(
    base: LoadedBase, tmp_path: Path, stop: int
) -> None:
    config = tiny_config(steps=4, hard_safety=True)
    stopped = tiny_update(base, config)
    for _ in range(stop):
        stopped.advance()
    save_checkpoint(tmp_path, stopped.step, {"update": stopped.state()})
    found = latest_checkpoint(tmp_path)
    assert found is not None
    resumed = tiny_update(base, config)
    resumed.restore(found[1]["update"])
    undisturbed = tiny_update(base, config)
    assert finished(resumed) == finished(undisturbed)
    assert resumed.weighings() == undisturbed.weighings() != []


def test_a_run_leaves_the_base_model_as_it_was(base: LoadedBase) -> None:
    before = {name: tensor.clone() for name, tensor in base.model.state_dict().items()}
    finished(tiny_update(base, tiny_config(steps=1)))
    after = base.model.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_old_logprobs_are_those_of_a_teacher_forced_pass(base: LoadedBase, sampler: TransformersSampler) -> None:
    rollouts = drawn(base, sampler)
    with torch.no_grad():
        forced = completion_logprobs(base.model, rollouts)
    torch.testing.assert_close(forced, rollouts.old_logprobs, atol=1e-5, rtol=0)


def test_logprobs_of_a_prompt_are_the_same_beside_longer_ones(base: LoadedBase, sampler: TransformersSampler) -> None:
    together = drawn(base, sampler)
    with torch.no_grad():
        all_rows = completion_logprobs(base.model, together)
        for number in range(len(PROMPTS)):
            alone = alone_in(together, number, group_size=4)
            torch.testing.assert_close(
                completion_logprobs(base.model, alone), all_rows[4 * number : 4 * number + 4], atol=1e-5, rtol=0
            )


def alone_in(rollouts: Rollouts, number: int, *, group_size: int) -> Rollouts:
    """One prompt of the rollouts without its padding."""
    rows = slice(number * group_size, (number + 1) * group_size)
    used = rollouts.prompt_mask[number].bool()
    return Rollouts(
        rollouts.prompt_tokens[number][used][None],
        rollouts.prompt_mask[number][used][None],
        rollouts.completion_tokens[rows],
        rollouts.completion_mask[rows],
        rollouts.old_logprobs[rows],
        rollouts.finished[rows],
        rollouts.texts[number : number + 1],
    )


def test_a_shared_prompt_has_the_gradient_of_repeated_prompts(base: LoadedBase, sampler: TransformersSampler) -> None:
    update = tiny_update(base, tiny_config())
    model, rollouts = update._model, drawn(base, sampler, count=2)
    repeated = Rollouts(
        rollouts.prompt_tokens.repeat_interleave(4, 0),
        rollouts.prompt_mask.repeat_interleave(4, 0),
        rollouts.completion_tokens,
        rollouts.completion_mask,
        rollouts.old_logprobs,
        rollouts.finished,
        tuple((text,) for group in rollouts.texts for text in group),
    )
    parameters = list(update._parameters.values())
    gradients = [
        torch.autograd.grad(completion_logprobs(model, form).sum(), parameters) for form in (rollouts, repeated)
    ]
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-4)


def test_without_advantages_only_the_anchors_pull(base: LoadedBase) -> None:
    update = tiny_update(base, tiny_config(dimensions=("length_budget",), hard_safety=False, weights="declared"))
    before = update.adapter_files()
    figures = update.advance()
    assert figures["reward_length_budget"] == 1.0  # all alike: no group teaches anything
    assert figures["kl_per_token"] == pytest.approx(0.0, abs=1e-6)
    assert figures["loss"] == pytest.approx(0.0, abs=1e-6)
    assert figures["gradient_norm"] < 1e-6
    assert before.keys() == update.adapter_files().keys()


def learned_from(base: LoadedBase, rollouts: Rollouts, *, anchor_shift: float = 0.0) -> dict[str, float]:
    """Figures of one gradient step in which every row has an advantage."""
    update = tiny_update(base, tiny_config())
    advantages = torch.linspace(0.5, 1.0, len(rollouts.completion_tokens))
    anchor = update._reference_logprobs(None, rollouts) + anchor_shift
    return update._learn(rollouts, advantages, [(0.01, anchor)])


def test_what_was_cut_off_teaches_nothing_but_is_held_to_the_anchors(
    base: LoadedBase, sampler: TransformersSampler
) -> None:
    rollouts = drawn(base, sampler)
    ended, cut = (replace(rollouts, finished=torch.full_like(rollouts.finished, done)) for done in (True, False))
    assert learned_from(base, ended)["gradient_norm"] > 1e-3
    assert learned_from(base, cut)["gradient_norm"] < 1e-6
    assert learned_from(base, cut)["loss"] == pytest.approx(0.0, abs=1e-9)
    pulled = learned_from(base, cut, anchor_shift=0.5)
    assert pulled["kl_per_token"] == pytest.approx(np.exp(0.5) - 1.5, abs=1e-4)
    assert pulled["gradient_norm"] > 1e-6


def test_a_run_from_a_champion_starts_as_the_champion(tmp_path: Path) -> None:
    base = tiny_base(tmp_path, ends=8.0)
    champion = finished(tiny_update(base, tiny_config(steps=3)))
    update = tiny_update(base, tiny_config(steps=3, seed=5), champion)
    assert adapter_digest(update.adapter_files()) == adapter_digest(champion)
    assert adapter_digest(finished(update)) != adapter_digest(champion)


@pytest.mark.slow
def test_the_champion_beside_the_learner_does_not_learn(base: LoadedBase, sampler: TransformersSampler) -> None:
    champion = finished(tiny_update(base, tiny_config(steps=2)))
    update, rollouts = tiny_update(base, tiny_config(seed=5), champion), drawn(base, sampler)
    before = update._reference_logprobs(CHAMPION, rollouts)
    finished(update)
    torch.testing.assert_close(update._reference_logprobs(CHAMPION, rollouts), before, atol=0, rtol=0)


def test_a_reloaded_adapter_says_the_same(base: LoadedBase, sampler: TransformersSampler) -> None:
    trained, fresh = tiny_update(base, tiny_config()), tiny_update(base, tiny_config(seed=7))
    attach(fresh._model, finished(trained), "reloaded")
    rollouts = drawn(base, sampler)
    with torch.no_grad():
        own = completion_logprobs(trained._model, rollouts)
    with speaking_as(fresh._model, "reloaded") as reloaded:
        again = completion_logprobs(reloaded, rollouts)
    torch.testing.assert_close(own, again, atol=0, rtol=0)


def test_merged_weights_say_what_the_adapter_says(base: LoadedBase, sampler: TransformersSampler) -> None:
    update, rollouts = tiny_update(base, tiny_config()), drawn(base, sampler)
    finished(update)
    merge_into(update._model, update._merged)
    with torch.no_grad():
        torch.testing.assert_close(
            completion_logprobs(update._merged, rollouts),
            completion_logprobs(update._model, rollouts),
            atol=1e-5,
            rtol=0,
        )


def test_at_ratio_one_the_gradient_is_reinforce(base: LoadedBase, sampler: TransformersSampler) -> None:
    update, rollouts = tiny_update(base, tiny_config()), drawn(base, sampler)
    advantages = torch.linspace(-1, 1, len(rollouts.completion_tokens))
    clip = (LossConfig().clip_low, LossConfig().clip_high)
    mask, parameters = rollouts.completion_mask, list(update._parameters.values())
    logprobs = completion_logprobs(update._model, rollouts)
    term = losses.clipped_policy_loss(logprobs, logprobs.detach(), advantages, mask, clip=clip, token_budget=10.0)
    reinforce = -(advantages[:, None] * logprobs * mask).sum() / 10.0
    ours = torch.autograd.grad(term.loss, parameters, retain_graph=True)
    for one, other in zip(ours, torch.autograd.grad(reinforce, parameters), strict=True):
        torch.testing.assert_close(one, other, atol=1e-6, rtol=1e-5)
