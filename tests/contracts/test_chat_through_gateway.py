"""The gateway in front of the real policy server: its streams and its whole completions are the same text."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from transformers import AutoModelForCausalLM, AutoTokenizer

from infra.database import Database
from infra.event_stream import DONE, EventReader
from tests.fakes.chat_door import ROUTE, ChatDoor, chat_door
from tests.fakes.clock import FakeClock
from tests.fakes.serving import served
from tests.fakes.tiny_qwen import save_tiny_base
from trainer.microbatches import MicroBatcher
from trainer.policies import ServedPolicies
from trainer.serve import make_server


@pytest.fixture(scope="module")
def policy_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = save_tiny_base(tmp_path_factory.mktemp("chat") / "base")
    model, tokenizer = AutoModelForCausalLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    policies = ServedPolicies(model, tokenizer, root=str(folder))
    batcher = MicroBatcher(policies.generate, max_batch=8, max_waiting=64)
    with served(make_server(policies, batcher, max_tokens=16)) as url:
        yield url


@pytest.fixture
def door(policy_server: str, database: Database, clock: FakeClock) -> Iterator[ChatDoor]:
    with chat_door(database, clock, url=policy_server) as made:
        made.routes.apply(ROUTE.model_copy(update={"served_name": ServedPolicies.BASE}))
        yield made


@pytest.mark.parametrize("seed", [0, 1])
def test_a_stream_a_whole_completion_and_both_logs_are_one_text(door: ChatDoor, seed: int) -> None:
    asked = {"model": ROUTE.policy, "messages": [{"role": "user", "content": "I have chest pain"}], "seed": seed}
    whole = door.client.post("/v1/chat/completions", json=asked).json()["choices"][0]
    streamed = door.client.post("/v1/chat/completions", json=asked | {"stream": True})
    *events, done = EventReader().read(streamed.content)
    choices = [json.loads(event)["choices"][0] for event in events]
    text = "".join(choice["delta"].get("content") or "" for choice in choices)
    assert (text, choices[-1]["finish_reason"], done) == (whole["message"]["content"], whole["finish_reason"], DONE)
    first, second = door.completions()
    assert first.completion == second.completion
    assert not first.interrupted
    assert not second.interrupted


def test_what_the_policy_server_does_not_do_is_refused_by_its_name(door: ChatDoor) -> None:
    asked = {"model": ROUTE.policy, "messages": [{"role": "user", "content": "Hello"}], "stop": ["."], "stream": True}
    answer = door.client.post("/v1/chat/completions", json=asked)
    assert (answer.status_code, answer.json()["title"]) == (400, "PolicyServerRefused")
    assert "stop" in answer.json()["detail"]
