"""The two ways to decode give the same logits, whatever the batch, padding and adapters; others go the long way.

The model's own forward pass over the whole text, without any cache, says what is right.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from peft import LoraConfig, PeftModel, get_peft_model
from torch import Tensor, nn
from transformers import LlamaConfig, LlamaForCausalLM, Qwen3ForCausalLM

from tests.fakes.tiny_qwen import tiny_model
from trainer import lean_decoding
from trainer.decoding import Decoding, Model, TransformersDecoding, open_decoding

VOCABULARY, PAD, MOST = 64, 0, 40
CLOSE = 1e-4
PROMPTS = st.lists(st.lists(st.integers(1, VOCABULARY - 1), min_size=1, max_size=9), min_size=1, max_size=5)
TOKENS = st.lists(st.integers(1, VOCABULARY - 1), min_size=1, max_size=5)


def grouped_model() -> Qwen3ForCausalLM:
    """Four heads that share two keys, three blocks."""
    base = tiny_model(VOCABULARY)
    config = base.config
    config.num_attention_heads, config.num_key_value_heads, config.num_hidden_layers = 4, 2, 3
    config.layer_types = ["full_attention"] * 3
    torch.manual_seed(1)
    model = Qwen3ForCausalLM(config)  # type: ignore[no-untyped-call]  # transformers
    model.train(mode=False)
    return model


def adapted(model: Qwen3ForCausalLM, *, names: tuple[str, ...] = ("one", "two"), **config: Any) -> PeftModel:
    """Adapters whose factors are away from zero."""
    chosen: dict[str, Any] = {"r": 3, "lora_alpha": 6, "target_modules": "all-linear"} | config
    lora = LoraConfig(**chosen)
    peft = get_peft_model(model, lora, adapter_name=names[0])
    for name in names[1:]:
        peft.add_adapter(name, lora)
    generator = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for name, parameter in peft.named_parameters():
            if "lora_" in name:
                parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.2)
    return peft.eval()


PLAIN = grouped_model()
ADAPTED = adapted(grouped_model())


def lean(model: Model) -> Decoding:
    weights = lean_decoding.read_weights(model)
    assert weights is not None
    return lean_decoding.LeanDecoding(weights, MOST)


WAYS: dict[str, Callable[[Model], Decoding]] = {"transformers": TransformersDecoding, "lean": lean}
way = pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)


def padded(prompts: list[list[int]]) -> tuple[Tensor, Tensor]:
    longest = max(map(len, prompts))
    tokens = torch.tensor([[PAD] * (longest - len(one)) + one for one in prompts])
    return tokens, torch.tensor([[0] * (longest - len(one)) + [1] * len(one) for one in prompts])


def whole(model: Model, row: list[int]) -> Tensor:
    """The logits after a text read at once."""
    with torch.no_grad():
        return model(input_ids=torch.tensor([row])).logits[0, -1].float()  # type: ignore[no-any-return]


@torch.no_grad()
def decoded(decoding: Decoding, prompts: list[list[int]], tokens: list[int]) -> Tensor:
    logits = decoding.read(*padded(prompts))
    for token in tokens:
        logits = decoding.step(torch.full((len(prompts),), token))
    return logits


@way
@settings(deadline=None, max_examples=25)
@given(prompts=PROMPTS, tokens=TOKENS)
def test_step_by_step_is_as_the_whole_text_at_once(
    way: Callable[[Model], Decoding], prompts: list[list[int]], tokens: list[int]
) -> None:
    found = decoded(way(PLAIN), prompts, tokens)
    for row, prompt in zip(found, prompts, strict=True):
        assert torch.allclose(row, whole(PLAIN, prompt + tokens), rtol=CLOSE, atol=CLOSE)


@way
@pytest.mark.parametrize("speaking", ["one", "two", None])
def test_the_adapter_that_is_switched_on_speaks(way: Callable[[Model], Decoding], speaking: str | None) -> None:
    if speaking is not None:
        ADAPTED.set_adapter(speaking)
    with nullcontext() if speaking else ADAPTED.disable_adapter():
        found = decoded(way(ADAPTED), [[3, 4, 5], [6]], [7, 8])
        told = whole(ADAPTED, [3, 4, 5, 7, 8])
    assert torch.allclose(found[0], told, rtol=CLOSE, atol=CLOSE)
    assert torch.allclose(found[0], whole(PLAIN, [3, 4, 5, 7, 8]), rtol=CLOSE, atol=CLOSE) is (speaking is None)


@way
@settings(deadline=None, max_examples=25)
@given(prompts=PROMPTS, data=st.data(), times=st.integers(1, 3))
def test_rows_are_repeated_kept_and_reordered(
    way: Callable[[Model], Decoding], prompts: list[list[int]], data: st.DataObject, times: int
) -> None:
    decoding = way(PLAIN)
    with torch.no_grad():
        decoding.read(*padded(prompts))
        decoding.repeat(times)
        rows = [prompt for prompt in prompts for _ in range(times)]
        kept = data.draw(st.permutations(range(len(rows))))[: data.draw(st.integers(1, len(rows)))]
        first = torch.arange(len(rows)) % (VOCABULARY - 1) + 1
        decoding.step(first)
        decoding.keep(torch.tensor(kept))
        found = decoding.step(torch.full((len(kept),), 9))
    for logits, index in zip(found, kept, strict=True):
        assert torch.allclose(logits, whole(PLAIN, [*rows[index], int(first[index]), 9]), rtol=CLOSE, atol=CLOSE)


def test_plain_small_qwen3_goes_the_short_way_adapted_or_not() -> None:
    assert isinstance(open_decoding(PLAIN, most_tokens=MOST), lean_decoding.LeanDecoding)
    assert isinstance(open_decoding(ADAPTED, most_tokens=MOST), lean_decoding.LeanDecoding)


def llama() -> Model:
    config = LlamaConfig(
        vocab_size=64, hidden_size=16, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2
    )
    return LlamaForCausalLM(config)  # type: ignore[no-untyped-call]  # transformers


def doubled() -> Model:
    return grouped_model().double()


def biased() -> Model:
    model = grouped_model()
    attention: Any = model.model.layers[0].self_attn
    attention.o_proj = nn.Linear(attention.o_proj.in_features, attention.o_proj.out_features)
    return model


def merged() -> Model:
    model = adapted(grouped_model(), names=("one",))
    model.merge_adapter()
    return model


def with_a_head_of_its_own() -> Model:
    return adapted(grouped_model(), names=("one",), target_modules=["lm_head", "q_proj"])


def decomposed() -> Model:
    return adapted(grouped_model(), names=("one",), use_dora=True)


@pytest.mark.parametrize("other", [llama, doubled, biased, merged, with_a_head_of_its_own, decomposed])
def test_every_other_model_goes_by_its_own_forward_pass(other: Callable[[], Model]) -> None:
    assert isinstance(open_decoding(other().eval(), most_tokens=MOST), TransformersDecoding)
