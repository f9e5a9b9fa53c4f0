"""A probe that the trainer makes is what the local policy server answers, for an adapter and for its base model."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import pytest

from matrix.errors import ServingNotProven
from matrix.messages.completion import ChatMessage
from matrix.messages.run import Probe
from registry.serving import Artifact, HttpPolicyServer, NamedServer, load, prove
from tests.fakes.serving import served
from tests.fakes.tiny_qwen import save_tiny_adapter, save_tiny_base
from trainer.base_model import load_base
from trainer.evaluate import GatePrompt
from trainer.microbatches import MicroBatcher
from trainer.policies import ServedPolicies
from trainer.probe import make_probe
from trainer.serve import make_server

BASE = Artifact(ServedPolicies.BASE, "a" * 64, None)
TOLERANCE = 0.02


class Probed(NamedTuple):
    server: NamedServer
    adapter: Artifact
    probe: Probe


@pytest.fixture(scope="module")
def probed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Probed]:
    folder = tmp_path_factory.mktemp("probe")
    base_folder = save_tiny_base(folder / "base")
    name, path, digest = save_tiny_adapter(folder, 1)
    base = load_base(base_folder)
    policies = ServedPolicies(base.model, base.tokenizer, root=str(base_folder))
    policies.load(name, path)
    asked = ChatMessage(role="user", content="May I take ibuprofen?")
    probe = make_probe(policies, name, [GatePrompt(prompt_id="p1", messages=(asked,))])
    batcher = MicroBatcher(policies.generate, max_batch=8, max_waiting=64)
    with served(make_server(policies, batcher, max_tokens=64)) as url:
        yield Probed(NamedServer(url, HttpPolicyServer(url)), Artifact(name, digest, path), probe)


def test_base_model_and_adapter_are_proven_by_the_same_probe(probed: Probed) -> None:
    load([probed.server], probed.adapter, [])
    of_base, of_adapter = (
        prove(probed.server, artifact, probed.probe, tolerance=TOLERANCE) for artifact in (BASE, probed.adapter)
    )
    assert of_base.tokens == len(probed.probe.base_own_tokens) > 1
    assert of_adapter.tokens == len(probed.probe.tokens) > 1
    assert max(of_base.difference, of_adapter.difference) < 1e-3


def test_the_adapter_under_the_name_of_the_base_model_is_found_out(probed: Probed) -> None:
    load([probed.server], probed.adapter, [])
    with pytest.raises(ServingNotProven):
        prove(probed.server, Artifact(probed.adapter.name, "a" * 64, None), probed.probe, tolerance=TOLERANCE)
