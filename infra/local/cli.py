"""`plumbline stack`: start, look at and end the local stack.

The first `up` registers the base model as the policy's champion, makes one key for each scope and shows them once;
afterwards `plumbline registry register` and `plumbline keys create` make more.
"""

from __future__ import annotations

import time
from collections import deque
from dataclasses import asdict
from pathlib import Path

import click
import psutil

from infra.access import AccessKeys, Scope
from infra.clock import SystemClock
from infra.console import echo_json
from infra.database import Database
from infra.local import children, kafka, parts
from infra.local.champion import ensure_champion
from infra.local.settling import Wishes
from infra.local.stack import PartStatus, Stack
from infra.local.state import State
from infra.local.topics import create_topics
from infra.settings import Settings
from matrix.errors import StackFailed

ASKABLE = tuple(name for name in parts.ports(servers_only=False) if name != "kafka-controller")
EVERY = parts.names(servers_only=False)
HOME = click.option(
    "--home",
    type=click.Path(file_okay=False, path_type=Path),
    help="The stack's folder (default: PLUMBLINE_HOME, else .plumbline).",
)
AS_JSON = click.option("--json", "as_json", is_flag=True, help="Answer with one JSON object.")


@click.group(name="stack", context_settings={"help_option_names": ["-h", "--help"]})
def commands() -> None:
    """The local servers and the product's processes, without Docker."""


@commands.command()
@HOME
@click.option("--only", type=click.Choice(["servers"]), help="Kafka, PostgreSQL and Redis, and nothing of the product.")
@click.option(
    "--base-model",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="The folder of the model that adapters sit on (default: the demo's, fitted where it is missing).",
)
@click.option("--set", "pairs", metavar="KEY=VALUE", multiple=True, help="A PLUMBLINE_* setting of the processes.")
@click.option("--port", "asked", metavar="PART=N", multiple=True, help=f"A fixed port for {', '.join(ASKABLE)}.")
@AS_JSON
def up(
    *,
    home: Path | None,
    only: str | None,
    base_model: Path | None,
    pairs: tuple[str, ...],
    asked: tuple[str, ...],
    as_json: bool,
) -> None:
    """Start what does not run and return when all is ready; a second `up` finds the running stack."""
    wishes = Wishes(
        servers_only=only == "servers",
        base_model=base_model or Settings.load().base_model,
        settings=dict(_setting(pair) for pair in pairs),
        ports=dict(_port(pair) for pair in asked),
    )
    stack = _stack(home)
    state = _up(stack, wishes)
    if not state.servers_only:
        ensure_champion(stack, state, lambda line: click.echo(line, err=True))
    keys = {} if state.servers_only or state.keys_made else _first_keys(stack)
    answer = {"home": str(stack.home), "env": str(stack.home / "stack.env"), "parts": _listed(stack.status())}
    if as_json:
        echo_json({**answer, "keys": keys})
        return
    _show(stack.status())
    if keys:
        click.echo("one key for each scope; they are not shown again:", err=True)
        for scope, key in keys.items():
            click.echo(f"  {scope:10}{key}", err=True)


@commands.command()
@HOME
@AS_JSON
def down(*, home: Path | None, as_json: bool) -> None:
    """End everything that the stack started."""
    ended = _stack(home).down()
    if as_json:
        echo_json({"ended": ended})
    else:
        click.echo(f"ended {', '.join(ended)}" if ended else "nothing was running", err=True)


@commands.command()
@HOME
@AS_JSON
def status(*, home: Path | None, as_json: bool) -> int:
    """Say what runs. Exit code 1 where a part does not."""
    stack = _stack(home)
    found = stack.status()
    if as_json:
        echo_json({"home": str(stack.home), "parts": _listed(found)})
    elif found:
        _show(found)
    else:
        click.echo(f"no stack was started in {stack.home}", err=True)
    return 0 if found and all(part.state == "running" for part in found) else 1


@commands.command()
@HOME
@click.argument("name", type=click.Choice(EVERY))
@AS_JSON
def restart(*, home: Path | None, name: str, as_json: bool) -> None:
    """End one part and start it as it was."""
    stack = _stack(home)
    stack.restart(name)
    if as_json:
        echo_json(next(part for part in _listed(stack.status()) if part["name"] == name))


@commands.command()
@HOME
@click.argument("name", type=click.Choice(EVERY))
@click.option("-n", "--lines", type=click.IntRange(min=1), default=40, show_default=True, help="How many, at most.")
@click.option("-f", "--follow", is_flag=True, help="Go on until the part ends or you interrupt.")
@click.option("--json", "as_json", is_flag=True, help="Answer with one JSON object; not with --follow.")
def logs(*, home: Path | None, name: str, lines: int, follow: bool, as_json: bool) -> None:
    """Show the end of a part's log."""
    child = children.named(_stack(home).home, name)
    if not child.log.exists():
        raise click.UsageError(f"{name} has no log in {child.log.parent}: it was not started")
    with child.log.open(errors="replace") as log:
        last = [line.rstrip("\n") for line in deque(log, maxlen=lines)]
        if as_json:
            echo_json({"name": name, "log": str(child.log), "lines": last})
            return
        click.echo("\n".join(last))
        while follow and (line := log.readline() or _wait_for(children.find(child))) is not None:
            click.echo(line, nl=False)


@commands.command()
@HOME
def fetch(*, home: Path | None) -> None:
    """Fetch Kafka's jars with Maven, unless they are there."""
    stack = _stack(home)
    if not kafka.jars_folder(stack.cache).is_dir():
        click.echo("fetching Kafka's jars with Maven (43 MB) ...", err=True)
        kafka.ensure_jars(stack.cache)


@commands.command()
@click.option("--replication", type=click.IntRange(min=1), default=1, show_default=True, help="Copies of each topic.")
@AS_JSON
def topics(*, replication: int, as_json: bool) -> None:
    """Make the topics that are missing on the Kafka of PLUMBLINE_KAFKA; those that exist take the largest messages."""
    made = create_topics(Settings.load().kafka, replication=replication)
    if as_json:
        echo_json({"created": made})
    else:
        click.echo(f"created {', '.join(made)}" if made else "every topic was there", err=True)


def _stack(home: Path | None) -> Stack:
    began = time.monotonic()

    def tell(line: str) -> None:
        click.echo(f"{time.monotonic() - began:6.1f} s  {line}", err=True)

    return Stack(home or Settings().home, tell=tell)


def _up(stack: Stack, wishes: Wishes) -> State:
    try:
        return stack.up(wishes)
    except StackFailed:
        if any(part.pid is not None for part in stack.status()):
            click.echo("what was started keeps running for a look; `plumbline stack down` ends it", err=True)
        raise


def _first_keys(stack: Stack) -> dict[str, str]:
    """One key for each scope, by an actor of its name, so that approver and author are two people."""
    database = Database(stack.variables()["PLUMBLINE_DATABASE_URL"])
    try:
        access = AccessKeys(database, SystemClock())
        keys = {scope.value: access.create(f"local-{scope.value}", [scope]) for scope in Scope}
    finally:
        database.close()
    stack.mark_keys_made()
    return keys


def _wait_for(process: psutil.Process | None) -> str | None:
    """None where no more will be written."""
    if process is None:
        return None
    time.sleep(children.POLL_S)
    return ""


def _setting(pair: str) -> tuple[str, str]:
    name, equals, value = pair.partition("=")
    name = name if name.startswith("PLUMBLINE_") else f"PLUMBLINE_{name.upper()}"
    if not equals or not name.replace("_", "").isalnum():
        raise click.BadParameter(f"{pair!r} is not KEY=VALUE", param_hint="--set")
    return name, value


def _port(pair: str) -> tuple[str, int]:
    name, _, number = pair.partition("=")
    if name not in ASKABLE:
        raise click.BadParameter(f"{name!r} is none of {', '.join(ASKABLE)}", param_hint="--port")
    if not number.isascii() or not number.isdigit() or not 0 < int(number) < 1 << 16:
        raise click.BadParameter(f"{pair!r}: a port is a number from 1 to 65535", param_hint="--port")
    return name, int(number)


def _listed(found: list[PartStatus]) -> list[dict[str, object]]:
    return [asdict(part) for part in found]


def _show(found: list[PartStatus]) -> None:
    for part in found:
        click.echo(f"{part.name:16}{part.state:11}{part.pid or '':<9}{part.address}", err=True)
