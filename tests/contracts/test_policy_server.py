"""The surface that vLLM and the local policy server share, over raw HTTP: shapes, codes and wording.

Shapes follow vLLM's OpenAI-compatible server (docs/features/lora.md). Set PLUMBLINE_CONTRACT_SERVER and
PLUMBLINE_CONTRACT_ADAPTER (a folder, given as an adapter of that server's base model) to hold a real vLLM to them.
"""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest
from transformers import AutoModelForCausalLM, AutoTokenizer

from infra.event_stream import DONE, EventReader
from tests.fakes.chat_server import FakeChatServer
from tests.fakes.serving import served
from tests.fakes.tiny_qwen import save_tiny_adapter, save_tiny_base
from trainer.microbatches import MicroBatcher
from trainer.policies import ServedPolicies
from trainer.serve import make_server

EXTERNAL = os.environ.get("PLUMBLINE_CONTRACT_SERVER")


class Contract(NamedTuple):
    http: httpx.Client
    base: str
    name: str
    path: Path


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Contract]:
    folder = tmp_path_factory.mktemp("contract")
    if EXTERNAL:
        with httpx.Client(base_url=EXTERNAL, timeout=60) as http:
            base = http.get("/v1/models").json()["data"][0]["id"]
            yield Contract(http, base, "contract", Path(os.environ["PLUMBLINE_CONTRACT_ADAPTER"]))
        return
    base_folder = save_tiny_base(folder / "base")
    name, path, _ = save_tiny_adapter(folder, 1)
    model = AutoModelForCausalLM.from_pretrained(base_folder)
    policies = ServedPolicies(model, AutoTokenizer.from_pretrained(base_folder), root=str(base_folder))
    batcher = MicroBatcher(policies.generate, max_batch=8, max_waiting=64)
    app = make_server(policies, batcher, max_tokens=16)
    with served(app) as url, httpx.Client(base_url=url, timeout=30) as http:
        yield Contract(http, ServedPolicies.BASE, name, path)


@pytest.fixture
def server(started: Contract) -> Iterator[Contract]:
    yield started
    started.http.post("/v1/unload_lora_adapter", json={"lora_name": started.name})


def load(server: Contract) -> httpx.Response:
    return server.http.post("/v1/load_lora_adapter", json={"lora_name": server.name, "lora_path": str(server.path)})


def chat(server: Contract, model: str, **more: object) -> httpx.Response:
    body = {"model": model, "messages": [{"role": "user", "content": "I have chest pain"}], "max_tokens": 8} | more
    return server.http.post("/v1/chat/completions", json=body)


def test_health_is_ok(server: Contract) -> None:
    assert server.http.get("/health").status_code == 200


def test_a_completion_has_openais_shape(server: Contract) -> None:
    answer = chat(server, server.base, n=2, seed=1, logprobs=True).json()
    assert answer["id"].startswith("chatcmpl-")
    assert (answer["object"], answer["model"]) == ("chat.completion", server.base)
    assert [choice["index"] for choice in answer["choices"]] == [0, 1]
    for choice in answer["choices"]:
        assert choice["message"]["role"] == "assistant"
        assert isinstance(choice["message"]["content"], str)
        assert choice["finish_reason"] in {"stop", "length"}
        assert {"token", "logprob", "bytes", "top_logprobs"} <= choice["logprobs"]["content"][0].keys()
    usage = answer["usage"]
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]


def test_an_adapter_is_listed_as_a_model_with_its_path_and_parent(server: Contract) -> None:
    load(server)
    listed = server.http.get("/v1/models").json()
    card = next(model for model in listed["data"] if model["id"] == server.name)
    assert listed["object"] == "list"
    assert (card["object"], card["root"], card["parent"]) == ("model", str(server.path), server.base)


def test_loading_answers_in_plain_words(server: Contract) -> None:
    answer = load(server)
    assert answer.status_code == 200
    assert answer.text == f"Success: LoRA adapter '{server.name}' added successfully."


def test_unloading_answers_in_plain_words_and_the_model_is_gone(server: Contract) -> None:
    load(server)
    answer = server.http.post("/v1/unload_lora_adapter", json={"lora_name": server.name})
    assert (answer.status_code, answer.text) == (200, f"Success: LoRA adapter '{server.name}' removed successfully.")
    assert chat(server, server.name).status_code == 404


def test_loading_twice_under_one_name_is_refused(server: Contract) -> None:
    load(server)
    answer = load(server)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["type"]) == (400, 400, "InvalidUserInput")
    assert "has already been loaded" in error["message"]


@pytest.mark.parametrize("body", [{"lora_name": "x", "lora_path": ""}, {"lora_name": "", "lora_path": "/x"}])
def test_loading_needs_a_name_and_a_path(server: Contract, body: dict[str, str]) -> None:
    answer = server.http.post("/v1/load_lora_adapter", json=body)
    assert (answer.status_code, answer.json()["error"]["type"]) == (400, "InvalidUserInput")


def test_loading_what_is_not_there_is_refused(server: Contract, tmp_path: Path) -> None:
    body = {"lora_name": "absent", "lora_path": str(tmp_path / "absent")}
    answer = server.http.post("/v1/load_lora_adapter", json=body)
    assert (answer.status_code, answer.json()["error"]["type"]) == (404, "NotFoundError")


def test_unloading_what_is_not_loaded_is_not_found(server: Contract) -> None:
    answer = server.http.post("/v1/unload_lora_adapter", json={"lora_name": "absent"})
    assert (answer.status_code, answer.json()["error"]["type"]) == (404, "NotFoundError")


def test_unloading_needs_a_name(server: Contract) -> None:
    answer = server.http.post("/v1/unload_lora_adapter", json={"lora_name": ""})
    assert (answer.status_code, answer.json()["error"]["type"]) == (400, "InvalidUserInput")


def test_an_unknown_model_is_not_found(server: Contract) -> None:
    answer = chat(server, "absent")
    error = answer.json()["error"]
    assert (answer.status_code, error["type"], error["code"]) == (404, "NotFoundError", 404)
    assert error["message"] == "The model `absent` does not exist."


def test_a_body_that_is_not_json_is_refused(server: Contract) -> None:
    answer = server.http.post("/v1/chat/completions", content=b"{", headers={"content-type": "application/json"})
    assert (answer.status_code, answer.json()["error"]["type"]) == (400, "BadRequestError")


@pytest.fixture(scope="module")
def fake() -> Iterator[Contract]:
    with served(FakeChatServer().app) as url, httpx.Client(base_url=url, timeout=30) as http:
        yield Contract(http, "base", "", Path())


@pytest.fixture(params=["server", "fake"])
def streaming(request: pytest.FixtureRequest) -> Contract:
    """What a stream is holds for the real server and for the one that other tests stand on."""
    contract: Contract = request.getfixturevalue(request.param)
    return contract


def stream(server: Contract, model: str, **more: object) -> list[dict[str, Any]]:
    """The chunks of a stream that ends as it should."""
    answer = chat(server, model, stream=True, **more)
    assert answer.headers["content-type"].startswith("text/event-stream")
    *events, done = EventReader().read(answer.content)
    assert done == DONE
    return [json.loads(event) for event in events]


def pieces(chunks: list[dict[str, Any]], index: int = 0) -> str:
    choices = [choice for chunk in chunks for choice in chunk["choices"] if choice["index"] == index]
    return "".join(choice["delta"].get("content") or "" for choice in choices)


def test_a_stream_is_chunks_of_one_completion_from_its_role_to_its_reason(streaming: Contract) -> None:
    chunks = stream(streaming, streaming.base, seed=1)
    assert {chunk["id"] for chunk in chunks} == {chunks[0]["id"]}
    assert {(chunk["object"], chunk["model"]) for chunk in chunks} == {("chat.completion.chunk", streaming.base)}
    choices = [choice for chunk in chunks for choice in chunk["choices"]]
    assert choices[0]["delta"]["role"] == "assistant"
    assert [choice["finish_reason"] for choice in choices[:-1]] == [None] * (len(choices) - 1)
    assert choices[-1]["finish_reason"] in {"stop", "length"}


@pytest.mark.parametrize("seed", range(5))
def test_the_pieces_of_a_stream_are_the_text_that_is_sent_whole(streaming: Contract, seed: int) -> None:
    whole = chat(streaming, streaming.base, seed=seed, temperature=1.5).json()["choices"][0]
    chunks = stream(streaming, streaming.base, seed=seed, temperature=1.5)
    assert pieces(chunks) == whole["message"]["content"]
    assert chunks[-1]["choices"][0]["finish_reason"] == whole["finish_reason"]


def test_usage_is_the_last_chunk_for_those_who_ask(streaming: Contract) -> None:
    usage = chat(streaming, streaming.base, seed=1).json()["usage"]
    *others, last = stream(streaming, streaming.base, seed=1, stream_options={"include_usage": True})
    assert (last["choices"], last["usage"]) == ([], usage)
    assert not any(chunk.get("usage") for chunk in others)
    assert not any(chunk.get("usage") for chunk in stream(streaming, streaming.base, seed=1))


def test_several_completions_in_one_stream_are_told_apart(server: Contract) -> None:
    whole = [choice["message"]["content"] for choice in chat(server, server.base, seed=3, n=2).json()["choices"]]
    chunks = stream(server, server.base, seed=3, n=2)
    assert [pieces(chunks, index) for index in (0, 1)] == whole


def test_a_stream_shows_the_logprobs_of_every_token(server: Contract) -> None:
    whole = chat(server, server.base, seed=1, logprobs=True).json()["choices"][0]["logprobs"]["content"]
    choices = [choice for chunk in stream(server, server.base, seed=1, logprobs=True) for choice in chunk["choices"]]
    shown = [entry for choice in choices if choice["logprobs"] for entry in choice["logprobs"]["content"]]
    assert [entry["token"] for entry in shown] == [entry["token"] for entry in whole]


@pytest.mark.parametrize(("fields", "status"), [({"model": "absent"}, 404), ({"max_tokens": 0}, 400)])
def test_what_is_refused_whole_is_refused_as_a_stream(server: Contract, fields: dict[str, Any], status: int) -> None:
    answer = chat(server, **({"model": server.base} | fields), stream=True)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, status)


def test_options_of_a_stream_without_a_stream_are_refused(server: Contract) -> None:
    answer = chat(server, server.base, stream_options={"include_usage": True})
    assert answer.status_code == 400
