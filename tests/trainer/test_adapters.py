"""Adapters as files: equal weights, equal bytes; what does not fit is refused."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import pytest
import torch
from peft import PeftModel

from matrix.errors import InvalidInput
from tests.fakes.tiny_run import tiny_base
from trainer.adapters import (
    CONFIG,
    LEARNER,
    WEIGHTS,
    adapter_digest,
    adapter_files,
    attach,
    create_adapter,
    speaking_as,
)
from trainer.base_model import LoadedBase
from trainer.config import AdapterConfig
from trainer.policies import ServedPolicies

SMALL = AdapterConfig(rank=2, alpha=4)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> LoadedBase:
    return tiny_base(tmp_path_factory.mktemp("base"))


def fresh(base: LoadedBase, seed: int = 0) -> PeftModel:
    return create_adapter(copy.deepcopy(base.model), SMALL, seed=seed)


def test_a_fresh_adapter_changes_nothing(base: LoadedBase) -> None:
    tokens = torch.tensor([[5, 6, 7, 8]])
    with torch.no_grad():
        torch.testing.assert_close(fresh(base)(tokens).logits, base.model(tokens).logits, atol=0, rtol=0)


def test_equal_weights_have_equal_bytes_wherever_they_were_made(base: LoadedBase) -> None:
    assert adapter_files(fresh(base)) == adapter_files(fresh(base))
    assert adapter_digest(adapter_files(fresh(base))) != adapter_digest(adapter_files(fresh(base, seed=1)))


def test_the_configuration_names_neither_paths_nor_library_versions(base: LoadedBase) -> None:
    stored = json.loads(adapter_files(fresh(base))[CONFIG])
    assert stored["base_model_name_or_path"] is None
    assert "peft_version" not in stored


def test_an_attached_adapter_saves_as_the_bytes_that_it_came_from(base: LoadedBase) -> None:
    files = adapter_files(fresh(base, seed=3))
    model = fresh(base)
    attach(model, files, "second")
    assert adapter_files(model, "second")[WEIGHTS] == files[WEIGHTS]
    assert adapter_files(model, LEARNER)[WEIGHTS] != files[WEIGHTS]


def test_attaching_leaves_the_learner_active_and_alone_trainable(base: LoadedBase) -> None:
    model = fresh(base)
    attach(model, adapter_files(fresh(base, seed=3)), "second")
    with speaking_as(model, "second"), speaking_as(model, None):
        pass
    assert model.active_adapter == LEARNER
    trainable = [name for name, parameter in model.named_parameters() if parameter.requires_grad]
    assert trainable
    assert all(f".{LEARNER}." in name for name in trainable)


def test_an_adapter_of_another_shape_is_refused(base: LoadedBase) -> None:
    files = adapter_files(create_adapter(copy.deepcopy(base.model), AdapterConfig(rank=4), seed=0))
    broken = {**files, WEIGHTS: adapter_files(fresh(base))[WEIGHTS]}
    with pytest.raises(InvalidInput, match="an adapter of this base"):
        attach(fresh(base), broken, "second")


def test_layers_that_the_base_does_not_have_are_refused(base: LoadedBase) -> None:
    with pytest.raises(InvalidInput, match="linear layers"):
        create_adapter(copy.deepcopy(base.model), AdapterConfig(target_modules=("nope",)), seed=0)


def test_the_policy_server_loads_what_was_written(base: LoadedBase, tmp_path: Path) -> None:
    for name, content in adapter_files(fresh(base)).items():
        (tmp_path / name).write_bytes(content)
    policies = ServedPolicies(copy.deepcopy(base.model), base.tokenizer, root="base")
    policies.load("written", tmp_path)
    assert "written" in policies.roots()
