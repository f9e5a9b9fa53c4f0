"""The gateway's look at what is known, a few hundred times a second: one prepared statement outside of transactions.

A tenth of what the same costs through a session; keys travel as JSON, which is quoted in one call.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from typing import Any

import psycopg

from infra.database import Database
from ingest.repository import Known
from ingest.steps import Key
from matrix.errors import DatabaseUnavailable

_QUERY = """
    SELECT tenant, event_id, fingerprint FROM json_array_elements(%s::json) AS key
    JOIN ingest.feedback ON tenant = key->>0 AND event_id = key->>1
    UNION ALL
    SELECT tenant, completion_id, NULL FROM json_array_elements(%s::json) AS key
    JOIN ingest.completions ON tenant = key->>0 AND completion_id = key->>1
"""


class KnownReader:
    """Asks on connections of its own, one for each thread that asks, until it is closed."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._local = threading.local()
        self._opened: set[psycopg.Connection[Any]] = set()

    def __call__(self, events: Sequence[Key], completions: Sequence[Key]) -> Known:
        """DatabaseUnavailable where it does not answer; the next call connects anew."""
        asked = (json.dumps(events), json.dumps(completions))
        try:
            rows = self._connection().execute(_QUERY, asked, prepare=True).fetchall()
        except psycopg.Error as error:
            self._forget()
            raise DatabaseUnavailable(type(error).__name__) from error
        found = {(row[0], row[1]): row[2] for row in rows if row[2] is not None}
        return Known(found, frozenset((row[0], row[1]) for row in rows if row[2] is None))

    def close(self) -> None:
        """Disconnect every thread's; nothing asks any more."""
        while self._opened:
            self._opened.pop().close()

    def _connection(self) -> psycopg.Connection[Any]:
        connection: psycopg.Connection[Any] | None = getattr(self._local, "connection", None)
        if connection is None or connection.closed:
            connection = self._local.connection = self._database.reading()
            self._opened.add(connection)
        return connection

    def _forget(self) -> None:
        connection: psycopg.Connection[Any] | None = getattr(self._local, "connection", None)
        if connection is not None:
            self._opened.discard(connection)
            connection.close()
        self._local.connection = None
