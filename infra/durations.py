"""Lengths of time as people write them at a command: `90s`, `15m`, `24h`, `30d`."""

from __future__ import annotations

import re
from datetime import timedelta

from matrix.errors import InvalidInput

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_WRITTEN = re.compile(r"([0-9]{1,6})([smhd])")


def duration(field: str, written: str) -> timedelta:
    """A whole number with its unit; InvalidInput names the field otherwise."""
    found = _WRITTEN.fullmatch(written)
    if found is None:
        raise InvalidInput(field=field, value=written, remedy="a number with s, m, h or d, such as 24h")
    return timedelta(**{_UNITS[found[2]]: int(found[1])})
