"""What the README shows is what the code takes: JSON bodies, metric names, commands and their options."""

from __future__ import annotations

import json
import re
import shlex
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from infra.cli import root
from ingest.tensorzero import METRICS, FeedbackRequest, to_event
from matrix.messages.completion import CompletionServed

README = (Path(__file__).parents[2] / "README.md").read_text()
BODIES: list[dict[str, Any]] = [json.loads(block) for block in re.findall(r"```json\n(.*?)```", README, re.DOTALL)]
COMMANDS = sorted(set(re.findall(r"^(plumbline [^#\n]*?)\s*(?:#|$)", README, re.MULTILINE)))


def test_the_feedback_body_is_accepted() -> None:
    (body,) = (body for body in BODIES if "metric_name" in body)
    event = to_event(FeedbackRequest.model_validate(body), body["id"], datetime(2026, 1, 1, tzinfo=UTC))
    assert (event.event_id, event.user_id, event.value) == ("click-4711", "u1", True)


def test_the_completion_body_is_accepted() -> None:
    (body,) = (body for body in BODIES if "completion_id" in body)
    assert CompletionServed.model_validate(body).policy == "clinic-assistant"


def test_the_table_of_metrics_is_the_codes() -> None:
    rows = re.findall(r"^\| `(\w+)` \|", README, re.MULTILINE)
    assert set(rows) - {"metric_name"} == set(METRICS)


@pytest.mark.parametrize("line", COMMANDS)
def test_every_command_shown_exists_with_its_options(line: str) -> None:
    words = shlex.split(line.replace("…", "x"))[1:]
    path: list[str] = []
    command: click.Command = root
    while isinstance(command, click.Group) and words:
        found = command.get_command(click.Context(command), words[0])
        assert found is not None, f"{line}: no command {words[0]}"
        command, path, words = found, [*path, words[0]], words[1:]
    known = {option for parameter in command.params for option in parameter.opts}
    assert {word for word in words if word.startswith("--")} <= known
    shown = CliRunner().invoke(root, [*path, "-h"])
    assert shown.exit_code == 0, shown.output


def test_something_is_shown() -> None:
    assert len(BODIES) == 2
    assert len(COMMANDS) > 5
