"""`plumbline trainer …`: start runs and look at them; what loads a model comes from trainer/model_cli.py when asked.

Starting and showing runs works on names alone, so it answers without loading torch.
"""

from __future__ import annotations

import json
import time
from importlib import import_module
from pathlib import Path
from typing import Any

import click
from rich.table import Table

from infra.access import AccessKeys, Scope, ensure_scope
from infra.clock import SystemClock
from infra.console import echo_json, people
from infra.database import Database
from infra.jobs import CelerySender
from infra.objects import FolderObjectStore
from matrix.digests import digest_bytes
from matrix.errors import InvalidInput
from matrix.messages.run import RunStatus, weights_name
from trainer import service
from trainer.config import parse_config
from trainer.declarations import read_text
from trainer.settings import TrainerSettings
from trainer.snapshots import read_manifest
from trainer.tables import RunRow

HEAVY = ("worker", "serve", "fit-base")
POLL_S = 0.5
_LOST = (RunStatus.FAILED, RunStatus.CANCELLED)
_ENDS = (RunStatus.TRAINED, *_LOST)


class TrainerCommands(click.Group):
    """Loads what needs torch only when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All, heavy ones too."""
        return sorted([*super().list_commands(ctx), *HEAVY])

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of this name."""
        if cmd_name not in HEAVY:
            return super().get_command(ctx, cmd_name)
        heavy: click.Command = import_module("trainer.model_cli").COMMANDS[cmd_name]
        return heavy


@click.group(cls=TrainerCommands)
def commands() -> None:
    """From a snapshot to a candidate adapter and its evaluation."""


@commands.command()
@click.argument("snapshot_uri")
@click.option(
    "--config",
    "config_file",
    required=True,
    type=click.Path(dir_okay=False, exists=True, path_type=Path),
    help="Recipe.",
)
@click.option("--wait", is_flag=True, help="Return when the run has ended; exit 1 unless it trained.")
@click.option("--json", "as_json", is_flag=True, help="Answer in JSON on standard output.")
def train(snapshot_uri: str, config_file: Path, *, wait: bool, as_json: bool) -> int:
    """Train on a snapshot. The same snapshot and recipe are the same run, so asking twice is asking once.

    Asked for again, a run that is trained announces its candidate again.
    """
    settings = TrainerSettings.load()
    database = Database(settings.database_url.get_secret_value())
    key = settings.api_key.get_secret_value() if settings.api_key else None
    principal = AccessKeys(database, SystemClock()).authenticate(key)
    ensure_scope(principal, Scope.TRAIN)
    asked = _asked(settings, snapshot_uri, config_file, principal.actor)
    runs = service.Runs(database, SystemClock(), worker="command", lease=settings.lease, wake=lambda: None)
    row = runs.ask(asked)
    if RunStatus(row.status) not in _LOST:
        arguments = service.train_arguments(asked.snapshot_uri, asked.recipe_uri, asked.author)
        CelerySender(settings.redis_url.get_secret_value()).send(service.TRAIN_TASK, arguments)
    if wait:
        row = _wait_for(database, row.run_id)
    _show([row], as_json=as_json, one=True)
    return 0 if not wait or row.status == RunStatus.TRAINED else 1


@commands.command("runs")
@click.option("--limit", default=20, show_default=True, type=click.IntRange(1, 1000), help="How many.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line on standard output.")
def list_runs(limit: int, *, as_json: bool) -> None:
    """The newest runs."""
    database = Database(TrainerSettings.load().database_url.get_secret_value())
    _show(service.list_runs(database, limit), as_json=as_json, one=False)


@commands.command()
@click.argument("run_id")
@click.option("--json", "as_json", is_flag=True, help="Answer in JSON on standard output.")
def show(run_id: str, *, as_json: bool) -> None:
    """One run: where it stands, its figures, and its adapter."""
    database = Database(TrainerSettings.load().database_url.get_secret_value())
    _show([service.show_run(database, run_id)], as_json=as_json, one=True)


@commands.command()
@click.argument("run_id")
@click.option("--json", "as_json", is_flag=True, help="JSON lines, which `plumbline scorer explain -` draws.")
def weights(run_id: str, *, as_json: bool) -> None:
    """What a trained run's rewards weighed, update by update, and which factors led there."""
    settings = TrainerSettings.load()
    row = service.show_run(Database(settings.database_url.get_secret_value()), run_id)
    if row.status != RunStatus.TRAINED:
        raise InvalidInput(field="RUN_ID", value=run_id, remedy=f"a run that is trained; this one is {row.status}")
    content = FolderObjectStore(settings.objects_dir).read(f"object:{weights_name(run_id)}")
    told = [json.loads(line) for line in content.splitlines()]
    if as_json:
        for one in told:
            echo_json(one)
        return
    table = Table("dimension", *(f"step {one['step']}" for one in told))
    for name in told[-1]["weights"]:
        table.add_row(name, *(f"{one['weights'][name]:.2f}" for one in told))
    people().print(table)


def _asked(settings: TrainerSettings, snapshot_uri: str, config_file: Path, author: str) -> service.RunAsked:
    objects = FolderObjectStore(settings.objects_dir)
    text = read_text(config_file, field="--config")
    config, content = parse_config(text, file=str(config_file)), text.encode()
    snapshot_sha256, manifest = read_manifest(objects, snapshot_uri)
    recipe_sha256 = digest_bytes(content)
    return service.RunAsked(
        policy=manifest.policy,
        snapshot_uri=snapshot_uri,
        snapshot_sha256=snapshot_sha256,
        recipe_uri=objects.write(f"recipes/{recipe_sha256}.toml", content),
        recipe_sha256=recipe_sha256,
        recipe_name=config.name,
        author=author,
    )


def _wait_for(database: Database, run_id: str) -> RunRow:
    with people().status(f"run {run_id} is queued") as status:
        while True:
            row = service.show_run(database, run_id)
            if RunStatus(row.status) in _ENDS:
                return row
            status.update(f"run {run_id}: {row.status}, step {row.step} of {row.steps or '?'}")
            time.sleep(POLL_S)


def _show(rows: list[RunRow], *, as_json: bool, one: bool) -> None:
    if as_json:
        for row in rows:
            echo_json(_described(row))
        return
    table = Table("run", "status", "step", "recipe", "author", "adapter", "note")
    for row in rows:
        adapter = (row.adapter_digest or "")[:12]
        steps = f"{row.step}/{row.steps}" if row.steps else ""
        table.add_row(row.run_id, row.status, steps, row.recipe_name, row.author, adapter, row.error or "")
    people().print(table)
    if one:
        for name, value in sorted(rows[0].figures.items()):
            people().print(f"{name}: {value:.4g}")


def _described(row: RunRow) -> dict[str, Any]:
    return row.model_dump(mode="json", exclude={"claimed_by", "lease_until"})
