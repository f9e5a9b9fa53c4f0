"""The clock of production; tests bring one they move by hand."""

from __future__ import annotations

from datetime import UTC, datetime


class SystemClock:
    """UTC from the operating system."""

    def now(self) -> datetime:
        """The time, aware."""
        return datetime.now(UTC)
