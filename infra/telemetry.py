"""Logs as events with fields, one JSON object a line on standard error; and a marker that says a worker is ready."""

from __future__ import annotations

import json
import logging
import os
import sys
from datetime import UTC, datetime
from pathlib import Path

from infra.settings import DEFAULT_HOME

_PLAIN = frozenset(vars(logging.LogRecord("", 0, "", 0, "", (), None))) | {
    "message",
    "asctime",
    "taskName",
    "data",
}


class JsonLines(logging.Formatter):
    """One object per line: time, level, logger, event, then the fields given as `extra`."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        line = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage(),
        }
        line |= {name: value for name, value in vars(record).items() if name not in _PLAIN}
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)


def configure_logging(level: str) -> None:
    """Call once per process, where it starts."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)


def ready_marker(name: str, home: Path | None = None) -> Path:
    """File whose presence says that the worker of this name takes work."""
    root = home or Path(os.environ.get("PLUMBLINE_HOME", DEFAULT_HOME))
    return root / "run" / f"{name}.ready"


def mark_ready(name: str) -> None:
    """Say that this worker takes work."""
    marker = ready_marker(name)
    marker.parent.mkdir(parents=True, exist_ok=True)
    marker.write_text(str(os.getpid()))


def mark_starting(name: str) -> None:
    """Take back what an earlier worker of this name said."""
    ready_marker(name).unlink(missing_ok=True)
