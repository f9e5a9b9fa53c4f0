"""Log probabilities of given completions under a model, in one teacher-forced pass."""

from __future__ import annotations

import torch
from peft import PeftModel
from torch import Tensor
from transformers import PreTrainedModel

from trainer.rollouts.transformers_sampler import Rollouts


def completion_logprobs(model: PreTrainedModel | PeftModel, rollouts: Rollouts) -> Tensor:
    """(B, T) log probability of every completion token at temperature 1; 0 where padded.

    Positions are counted without the padding on the left, so that padding changes nothing.
    """
    tokens = torch.cat([rollouts.prompt_tokens, rollouts.completion_tokens], 1)
    mask = torch.cat([rollouts.prompt_mask, rollouts.completion_mask], 1)
    length = rollouts.completion_tokens.shape[1]
    output = model(
        input_ids=tokens,
        attention_mask=mask,
        position_ids=(mask.cumsum(-1) - 1).clamp(min=0),
        logits_to_keep=length + 1,
        use_cache=False,
    )
    log_p = torch.log_softmax(output.logits[:, :-1].float(), -1)  # the last position predicts what was not drawn
    chosen = log_p.gather(2, rollouts.completion_tokens[:, :, None])[:, :, 0]
    return chosen * rollouts.completion_mask
