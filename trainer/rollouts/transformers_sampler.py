"""Completions in groups from a transformers model on this machine, for training and for greedy answers.

Each prompt is read once and its keys and values repeated for the group; rows that have ended leave the batch. Draws
come from one generator, by inverting the distribution with one uniform per row and step, whether the row has ended or
not: the stream of uniforms does not depend on what was drawn. Temperature and top_p are 1 (RolloutConfig says why).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from matrix.errors import InvalidInput
from trainer.decoding import Decoding, open_decoding

SHRINK_BELOW = 0.8  # share of running rows below which the batch is cut down to them


@dataclass(frozen=True)
class Rollouts:
    """P prompts with G completions each; B = P·G rows, the group of a prompt together."""

    prompt_tokens: Tensor  # (P, S) padded on the left
    prompt_mask: Tensor  # (P, S)
    completion_tokens: Tensor  # (B, T) padded on the right; the mark that ends an answer is part of it
    completion_mask: Tensor  # (B, T) 1 for tokens of the completion
    old_logprobs: Tensor  # (B, T) under the policy that drew them; 0 where padded
    finished: Tensor  # (B,) whether the answer came to its end
    texts: tuple[tuple[str, ...], ...]  # (P, G)


class TransformersSampler:
    """Draws from one model; the model's weights may change between calls."""

    def __init__(self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, *, max_tokens: int) -> None:
        end_id, pad_id = tokenizer.eos_token_id, tokenizer.pad_token_id
        if not isinstance(end_id, int) or not isinstance(pad_id, int):
            raise InvalidInput(field="tokenizer", value=None, remedy="marks for the end of an answer and for padding")
        self._model, self._tokenizer, self._max_tokens = model, tokenizer, max_tokens
        self._end_id, self._pad_id = end_id, pad_id

    def sample(self, prompts: Sequence[Sequence[int]], group_size: int, generator: torch.Generator) -> Rollouts:
        """`group_size` completions of each prompt (token ids up to where the answer begins)."""
        return self._draw(prompts, group_size, generator)

    def greedy(self, prompts: Sequence[Sequence[int]]) -> list[str]:
        """The likeliest completion of each prompt, token by token."""
        return [group[0] for group in self._draw(prompts, 1, None).texts]

    @torch.no_grad()
    def _draw(self, prompts: Sequence[Sequence[int]], group_size: int, generator: torch.Generator | None) -> Rollouts:
        tokens, mask = left_padded(prompts, self._pad_id)
        decoding = open_decoding(self._model, most_tokens=tokens.shape[1] + self._max_tokens)
        logits = decoding.read(tokens, mask).repeat_interleave(group_size, 0)
        decoding.repeat(group_size)
        count = len(tokens) * group_size
        drawn = torch.full((count, self._max_tokens), self._pad_id)
        logprobs = torch.zeros(count, self._max_tokens)
        lengths = torch.zeros(count, dtype=torch.int64)
        finished = torch.zeros(count, dtype=torch.bool)
        rows = torch.arange(count)
        for step in range(self._max_tokens):
            uniforms = None if generator is None else torch.rand(count, generator=generator, dtype=torch.float64)
            log_p = torch.log_softmax(logits, -1)
            choice = log_p.argmax(-1) if uniforms is None else _inverted(log_p, uniforms[rows])
            running = ~finished[rows]
            drawn[rows[running], step] = choice[running]
            logprobs[rows[running], step] = log_p.gather(1, choice[:, None])[running, 0]
            lengths[rows[running]] += 1
            finished[rows] |= choice == self._end_id
            if finished.all() or step + 1 == self._max_tokens:
                break
            rows, choice = _without_ended(decoding, rows, choice, finished)
            logits = decoding.step(choice)
        longest = int(lengths.max())
        return Rollouts(
            tokens,
            mask,
            drawn[:, :longest],
            (torch.arange(longest) < lengths[:, None]).long(),
            logprobs[:, :longest],
            finished,
            self._texts(drawn, lengths, group_size),
        )

    def _texts(self, drawn: Tensor, lengths: Tensor, group_size: int) -> tuple[tuple[str, ...], ...]:
        texts = [
            str(self._tokenizer.decode(row[:length], skip_special_tokens=True))
            for row, length in zip(drawn.tolist(), lengths.tolist(), strict=True)
        ]
        return tuple(tuple(texts[start : start + group_size]) for start in range(0, len(texts), group_size))


def _without_ended(decoding: Decoding, rows: Tensor, choice: Tensor, finished: Tensor) -> tuple[Tensor, Tensor]:
    running = (~finished[rows]).nonzero()[:, 0]
    if len(running) > SHRINK_BELOW * len(rows):
        return rows, choice
    decoding.keep(running)
    return rows[running], choice[running]


def left_padded(prompts: Sequence[Sequence[int]], pad_id: int) -> tuple[Tensor, Tensor]:
    """(B, S) tokens and mask; the last column holds every prompt's last token."""
    longest = max(map(len, prompts))
    rests = [longest - len(prompt) for prompt in prompts]
    tokens = torch.tensor([[pad_id] * rest + list(prompt) for prompt, rest in zip(prompts, rests, strict=True)])
    mask = torch.tensor([[0] * rest + [1] * len(prompt) for prompt, rest in zip(prompts, rests, strict=True)])
    return tokens, mask


def _inverted(log_p: Tensor, uniforms: Tensor) -> Tensor:
    """(B, V) log probabilities and (B,) uniforms in, (B,) token ids out."""
    sums = log_p.double().exp().cumsum(-1)
    # A sum that rounds to just below 1 must not leave a uniform without a token.
    drawn = torch.searchsorted(sums, uniforms[:, None] * sums[:, -1:], right=True)[:, 0]
    return drawn.clamp(max=log_p.shape[1] - 1)
