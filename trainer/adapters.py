"""LoRA adapters (arXiv:2106.09685) through peft: made, saved as the same bytes each time, attached under a label.

An adapter is its two files. They hold nothing of the machine or the moment (no paths, no library's dates), so equal
weights have equal digests. Several adapters share one base: the one that learns, and a frozen champion beside it.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, PeftModel, get_peft_model, get_peft_model_state_dict
from peft.tuners.lora import Linear as LoraLinear
from safetensors.torch import save as save_tensors
from torch import nn
from transformers import PreTrainedModel

from matrix.digests import canonical_json, digest_files
from matrix.errors import InvalidInput
from trainer.config import AdapterConfig

WEIGHTS, CONFIG = "adapter_model.safetensors", "adapter_config.json"
LEARNER, CHAMPION = "learner", "champion"
MADE_HERE = ("base_model_name_or_path", "peft_version", "revision", "auto_mapping")  # of the machine, not the adapter


def create_adapter(base: PreTrainedModel, config: AdapterConfig, *, seed: int) -> PeftModel:
    """The base with a fresh adapter that changes nothing yet; peft puts its layers into the model it is given."""
    wanted = LoraConfig(
        r=config.rank,
        lora_alpha=config.alpha,
        target_modules=list(config.target_modules),
        task_type="CAUSAL_LM",
    )
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return get_peft_model(base, wanted, adapter_name=LEARNER)
    except ValueError as error:
        remedy = "names of linear layers of this base model"
        raise InvalidInput(field="adapter.target_modules", value=config.target_modules, remedy=remedy) from error


def adapter_files(model: PeftModel, label: str = LEARNER) -> dict[str, bytes]:
    """The adapter as files, by name; equal weights give equal bytes."""
    state = get_peft_model_state_dict(model, adapter_name=label)
    tensors = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in sorted(state.items())}
    return {WEIGHTS: save_tensors(tensors, metadata={"format": "pt"}), CONFIG: _config_bytes(model.peft_config[label])}


def adapter_digest(files: Mapping[str, bytes]) -> str:
    """What an adapter is known by."""
    return digest_files({name: files[name] for name in (WEIGHTS, CONFIG)})


def attach(model: PeftModel, files: Mapping[str, bytes], label: str) -> None:
    """Add an adapter, frozen, under a label; the learning one stays active. InvalidInput where it does not fit."""
    with tempfile.TemporaryDirectory() as folder:
        for name, content in files.items():
            (Path(folder) / name).write_bytes(content)
        try:
            model.load_adapter(folder, label, is_trainable=False)
        except (ValueError, KeyError, RuntimeError) as error:
            first = (str(error).splitlines() or [type(error).__name__])[0]
            raise InvalidInput(field="adapter", value=label, remedy=f"an adapter of this base: {first}") from error
    model.set_adapter(LEARNER)


def copy_weights(model: PeftModel, *, of: str, to: str) -> None:
    """Give one adapter the weights of another; InvalidInput where they are not of one shape."""
    weights = dict(model.named_parameters())
    with torch.no_grad():
        for name, parameter in weights.items():
            if f".{to}." in name and "lora_" in name:
                source = weights.get(name.replace(f".{to}.", f".{of}."))
                if source is None or source.shape != parameter.shape:
                    remedy = f"rank and target modules of the adapter it starts from, {of}; they differ at {name}"
                    raise InvalidInput(field="adapter", value=list(parameter.shape), remedy=remedy)
                parameter.copy_(source)


def learned_parameters(model: PeftModel, label: str = LEARNER) -> dict[str, nn.Parameter]:
    """The adapter's parameters by name, in a fixed order."""
    named = sorted(model.named_parameters())
    return {name: parameter for name, parameter in named if f".{label}." in name and "lora_" in name}


@contextmanager
def speaking_as(model: PeftModel, label: str | None) -> Iterator[PeftModel]:
    """The model under one of its adapters, or as the base (None), without gradients; then as the learner again."""
    if label is None:
        with torch.no_grad(), model.disable_adapter():
            yield model
        return
    model.set_adapter(label)
    try:
        with torch.no_grad():
            yield model
    finally:
        model.set_adapter(LEARNER)


@torch.no_grad()
def merge_into(model: PeftModel, plain: PreTrainedModel, label: str = LEARNER) -> None:
    """Write base plus adapter into a plain copy of the base: it samples twice as fast as layers with adapters do.

    Always from the untouched base weights: merging and unmerging in place would leave rounding behind, and a resumed
    run would then differ from an undisturbed one.
    """
    targets = dict(plain.named_modules())
    for name, layer in model.get_base_model().named_modules():
        if isinstance(layer, LoraLinear) and label in layer.lora_A:
            merged = layer.get_base_layer().weight.data + layer.get_delta_weight(label)  # type: ignore[operator]  # a Parameter
            targets[name].weight.data.copy_(merged)


def _config_bytes(config: Any) -> bytes:
    plain = {name: value for name, value in config.to_dict().items() if name not in MADE_HERE}
    plain["inference_mode"], plain["base_model_name_or_path"] = True, None
    return canonical_json(json.loads(json.dumps(plain, default=_plain)))


def _plain(value: Any) -> Any:
    return sorted(value) if isinstance(value, set | frozenset) else str(value)
