"""Decoding of small plain Qwen3 models on the processor: the same arithmetic with less around it.

Of a step of a model of a million parameters, transformers' modules spend two thirds on Python and copies where 8 rows
are under way, and half where 128 are: the cache grows by concatenation, grouped heads are repeated, norms are five
operations. Here query, key and value are one product, as are gate and up; norms are torch's fused ones; keys and values
lie in buffers that are written in place. An adapter that is switched on is added to the weights first, so an adapted
model costs what its base costs. Architecture as in transformers' Qwen3 (arXiv:2505.09388 §2); held equal by
tests/contracts/test_decoding.py. Left out: every model that is not exactly this; it takes the other way.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from peft import PeftModel
from peft.tuners.lora import Linear as LoraLinear
from torch import Tensor, nn
from torch.nn.functional import linear, rms_norm, scaled_dot_product_attention, silu
from transformers import PreTrainedModel, Qwen3ForCausalLM

MOST_PARAMETERS = 50_000_000  # beyond it the products are what a step costs, and merging adapters costs too
HIDDEN = torch.finfo(torch.float32).min  # added to the score of what may not be seen


@dataclass(frozen=True)
class Layer:
    """One block's weights, (out, in) each."""

    attention_norm: Tensor
    query_key_value: Tensor
    query_norm: Tensor
    key_norm: Tensor
    output: Tensor
    feed_forward_norm: Tensor
    gate_up: Tensor
    down: Tensor


@dataclass(frozen=True)
class Weights:
    """A model as it speaks now, adapters included."""

    layers: tuple[Layer, ...]
    embedding: Tensor  # (V, hidden)
    norm: Tensor
    head: Tensor  # (V, hidden)
    heads: int
    groups: int  # of heads that share keys and values
    head_size: int
    epsilon: float
    cosines: Tensor  # (positions, head_size)
    sines: Tensor


def read_weights(model: PreTrainedModel | PeftModel) -> Weights | None:
    """None where the model is none of those that this file knows."""
    plain = model.get_base_model() if isinstance(model, PeftModel) else model
    if not isinstance(plain, Qwen3ForCausalLM) or not _is_plain(plain):
        return None
    layers = [_layer(block) for block in plain.model.layers]
    known = [layer for layer in layers if layer is not None]
    if len(known) < len(layers):
        return None
    config: Any = plain.config
    cosines, sines = _rotations(config)
    return Weights(
        tuple(known),
        plain.model.embed_tokens.weight,
        plain.model.norm.weight,
        plain.lm_head.weight,
        config.num_attention_heads,
        config.num_key_value_heads,
        config.head_dim,
        config.rms_norm_eps,
        cosines,
        sines,
    )


class LeanDecoding:
    """Implements trainer.decoding.Decoding."""

    def __init__(self, weights: Weights, most_tokens: int) -> None:
        self._weights, self._room = weights, most_tokens
        self._keys: list[Tensor] = []  # (B, groups, room, head_size) of each layer
        self._values: list[Tensor] = []
        self._hidden = torch.empty(0)  # (B, 1, 1, room) 0, or HIDDEN where the prompt is padded
        self._positions = torch.empty(0, dtype=torch.int64)  # (B,) of the next token
        self._filled = 0

    def read(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """As Decoding."""
        weights, (count, length) = self._weights, tokens.shape
        shape = count, weights.groups, self._room, weights.head_size
        self._keys = [torch.empty(shape) for _ in weights.layers]
        self._values = [torch.empty(shape) for _ in weights.layers]
        self._hidden = torch.zeros(count, 1, 1, self._room)
        self._hidden[:, 0, 0, :length] = (1.0 - mask) * HIDDEN
        positions = (mask.cumsum(-1) - 1).clamp(min=0)
        self._positions = positions[:, -1] + 1
        later = torch.full((length, length), HIDDEN).triu(1)
        visible = (self._hidden[..., :length] + later).clamp(min=HIDDEN)
        return self._forward(tokens, positions, visible)

    def step(self, tokens: Tensor) -> Tensor:
        """As Decoding."""
        positions = self._positions[:, None]
        self._positions = self._positions + 1
        return self._forward(tokens[:, None], positions, self._hidden[..., : self._filled + 1])

    def keep(self, rows: Tensor) -> None:
        """As Decoding."""
        self._keys = [keys[rows] for keys in self._keys]
        self._values = [values[rows] for values in self._values]
        self._hidden, self._positions = self._hidden[rows], self._positions[rows]

    def repeat(self, times: int) -> None:
        """As Decoding."""
        self.keep(torch.arange(len(self._positions)).repeat_interleave(times))

    def _forward(self, tokens: Tensor, positions: Tensor, visible: Tensor) -> Tensor:
        """(B, S) tokens in, (B, V) logits after the last of each row out."""
        weights, start = self._weights, self._filled
        self._filled = start + tokens.shape[1]
        turns = weights.cosines[positions][:, None], weights.sines[positions][:, None]  # (B, 1, S, head_size)
        hidden = weights.embedding[tokens]
        for number, layer in enumerate(weights.layers):
            normed = rms_norm(hidden, hidden.shape[-1:], layer.attention_norm, weights.epsilon)
            queries, keys, values = self._projected(normed, layer, turns)
            self._keys[number][:, :, start : self._filled] = keys
            self._values[number][:, :, start : self._filled] = values
            seen = self._keys[number][:, :, : self._filled], self._values[number][:, :, : self._filled]
            hidden = hidden + linear(_attended(queries, seen, visible), layer.output)
            normed = rms_norm(hidden, hidden.shape[-1:], layer.feed_forward_norm, weights.epsilon)
            gate, up = linear(normed, layer.gate_up).chunk(2, -1)
            hidden = hidden + linear(silu(gate) * up, layer.down)
        last = rms_norm(hidden[:, -1], hidden.shape[-1:], weights.norm, weights.epsilon)
        return linear(last, weights.head)

    def _projected(self, normed: Tensor, layer: Layer, turns: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """(B, heads or groups, S, head_size) queries, keys and values; queries and keys normed and turned."""
        weights, (count, length, _) = self._weights, normed.shape
        all_heads = linear(normed, layer.query_key_value)
        all_heads = all_heads.view(count, length, -1, weights.head_size).transpose(1, 2)
        queries, keys, values = torch.split(all_heads, [weights.heads, weights.groups, weights.groups], 1)
        size = (weights.head_size,)
        queries = _turned(rms_norm(queries, size, layer.query_norm, weights.epsilon), turns)
        keys = _turned(rms_norm(keys, size, layer.key_norm, weights.epsilon), turns)
        return queries, keys, values


def _attended(queries: Tensor, seen: tuple[Tensor, Tensor], visible: Tensor) -> Tensor:
    """(B, S, heads · head_size)."""
    keys, values = seen
    count, heads, length, size = queries.shape
    if length > 1:
        found = scaled_dot_product_attention(queries, keys, values, attn_mask=visible, enable_gqa=True)
        return found.transpose(1, 2).reshape(count, length, heads * size)
    # One query a row: the heads of a group are the rows of one product.
    grouped = queries.view(count, keys.shape[1], -1, size)
    scores = grouped @ keys.transpose(-1, -2) / math.sqrt(size) + visible
    return (scores.softmax(-1) @ values).reshape(count, 1, heads * size)


def _turned(heads: Tensor, turns: tuple[Tensor, Tensor]) -> Tensor:
    """Rotary position embedding (arXiv:2104.09864), halves apart as Qwen3 has them."""
    first, second = heads.chunk(2, -1)
    return heads * turns[0] + torch.cat([-second, first], -1) * turns[1]


def _is_plain(model: Qwen3ForCausalLM) -> bool:
    config: Any = model.config
    rope: dict[str, Any] = getattr(config, "rope_parameters", None) or {}
    return (
        rope.get("rope_type", "default") == "default"
        and "rope_theta" in rope
        and config.hidden_act == "silu"
        and not config.use_sliding_window
        and all(kind == "full_attention" for kind in config.layer_types)
        and model.dtype == torch.float32
        and model.device.type == "cpu"
        and model.num_parameters() <= MOST_PARAMETERS
        and type(model.model.embed_tokens) is nn.Embedding
        and type(model.lm_head) is nn.Linear
    )


def _layer(block: nn.Module) -> Layer | None:
    attention: Any = block.self_attn
    feed_forward: Any = block.mlp
    joined = (
        _joined([attention.q_proj, attention.k_proj, attention.v_proj]),
        _joined([attention.o_proj]),
        _joined([feed_forward.gate_proj, feed_forward.up_proj]),
        _joined([feed_forward.down_proj]),
    )
    query_key_value, output, gate_up, down = joined
    if query_key_value is None or output is None or gate_up is None or down is None:
        return None
    before: Any = block.input_layernorm
    between: Any = block.post_attention_layernorm
    return Layer(
        before.weight,
        query_key_value,
        attention.q_norm.weight,
        attention.k_norm.weight,
        output,
        between.weight,
        gate_up,
        down,
    )


def _joined(modules: Sequence[nn.Module]) -> Tensor | None:
    weights = [_weight(module) for module in modules]
    known = [weight for weight in weights if weight is not None]
    if len(known) < len(weights):
        return None
    return known[0] if len(known) == 1 else torch.cat(known)


def _weight(module: Any) -> Tensor | None:
    """(out, in) with what its adapters add at present; None for a layer of another kind."""
    if _is_linear(module):
        return module.weight  # type: ignore[no-any-return]
    if not isinstance(module, LoraLinear) or not _is_linear(module.get_base_layer()):
        return None
    if module.merged or any(module.use_dora.values()):
        return None
    base: Any = module.get_base_layer()
    weight: Tensor = base.weight
    speaking = [] if module.disable_adapters else [name for name in module.active_adapters if name in module.lora_A]
    for name in speaking:
        weight = weight + module.get_delta_weight(name)
    return weight


def _is_linear(module: Any) -> bool:
    """Exactly that: a layer that adds something of its own is another."""
    return type(module) is nn.Linear and module.bias is None


def _rotations(config: Any) -> tuple[Tensor, Tensor]:
    """(positions, head_size) cosines and sines."""
    speeds = 1.0 / config.rope_parameters["rope_theta"] ** (
        torch.arange(0, config.head_dim, 2).float() / config.head_dim
    )
    angles = torch.outer(torch.arange(config.max_position_embeddings).float(), speeds)
    both = torch.cat([angles, angles], -1)
    return both.cos(), both.sin()
