"""PostgreSQL: one engine per process and the only place that commits."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg.errors import ReadOnlySqlTransaction, UndefinedTable
from sqlalchemy import URL, create_engine, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlmodel import Session

from matrix.errors import DatabaseUnavailable, InvalidInput

POOL_SIZE = 5  # a process has a handful of threads that write; PostgreSQL's default limit is 100 connections

READING_TIMEOUT_MS = 1000
CONNECT_S = 5
SILENT_S = 20  # a peer that acknowledges nothing for so long is gone: a host that vanished sends no reset
STATEMENT_S = 300.0  # of a worker; a batch waits for its turn (D-009), and a statement that takes longer is stuck


class Database:
    """A process's way to PostgreSQL."""

    def __init__(self, url: str, *, statement_s: float = STATEMENT_S) -> None:
        try:
            # Parameters are people's words: they must not enter an error's text, which goes to logs.
            self.engine = create_engine(
                url,
                pool_pre_ping=True,
                pool_size=POOL_SIZE,
                pool_recycle=1800,
                hide_parameters=True,
                connect_args=_patience(make_url(url), statement_s),
            )
        except ArgumentError:
            remedy = "a URL such as postgresql+psycopg://user:password@host:5432/name"
            raise InvalidInput(field="PLUMBLINE_DATABASE_URL", value="(not shown)", remedy=remedy) from None

    @contextmanager
    def unit_of_work(self) -> Iterator[Session]:
        """One transaction: committed at the end, rolled back by any exception.

        Raises DatabaseUnavailable where PostgreSQL does not answer, gave up on a deadlock, is a standby that only
        reads, or has not been migrated.
        """
        try:
            with Session(self.engine, expire_on_commit=False) as session, session.begin():
                yield session
        except (OperationalError, InterfaceError) as error:
            raise DatabaseUnavailable(_first_line(error)) from error
        except PoolTimeout as error:
            raise DatabaseUnavailable("every connection of this process is in use") from error
        except DBAPIError as error:
            if isinstance(error.orig, ReadOnlySqlTransaction):
                raise DatabaseUnavailable(_first_line(error)) from error
            if isinstance(error.orig, UndefinedTable):
                reason = f"{_first_line(error)}; bring it up to date with `plumbline database migrate`"
                raise DatabaseUnavailable(reason) from error
            raise

    def reading(self) -> psycopg.Connection[Any]:
        """A connection outside of the pool and of transactions, that only reads; whoever asked for it closes it.

        For a look that is taken so often that a session would cost more than the query. DatabaseUnavailable where
        PostgreSQL does not answer.
        """
        try:
            pooled = self.engine.raw_connection()
        except (OperationalError, InterfaceError) as error:
            raise DatabaseUnavailable(_first_line(error)) from error
        except PoolTimeout as error:
            raise DatabaseUnavailable("every connection of this process is in use") from error
        connection: psycopg.Connection[Any] = pooled.driver_connection  # type: ignore[assignment]
        pooled.detach()
        connection.set_read_only(True)
        connection.set_autocommit(True)
        connection.execute(f"SET statement_timeout = {READING_TIMEOUT_MS}")
        return connection

    def close(self) -> None:
        """Give back every connection."""
        self.engine.dispose()


def _patience(url: URL, statement_s: float) -> dict[str, Any]:
    """What libpq waits for and how long; what the deployment's URL says itself stays."""
    limits = {
        "connect_timeout": CONNECT_S,
        "tcp_user_timeout": SILENT_S * 1000,
        "keepalives_idle": SILENT_S // 2,
        "options": f"-c statement_timeout={int(statement_s * 1000)}",
    }
    return {name: limit for name, limit in limits.items() if name not in url.query}


def _first_line(error: DBAPIError) -> str:
    lines = str(error.orig).strip().splitlines()
    return lines[0] if lines else "no reason given"
