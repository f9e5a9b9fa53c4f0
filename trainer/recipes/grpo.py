"""Group-relative policy optimization of a LoRA adapter, top to bottom.

Departures from GRPO (arXiv:2402.03300):
- rewards are many: each in units of the reference policy's spread, frozen (after arXiv:2602.11661), then weighted;
- a group's advantages are not divided by its standard deviation, a completion's loss not by its length
  (Dr. GRPO, arXiv:2503.20783): the frozen units have set the scale already;
- a completion that violates a hard dimension ranks below every safe one of its group, whatever else it earned;
- the upper clip is wider than the lower (arXiv:2503.14476), and bad completions that the policy has left far behind
  are dropped (arXiv:2512.02556);
- a completion that was cut off at max_tokens teaches nothing (arXiv:2503.14476 §3.4): its reward is of a text that
  was not ended; it is still held to the anchors and counts in its group's mean (`finished_share` tells how many end);
- two anchors: the base model, and the champion where that is another; both on every rollout, without replayed prompts;
- units are those of the policy that this run starts from, fitted anew by each run: a promotion re-anchors them, so
  rewards and weights of two runs do not compare.

Everything that a step does follows from the state: a run that was stopped and restored ends in the same bytes.
Left out: packing, several devices, a value model; truncated importance sampling (old_logprobs come from the same
weights, merged: nothing but rounding lies between); replay of earlier prompts; a stop at a budget of KL (it is a
figure, `kl_per_token`, and the anchors' pull); interpolation between champion and candidate before the gate.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel

from matrix.errors import InvalidInput
from matrix.messages.completion import ChatMessage
from trainer import losses
from trainer.adapters import (
    CHAMPION,
    LEARNER,
    adapter_files,
    attach,
    copy_weights,
    create_adapter,
    learned_parameters,
    merge_into,
    speaking_as,
)
from trainer.base_model import LoadedBase, encode_prompt
from trainer.config import RunConfig
from trainer.logprobs import completion_logprobs
from trainer.rewards import Rewards, Scoring
from trainer.rollouts.transformers_sampler import Rollouts, TransformersSampler

REFERENCE_BATCH = 64  # prompts sampled at once for the reference statistics
_Prompt = tuple[ChatMessage, ...]


class GrpoUpdate:
    """One run at work. `advance` does a step; `state` and `restore` carry it over a stop."""

    def __init__(
        self,
        base: LoadedBase,
        prompts: Sequence[_Prompt],
        scoring: Scoring,
        config: RunConfig,
        champion: Mapping[str, bytes] | None = None,
    ) -> None:
        """`champion`: the files of the adapter that is served now; it is where the learner starts. None: the base."""
        self._config, self._rewards = config, Rewards(scoring, config.rewards)
        self._prompts = sorted(set(prompts), key=lambda prompt: [message.content for message in prompt])
        if len(self._prompts) < 2:
            raise InvalidInput(field="snapshot", value=len(self._prompts), remedy="at least two different prompts")
        self._encoded = [encode_prompt(base.tokenizer, prompt) for prompt in self._prompts]
        merged: PreTrainedModel = copy.deepcopy(base.model)
        self._sampler = TransformersSampler(merged, base.tokenizer, max_tokens=config.rollouts.max_tokens)
        # The caller's base stays as it is: peft changes the layers of the model that it is given.
        self._model = create_adapter(copy.deepcopy(base.model), config.adapter, seed=config.seed)
        self._merged = merged
        self._anchors: list[tuple[str | None, float]] = [(None, config.loss.kl_coeff)]
        if champion is not None:
            attach(self._model, champion, CHAMPION)
            copy_weights(self._model, of=CHAMPION, to=LEARNER)
            self._anchors.append((CHAMPION, config.loss.champion_kl_coeff))
        self._parameters = learned_parameters(self._model)
        for parameter in self._parameters.values():
            parameter.requires_grad = True
        self._optimizer = torch.optim.AdamW(
            self._parameters.values(),
            lr=config.optimizer.learning_rate,
            betas=(0.9, 0.95),
            weight_decay=config.optimizer.weight_decay,
        )
        self._generator = torch.Generator().manual_seed(config.seed)
        self._step, self._order = 0, torch.empty(0, dtype=torch.int64)
        self._is_calibrated = False

    @property
    def step(self) -> int:
        """Steps done."""
        return self._step

    @property
    def steps(self) -> int:
        """Steps in all."""
        return self._config.steps

    def advance(self) -> dict[str, float]:
        """Draw, judge, learn; the step's figures."""
        self._calibrate()
        members = self._next_prompts()
        merge_into(self._model, self._merged)
        rollouts = self._sampler.sample(
            [self._encoded[i] for i in members], self._config.rollouts.group_size, self._generator
        )
        judged, figures = self._rewards.judge([self._prompts[i] for i in members], rollouts.texts, step=self._step)
        advantages = torch.from_numpy(judged.values).float().flatten()
        references = [(coefficient, self._reference_logprobs(label, rollouts)) for label, coefficient in self._anchors]
        self._set_learning_rate()
        for _ in range(self._config.rollouts.updates_per_step):
            figures |= self._learn(rollouts, advantages, references)
        self._step += 1
        lengths = rollouts.completion_mask.sum(1).float()
        return figures | {
            "length_tokens": float(lengths.mean()),
            "finished_share": float(rollouts.finished.float().mean()),
        }

    def state(self) -> dict[str, Any]:
        """Tensors and JSON values, nested."""
        self._calibrate()
        moments = self._optimizer.state_dict()["state"]
        return {
            "step": self._step,
            "order": self._order,
            "generator": self._generator.get_state(),
            "adapter": {name: parameter.detach().clone() for name, parameter in self._parameters.items()},
            "moments": {str(index): dict(moment) for index, moment in moments.items()},
            "rewards": self._rewards.state(),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from `state` of a run with the same recipe on the same snapshot."""
        self._step, self._order = int(state["step"]), state["order"].clone()
        self._generator.set_state(state["generator"].clone())
        with torch.no_grad():
            for name, parameter in self._parameters.items():
                parameter.copy_(state["adapter"][name])
        groups = self._optimizer.state_dict()["param_groups"]
        moments = {int(index): dict(moment) for index, moment in state["moments"].items()}
        self._optimizer.load_state_dict({"state": moments, "param_groups": groups})
        self._rewards.restore(state["rewards"])
        self._is_calibrated = True

    def adapter_files(self) -> dict[str, bytes]:
        """The adapter as it stands."""
        return adapter_files(self._model)

    def weights(self) -> dict[str, float]:
        """Present weight of every dimension."""
        return self._rewards.weights()

    def weighings(self) -> list[dict[str, Any]]:
        """Every update of the weights with what led to it."""
        return self._rewards.weighings()

    def _calibrate(self) -> None:
        """The reference policy is the one that the run starts from: its completions fix the units of the rewards."""
        if self._is_calibrated:
            return
        wanted = self._config.rewards
        order = torch.randperm(len(self._prompts), generator=self._generator).tolist()[: wanted.reference_prompts]
        merge_into(self._model, self._merged)
        texts: list[tuple[str, ...]] = []
        for start in range(0, len(order), REFERENCE_BATCH):
            encoded = [self._encoded[i] for i in order[start : start + REFERENCE_BATCH]]
            texts += self._sampler.sample(encoded, wanted.reference_group, self._generator).texts
        self._rewards.calibrate([self._prompts[i] for i in order], texts)
        self._is_calibrated = True

    def _next_prompts(self) -> list[int]:
        """Every prompt once before any a second time."""
        wanted = self._config.rollouts.prompts_per_step
        while len(self._order) < wanted:
            self._order = torch.cat([self._order, torch.randperm(len(self._prompts), generator=self._generator)])
        members, self._order = self._order[:wanted].tolist(), self._order[wanted:]
        return [int(member) for member in members]

    def _reference_logprobs(self, label: str | None, rollouts: Rollouts) -> Tensor:
        with speaking_as(self._model, label) as model:
            return completion_logprobs(model, rollouts)

    def _learn(
        self, rollouts: Rollouts, advantages: Tensor, references: Sequence[tuple[float, Tensor]]
    ) -> dict[str, float]:
        """One gradient step on these rollouts."""
        config, mask = self._config, rollouts.completion_mask
        logprobs = completion_logprobs(self._model, rollouts)
        kept = losses.on_policy_rows(
            logprobs, rollouts.old_logprobs, advantages, mask, limit=config.loss.off_policy_limit
        )
        taught = kept * rollouts.finished.to(kept.dtype)
        budget = float(len(mask) * config.rollouts.max_tokens)
        term = losses.clipped_policy_loss(
            logprobs,
            rollouts.old_logprobs,
            advantages,
            mask * taught[:, None],
            clip=(config.loss.clip_low, config.loss.clip_high),
            token_budget=budget,
        )
        pulls = [losses.reference_kl(logprobs, ref, mask, token_budget=budget) for _, ref in references]
        loss = term.loss + sum(coefficient * pull for (coefficient, _), pull in zip(references, pulls, strict=True))
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]  # torch
        norm = torch.nn.utils.clip_grad_norm_(self._parameters.values(), config.optimizer.max_gradient_norm)
        self._optimizer.step()
        per_token = budget / float(mask.sum())
        return {
            "loss": float(loss.detach()),
            "gradient_norm": float(norm),
            "clipped_share": term.clipped_share,
            "kept_share": float(kept.float().mean()),
            "kl_per_token": float(pulls[0].detach()) * per_token if pulls else 0.0,
        }

    def _set_learning_rate(self) -> None:
        """Warm-up, then linear decay to nothing."""
        wanted, done = self._config.optimizer, self._step
        warm = min(1.0, (done + 1) / (wanted.warmup_steps + 1))
        for group in self._optimizer.param_groups:
            group["lr"] = wanted.learning_rate * warm * (1.0 - done / self._config.steps)
