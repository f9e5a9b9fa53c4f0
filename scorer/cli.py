"""`plumbline scorer`: the worker, and what people ask of risk and snapshots."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

import click
from rich.table import Table

from infra.clock import SystemClock
from infra.console import echo_json, people
from infra.database import Database
from infra.objects import FolderObjectStore
from scorer import app, service
from scorer.settings import ScorerSettings

ON_FILES = ("weigh", "diagnose", "explain")
POINTS = 2000  # recorded risks that are shown at most

as_json_option = click.option("--json", "as_json", is_flag=True, help="Answer with one JSON object.")


class ScorerCommands(click.Group):
    """Loads what pictures and the matrix' method need only when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All, those on files too."""
        return sorted([*super().list_commands(ctx), *ON_FILES])

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of this name."""
        if cmd_name not in ON_FILES:
            return super().get_command(ctx, cmd_name)
        found: click.Command = import_module("scorer.matrix_cli").COMMANDS[cmd_name]
        return found


@click.group(cls=ScorerCommands, name="scorer", context_settings={"help_option_names": ["-h", "--help"]})
def commands() -> None:
    """From events to scores, risk priorities and snapshots."""


@commands.command()
def run() -> None:
    """Run the worker that scores, watches risk and cuts snapshots."""
    app.run(ScorerSettings.load())


@commands.command()
@click.option("--history", is_flag=True, help="Show people how risk moved; --json holds it always.")
@as_json_option
def risk(*, history: bool, as_json: bool) -> None:
    """Which dimension × slice is in danger now, the worst first."""
    settings = ScorerSettings.load()
    with _database(settings) as database:
        found = service.risks(database, settings.policy, app.matrix_of(settings), SystemClock().now(), points=POINTS)
    if as_json:
        echo_json(found)
        return
    _show(found["cells"], ("dimension", "slice", "risk", "upper_bound", "incidents", "exposures", "escalated"))
    if history:
        _show(found["history"], ("at", "dimension", "slice", "risk", "upper_bound"))


@commands.command()
@as_json_option
def status(*, as_json: bool) -> None:
    """How many samples there are, how many have a label, and the last snapshot."""
    settings = ScorerSettings.load()
    with _database(settings) as database:
        found = service.status(database, settings.policy)
    if as_json:
        echo_json(found)
    else:
        _show([found], tuple(found))


@commands.group()
def snapshot() -> None:
    """Frozen training input."""


@snapshot.command()
@as_json_option
def cut(*, as_json: bool) -> None:
    """Cut a snapshot now, however few samples there are; the same samples are the same snapshot."""
    settings = ScorerSettings.load()
    objects = FolderObjectStore(settings.objects_dir)
    with _database(settings) as database:
        found = service.cut_now(database, objects, settings, app.matrix_of(settings), SystemClock().now())
    if as_json:
        echo_json(found)
    else:
        people().print(f"{found['uri']}  {found['rows']} samples: {found['reason']}")


@snapshot.command(name="list")
@as_json_option
def list_(*, as_json: bool) -> None:
    """Snapshots, the newest first."""
    with _database(ScorerSettings.load()) as database:
        found = service.list_snapshots(database)
    if as_json:
        echo_json({"snapshots": found})
    else:
        _show(found, ("uri", "rows", "labelled", "reason", "cut_at"))


@contextmanager
def _database(settings: ScorerSettings) -> Iterator[Database]:
    database = app.open_database(settings)
    try:
        yield database
    finally:
        database.close()


def _show(rows: list[dict[str, Any]], names: tuple[str, ...]) -> None:
    table = Table(*names)
    for row in rows:
        table.add_row(*(f"{row[name]:.3f}" if isinstance(row[name], float) else str(row[name]) for name in names))
    people().print(table)
