from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from transformers import AutoModelForCausalLM, AutoTokenizer

from tests.fakes.serving import served
from tests.fakes.tiny_qwen import save_tiny_adapter, save_tiny_base
from trainer.microbatches import MicroBatcher, Wanted
from trainer.policies import ServedPolicies
from trainer.serve import make_server


@pytest.fixture(scope="module")
def base_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_base(tmp_path_factory.mktemp("base"))


@pytest.fixture
def server(base_folder: Path) -> Iterator[httpx.Client]:
    model = AutoModelForCausalLM.from_pretrained(base_folder)
    tokenizer = AutoTokenizer.from_pretrained(base_folder)
    policies = ServedPolicies(model, tokenizer, root=str(base_folder))
    batcher = MicroBatcher(policies.generate, max_batch=32, max_waiting=64)
    with served(make_server(policies, batcher, max_tokens=24)) as url, httpx.Client(base_url=url, timeout=30) as client:
        yield client


def ask(server: httpx.Client, model: str = "base", text: str = "I have chest pain", **more: Any) -> dict[str, Any]:
    body = {"model": model, "messages": [{"role": "user", "content": text}]} | more
    answer = server.post("/v1/chat/completions", json=body)
    assert answer.status_code == 200, answer.text
    result: dict[str, Any] = answer.json()
    return result


def written(answer: dict[str, Any]) -> list[str]:
    return [choice["message"]["content"] for choice in answer["choices"]]


def load(server: httpx.Client, name: str, path: Path) -> httpx.Response:
    return server.post("/v1/load_lora_adapter", json={"lora_name": name, "lora_path": str(path)})


def test_two_adapters_and_the_base_answer_differently(server: httpx.Client, tmp_path: Path) -> None:
    names = ["base"]
    for seed in (1, 2):
        name, path, _ = save_tiny_adapter(tmp_path, seed)
        assert load(server, name, path).status_code == 200
        names.append(name)
    answers = {name: tuple(written(ask(server, name, temperature=0))) for name in names}
    assert len(set(answers.values())) == 3


def test_loading_and_unloading_adapters_leaves_the_base_as_it_was(server: httpx.Client, tmp_path: Path) -> None:
    before = written(ask(server, temperature=0))
    name, path, _ = save_tiny_adapter(tmp_path, 1)
    load(server, name, path)
    loaded = written(ask(server, temperature=0))
    with_adapter = written(ask(server, name, temperature=0))
    server.post("/v1/unload_lora_adapter", json={"lora_name": name})
    assert (loaded, written(ask(server, temperature=0))) == (before, before)
    load(server, name, path)
    assert written(ask(server, name, temperature=0)) == with_adapter


def test_an_adapter_whose_bytes_are_not_its_names_is_refused(server: httpx.Client, tmp_path: Path) -> None:
    name, _, _ = save_tiny_adapter(tmp_path, 1)
    _, other, _ = save_tiny_adapter(tmp_path, 2)
    answer = load(server, name, other)
    assert answer.status_code == 400
    assert "expected" in answer.json()["error"]["message"]
    assert name not in [model["id"] for model in server.get("/v1/models").json()["data"]]


def test_the_same_seed_gives_the_same_completion_whatever_it_is_batched_with(server: httpx.Client) -> None:
    alone = written(ask(server, seed=7, temperature=1.0))
    texts = [f"question {'very ' * number}long" for number in range(7)]
    with ThreadPoolExecutor(8) as pool:
        crowd = [pool.submit(ask, server, text=text, seed=number) for number, text in enumerate(texts)]
        among = pool.submit(ask, server, seed=7, temperature=1.0)
        assert written(among.result()) == alone
        assert len([future.result() for future in crowd]) == len(texts)


def test_n_completions_are_those_of_consecutive_seeds(server: httpx.Client) -> None:
    several = written(ask(server, seed=3, temperature=1.0, n=3))
    assert several == [written(ask(server, seed=seed, temperature=1.0))[0] for seed in (3, 4, 5)]


def test_different_seeds_draw_differently(server: httpx.Client) -> None:
    assert len(set(written(ask(server, seed=1, temperature=1.5, n=8)))) > 1


def test_logprobs_cover_every_token_and_greedy_ones_repeat(server: httpx.Client) -> None:
    answers = [ask(server, temperature=0, logprobs=True, max_tokens=6) for _ in range(2)]
    content = [answer["choices"][0]["logprobs"]["content"] for answer in answers]
    assert content[0] == content[1]
    assert len(content[0]) == answers[0]["usage"]["completion_tokens"]
    assert all(entry["logprob"] <= 0 for entry in content[0])


def test_a_completion_that_ran_out_of_tokens_says_so(server: httpx.Client) -> None:
    answer = ask(server, temperature=0, max_tokens=1)
    assert answer["choices"][0]["finish_reason"] == "length"
    assert answer["usage"]["completion_tokens"] == 1


def test_a_prompt_beyond_the_context_is_refused(server: httpx.Client) -> None:
    body = {"model": "base", "messages": [{"role": "user", "content": "pain " * 300}]}
    answer = server.post("/v1/chat/completions", json=body)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "messages")


@pytest.mark.parametrize(
    ("field", "value"),
    [("stream_options", {}), ("top_p", 0.5), ("stop", ["."]), ("temperature", -1), ("n", 0), ("odd", 1)],
)
def test_what_would_have_to_be_ignored_is_refused_by_name(server: httpx.Client, field: str, value: object) -> None:
    body = {"model": "base", "messages": [{"role": "user", "content": "hello"}], field: value}
    answer = server.post("/v1/chat/completions", json=body)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, field)


def test_a_batch_that_nobody_listens_to_ends_early_and_takes_no_listener_with_it(base_folder: Path) -> None:
    model = AutoModelForCausalLM.from_pretrained(base_folder)
    policies = ServedPolicies(model, AutoTokenizer.from_pretrained(base_folder), root=str(base_folder))
    left, stayed = list[int](), list[int]()

    def leaves(token: int, _: float) -> bool:
        left.append(token)
        return len(left) < 2

    def stays(token: int, _: float) -> bool:
        stayed.append(token)
        return True

    ask = [Wanted("base", (5, 6), 20, 1.5, seed, hear) for seed, hear in ((1, leaves), (2, stays))]
    alone = [Wanted("base", (5, 6), 20, 1.5, 1, leaves)]
    _, whole = policies.generate("base", ask)
    assert (len(left), tuple(stayed)) == (2, whole.tokens)
    left.clear()
    (cut,) = policies.generate("base", alone)
    assert len(cut.tokens) == len(left) == 2
