"""`plumbline ingest tenants`: for those who run the deployment; needs its database, not a key."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import click

from infra.clock import SystemClock
from infra.console import echo_json
from infra.database import Database
from ingest import tenants
from ingest.settings import IngestSettings
from ingest.tenants import UNCHANGED, Unchanged
from matrix.errors import InvalidInput

FOREVER, DEFAULT = "forever", "default"


@click.group(name="tenants")
def commands() -> None:
    """Whose events there are, how long they are kept, and how fast each may send."""


@commands.command(name="list")
@click.option("--json", "as_json", is_flag=True, help="Answer with one JSON object.")
def list_command(*, as_json: bool) -> None:
    """List tenants with what is declared of them and what became of their events."""
    with _database() as database:
        rows = tenants.listed(database)
    if as_json:
        echo_json({"tenants": rows})
        return
    names = ("received", "accepted", "duplicate", "dead", "pending")
    click.echo(f"{'tenant':24}{'kept':>12}{'rate':>10}" + "".join(f"{name:>11}" for name in names))
    for row in rows:
        kept = FOREVER if row["retention_days"] is None else f"{row['retention_days']} days"
        rate = DEFAULT if row["rate_per_s"] is None else f"{row['rate_per_s']:g}/s"
        click.echo(f"{row['tenant']:24}{kept:>12}{rate:>10}" + "".join(f"{row[name]:>11}" for name in names))


@commands.command(name="set")
@click.argument("name")
@click.option(
    "--retention-days", help=f"Delete events, completions and dead letters older than so many days; or {FOREVER}."
)
@click.option("--rate", help=f"Events a second that each key of the tenant may send; or {DEFAULT}.")
@click.option("--json", "as_json", is_flag=True, help="Answer with one JSON object.")
def set_command(*, name: str, retention_days: str | None, rate: str | None, as_json: bool) -> None:
    """Declare how long a tenant's rows are kept and how fast it may send; what is not given stays."""
    days: int | Unchanged | None = UNCHANGED if retention_days is None else _days(retention_days)
    per_s: float | Unchanged | None = UNCHANGED if rate is None else _rate(rate)
    with _database() as database:
        found = tenants.declare(database, name, SystemClock().now(), retention_days=days, rate_per_s=per_s)
    if as_json:
        echo_json({"tenant": found.tenant, "retention_days": found.retention_days, "rate_per_s": found.rate_per_s})
    else:
        click.echo(f"{found.tenant}: declared", err=True)


def _days(written: str) -> int | None:
    if written == FOREVER:
        return None
    if not (written.isascii() and written.isdigit() and len(written) < 7):
        raise InvalidInput(field="--retention-days", value=written, remedy=f"a whole number, or {FOREVER}")
    return int(written)


def _rate(written: str) -> float | None:
    if written == DEFAULT:
        return None
    try:
        return float(written)
    except ValueError:
        raise InvalidInput(field="--rate", value=written, remedy=f"a number, or {DEFAULT}") from None


@contextmanager
def _database() -> Iterator[Database]:
    database = Database(IngestSettings.load().database_url.get_secret_value())
    try:
        yield database
    finally:
        database.close()
