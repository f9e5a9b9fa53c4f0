import json
from datetime import timedelta

import pytest
from click.testing import CliRunner

from infra.clock import SystemClock
from infra.database import Database
from matrix.errors import AccessDenied, NotFound
from trainer.cli import commands
from trainer.service import RunAsked, Runs

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


def test_a_run_that_is_not_there_is_named(command_line: CliRunner) -> None:
    with pytest.raises(NotFound, match="no run named 'absent'"):
        command_line.invoke(commands, ["show", "absent"], catch_exceptions=False)


def test_training_needs_a_key(command_line: CliRunner, tmp_path_factory: pytest.TempPathFactory) -> None:
    recipe = tmp_path_factory.mktemp("recipe") / "run.toml"
    recipe.write_text('name = "x"\n')
    with pytest.raises(AccessDenied):
        command_line.invoke(commands, ["train", "object:snapshots/aa", "--config", str(recipe)], catch_exceptions=False)
