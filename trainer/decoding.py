"""Token after token from one model: the prompts are read once, then each step gives the logits of what comes next.

Two ways with one contract. `TransformersDecoding` works for any model. A small model spends half of a step and more on
Python between the operations, so plain small Qwen3 models have a way of their own (lean_decoding.py, DECISIONS.md
D-023), equal to it but for rounding; which way is taken is decided by what the model is, never by who asks.
"""

from __future__ import annotations

from typing import Protocol

import torch
from peft import PeftModel
from torch import Tensor
from transformers import DynamicCache, PreTrainedModel

from trainer import lean_decoding

Model = PreTrainedModel | PeftModel


class Decoding(Protocol):
    """Rows under way."""

    def read(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """(B, S) prompts, padded on the left, in; (B, V) logits of their first completion token out. Once, at first."""
        ...

    def step(self, tokens: Tensor) -> Tensor:
        """(B,) a token for each row in, (B, V) logits of the next out."""
        ...

    def keep(self, rows: Tensor) -> None:
        """Go on with these rows (indices), in this order."""
        ...

    def repeat(self, times: int) -> None:
        """Each row as a group of so many."""
        ...


class TransformersDecoding:
    """By the model's own forward pass, as its adapters stand."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self._cache = DynamicCache(config=model.config)
        self._mask = torch.empty(0, 0, dtype=torch.int64)

    def read(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """As Decoding."""
        self._mask = mask
        return self._forward(tokens)

    def step(self, tokens: Tensor) -> Tensor:
        """As Decoding."""
        self._mask = torch.cat([self._mask, torch.ones_like(self._mask[:, :1])], dim=1)
        return self._forward(tokens[:, None])

    def keep(self, rows: Tensor) -> None:
        """As Decoding."""
        self._cache.batch_select_indices(rows)
        self._mask = self._mask[rows]

    def repeat(self, times: int) -> None:
        """As Decoding."""
        self._cache.batch_repeat_interleave(times)
        self._mask = self._mask.repeat_interleave(times, 0)

    def _forward(self, tokens: Tensor) -> Tensor:
        positions = (self._mask.cumsum(-1) - 1).clamp(min=0)[:, -tokens.shape[1] :]
        output = self._model(
            input_ids=tokens,
            attention_mask=self._mask,
            position_ids=positions,
            past_key_values=self._cache,
            logits_to_keep=1,
        )
        return output.logits[:, -1, :].float()  # type: ignore[no-any-return]


def open_decoding(model: Model, *, most_tokens: int) -> Decoding:
    """Rows of at most `most_tokens`, prompt and completion, by the way that suits the model. Inference only."""
    weights = lean_decoding.read_weights(model)
    return TransformersDecoding(model) if weights is None else lean_decoding.LeanDecoding(weights, most_tokens)
