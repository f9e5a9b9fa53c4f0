"""A chat service with the client, while the gateway is killed and started again: every event is counted once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from infra.demo.driver import Person, Product, wait_for
from infra.local.stack import Stack
from ingest.client import Plumbline, Refusal

pytestmark = [pytest.mark.journey, pytest.mark.stack]

REPOSITORY = Path(__file__).parents[2]
CACHE = REPOSITORY / ".plumbline" / "cache"
EACH, PATIENCE_S = 40, 120.0
COUNTED = ("received", "accepted", "duplicate", "dead", "pending")
DIES = """
import os, signal, sys, time
from ingest.client import Plumbline
url, key, spill, count = sys.argv[1:]
client = Plumbline(url, key, spill=spill)
for number in range(int(count)):
    client.thumb("sdk-answer", True, user_id="u1", event_id=f"sdk-dies-{number}")
while client.counts().waiting:
    time.sleep(0.01)
os.kill(os.getpid(), signal.SIGKILL)
"""


def counts(gateway: httpx.Client) -> dict[str, int]:
    told: dict[str, Any] = gateway.get("/v1/counts").json()
    return {name: told[name] for name in COUNTED}


def kill_gateway(product: Product) -> None:
    """As kill -9."""
    (pid,) = (part.pid for part in Stack(product.home, cache=CACHE).status() if part.name == "gateway")
    assert pid is not None
    os.kill(pid, signal.SIGKILL)


def test_every_event_of_the_client_is_counted_once_while_the_gateway_is_killed_and_started_again(
    product: Product, service: Person, gateway: httpx.Client, tmp_path: Path
) -> None:
    before, told, spill = counts(gateway), list[Refusal](), tmp_path / "feedback.spill"
    url = product.settings.gateway_url
    with Plumbline(url, service.key, spill=spill, on_refused=told.append) as client:
        client.log_completion(
            "sdk-answer",
            policy="clinic-assistant",
            adapter_digest="0" * 64,
            prompt=[{"role": "user", "content": "May I take ibuprofen with food?"}],
            completion="Yes.",
            user_id="u1",
        )
        ids = [client.thumb("sdk-answer", True, user_id="u1") for _ in range(EACH)]
        assert client.flush(PATIENCE_S)
        ids += [client.comment("sdk-answer", "said while the gateway was killed", user_id="u1") for _ in range(EACH)]
        kill_gateway(product)
        ids += [client.rating("sdk-answer", 4, user_id="u1") for _ in range(EACH)]
        wait_for("an empty memory", lambda: client.counts().waiting == 0 or None, patience_s=PATIENCE_S)
        ended = subprocess.run(
            [sys.executable, "-c", DIES, url, service.key, str(spill), str(EACH)], cwd=REPOSITORY, check=False
        )
        assert ended.returncode == -signal.SIGKILL
        ids += [f"sdk-dies-{number}" for number in range(EACH)]
        Stack(product.home, cache=CACHE).restart("gateway")
        assert client.flush(PATIENCE_S)
        ids += [client.follow_up("sdk-answer", "And with milk?", user_id="u1") for _ in range(EACH)]
        assert client.flush(PATIENCE_S)
        assert client.counts().spilled_bytes == 0
    grown = wait_for("every event counted", lambda: settled(gateway, before, len(ids)), patience_s=PATIENCE_S)
    assert told == []
    assert (grown["accepted"], grown["dead"], grown["pending"]) == (len(ids), 0, 0)
    assert grown["received"] == len(ids) + grown["duplicate"]
    answers = [gateway.get(f"/v1/feedback/{event_id}").json() for event_id in ids]
    assert {answer["status"] for answer in answers} == {"matched"}


def settled(gateway: httpx.Client, before: dict[str, int], accepted: int) -> dict[str, int] | None:
    after = counts(gateway)
    grown = {name: after[name] - before[name] for name in COUNTED}
    return grown if grown["accepted"] >= accepted and grown["pending"] <= 0 else None
