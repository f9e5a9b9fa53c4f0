"""Waits for what another process will do: asks again until it is so, and fails by name when it never is."""

from __future__ import annotations

import time
from collections.abc import Callable

LONGEST_S = 240.0  # generous: this bound only ends a test that is broken
PAUSE_S = 0.05


def until(claim: Callable[[], object], what: str) -> None:
    """Return once `claim()` is truthy; AssertionError naming `what` otherwise."""
    deadline = time.monotonic() + LONGEST_S
    while not claim():
        assert time.monotonic() < deadline, f"never came: {what}"
        time.sleep(PAUSE_S)
