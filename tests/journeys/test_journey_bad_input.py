"""Bad input over HTTP and on the command line: named, refused, never a traceback, never a lost neighbour."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from infra.demo.driver import Person, Product, run_command

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


def test_a_stream_that_cannot_begin_is_a_problem_and_no_stream(gateway: httpx.Client) -> None:
    asked = QUESTION | {"stream": True}
    assert is_problem(gateway.post("/v1/chat/completions", json=asked | {"model": "nobody@champion"}), 404)
    answer = gateway.post("/v1/chat/completions", json=asked | {"stream_options": {"include_usage": "perhaps"}})
    assert is_problem(answer, 422)
    assert "stream_options" in answer.text


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
    product: Product, service: Person, tmp_path: Path
) -> None:
    file = recording(tmp_path)
    first, second = (replay(product, service, file) for _ in range(2))
    assert grown(first) == {"received": 10, "accepted": 10, "duplicate": 0, "dead": 0, "pending": 0}
    assert grown(second) == {"received": 10, "accepted": 0, "duplicate": 10, "dead": 0, "pending": 0}


def test_a_bad_row_is_named_by_its_line_and_its_neighbours_are_sent(
    product: Product, service: Person, tmp_path: Path
) -> None:
    file = recording(tmp_path, name="bad", spoiled='{"event_id": "bad-row", "kind": "wave"}\n{"nothing')
    answer = replay(product, service, file)
    assert grown(answer)["accepted"] == 10
    assert [row["line"] for row in answer["bad_rows"]] == [12, 13]


def recording(folder: Path, *, name: str = "good", spoiled: str = "") -> Path:
    """A completion and ten thumbs on it, as JSON lines; `spoiled` follows."""
    at = "2026-01-01T09:00:00Z"
    completion = {
        "completion_id": f"recorded-{name}",
        "policy": "recorded",
        "adapter_digest": "0" * 64,
        "prompt": [{"role": "user", "content": "May I take ibuprofen with food?"}],
        "completion": "Yes.",
        "served_at": at,
    }
    thumbs = [
        {"event_id": f"{name}-{n}", "completion_id": f"recorded-{name}", "kind": "thumb", "value": True}
        | {"occurred_at": at}
        for n in range(10)
    ]
    file = folder / f"{name}.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in [completion, *thumbs]) + spoiled)
    return file


def replay(product: Product, service: Person, file: Path) -> dict[str, Any]:
    """What the command answers; it ends with 0 only where every event is accounted for."""
    done = run_command(
        ("ingest", "replay", str(file), "--format", "jsonl", "--json"), home=product.home, key=service.key
    )
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def grown(answer: dict[str, Any]) -> dict[str, int]:
    return {name: answer[name] for name in ("received", "accepted", "duplicate", "dead", "pending")}
