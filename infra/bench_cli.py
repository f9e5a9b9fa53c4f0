"""`plumbline bench`: measure what the product claims, each claim beside its peer in the same run.

Benchmarks are named in the table of the repository's folder benchmarks/, which no installed package holds: infra
finds it by name and imports no stage. Exit code 1 where a target is missed.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

import click
from rich.table import Table

from infra.bench import Figure, Profile, report
from infra.console import echo_json, people
from infra.pictures import PLAIN, drawing, save
from matrix.errors import InvalidInput, NotFound

FOLDER = "benchmarks"
MISSED = 1


class Benchmarks(click.Group):
    """One command for each row of the table, loaded when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """`list`, then the benchmarks."""
        return [*super().list_commands(ctx), *sorted(_table())]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The benchmark of this name."""
        return super().get_command(ctx, cmd_name) or (_command(cmd_name) if cmd_name in _table() else None)


@click.group(cls=Benchmarks, name="bench", context_settings={"help_option_names": ["-h", "--help"]})
def commands() -> None:
    """Measure what is claimed; exit code 1 where a target is missed."""


@commands.command(name="list")
@click.option("--json", "as_json", is_flag=True, help="Answer with one JSON object.")
def listed(*, as_json: bool) -> None:
    """Every benchmark with what it measures."""
    table = _table()
    if as_json:
        echo_json({"benchmarks": [{"name": name, "about": row.about} for name, row in sorted(table.items())]})
        return
    for name, row in sorted(table.items()):
        click.echo(f"{name:12}{row.about}")


def _command(name: str) -> click.Command:
    row = _table()[name]

    @click.option("--json", "as_json", is_flag=True, help="Answer with one JSON object.")
    @click.option("--quick", is_flag=True, help="A reduced run that shows that it runs; targets are not judged.")
    @click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of the generated input.")
    @click.option(
        "--minutes", type=click.FloatRange(min=0), default=0.0, help="Of steady load, where memory is watched."
    )
    @click.option("--pictures", "folder", help="Draw them into this folder as well, where the benchmark has pictures.")
    def measure(*, as_json: bool, quick: bool, seed: int, minutes: float, folder: str | None) -> int:
        if folder is not None and row.pictures is None:
            raise InvalidInput(field="--pictures", value=folder, remedy=f"a benchmark with pictures; {name} has none")
        figures = import_module(row.module).measure(Profile(quick=quick, seed=seed, minutes=minutes))
        if folder is not None:
            _draw(row.pictures, figures, Path(folder))
        told = report(name, figures, seed=seed, packages=row.packages)
        if as_json:
            echo_json(told | {"quick": quick})
        else:
            _show(figures)
        missed = [figure.name for figure in figures if figure.met is False]
        if missed and not as_json:
            click.echo(f"missed: {', '.join(missed)}", err=True)
        return MISSED if missed and not quick else 0

    return click.command(name=name, help=row.about)(measure)


def _draw(module: str, figures: list[Figure], folder: Path) -> None:
    with drawing("bench", PLAIN):
        for name, picture in import_module(module).pictures(figures).items():
            click.echo(str(save(picture, folder / f"{name}.svg")), err=True)


def _table() -> dict[str, Any]:
    try:
        return dict(import_module(FOLDER).BENCHMARKS)
    except ModuleNotFoundError as error:
        if error.name != FOLDER:
            raise
        raise NotFound(what="folder of the repository (benchmarks are not installed)", name=FOLDER) from None


def _show(figures: list[Figure]) -> None:
    table = Table("figure", "unit", "value", "peer", "ratio", "target", "met")
    for figure in figures:
        row = figure.row()
        met = {True: "yes", False: "NO", None: ""}[row["met"]]
        peer = "" if row["peer"] is None else f"{row['peer']:,g} ({row['peer_name']})"
        cells = (row["name"], row["unit"], f"{row['value']:,g}", peer, row["ratio"], row["target"], met)
        table.add_row(*("" if cell is None else str(cell) for cell in cells))
    people().print(table)
