"""Brings a database to the newest revision; nothing else creates tables."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from infra.database import Database
from matrix.errors import DatabaseUnavailable

MIGRATIONS = Path(__file__).parent / "migrations"
LOCK = 0x506C756D  # one migration at a time; the number is this product's, for PostgreSQL's advisory locks


def migrate(database: Database) -> str:
    """Apply what is missing, in one transaction under a lock; returns the revision reached."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    try:
        with database.engine.begin() as connection:
            connection.execute(text("SET LOCAL statement_timeout = 0"))  # a large table takes what it takes
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
    except OperationalError as error:
        raise DatabaseUnavailable(str(error.orig).strip().splitlines()[0]) from error
    return str(ScriptDirectory.from_config(config).get_current_head())
