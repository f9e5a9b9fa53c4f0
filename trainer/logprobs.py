"""Log probabilities of given completions under a model, teacher-forced.

A group shares its prompt: keys and values of the prompt are computed once and repeated, gradients included, which
halves the work where prompts are as long as completions. Rows of like length are read together, because padding
every row to the longest would be a third of the work again.
"""

from __future__ import annotations

from typing import cast

import torch
from peft import PeftModel
from torch import Tensor
from torch.nn.functional import pad
from transformers import DynamicCache, PreTrainedModel
from transformers.cache_utils import DynamicLayer

from trainer.rollouts.transformers_sampler import Rollouts

LENGTH_GROUPS = 3  # of rows; a fourth saves less padding than its forward pass costs


def completion_logprobs(model: PreTrainedModel | PeftModel, rollouts: Rollouts) -> Tensor:
    """(B, T) log probability of every completion token at temperature 1; 0 where padded.

    Positions are counted without the padding on the left, so that padding changes nothing.
    """
    mask = rollouts.completion_mask
    group_size = len(mask) // len(rollouts.prompt_tokens)
    prompts = DynamicCache(config=model.config)
    first = model(
        input_ids=rollouts.prompt_tokens,
        attention_mask=rollouts.prompt_mask,
        position_ids=(rollouts.prompt_mask.cumsum(-1) - 1).clamp(min=0),
        past_key_values=prompts,
        logits_to_keep=1,
    ).logits
    by_length = mask.sum(1).argsort(stable=True)
    parts = [
        _of_rows(model, rollouts, rows, (first, prompts), group_size)
        for rows in by_length.tensor_split(LENGTH_GROUPS)
        if len(rows)
    ]
    return torch.cat(parts)[by_length.argsort()] * mask


def _of_rows(
    model: PreTrainedModel | PeftModel,
    rollouts: Rollouts,
    rows: Tensor,
    prompts: tuple[Tensor, DynamicCache],
    group_size: int,
) -> Tensor:
    """(R, T) of some rows, read up to the longest of them."""
    longest = int(rollouts.completion_mask[rows].sum(1).max())
    tokens, members = rollouts.completion_tokens[rows, :longest], rows // group_size
    logits = prompts[0][members]
    if longest > 1:
        mask = torch.cat([rollouts.prompt_mask[members], rollouts.completion_mask[rows, : longest - 1]], 1)
        positions = (mask.cumsum(-1) - 1).clamp(min=0)[:, 1 - longest :]
        cache = _taken(prompts[1], members, model)
        rest = model(input_ids=tokens[:, :-1], attention_mask=mask, position_ids=positions, past_key_values=cache)
        logits = torch.cat([logits, rest.logits], 1)
    chosen = torch.log_softmax(logits.float(), -1).gather(2, tokens[:, :, None])[:, :, 0]
    return pad(chosen, (0, rollouts.completion_tokens.shape[1] - longest))


def _taken(cache: DynamicCache, members: Tensor, model: PreTrainedModel | PeftModel) -> DynamicCache:
    """A cache with one row for each member, which may be named often."""
    taken = DynamicCache(config=model.config)
    for number, layer in enumerate(cache.layers):
        filled = cast("DynamicLayer", layer)  # typed as any kind of layer, empty or not
        taken.update(cast("Tensor", filled.keys)[members], cast("Tensor", filled.values)[members], number)
    return taken
