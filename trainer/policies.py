"""What the local policy server serves: the base model, and adapters on it under names that are never reused.

An adapter whose name ends in the first hex of a digest is loaded only if its bytes have that digest; they are read
once, hashed, and loaded from what was hashed. One lock: peft switches adapters on the one model that all share, so
what would write into the base is refused, and a load that fails half-way is undone.
"""

from __future__ import annotations

import json
import re
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import torch
from peft import PeftModel
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from torch import nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from matrix.digests import SHORT, digest_files
from matrix.errors import ArtifactCorrupt, InvalidInput, NotFound
from matrix.messages.completion import ChatMessage
from trainer.adapters import CONFIG, WEIGHTS
from trainer.champions import ADAPTER_FILES
from trainer.generation import generate, token_logprobs
from trainer.microbatches import Generated, Wanted

_CONTENT_NAMED = re.compile(rf"-([0-9a-f]{{{SHORT}}})$")
# What LoRA says where it only adds to the base; any other value makes peft write into the base's own layers.
_ONLY_ADDS: dict[str, tuple[object, ...]] = {
    "peft_type": ("LORA",),
    "bias": (None, "none"),
    "init_lora_weights": (None, True, False, "gaussian"),
    "modules_to_save": (None, []),
    "layer_replication": (None, []),
    "trainable_token_indices": (None, []),
}
_Layer = tuple[nn.Module, str, nn.Module]  # parent, name, child


class ServedPolicies:
    """The models of one server by name."""

    BASE = "base"

    def __init__(self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, *, root: str) -> None:
        self._base, self._tokenizer = model, tokenizer
        self._base.requires_grad_(requires_grad=False).train(mode=False)
        self._peft: PeftModel | None = None
        self._slots: dict[str, str] = {}  # served name -> peft's name, which may hold no dots and is never seen
        self._roots = {self.BASE: root}
        self._numbers, self._lock = count(), threading.Lock()
        end_id = tokenizer.eos_token_id
        if not isinstance(end_id, int):
            raise InvalidInput(field="tokenizer", value=end_id, remedy="one mark that ends an answer")
        self._end_id = end_id
        self.context_tokens = int(model.config.max_position_embeddings)

    def roots(self) -> dict[str, str]:
        """Model name -> path of its bytes."""
        return dict(self._roots)

    def encode(self, model: str, messages: Sequence[ChatMessage]) -> tuple[int, ...]:
        """Token ids up to where the answer begins; NotFound for a model that is not served."""
        if model not in self._roots:
            raise NotFound(what="model", name=model)
        chat = [message.model_dump() for message in messages]
        text = str(self._tokenizer.apply_chat_template(chat, add_generation_prompt=True, tokenize=False))
        return tuple(self._tokenizer.encode(text, add_special_tokens=False))

    def decode(self, tokens: Sequence[int]) -> str:
        """The text without marks."""
        return str(self._tokenizer.decode(list(tokens), skip_special_tokens=True))

    def token_text(self, token: int) -> str:
        """One token's text, marks included."""
        return str(self._tokenizer.decode([token]))

    def generate(self, model: str, wanted: Sequence[Wanted]) -> list[Generated]:
        """One completion for each, all by one model; NotFound where it was unloaded meanwhile."""
        with self._lock, self._as(model) as chosen:
            return generate(chosen, wanted, end_id=self._end_id)

    def logprobs(self, model: str, prompt: Sequence[int], tokens: Sequence[int]) -> tuple[float, ...]:
        """Log-probability of each of `tokens` after the prompt, under this model at temperature 1."""
        with self._lock, self._as(model) as chosen:
            return token_logprobs(chosen, prompt, tokens)

    def load(self, name: str, path: Path) -> None:
        """Serve the adapter in this folder; ArtifactCorrupt where its bytes are not those its name speaks of.

        InvalidInput where it does not fit the base or would change it; then all is served as before.
        """
        files = _read_adapter(path)
        named = _CONTENT_NAMED.search(name)
        found = digest_files(files)
        if named and not found.startswith(named[1]):
            raise ArtifactCorrupt(str(path), expected=f"{named[1]}…", found=found)
        _refuse_if_it_writes_into_the_base(files, path)
        with self._lock, tempfile.TemporaryDirectory() as verified:
            for file, content in files.items():
                (Path(verified) / file).write_bytes(content)
            slot = f"slot{next(self._numbers)}"
            self._add(slot, verified)
            self._slots[name], self._roots[name] = slot, str(path)

    def unload(self, name: str) -> None:
        """Serve it no more; NotFound where it is not loaded."""
        with self._lock:
            slot = self._slots.pop(name, None)
            if slot is None or self._peft is None:
                raise NotFound(what="adapter", name=name)
            del self._roots[name]
            self._remove(self._peft, slot)

    @contextmanager
    def _as(self, model: str) -> Iterator[PreTrainedModel | PeftModel]:
        if self._peft is None and model == self.BASE:
            yield self._base
        elif self._peft is not None and model == self.BASE:
            with self._peft.disable_adapter():
                yield self._peft
        elif self._peft is not None and model in self._slots:
            self._peft.set_adapter(self._slots[model])
            yield self._peft
        else:
            raise NotFound(what="model", name=model)

    def _remove(self, loaded: PeftModel, slot: str) -> None:
        if self._slots:
            loaded.set_adapter(next(iter(self._slots.values())))
            loaded.delete_adapter(slot)
        else:
            # peft cannot be without an adapter: the base gets its plain layers back.
            self._base, self._peft = loaded.unload(), None

    def _add(self, slot: str, folder: str) -> None:
        layers = _layers(self._base)
        try:
            self._load(slot, folder)
        except BaseException as error:
            # By now peft has put layers into the base, and copied into them every tensor that fits.
            if self._peft is not None and slot in self._peft.peft_config:
                self._peft.delete_adapter(slot)
            for parent, name, child in layers:
                setattr(parent, name, child)
            if self._peft is None and hasattr(self._base, "peft_config"):
                del self._base.peft_config  # else the next adapter's peft would count this one as its own
            if isinstance(error, (ValueError, KeyError, TypeError, RuntimeError)):
                raise _unfit(folder, (str(error).splitlines() or [type(error).__name__])[0]) from error
            raise

    def _load(self, slot: str, folder: str) -> None:
        if self._peft is None:
            self._peft = PeftModel.from_pretrained(self._base, folder, adapter_name=slot).eval()
        else:
            self._peft.load_adapter(folder, slot)


def set_threads(threads: int) -> None:
    """How many cores torch may use in this process."""
    torch.set_num_threads(threads)


def _read_adapter(path: Path) -> dict[str, bytes]:
    try:
        return {name: (path / name).read_bytes() for name in ADAPTER_FILES}
    except OSError as error:
        raise NotFound(what="adapter", name=f"{path} ({error.strerror})") from error


def _layers(model: nn.Module) -> list[_Layer]:
    return [(parent, name, child) for parent in model.modules() for name, child in parent.named_children()]


def _refuse_if_it_writes_into_the_base(files: Mapping[str, bytes], path: Path) -> None:
    try:
        config, tensors = json.loads(files[CONFIG]), load_tensors(files[WEIGHTS])
    except (ValueError, SafetensorError) as error:
        raise _unfit(str(path), str(error)) from error
    if not isinstance(config, dict):
        raise _unfit(str(path), f"{CONFIG} is no object")
    for key, allowed in _ONLY_ADDS.items():
        if config.get(key) not in allowed:
            raise _unfit(str(path), f"{key} {config.get(key)!r} changes the base itself")
    foreign = sorted(name for name in tensors if ".lora_" not in name)
    if foreign:
        raise _unfit(str(path), f"tensor {foreign[0]} is one of the base itself")


def _unfit(path: str, reason: str) -> InvalidInput:
    return InvalidInput(field="lora_path", value=path, remedy=f"an adapter of this base: {reason}")
