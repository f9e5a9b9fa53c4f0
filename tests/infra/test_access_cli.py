"""`plumbline keys`: what a person sees of keys, and what they never see again."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner, Result

from infra.access_cli import commands
from infra.database import Database
from matrix.errors import InvalidInput


@pytest.fixture
def run(database: Database, monkeypatch: pytest.MonkeyPatch) -> CliRunner:
    monkeypatch.setenv("PLUMBLINE_DATABASE_URL", database.engine.url.render_as_string(hide_password=False))
    return CliRunner()


def ran(run: CliRunner, *arguments: str) -> Result:
    return run.invoke(commands, arguments, catch_exceptions=False)


def test_a_rotation_answers_with_the_successor_and_the_list_says_when_the_old_key_ends(run: CliRunner) -> None:
    made = json.loads(ran(run, "create", "--actor", "ana", "--scope", "view", "--tenant", "north", "--json").stdout)
    new = json.loads(ran(run, "rotate", made["key_id"], "--overlap", "7d", "--json").stdout)
    assert (new["actor"], new["tenant"], new["scopes"]) == ("ana", "north", ["view"])
    assert new["key"] != made["key"]
    listed = ran(run, "list").stdout
    assert listed.count("north") == 2
    assert listed.count("valid until") == 1
    assert made["key"] not in listed


def test_a_key_alone_goes_to_standard_output(run: CliRunner) -> None:
    answer = ran(run, "create", "--actor", "ana", "--scope", "view")
    assert answer.stdout.startswith("plb_")
    assert len(answer.stdout.splitlines()) == 1


@pytest.mark.parametrize("overlap", ["soon", "-1h", "24", "1.5h"])
def test_an_overlap_is_a_number_with_its_unit(run: CliRunner, overlap: str) -> None:
    with pytest.raises(InvalidInput, match="overlap"):
        run.invoke(commands, ["rotate", "some", f"--overlap={overlap}"], catch_exceptions=False)
