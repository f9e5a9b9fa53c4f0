"""`plumbline database`: migrations."""

from __future__ import annotations

import click

from infra.console import echo_json
from infra.database import Database
from infra.database_migration import migrate
from infra.settings import Settings


@click.group(name="database", context_settings={"help_option_names": ["-h", "--help"]})
def commands() -> None:
    """Keep PostgreSQL's tables at this version."""


@commands.command(name="migrate")
@click.option("--json", "as_json", is_flag=True, help="Answer with one JSON object.")
def migrate_command(*, as_json: bool) -> None:
    """Apply every migration that is missing."""
    database = Database(Settings.load().database_url.get_secret_value())
    try:
        revision = migrate(database)
    finally:
        database.close()
    if as_json:
        echo_json({"revision": revision})
    else:
        click.echo(f"database is at revision {revision}", err=True)
