"""`plumbline ingest dead-letters`: over the gateway, in the tenant of the key (PLUMBLINE_API_KEY)."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from typing import Any

import click

from infra.clock import SystemClock
from infra.console import echo_json
from infra.durations import duration
from infra.http import ApiClient
from ingest.settings import IngestSettings
from matrix.errors import InvalidInput

MOST = 1000
AS_JSON = click.option("--json", "as_json", is_flag=True, help="Answer with one JSON object.")


def _filters(command: Callable[..., Any]) -> Callable[..., Any]:
    options = (
        click.option("--limit", default=100, show_default=True, type=click.IntRange(1, MOST)),
        click.option("--since", help="Only those set aside since then: a time, or how long ago (24h, 7d)."),
        click.option("--topic", help="Only those read from this topic."),
        click.option("--reason", help="Only those with this reason."),
    )
    for option in options:
        command = option(command)
    return command


@click.group(name="dead-letters")
def commands() -> None:
    """What was set aside, and why; replay it after a fix, or drop it."""


@commands.command(name="list")
@_filters
@click.option("--json", "as_json", is_flag=True, help="Answer with one JSON object a line.")
def list_command(*, as_json: bool, **filters: Any) -> None:
    """List dead letters, the newest first."""
    for letter in _client().get("/v1/dead-letters", **{k: str(v) for k, v in _narrowed(filters).items()})[
        "dead_letters"
    ]:
        if as_json:
            echo_json(letter)
        else:
            state = "" if letter["state"] == "waiting" else f"  ({letter['state']} by {letter['handled_by']})"
            click.echo(f"{letter['id']}  {letter['set_aside_at']}  {letter['reason']:20}{letter['detail']}{state}")


@commands.command()
@click.argument("letter_id")
@AS_JSON
def show(*, letter_id: str, as_json: bool) -> None:
    """Show one dead letter with its payload as it is kept."""
    letter = _client().get(f"/v1/dead-letters/{letter_id}")
    if as_json:
        echo_json(letter)
        return
    for name, value in letter.items():
        click.echo(f"{name:14}{value}")


@commands.command()
@click.argument("ids", nargs=-1)
@_filters
@click.option("--set", "fixes", multiple=True, metavar="FIELD=VALUE", help="Mend a field first; null takes it out.")
@AS_JSON
def replay(*, ids: tuple[str, ...], fixes: tuple[str, ...], as_json: bool, **filters: Any) -> int:
    """Judge dead letters again, by id or by filters. Exits 1 where one is still refused."""
    body = _narrowed(filters) | ({"ids": list(ids)} if ids else {}) | {"set": dict(_fix(one) for one in fixes)}
    answer = _client().post("/v1/dead-letters/replay", body)
    if as_json:
        echo_json(answer)
    else:
        for letter in answer["letters"]:
            click.echo(f"{letter['id']}  {letter['outcome']:10}{letter.get('detail', '')}")
        click.echo(f"{answer['replayed']} replayed, {answer['still_dead']} still refused", err=True)
    return 1 if answer["still_dead"] else 0


@commands.command()
@click.argument("ids", nargs=-1)
@_filters
@AS_JSON
def drop(*, ids: tuple[str, ...], as_json: bool, **filters: Any) -> None:
    """Forget what dead letters say, by id or by filters; they stay counted."""
    answer = _client().post("/v1/dead-letters/drop", _narrowed(filters) | ({"ids": list(ids)} if ids else {}))
    if as_json:
        echo_json(answer)
    else:
        click.echo(f"{answer['dropped']} dropped", err=True)


def _narrowed(filters: dict[str, Any]) -> dict[str, Any]:
    found = {name: value for name, value in filters.items() if value is not None}
    if "since" in found:
        found["since"] = _moment(found["since"]).isoformat()
    return found


def _moment(written: str) -> datetime:
    try:
        moment = datetime.fromisoformat(written)
    except ValueError:
        return SystemClock().now() - duration("--since", written)
    if moment.tzinfo is None:
        raise InvalidInput(field="--since", value=written, remedy="a time with its zone, such as 2026-01-31T08:00:00Z")
    return moment


def _fix(written: str) -> tuple[str, Any]:
    field, given, value = written.partition("=")
    if not given or not field:
        raise InvalidInput(field="--set", value=written, remedy="FIELD=VALUE")
    try:
        return field, json.loads(value)
    except ValueError:
        return field, value  # a text needs no quotes


def _client() -> ApiClient:
    settings = IngestSettings.load()
    return ApiClient(settings.gateway_url, settings.api_key.get_secret_value() if settings.api_key else None)
