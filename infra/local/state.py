"""What a stack remembers between commands: its ports, its settings, and its passwords in a file of their own."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path

from pydantic import BaseModel, ValidationError

from matrix.errors import StackFailed


class State(BaseModel, frozen=True):
    """One stack's memory."""

    ports: dict[str, int] = {}
    settings: dict[str, str] = {}  # PLUMBLINE_* variables of the children beyond the addresses
    base_model: Path | None = None
    folder: Path | None = None  # where `up` was called: relative paths in the settings start there
    servers_only: bool = False
    keys_made: bool = False
    registered: str = ""  # the policy and the digest of its base model


class Passwords(BaseModel, frozen=True):
    """Random, made at the first start."""

    database: str
    redis: str
    pseudonyms: str  # what users' pseudonyms are keyed with: another one would make everybody somebody else


def load_state(home: Path) -> State | None:
    """None before the first start; a file that a killed command could not have left is reported."""
    path = _state_file(home)
    if not path.exists():
        return None
    try:
        return State.model_validate_json(path.read_text())
    except ValidationError as error:
        raise StackFailed(
            part="stack", reason=f"{path} is damaged", remedy="Delete it, or the whole folder, and start again."
        ) from error


def save_state(home: Path, state: State) -> None:
    """Whole or not at all."""
    write_private(_state_file(home), state.model_dump_json(indent=1))


def passwords(home: Path) -> Passwords:
    """The stack's passwords, made where there are none."""
    path = home / "secrets.json"
    known = json.loads(path.read_text()) if path.exists() else {}
    made = {name: known.get(name) or secrets.token_urlsafe(32) for name in Passwords.model_fields}
    if made != known:
        write_private(path, json.dumps(made))
    return Passwords.model_validate(made)


def write_private(path: Path, text: str) -> None:
    """A file that only its owner reads, replaced in one step."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.draft")
    draft.unlink(missing_ok=True)
    draft.touch(mode=0o600)
    draft.write_text(text)
    draft.replace(path)


def write_env(path: Path, variables: dict[str, str]) -> None:
    """For commands in other terminals, and for `set -a; . stack.env`."""
    write_private(path, "".join(f"{name}={json.dumps(value)}\n" for name, value in sorted(variables.items())))


@contextlib.contextmanager
def exclusive(path: Path) -> Iterator[bool]:
    """Hold a lock file for a while; False in hand where another process holds it. The kernel frees it if we die."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        os.close(handle)


@contextlib.contextmanager
def in_turn(path: Path, waiting: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Hold a lock file for a while, after whoever holds it now; `waiting` is called where somebody does."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            waiting()
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _state_file(home: Path) -> Path:
    return home / "run" / "state.json"
