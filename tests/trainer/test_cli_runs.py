import json
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner
from kombu.connection import Connection
from sqlalchemy import update

from infra.access import AccessKeys, Scope
from infra.clock import SystemClock
from infra.database import Database
from infra.objects import FolderObjectStore
from matrix.errors import AccessDenied, InvalidInput, NotFound
from matrix.messages.run import RunStatus, weights_name
from tests.fakes.snapshots import write_snapshot
from trainer.cli import commands
from trainer.service import TRAIN_TASK, RunAsked, Runs
from trainer.tables import RunRow

ASKED = RunAsked("clinic", "object:snapshots/aa", "a" * 64, "object:recipes/bb.toml", "b" * 64, "grpo", "ada")


@pytest.fixture
def command_line(database: Database, database_url: str, monkeypatch: pytest.MonkeyPatch) -> CliRunner:
    monkeypatch.setenv("PLUMBLINE_DATABASE_URL", database_url)
    monkeypatch.delenv("PLUMBLINE_API_KEY", raising=False)
    return CliRunner()


def test_runs_are_listed_as_json_lines(command_line: CliRunner, database: Database) -> None:
    runs = Runs(database, SystemClock(), worker="one", lease=timedelta(seconds=60), wake=lambda: None)
    runs.ask(ASKED)
    [line] = command_line.invoke(commands, ["runs", "--json"], catch_exceptions=False).stdout.splitlines()
    assert json.loads(line) | {"run_id": ASKED.run_id, "status": "queued", "author": "ada"} == json.loads(line)


def test_weights_of_a_trained_run_are_told_and_of_another_refused(
    command_line: CliRunner, database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PLUMBLINE_OBJECTS_DIR", str(tmp_path))
    Runs(database, SystemClock(), worker="one", lease=timedelta(seconds=60), wake=lambda: None).ask(ASKED)
    with pytest.raises(InvalidInput, match="this one is queued"):
        command_line.invoke(commands, ["weights", ASKED.run_id], catch_exceptions=False)
    with database.unit_of_work() as session:
        session.connection().execute(update(RunRow).values(status=RunStatus.TRAINED.value))
    told = [{"step": step, "weights": {"right": 1.0}} for step in (0, 10)]
    content = "".join(json.dumps(one) + "\n" for one in told).encode()
    FolderObjectStore(tmp_path).write(weights_name(ASKED.run_id), content)
    answered = command_line.invoke(commands, ["weights", ASKED.run_id, "--json"], catch_exceptions=False)
    assert [json.loads(line) for line in answered.stdout.splitlines()] == told
    shown = command_line.invoke(commands, ["weights", ASKED.run_id], catch_exceptions=False)
    assert "step 10" in shown.stderr


def test_a_run_that_is_not_there_is_named(command_line: CliRunner) -> None:
    with pytest.raises(NotFound, match="no run named 'absent'"):
        command_line.invoke(commands, ["show", "absent"], catch_exceptions=False)


def test_training_needs_a_key(command_line: CliRunner, tmp_path_factory: pytest.TempPathFactory) -> None:
    recipe = tmp_path_factory.mktemp("recipe") / "run.toml"
    recipe.write_text('name = "x"\n')
    with pytest.raises(AccessDenied):
        command_line.invoke(commands, ["train", "object:snapshots/aa", "--config", str(recipe)], catch_exceptions=False)


@pytest.fixture
def queue(command_line: CliRunner, monkeypatch: pytest.MonkeyPatch) -> Iterator[Connection]:
    """The queue of commands, in this process."""
    monkeypatch.setenv("PLUMBLINE_REDIS_URL", "memory://")
    with closing(Connection("memory://")) as connection:  # type: ignore[no-untyped-call]  # kombu
        connection.SimpleQueue("trainer").clear()  # type: ignore[no-untyped-call]  # kombu
        yield connection


def sent(queue: Connection) -> list[str]:
    waiting = queue.SimpleQueue("trainer")  # type: ignore[no-untyped-call]  # kombu
    return [waiting.get(block=False).headers["task"] for _ in range(waiting.qsize())]


@pytest.mark.parametrize(
    ("status", "expected"),
    [(RunStatus.QUEUED, [TRAIN_TASK]), (RunStatus.TRAINED, [TRAIN_TASK]), (RunStatus.FAILED, [])],
)
def test_a_run_is_sent_again_unless_it_is_lost(
    command_line: CliRunner,
    database: Database,
    objects: FolderObjectStore,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    queue: Connection,
    status: RunStatus,
    expected: list[str],
) -> None:
    monkeypatch.setenv("PLUMBLINE_OBJECTS_DIR", str(tmp_path / "objects"))
    monkeypatch.setenv("PLUMBLINE_API_KEY", AccessKeys(database, SystemClock()).create("ada", [Scope.TRAIN]))
    (tmp_path / "run.toml").write_text('name = "x"\n')
    arguments = ["train", write_snapshot(objects), "--config", str(tmp_path / "run.toml")]
    command_line.invoke(commands, arguments, catch_exceptions=False)
    assert sent(queue) == [TRAIN_TASK]
    with database.unit_of_work() as session:
        session.exec(update(RunRow).values(status=status.value))
    command_line.invoke(commands, arguments, catch_exceptions=False)
    assert sent(queue) == expected
