"""Chat services with the client on the real stack: the gateway dies and comes back, a service dies and does not."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ingest import service
from ingest.client import Options, Plumbline, Refusal
from tests.conftest import REPOSITORY, StackUnderTest
from tests.fakes.ingest_processes import gateway_process, rows, worker
from tests.fakes.waiting import until

pytestmark = [pytest.mark.stack, pytest.mark.slow]

EACH, LIMIT_S = 60, 120.0
FAST = Options(first_backoff_s=0.05, most_backoff_s=0.5)
SAYS = """
import os, signal, sys, time
from ingest.client import Plumbline
url, key, spill, name, count, ending = sys.argv[1:]
client = Plumbline(url, key, spill=spill)
for number in range(int(count)):
    client.thumb("answer", True, user_id=name, event_id=f"{name}-{number}")
while client.counts().waiting:
    time.sleep(0.01)
if ending == "dies":
    os.kill(os.getpid(), signal.SIGKILL)
client.close(0.5)
"""


def says(*arguments: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", SAYS, *arguments], cwd=REPOSITORY)


def test_every_event_counts_once_although_the_gateway_and_a_service_are_killed(
    stack: StackUnderTest, tmp_path: Path
) -> None:
    told: list[Refusal] = []
    with gateway_process(stack) as gateway, worker(stack):
        shared = (gateway.url, gateway.key, str(tmp_path / "spill"))
        with Plumbline(*shared[:2], spill=tmp_path / "spill", on_refused=told.append, options=FAST) as client:
            prompt = [{"role": "user", "content": "May I?"}]
            client.log_completion(
                "answer", policy="assistant", adapter_digest="0" * 64, prompt=prompt, completion="Yes"
            )
            ids = [client.thumb("answer", True, user_id="a") for _ in range(EACH)]
            assert client.flush(LIMIT_S)
            ids += [client.rating("answer", 3, user_id="a") for _ in range(EACH)]
            gateway.kill()
            others = {name: says(*shared, name, str(EACH), ending) for name, ending in (("b", "dies"), ("c", "ends"))}
            ids += [client.comment("answer", "Is it there?", user_id="a") for _ in range(EACH)]
            assert [others[name].wait() for name in "bc"] == [-signal.SIGKILL, 0]
            ids += [f"{name}-{number}" for name in "bc" for number in range(EACH)]
            until(lambda: client.counts().waiting == 0, "everything on disk")
            assert client.counts().spilled_bytes > 0
            gateway.start()
            assert client.flush(LIMIT_S)
        until(lambda: service.counts(stack.database)["accepted"] >= len(ids), "every event")
    counted = service.counts(stack.database)
    assert told == []
    assert (counted["accepted"], counted["dead"], counted["pending"]) == (len(ids), 0, 0)
    assert counted["received"] == len(ids) + counted["duplicate"]
    assert rows(stack, "SELECT event_id FROM ingest.feedback ORDER BY 1") == sorted((event_id,) for event_id in ids)
    assert (tmp_path / "spill").stat().st_size == 0
