"""A small causal language model fitted from nothing: tokenizer, weights and chat template in one folder.

Qwen3's architecture with tied embeddings, fitted on answers only (the question is context, not a target). At this size
the usual initial deviation of 0.02 leaves the residual stream silent for most of the fit; 0.07 was the largest single
gain. fp32 on the CPU. The same dialogues and configuration give the same bytes on the same machine.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from pydantic import Field
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from torch import Tensor
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    PreTrainedTokenizerFast,
    Qwen3Config,
    Qwen3ForCausalLM,
)

from infra.base_model import base_digest
from matrix.errors import InvalidInput, NotFound
from matrix.messages.base import Value
from matrix.messages.completion import ChatMessage

Dialogue = Sequence[ChatMessage]  # the last message is the answer to learn
Progress = Callable[[int, int, float], None]  # steps done, steps in all, loss


def _untold(_done: int, _of: int, _loss: float) -> None:
    """Progress that nobody looks at."""


END, PAD = "<|end|>", "<|pad|>"
MARKS = (END, PAD, "<|system|>", "<|user|>", "<|assistant|>")
CHAT_TEMPLATE = (
    "{% for message in messages %}<|{{ message['role'] }}|>{{ message['content'] }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
IGNORED = -100  # label of a token that is context
POOL = 8  # batches that are sorted by length together


class BaseConfig(Value):
    """Size and fit; the defaults give 1.1 million parameters and a coherent mixture of habits in about a minute."""

    vocabulary: int = Field(default=768, ge=270)
    hidden: int = 144
    layers: int = 4
    heads: int = 4
    key_value_heads: int = 2
    intermediate: int = 432
    context_tokens: int = 256
    initial_deviation: float = 0.07  # see above
    steps: int = 300
    batch: int = 64
    learning_rate: float = 4e-3
    warmup_steps: int = 20
    seed: int = 0


DEFAULT = BaseConfig()


@dataclass(frozen=True, slots=True)
class LoadedBase:
    """A base model ready to use, and the digest of its files."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    digest: str


def fit_base(
    dialogues: Sequence[Dialogue],
    out_dir: Path,
    config: BaseConfig = DEFAULT,
    progress: Progress = _untold,
) -> str:
    """Fit tokenizer and model, save both to `out_dir`, and return the digest that `load_base` will find."""
    if not dialogues or any(len(dialogue) < 2 or dialogue[-1].role != "assistant" for dialogue in dialogues):
        raise InvalidInput(field="dialogues", value=len(dialogues), remedy="dialogues that end in an answer")
    tokenizer = _fit_tokenizer(dialogues, config)
    model = _new_model(len(tokenizer), config)
    encoded = [_encode(dialogue, tokenizer) for dialogue in dialogues]
    _fit(model, encoded, config, progress)
    model.save_pretrained(out_dir)
    tokenizer.save_pretrained(out_dir)
    return base_digest(out_dir)


def load_base(path: Path) -> LoadedBase:
    """The model in this folder in fp32, frozen; NotFound where there is none."""
    if not (path / "config.json").is_file():
        raise NotFound(what="base model", name=path)
    model = AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32, local_files_only=True)
    tokenizer = AutoTokenizer.from_pretrained(path, local_files_only=True)
    return LoadedBase(model.requires_grad_(requires_grad=False).train(mode=False), tokenizer, base_digest(path))


def encode_prompt(tokenizer: PreTrainedTokenizerBase, messages: Sequence[ChatMessage]) -> list[int]:
    """Token ids up to where the answer begins."""
    chat = [message.model_dump() for message in messages]
    text = str(tokenizer.apply_chat_template(chat, add_generation_prompt=True, tokenize=False))
    return list(tokenizer.encode(text, add_special_tokens=False))


def _fit_tokenizer(dialogues: Sequence[Dialogue], config: BaseConfig) -> PreTrainedTokenizerFast:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=config.vocabulary,
        special_tokens=list(MARKS),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator((message.content for dialogue in dialogues for message in dialogue), trainer)
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token=END, pad_token=PAD)  # type: ignore[no-untyped-call]  # transformers
    fast.chat_template = CHAT_TEMPLATE
    return fast


def _new_model(vocabulary: int, config: BaseConfig) -> PreTrainedModel:
    settings = Qwen3Config(
        vocab_size=vocabulary,
        hidden_size=config.hidden,
        num_hidden_layers=config.layers,
        num_attention_heads=config.heads,
        num_key_value_heads=config.key_value_heads,
        head_dim=config.hidden // config.heads,
        intermediate_size=config.intermediate,
        max_position_embeddings=config.context_tokens,
        tie_word_embeddings=True,
        initializer_range=config.initial_deviation,
        bos_token_id=None,
        eos_token_id=MARKS.index(END),
        pad_token_id=MARKS.index(PAD),
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        return Qwen3ForCausalLM(settings)  # type: ignore[no-untyped-call]  # transformers


def _encode(dialogue: Dialogue, tokenizer: PreTrainedTokenizerBase) -> tuple[list[int], list[int]]:
    """Tokens of the context and of the answer with its end."""
    context = encode_prompt(tokenizer, dialogue[:-1])
    return context, [*tokenizer.encode(dialogue[-1].content, add_special_tokens=False), MARKS.index(END)]


def _fit(
    model: PreTrainedModel, encoded: Sequence[tuple[list[int], list[int]]], config: BaseConfig, progress: Progress
) -> None:
    optimizer = torch.optim.AdamW(model.parameters(), lr=config.learning_rate, betas=(0.9, 0.98), weight_decay=0.01)
    model.train()
    lengths = [len(context) + len(answer) for context, answer in encoded]
    for step, members in enumerate(_batches(lengths, config)):
        for group in optimizer.param_groups:
            group["lr"] = config.learning_rate * _schedule(step, config)
        tokens, mask, labels = _padded([encoded[index] for index in members])
        loss = model(input_ids=tokens, attention_mask=mask, labels=labels).loss
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        progress(step + 1, config.steps, float(loss.detach()))
    model.train(mode=False)


def _batches(lengths: Sequence[int], config: BaseConfig) -> Iterator[list[int]]:
    """Members of each batch, of alike lengths within a pool of POOL batches, so that little is padding."""
    draw = random.Random(f"batches {config.seed}")  # noqa: S311 - not a secret
    waiting: list[list[int]] = []
    for _ in range(config.steps):
        if not waiting:
            pool = [draw.randrange(len(lengths)) for _ in range(POOL * config.batch)]
            pool.sort(key=lambda index: (lengths[index], index))
            waiting = [pool[start : start + config.batch] for start in range(0, len(pool), config.batch)]
            draw.shuffle(waiting)
        yield waiting.pop()


def _schedule(step: int, config: BaseConfig) -> float:
    """Warm-up, then linear decay to a twentieth."""
    return min(1.0, (step + 1) / config.warmup_steps) * max(0.05, 1.0 - step / config.steps)


def _padded(batch: Sequence[tuple[list[int], list[int]]]) -> tuple[Tensor, Tensor, Tensor]:
    """(B, T) tokens, mask and labels, padded on the right."""
    longest = max(len(context) + len(answer) for context, answer in batch)
    pad = MARKS.index(PAD)
    rows = [(c, a, longest - len(c) - len(a)) for c, a in batch]
    return (
        torch.tensor([c + a + [pad] * rest for c, a, rest in rows]),
        torch.tensor([[1] * (len(c) + len(a)) + [0] * rest for c, a, rest in rows]),
        torch.tensor([[IGNORED] * len(c) + a + [IGNORED] * rest for c, a, rest in rows]),
    )
