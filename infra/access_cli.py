"""`plumbline keys`: for those who run the deployment; needs its database, not a key."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import click

from infra.access import AccessKeys, Scope
from infra.clock import SystemClock
from infra.console import echo_json
from infra.database import Database
from infra.settings import Settings


@click.group(name="keys", context_settings={"help_option_names": ["-h", "--help"]})
def commands() -> None:
    """Make, list and revoke API keys."""


@contextmanager
def _keys() -> Iterator[AccessKeys]:
    database = Database(Settings.load().database_url.get_secret_value())
    try:
        yield AccessKeys(database, SystemClock())
    finally:
        database.close()


@commands.command()
@click.option("--actor", required=True, help="The person or service that the key stands for.")
@click.option("--scope", "scopes", multiple=True, required=True, type=click.Choice([scope.value for scope in Scope]))
@click.option("--json", "as_json", is_flag=True, help="Answer with one JSON object.")
def create(*, actor: str, scopes: tuple[str, ...], as_json: bool) -> None:
    """Make a key and print it; it is not shown again."""
    with _keys() as keys:
        key = keys.create(actor, [Scope(scope) for scope in scopes])
    if as_json:
        echo_json({"actor": actor, "scopes": sorted(scopes), "key": key})
    else:
        click.echo("keep this key; it is not shown again:", err=True)
        click.echo(key)


@commands.command(name="list")
@click.option("--json", "as_json", is_flag=True, help="Answer with one JSON object.")
def list_command(*, as_json: bool) -> None:
    """List keys without what would let one use them."""
    with _keys() as keys:
        rows = keys.listed()
    if as_json:
        echo_json({"keys": rows})
        return
    for row in rows:
        state = "revoked" if row["revoked_at"] else "valid"
        click.echo(f"{row['key_id']}  {state:8}{row['actor']}  {', '.join(map(str, _listed(row['scopes'])))}")


@commands.command()
@click.argument("key_id")
def revoke(key_id: str) -> None:
    """Refuse a key from now on."""
    with _keys() as keys:
        keys.revoke(key_id)
    click.echo(f"{key_id} is revoked", err=True)


def _listed(value: object) -> list[object]:
    return list(value) if isinstance(value, list) else []
