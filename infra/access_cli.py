"""`plumbline keys`: for those who run the deployment; needs its database, not a key."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime

import click

from infra.access import AccessKeys, Principal, Scope
from infra.clock import SystemClock
from infra.console import echo_json
from infra.database import Database
from infra.durations import duration
from infra.settings import Settings
from matrix.messages.base import DEFAULT_TENANT


@click.group(name="keys", context_settings={"help_option_names": ["-h", "--help"]})
def commands() -> None:
    """Make, list, rotate and revoke API keys."""


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
@click.option("--tenant", default=DEFAULT_TENANT, show_default=True, help="Whose data the key reaches.")
@click.option("--json", "as_json", is_flag=True, help="Answer with one JSON object.")
def create(*, actor: str, scopes: tuple[str, ...], tenant: str, as_json: bool) -> None:
    """Make a key and print it; it is not shown again."""
    with _keys() as keys:
        key = keys.create(actor, [Scope(scope) for scope in scopes], tenant=tenant)
        principal = keys.authenticate(key)
    _show(key, principal, as_json=as_json)


@commands.command()
@click.argument("key_id")
@click.option(
    "--overlap", default="24h", show_default=True, help="How long the old key stays valid: 90s, 15m, 24h, 7d."
)
@click.option("--json", "as_json", is_flag=True, help="Answer with one JSON object.")
def rotate(*, key_id: str, overlap: str, as_json: bool) -> None:
    """Make a successor of a key, with its actor, scopes and tenant; the old key ends after the overlap."""
    lasts = duration("--overlap", overlap)
    with _keys() as keys:
        key = keys.rotate(key_id, lasts)
        principal = keys.authenticate(key)
    if not as_json:
        click.echo(f"{key_id} ends in {overlap}", err=True)
    _show(key, principal, as_json=as_json)


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
        scopes = ", ".join(map(str, _listed(row["scopes"])))
        click.echo(f"{row['key_id']}  {row['tenant']:12}{_state(row):34}{row['actor']}  {scopes}")


@commands.command()
@click.argument("key_id")
def revoke(key_id: str) -> None:
    """Refuse a key from now on."""
    with _keys() as keys:
        keys.revoke(key_id)
    click.echo(f"{key_id} is revoked", err=True)


def _show(key: str, principal: Principal, *, as_json: bool) -> None:
    if as_json:
        named = {"key_id": principal.key_id, "actor": principal.actor, "tenant": principal.tenant}
        echo_json(named | {"scopes": sorted(principal.scopes), "key": key})
        return
    click.echo(f"keep this key ({principal.key_id}, tenant {principal.tenant}); it is not shown again:", err=True)
    click.echo(key)


def _state(row: Mapping[str, object]) -> str:
    if row["revoked_at"]:
        return "revoked"
    expires_at = row["expires_at"]
    if not isinstance(expires_at, datetime):
        return "valid"
    ended = expires_at <= SystemClock().now()
    return "expired" if ended else f"valid until {expires_at.isoformat(timespec='seconds')}"


def _listed(value: object) -> list[object]:
    return list(value) if isinstance(value, list) else []
