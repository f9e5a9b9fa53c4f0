"""A clock that moves when a test says so."""

from datetime import UTC, datetime, timedelta


class FakeClock:
    def __init__(self, at: datetime = datetime(2026, 1, 1, tzinfo=UTC)) -> None:
        self._at = at

    def now(self) -> datetime:
        return self._at

    def advance(self, by: timedelta) -> None:
        self._at += by
