"""Log probabilities of given completions under a model, teacher-forced.

A group shares its prompt: keys and values of the prompt are computed once and repeated, gradients included, which
halves the work where prompts are as long as completions.
"""

from __future__ import annotations

import torch
from peft import PeftModel
from torch import Tensor
from transformers import DynamicCache, PreTrainedModel

from trainer.rollouts.transformers_sampler import Rollouts


def completion_logprobs(model: PreTrainedModel | PeftModel, rollouts: Rollouts) -> Tensor:
    """(B, T) log probability of every completion token at temperature 1; 0 where padded.

    Positions are counted without the padding on the left, so that padding changes nothing.
    """
    group_size = len(rollouts.completion_tokens) // len(rollouts.prompt_tokens)
    cache = DynamicCache(config=model.config)
    first = model(
        input_ids=rollouts.prompt_tokens,
        attention_mask=rollouts.prompt_mask,
        position_ids=(rollouts.prompt_mask.cumsum(-1) - 1).clamp(min=0),
        past_key_values=cache,
        logits_to_keep=1,
    ).logits.repeat_interleave(group_size, 0)
    cache.batch_repeat_interleave(group_size)
    logits = [first, *_continued(model, rollouts, cache, group_size)]
    log_p = torch.log_softmax(torch.cat(logits, 1).float(), -1)
    chosen = log_p.gather(2, rollouts.completion_tokens[:, :, None])[:, :, 0]
    return chosen * rollouts.completion_mask


def _continued(
    model: PreTrainedModel | PeftModel, rollouts: Rollouts, cache: DynamicCache, group_size: int
) -> list[Tensor]:
    """(B, T-1, V) logits of every completion token but the first; none where there is only one."""
    tokens = rollouts.completion_tokens[:, :-1]
    if not tokens.shape[1]:
        return []
    seen = rollouts.prompt_mask.repeat_interleave(group_size, 0)
    mask = torch.cat([seen, rollouts.completion_mask[:, :-1]], 1)
    positions = (mask.cumsum(-1) - 1).clamp(min=0)[:, -tokens.shape[1] :]
    output = model(input_ids=tokens, attention_mask=mask, position_ids=positions, past_key_values=cache)
    return [output.logits]
