"""The surface that vLLM and the local policy server share, over raw HTTP: shapes, codes and wording.

Shapes follow vLLM's OpenAI-compatible server (docs/features/lora.md). Set PLUMBLINE_CONTRACT_SERVER and
PLUMBLINE_CONTRACT_ADAPTER (a folder, given as an adapter of that server's base model) to hold a real vLLM to them.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest
from transformers import AutoModelForCausalLM, AutoTokenizer

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
