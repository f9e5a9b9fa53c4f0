"""The worker as a process: one task over Celery, twice, is one run, and its candidate is on Kafka."""

from __future__ import annotations

import signal
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from kafka import KafkaConsumer

from infra.jobs import CelerySender
from infra.objects import FolderObjectStore
from matrix.alignment.dimensions import load_matrix
from matrix.messages.run import CandidateTrained, RunStatus
from matrix.scorers import SCORER_NAMES
from matrix.topics import CANDIDATE_TRAINED
from tests.conftest import REPOSITORY, StackUnderTest
from tests.fakes.snapshots import TEXTS, write_snapshot
from tests.fakes.tiny_qwen import save_tiny_base
from tests.fakes.waiting import until
from trainer.service import TRAIN_TASK, list_runs, train_arguments

pytestmark = pytest.mark.stack

RECIPE = b"""
name = "tiny"
steps = 2
[adapter]
rank = 2
alpha = 4
[rollouts]
prompts_per_step = 2
group_size = 2
max_tokens = 4
[rewards]
dimensions = ["satisfaction", "structure", "length_budget", "disclaimer"]
reference_prompts = 4
reference_group = 2
"""


def announced(stack: StackUnderTest) -> list[CandidateTrained]:
    consumer = KafkaConsumer(
        CANDIDATE_TRAINED.name,
        bootstrap_servers=stack.servers.kafka,
        auto_offset_reset="earliest",
        consumer_timeout_ms=2000,
    )
    with closing(consumer):
        return [CandidateTrained.model_validate_json(record.value) for record in consumer]


def test_a_task_sent_twice_is_one_run_and_one_candidate(stack: StackUnderTest, tmp_path: Path) -> None:
    objects = FolderObjectStore(tmp_path / "objects")
    matrix = load_matrix((REPOSITORY / "matrix.toml").read_text(), file="matrix.toml", scorers=SCORER_NAMES)
    snapshot = write_snapshot(objects, TEXTS * 6, matrix_sha256=matrix.digest())
    arguments = train_arguments(snapshot, objects.write("recipes/tiny.toml", RECIPE), "ada")
    environment = stack.environment | {
        "PLUMBLINE_BASE_MODEL": str(save_tiny_base(tmp_path / "base")),
        "PLUMBLINE_TORCH_THREADS": "1",
        "OMP_NUM_THREADS": "1",
    }
    sender = CelerySender(stack.servers.redis_url)
    for _ in range(2):
        sender.send(TRAIN_TASK, arguments)
    command = [sys.executable, "-m", "infra.cli", "trainer", "worker"]
    worker = subprocess.Popen(command, env=environment, cwd=REPOSITORY)
    try:
        ends = {RunStatus.TRAINED.value, RunStatus.FAILED.value}
        until(lambda: any(row.status in ends for row in list_runs(stack.database, 10)), "the end of the run")
        [row] = list_runs(stack.database, 10)
        assert (row.status, row.error, row.step) == ("trained", None, 2)
        until(lambda: announced(stack), "the candidate on Kafka")
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(30) == 0
    finally:
        if worker.poll() is None:
            worker.kill()
            worker.wait()
    assert {message.adapter_digest for message in announced(stack)} == {row.adapter_digest}
    assert len(list_runs(stack.database, 10)) == 1
