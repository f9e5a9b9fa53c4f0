"""Bad input over HTTP and on the command line: named, refused, never a traceback, never a lost neighbour."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from infra.demo.driver import Person, Product, run_command, wait_for

pytestmark = [pytest.mark.journey, pytest.mark.stack]

THUMB: dict[str, Any] = {"metric_name": "thumbs", "inference_id": "chatcmpl-journey", "value": True, "dryrun": True}
QUESTION: dict[str, Any] = {
    "model": "clinic-assistant@champion",
    "messages": [{"role": "user", "content": "May I take two ibuprofen?"}],
}


def is_problem(answer: httpx.Response, status: int) -> bool:
    """RFC 9457: the media type, the fields, and no trace of the machinery."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"].startswith("application/problem+json")
    body = answer.json()
    assert {"type", "title", "status", "detail"} <= body.keys()
    assert body["status"] == status
    assert "Traceback" not in answer.text
    return True


def test_feedback_that_holds_together_is_valid(gateway: httpx.Client) -> None:
    assert gateway.post("/v1/feedback", json=THUMB).json()["status"] == "valid"


def test_malformed_json_is_a_problem(gateway: httpx.Client) -> None:
    headers = {"content-type": "application/json"}
    assert is_problem(gateway.post("/v1/feedback", content=b'{"metric_name": ', headers=headers), 400)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"stars": 5}, "stars"),
        ({"value": "yes"}, "value"),
        ({"metric_name": "rating", "value": 6}, "value"),
        ({"metric_name": "applause"}, "metric_name"),
        ({"inference_id": 7}, "inference_id"),
        ({"metric_name": "comment", "value": 3}, "value"),
        ({"occurred_at": "yesterday"}, "occurred_at"),
        ({"tags": {"a": 1}}, "tags"),
    ],
)
def test_feedback_with_a_wrong_field_names_it(gateway: httpx.Client, changes: dict[str, Any], field: str) -> None:
    answer = gateway.post("/v1/feedback", json=THUMB | changes)
    assert is_problem(answer, 422)
    assert any(entry["field"].startswith(field) for entry in answer.json()["errors"])


def test_a_missing_field_is_named(gateway: httpx.Client) -> None:
    answer = gateway.post("/v1/feedback", json={"metric_name": "thumbs", "value": True})
    assert is_problem(answer, 422)
    assert "inference_id" in answer.text


def test_a_body_over_the_limit_is_refused(gateway: httpx.Client) -> None:
    body = THUMB | {"metric_name": "comment", "value": "x" * (2 << 20)}
    assert is_problem(gateway.post("/v1/feedback", json=body), 413)


def test_an_unknown_model_is_named(gateway: httpx.Client) -> None:
    answer = gateway.post("/v1/chat/completions", json=QUESTION | {"model": "nobody@champion"})
    assert is_problem(answer, 404)
    assert "nobody" in answer.text


def test_streaming_is_refused_in_words(gateway: httpx.Client) -> None:
    answer = gateway.post("/v1/chat/completions", json=QUESTION | {"stream": True})
    assert 400 <= answer.status_code < 500
    assert "stream" in answer.text


@pytest.mark.parametrize("key", [None, "plb_unknown"])
def test_a_missing_or_unknown_key_is_refused(product: Product, key: str | None) -> None:
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    answer = httpx.post(f"{product.settings.gateway_url}/v1/feedback", json=THUMB, headers=headers, timeout=10)
    assert is_problem(answer, 401)


def test_a_key_of_another_scope_is_refused_and_the_scope_named(product: Product, service: Person) -> None:
    headers = {"Authorization": f"Bearer {service.key}"}
    body = {"policy": "clinic-assistant", "version": 1, "reason": "let me"}
    answer = httpx.post(f"{product.settings.registry_url}/v1/promotions", json=body, headers=headers, timeout=10)
    assert is_problem(answer, 403)
    assert "request" in answer.text


def test_an_unknown_version_is_a_problem(product: Product, service: Person) -> None:
    headers = {"Authorization": f"Bearer {service.key}"}
    url = f"{product.settings.registry_url}/v1/policies/clinic-assistant/versions/999"
    assert is_problem(httpx.get(url, headers=headers, timeout=10), 404)


@pytest.mark.parametrize(
    "arguments",
    [
        ("ingest", "replay", "missing.jsonl", "--format", "jsonl"),
        ("ingest", "replay", "missing.jsonl", "--format", "no-such-format"),
        ("trainer", "train", "object:snapshots/none", "--config", "missing.toml"),
        ("registry", "gate", "999", "--json"),
        ("registry", "promote", "no-such-request"),
        ("keys", "create", "--actor", "x", "--scope", "everything"),
        ("scorer", "no-such-verb"),
    ],
)
def test_bad_commands_end_with_2_and_never_a_traceback(product: Product, arguments: tuple[str, ...]) -> None:
    operator = product.employ("operator-of-bad-commands", "operate", "view", "train")
    done = run_command(arguments, home=product.home, key=operator.key)
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    assert done.stderr.strip()


def test_a_second_replay_of_a_file_changes_nothing_but_the_duplicates(
    product: Product, service: Person, gateway: httpx.Client, tmp_path: Path
) -> None:
    completion_id = gateway.post("/v1/chat/completions", json=QUESTION).json()["id"]
    events = [
        {"id": f"replay-{number}", "metric_name": "thumbs", "inference_id": completion_id, "value": number % 2 == 0}
        for number in range(10)
    ]
    file = tmp_path / "events.jsonl"
    file.write_text("".join(json.dumps(event) + "\n" for event in events))
    before = counts(gateway)
    first = replay(product, service, file)
    after_first = settled(gateway, received=before["received"] + first)
    second = replay(product, service, file)
    after_second = settled(gateway, received=after_first["received"] + second)
    assert after_first["accepted"] == before["accepted"] + len(events)
    assert changed(after_first, after_second) == {"received": second, "duplicate": second}


def replay(product: Product, service: Person, file: Path) -> int:
    """Events that the command says it sent."""
    done = run_command(
        ("ingest", "replay", str(file), "--format", "jsonl", "--json"), home=product.home, key=service.key
    )
    assert done.returncode == 0, done.stderr
    return int(json.loads(done.stdout)["sent"])


def counts(gateway: httpx.Client) -> dict[str, int]:
    answer = gateway.get("/v1/counts").json()
    return {name: answer[name] for name in ("received", "accepted", "duplicate", "dead", "pending")}


def settled(gateway: httpx.Client, *, received: int) -> dict[str, int]:
    """The counts once as much has been received and nothing is pending."""

    def look() -> dict[str, int] | None:
        seen = counts(gateway)
        return seen if seen["received"] >= received and seen["pending"] == 0 else None

    return wait_for(f"{received} events received", look, patience_s=60)


def changed(before: dict[str, int], after: dict[str, int]) -> dict[str, int]:
    return {name: after[name] - before[name] for name in before if after[name] != before[name]}
