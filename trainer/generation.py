"""Completions for many prompts at once, each with a seed of its own.

Every completion draws from its own stream of uniforms by inverting its own distribution, so what it is batched with
does not enter its draws. It enters the last bits of the logits (the order of sums depends on the batch's shape), which
changes a completion only where a uniform or a greedy tie lies within about 1e-6 of a boundary. Whoever wants to hear
its tokens hears each as it is drawn. Rows that have ended, or that nobody listens to any more, leave the batch once
they are a fifth of it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from peft import PeftModel
from torch import Tensor
from transformers import PreTrainedModel

from trainer.decoding import open_decoding
from trainer.microbatches import Generated, Wanted

SHRINK_BELOW = 0.8  # share of running rows below which the batch is cut down to them


@torch.inference_mode()
def generate(model: PreTrainedModel | PeftModel, wanted: Sequence[Wanted], *, end_id: int) -> list[Generated]:
    """One completion for each, in order; stops at the mark `end_id`, the row's own max_tokens or its last listener."""
    prompts, mask = _left_padded([one.prompt for one in wanted], end_id)
    limits = torch.tensor([one.max_tokens for one in wanted])
    temperatures = torch.tensor([one.temperature for one in wanted], dtype=torch.float64)
    longest, count = int(limits.max()), len(wanted)
    uniforms = _uniforms(wanted, longest)
    drawn, logprobs = torch.full((count, longest), end_id), torch.zeros(count, longest, dtype=torch.float64)
    lengths = torch.zeros(count, dtype=torch.int64)
    rows, running = torch.arange(count), torch.ones(count, dtype=torch.bool)
    decoding = open_decoding(model, most_tokens=prompts.shape[1] + longest)
    logits = decoding.read(prompts, mask).double()
    for step in range(longest):
        choice = _draw(logits, temperatures[rows], uniforms[rows, step])
        chosen = torch.log_softmax(logits, -1).gather(1, choice[:, None])[:, 0]
        drawn[rows, step], logprobs[rows, step] = choice, chosen
        lengths += running
        heard = _tell([wanted[row] for row in rows.tolist()], choice, chosen, running[rows])
        running[rows] &= heard & (choice != end_id) & (step + 1 < limits[rows])
        if not running.any():
            break
        on = running[rows].nonzero()[:, 0]
        if len(on) <= SHRINK_BELOW * len(rows):
            decoding.keep(on)
            rows, choice = rows[on], choice[on]
        logits = decoding.step(choice).double()
    return _cut(drawn, logprobs, lengths, end_id)


@torch.inference_mode()
def token_logprobs(
    model: PreTrainedModel | PeftModel, prompt: Sequence[int], tokens: Sequence[int]
) -> tuple[float, ...]:
    """Log-probability of each token given the prompt and the tokens before it."""
    logits = model(input_ids=torch.tensor([[*prompt, *tokens]])).logits[0, len(prompt) - 1 : -1].double()
    chosen = torch.log_softmax(logits, -1).gather(1, torch.tensor(tokens)[:, None])[:, 0]
    return tuple(chosen.tolist())


def _draw(logits: Tensor, temperatures: Tensor, uniforms: Tensor) -> Tensor:
    """(B, V) logits in, (B,) token ids out; temperature 0 takes the likeliest."""
    if not temperatures.any():
        return logits.argmax(-1)
    warm = torch.softmax(logits / temperatures.clamp(min=1e-6)[:, None], -1).cumsum(-1)
    # A sum that rounds to just below 1 must not leave a uniform without a token.
    sampled = torch.searchsorted(warm, uniforms[:, None] * warm[:, -1:], right=True)[:, 0].clamp(
        max=logits.shape[1] - 1
    )
    return torch.where(temperatures == 0, logits.argmax(-1), sampled)


def _tell(wanted: Sequence[Wanted], choice: Tensor, logprobs: Tensor, running: Tensor) -> Tensor:
    """(B,) whether the row is still wanted; a row that has ended has nothing to tell."""
    if all(one.hear is None for one in wanted):
        return torch.ones_like(running)
    told = zip(wanted, choice.tolist(), logprobs.tolist(), running.tolist(), strict=True)
    return torch.tensor([one.hear is None or not on or one.hear(token, logprob) for one, token, logprob, on in told])


def _uniforms(wanted: Sequence[Wanted], longest: int) -> Tensor:
    """(B, T) each row from its own seed."""
    return torch.from_numpy(np.stack([np.random.default_rng(one.seed).random(longest) for one in wanted]))


def _left_padded(prompts: Sequence[Sequence[int]], pad_id: int) -> tuple[Tensor, Tensor]:
    """(B, T) tokens and mask; the last column holds every prompt's last token."""
    longest = max(map(len, prompts))
    tokens = torch.tensor([[pad_id] * (longest - len(prompt)) + list(prompt) for prompt in prompts])
    mask = torch.tensor([[0] * (longest - len(prompt)) + [1] * len(prompt) for prompt in prompts])
    return tokens, mask


def _cut(drawn: Tensor, logprobs: Tensor, lengths: Tensor, end_id: int) -> list[Generated]:
    completions = []
    for row, length in enumerate(lengths.tolist()):
        tokens = tuple(drawn[row, :length].tolist())
        completions.append(Generated(tokens, tuple(logprobs[row, :length].tolist()), tokens[-1] == end_id))
    return completions
