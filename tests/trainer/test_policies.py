"""What one adapter does to the others, and to the base, on the model that all share."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from matrix.errors import InvalidInput
from tests.fakes.tiny_qwen import save_tiny_adapter, save_tiny_base
from trainer.base_model import load_base
from trainer.policies import ServedPolicies

PROMPT, TOKENS = (5, 6, 7), (8, 9, 10, 11)
CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"


@pytest.fixture(scope="module")
def base_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_base(tmp_path_factory.mktemp("base"))


@pytest.fixture
def policies(base_folder: Path) -> ServedPolicies:
    base = load_base(base_folder)
    return ServedPolicies(base.model, base.tokenizer, root=str(base_folder))


def changed(folder: Path, name: str, *, tensors: dict[str, torch.Tensor] | None = None, **config: Any) -> Path:
    """A copy of an adapter with other tensors or another configuration."""
    copied = Path(shutil.copytree(folder, folder.parent / name))
    written = json.loads((copied / CONFIG).read_text())
    (copied / CONFIG).write_text(json.dumps(written | config))
    save_file(load_file(copied / WEIGHTS) | (tensors or {}), copied / WEIGHTS)
    return copied


def misfit(folder: Path) -> Path:
    """All its tensors fit but the last one."""
    name, last = sorted(load_file(folder / WEIGHTS).items())[-1]
    return changed(folder, "misfit", tensors={name: torch.cat([last, last])})


def half_injected(folder: Path) -> Path:
    """Its first layers can be put in, and are not neutral; the last cannot."""
    return changed(folder, "half", target_modules=["q_proj", "act_fn"], init_lora_weights=False)


UNFIT = (misfit, half_injected)


@pytest.mark.parametrize("unfit", UNFIT)
def test_a_refused_load_leaves_the_base_as_it_was(policies: ServedPolicies, tmp_path: Path, unfit: Any) -> None:
    name, folder, _ = save_tiny_adapter(tmp_path, 1)
    before = policies.logprobs("base", PROMPT, TOKENS)
    with pytest.raises(InvalidInput, match="an adapter of this base"):
        policies.load("unfit", unfit(folder))
    assert policies.logprobs("base", PROMPT, TOKENS) == before
    policies.load(name, folder)
    assert policies.logprobs("base", PROMPT, TOKENS) == before
    assert policies.logprobs(name, PROMPT, TOKENS) != before
    assert list(policies.roots()) == ["base", name]
    assert policies._peft is not None
    assert len(policies._peft.peft_config) == 1


@pytest.mark.parametrize("unfit", UNFIT)
def test_a_refused_load_leaves_base_and_loaded_adapters_as_they_were(
    policies: ServedPolicies, tmp_path: Path, unfit: Any
) -> None:
    name, folder, _ = save_tiny_adapter(tmp_path, 1)
    policies.load(name, folder)
    before = [policies.logprobs(model, PROMPT, TOKENS) for model in ("base", name)]
    with pytest.raises(InvalidInput, match="an adapter of this base"):
        policies.load("unfit", unfit(folder))
    assert [policies.logprobs(model, PROMPT, TOKENS) for model in ("base", name)] == before
    assert policies._peft is not None
    assert list(policies._peft.peft_config) == ["slot0"]
    policies.unload(name)
    assert policies.logprobs("base", PROMPT, TOKENS) == before[0]


@pytest.mark.parametrize(
    "told", [{"init_lora_weights": "pissa"}, {"bias": "all"}, {"modules_to_save": ["lm_head"]}, {"peft_type": "IA3"}]
)
def test_an_adapter_that_would_write_into_the_base_is_refused(
    policies: ServedPolicies, tmp_path: Path, told: dict[str, Any]
) -> None:
    _, folder, _ = save_tiny_adapter(tmp_path, 1)
    before = policies.logprobs("base", PROMPT, TOKENS)
    with pytest.raises(InvalidInput, match=next(iter(told))):
        policies.load("writes", changed(folder, "writes", **told))
    assert policies.logprobs("base", PROMPT, TOKENS) == before


def test_an_adapter_that_brings_tensors_of_the_base_is_refused(policies: ServedPolicies, tmp_path: Path) -> None:
    _, folder, _ = save_tiny_adapter(tmp_path, 1)
    norm = {"base_model.model.model.norm.weight": torch.full((32,), 2.0)}
    with pytest.raises(InvalidInput, match=r"norm\.weight"):
        policies.load("brings", changed(folder, "brings", tensors=norm))


def test_a_damaged_adapter_is_refused_in_one_line(policies: ServedPolicies, tmp_path: Path) -> None:
    _, folder, _ = save_tiny_adapter(tmp_path, 1)
    (folder / WEIGHTS).write_bytes(b"half")
    with pytest.raises(InvalidInput, match="lora_path"):
        policies.load("damaged", folder)
