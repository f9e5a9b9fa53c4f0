"""A key that was good a moment ago goes on working while the database is away, for minutes and not for ever."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest
from sqlmodel import Session

from infra import http
from infra.access import BELIEVED_AWAY, MOST_WAITING, REMEMBERED, THREADS, AccessKeys, Scope
from infra.database import Database
from matrix.errors import AccessDenied, DatabaseUnavailable
from tests.fakes.clock import FakeClock

UNKNOWN = "plb_" + "u" * 43
MOMENT = timedelta(milliseconds=1)


class Unsteady(Database):
    """A database that can be away, or not answer at all."""

    def __init__(self, database: Database) -> None:
        self.engine = database.engine
        self.away = False
        self.answers = threading.Event()
        self.answers.set()
        self.asked_by: set[str] = set()  # threads, while it did not answer

    @contextmanager
    def unit_of_work(self) -> Iterator[Session]:
        if not self.answers.is_set():
            self.asked_by.add(threading.current_thread().name)
        self.answers.wait(20)
        if self.away:
            raise DatabaseUnavailable("away")
        with super().unit_of_work() as session:
            yield session


def test_a_key_outlasts_an_outage_of_minutes_and_no_longer(database: Database, clock: FakeClock) -> None:
    unsteady = Unsteady(database)
    keys = AccessKeys(unsteady, clock)
    key, other = keys.create("a", [Scope.VIEW]), keys.create("b", [Scope.VIEW])
    principal = keys.authenticate(key)
    unsteady.away = True
    clock.advance(REMEMBERED)
    assert keys.authenticate(key) == principal
    with pytest.raises(DatabaseUnavailable):
        keys.authenticate(other)
    clock.advance(BELIEVED_AWAY - REMEMBERED - MOMENT)
    assert keys.authenticate(key) == principal
    clock.advance(MOMENT)
    with pytest.raises(DatabaseUnavailable):
        keys.authenticate(key)


def test_what_was_revoked_is_refused_as_soon_as_the_database_is_back(database: Database, clock: FakeClock) -> None:
    unsteady = Unsteady(database)
    keys = AccessKeys(unsteady, clock)
    key = keys.create("a", [Scope.VIEW])
    keys.authenticate(key)
    AccessKeys(database, clock).revoke(str(keys.listed()[0]["key_id"]))
    unsteady.away = True
    clock.advance(REMEMBERED)
    assert keys.authenticate(key).actor == "a"
    unsteady.away = False
    clock.advance(REMEMBERED)
    with pytest.raises(AccessDenied):
        keys.authenticate(key)


async def test_a_database_that_hangs_holds_up_one_request_and_not_the_next(
    database: Database, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "KEY_PATIENCE_S", 0.05)
    monkeypatch.setattr(http, "NEW_KEY_PATIENCE_S", 0.05)
    unsteady = Unsteady(database)
    keys = AccessKeys(unsteady, clock)
    key = keys.create("a", [Scope.VIEW])
    await http.authenticate(keys, key)
    unsteady.answers.clear()
    clock.advance(REMEMBERED)
    assert (await http.authenticate(keys, key)).actor == "a"
    assert keys.remembered(key) is not None
    with pytest.raises(DatabaseUnavailable):
        await http.authenticate(keys, UNKNOWN)
    unsteady.answers.set()


async def test_a_database_that_hangs_holds_up_only_the_threads_of_keys_and_a_bounded_number_of_requests(
    database: Database, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "KEY_PATIENCE_S", 0.05)
    monkeypatch.setattr(http, "NEW_KEY_PATIENCE_S", 0.05)
    unsteady = Unsteady(database)
    keys = AccessKeys(unsteady, clock)
    key = keys.create("a", [Scope.VIEW])
    await http.authenticate(keys, key)
    clock.advance(REMEMBERED)
    unsteady.answers.clear()
    asking = [http.authenticate(keys, UNKNOWN) for _ in range(MOST_WAITING)]
    told = await asyncio.gather(*asking, return_exceptions=True)
    assert {str(one) for one in told} == {"no answer about the key within 0.05 s"}
    with pytest.raises(DatabaseUnavailable, match="wait for an answer already"):  # without another wait
        await http.authenticate(keys, UNKNOWN)
    assert (await http.authenticate(keys, key)).actor == "a"
    assert len(unsteady.asked_by) == THREADS
    assert all(name.startswith("keys") for name in unsteady.asked_by)
    unsteady.answers.set()


async def test_what_was_never_a_key_is_refused_without_asking(database: Database, clock: FakeClock) -> None:
    unsteady = Unsteady(database)
    unsteady.away = True
    keys = AccessKeys(unsteady, clock)
    for never in ("secret", "plb_", "plb_unknown", f"{UNKNOWN}x", f"{UNKNOWN}\n", "plb_\x00"):
        with pytest.raises(AccessDenied):
            await http.authenticate(keys, never)
