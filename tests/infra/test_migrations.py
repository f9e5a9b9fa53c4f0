"""Revisions and tables.py describe the same database; every revision can be undone."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import Connection, Engine, create_engine, make_url, text
from sqlmodel import SQLModel

from infra.database import Database
from infra.database_migration import LOCK, MIGRATIONS, migrate
from ingest.outcomes import letter_id
from matrix.messages.feedback import Position
from tests.fakes.waiting import until

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


def test_a_migration_takes_what_it_takes(empty: Database) -> None:
    hurried = Database(empty.engine.url.render_as_string(hide_password=False), statement_s=0.5)
    waits = text("SELECT max(now() - query_start) > '0.7s' FROM pg_stat_activity WHERE wait_event = 'advisory'")
    with ThreadPoolExecutor(1) as threads, empty.engine.connect() as holder, empty.engine.connect() as watcher:
        watcher.execution_options(isolation_level="AUTOCOMMIT")
        holder.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
        migrated = threads.submit(migrate, hurried)
        until(lambda: migrated.done() or watcher.execute(waits).scalar(), "a migration that waits for its turn")
        holder.rollback()
        assert migrated.result()
    hurried.close()


def test_every_stage_owns_one_schema(empty: Database) -> None:
    migrate(empty)
    assert set(PACKAGES) <= schemas(empty.engine)


def test_migrating_twice_changes_nothing(empty: Database) -> None:
    assert migrate(empty) == migrate(empty)


def before_tenants(database: Database) -> None:
    """A deployment whose events had no tenant, with one of each."""
    at = "'2026-01-01T00:00:00Z'"
    where = "'feedback.received.v1', 0, 7, 0"
    rows = (
        f"ingest.completions VALUES ('c1', 'p', 'd', '{{}}', 'f', {at})",
        f"ingest.feedback VALUES ('e1', 'c1', 'thumb', '{{}}', 'f', 'accepted', NULL, {where}, {at})",
        f"ingest.deliveries VALUES ({where}, 'sha', 'first', 'e1')",
        f"ingest.dead_letters VALUES ({where}, 'sha', 'malformed', 'no', 'decode', NULL, '{{', {at})",
        f"scorer.samples VALUES ('c1', 'p', NULL, 's', '{{}}', '{{}}', NULL, false, 1, {at})",
    )
    with database.engine.begin() as connection:
        command.upgrade(configured(connection), "0005")
        for row in rows:
            connection.execute(text(f"INSERT INTO {row}"))


def configured(connection: Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["connection"] = connection
    return config


def test_events_from_before_there_were_tenants_become_the_default_ones(empty: Database) -> None:
    before_tenants(empty)
    migrate(empty)
    position = Position(topic="feedback.received.v1", partition=0, offset=7, position=0)
    with empty.engine.connect() as connection:
        tables = ("completions", "feedback", "deliveries", "dead_letters")
        tenants = [connection.execute(text(f"SELECT tenant FROM ingest.{name}")).scalar_one() for name in tables]
        letter = connection.execute(text("SELECT letter_id, state, whole FROM ingest.dead_letters")).one()
        sample = connection.execute(text("SELECT completion_id FROM scorer.samples")).scalar_one()
    assert tenants == ["default"] * len(tables)
    assert tuple(letter) == (letter_id(position, "sha"), "waiting", True)
    assert sample == "default/c1"


def test_every_revision_can_be_undone(empty: Database) -> None:
    migrate(empty)
    with empty.engine.begin() as connection:
        command.downgrade(configured(connection), "base")
    assert not set(PACKAGES) & schemas(empty.engine)
