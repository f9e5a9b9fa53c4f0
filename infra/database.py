"""PostgreSQL: one engine per process and the only place that commits."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import create_engine
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlmodel import Session

from matrix.errors import DatabaseUnavailable

POOL_SIZE = 5  # a process has a handful of threads that write; PostgreSQL's default limit is 100 connections


class Database:
    """A process's way to PostgreSQL."""

    def __init__(self, url: str) -> None:
        self.engine = create_engine(url, pool_pre_ping=True, pool_size=POOL_SIZE, pool_recycle=1800)

    @contextmanager
    def unit_of_work(self) -> Iterator[Session]:
        """One transaction: committed at the end, rolled back by any exception.

        Raises DatabaseUnavailable where PostgreSQL does not answer or gave up on a deadlock.
        """
        try:
            with Session(self.engine, expire_on_commit=False) as session, session.begin():
                yield session
        except (OperationalError, InterfaceError) as error:
            reason = str(error.orig).strip().splitlines() or ["no reason given"]
            raise DatabaseUnavailable(reason[0]) from error

    def close(self) -> None:
        """Give back every connection."""
        self.engine.dispose()
