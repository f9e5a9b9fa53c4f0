"""Revisions and tables.py describe the same database; every revision can be undone."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import Engine, create_engine, make_url, text
from sqlmodel import SQLModel

from infra.database import Database
from infra.database_migration import MIGRATIONS, migrate

PACKAGES = ("infra", "ingest", "scorer", "trainer", "registry")


@pytest.fixture
def empty(database_url: str) -> Iterator[Database]:
    name = "migrations"
    admin = create_engine(database_url, isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text(f"DROP DATABASE IF EXISTS {name}"))
        connection.execute(text(f"CREATE DATABASE {name}"))
    admin.dispose()
    database = Database(make_url(database_url).set(database=name).render_as_string(hide_password=False))
    yield database
    database.close()


def schemas(engine: Engine) -> set[str]:
    with engine.connect() as connection:
        return set(connection.execute(text("SELECT nspname FROM pg_namespace")).scalars())


def test_revisions_make_exactly_the_declared_tables(empty: Database) -> None:
    for package in PACKAGES:
        import_module(f"{package}.tables")
    migrate(empty)
    with empty.engine.connect() as connection:
        options = {"include_schemas": True, "include_name": lambda name, kind, _: kind != "schema" or name in PACKAGES}
        found = compare_metadata(MigrationContext.configure(connection, opts=options), SQLModel.metadata)
    assert found == []


def test_every_stage_owns_one_schema(empty: Database) -> None:
    migrate(empty)
    assert set(PACKAGES) <= schemas(empty.engine)


def test_migrating_twice_changes_nothing(empty: Database) -> None:
    assert migrate(empty) == migrate(empty)


def test_every_revision_can_be_undone(empty: Database) -> None:
    migrate(empty)
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    with empty.engine.begin() as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, "base")
    assert not set(PACKAGES) & schemas(empty.engine)
