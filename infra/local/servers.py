"""Kafka, PostgreSQL and Redis for as long as a block runs: what tests and benchmarks stand on.

They start empty. The home folder is reused from run to run, so servers that a killed run left behind are found and
ended by the next. Runs side by side get a folder each.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from infra.local.settling import Wishes
from infra.local.stack import Stack
from infra.local.state import exclusive

SIDE_BY_SIDE = 16


@dataclass(frozen=True, slots=True)
class Servers:
    """Where they listen."""

    home: Path
    kafka: str
    database_url: str
    redis_url: str


@contextlib.contextmanager
def servers(home: Path, *, cache: Path | None = None) -> Iterator[Servers]:
    """Started on entry with no data, ended on exit whatever happens."""
    with contextlib.ExitStack() as held:
        folder = _unused(home, held)
        stack = Stack(folder, cache=cache or home.parent / "cache")
        stack.down()
        shutil.rmtree(stack.home / "data", ignore_errors=True)
        held.callback(stack.down)
        stack.up(Wishes(servers_only=True))
        told = stack.variables()
        yield Servers(
            home=stack.home,
            kafka=told["PLUMBLINE_KAFKA"],
            database_url=told["PLUMBLINE_DATABASE_URL"],
            redis_url=told["PLUMBLINE_REDIS_URL"],
        )


def _unused(home: Path, held: contextlib.ExitStack) -> Path:
    for number in range(SIDE_BY_SIDE):
        folder = home if number == 0 else home.with_name(f"{home.name}-{number}")
        attempt = contextlib.ExitStack()
        if attempt.enter_context(exclusive(folder / "run" / "user")):
            held.enter_context(attempt)
            return folder
        attempt.close()
    raise RuntimeError(f"{SIDE_BY_SIDE} runs already use {home}")
