"""How commands answer: JSON on standard output for machines, text and progress on standard error for people."""

from __future__ import annotations

import json
import sys
from typing import Any

import click
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)


def echo_json(value: Any) -> None:
    """One JSON object on one line of standard output."""
    click.echo(json.dumps(value, ensure_ascii=False, default=str))


def people() -> Console:
    """The console that people read; standard output stays free for answers."""
    return Console(file=sys.stderr, highlight=False)


def progress() -> Progress:
    """A bar with count, elapsed time and time left."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    return Progress(*columns, TimeElapsedColumn(), TimeRemainingColumn(), console=people())
