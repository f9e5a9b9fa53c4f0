"""The policy loss of GRPO without its biases, and what pulls the policy back: plain functions of (B, T) tensors.

Dr. GRPO's form (arXiv:2503.20783): the sum over tokens is divided by a constant, not by each completion's length,
which would make long bad answers cheap. Advantages come in already scaled. Clipping is asymmetric (arXiv:2503.14476).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class PolicyTerm:
    """A loss and what it was made of."""

    loss: Tensor  # ()
    clipped_share: float  # of the tokens that count


def clipped_policy_loss(
    logprobs: Tensor,
    old_logprobs: Tensor,
    advantages: Tensor,
    mask: Tensor,
    *,
    clip: tuple[float, float],
    token_budget: float,
) -> PolicyTerm:
    """-Σ min(ratio · A, clip(ratio) · A) / token_budget over the tokens of the mask.

    `advantages` is (B,), one per completion; `clip` is (low, high); `token_budget` a constant such as B · T_max. At
    ratio 1 the gradient is REINFORCE's: -Σ A ∇ logprob / token_budget. By hand: ratio 1.5, A = 1, high .28 gives -1.28.
    """
    ratio = torch.exp(logprobs - old_logprobs)
    gain = advantages[:, None]
    bounded = ratio.clamp(1.0 - clip[0], 1.0 + clip[1])
    worst = torch.minimum(ratio * gain, bounded * gain)
    clipped = ((ratio * gain > bounded * gain) & mask.bool()).sum()
    return PolicyTerm(-(worst * mask).sum() / token_budget, float(clipped / mask.sum().clamp(min=1)))


def reference_kl(logprobs: Tensor, ref_logprobs: Tensor, mask: Tensor, *, token_budget: float) -> Tensor:
    """Σ (e^d - d - 1) / token_budget with d = ref_logprobs - logprobs: never negative, unbiased where drawn on-policy.

    Schulman, Approximating KL Divergence, 2020 (the third estimator). By hand: d = ln 2 gives 2 - .6931 - 1 = .3069.
    """
    difference = ref_logprobs - logprobs
    return ((torch.exp(difference) - difference - 1.0) * mask).sum() / token_budget


def on_policy_rows(logprobs: Tensor, old_logprobs: Tensor, advantages: Tensor, mask: Tensor, *, limit: float) -> Tensor:
    """(B,) 1 for rows to keep: bad completions that the policy has left far behind teach nothing (arXiv:2512.02556)."""
    gone = ((old_logprobs - logprobs.detach()) * mask).sum(1) / mask.sum(1).clamp(min=1)
    return (~((advantages < 0) & (gone > limit))).to(mask.dtype)
