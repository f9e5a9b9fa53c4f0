"""Events that wait on disk while the gateway is away: append-only JSON lines, fsynced, bounded, shared by processes.

Beside FILE lie FILE.lock, held for the moment of an append, and FILE.drain, held by the one process that sends and
holding how far it has come. Both locks end with their process, so a killed one blocks nobody. A line that a killed
process left half-written is skipped; what was sent but not yet noted as sent is sent again under the same id.
Events lie in it as they were said, unredacted: the file is readable by its owner alone.
Left out: encryption, and systems without POSIX file locks.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import logging
import os
import stat
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from ingest.client.buffer import first_batch
from ingest.client.types import Entry

log = logging.getLogger(__name__)

LOCK_LIMIT_S, LOCK_POLL_S = 5.0, 0.005
NOTED_DIGITS = 20
OWNER_ONLY = 0o600


class Spill:
    """One process's view of the file. Whatever the disk refuses is an OSError."""

    def __init__(self, path: Path, *, most_bytes: int) -> None:
        self._path, self._most_bytes = path, most_bytes
        self._turn = threading.Lock()
        self._drain: int | None = None  # our hold on FILE.drain
        self._ends: list[int] = []  # where each entry of the last head ends

    def append(self, entries: Sequence[Entry]) -> int:
        """How many fit, durable once this returns."""
        with self._alone(), _opened(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND) as file:
            size = os.fstat(file).st_size
            lines = [b"\n"] if size and os.pread(file, 1, size - 1) != b"\n" else []  # ends a half-written line
            room, kept = self._most_bytes - size - len(lines), 0
            for entry in entries:
                line = entry.to_line()
                if (room := room - len(line)) < 0:
                    break
                lines.append(line)
                kept += 1
            if kept:
                _write(file, b"".join(lines), size)
            return kept

    def waits(self) -> int:
        """Bytes that are not noted as sent."""
        try:
            size = self._path.stat().st_size
        except FileNotFoundError:
            return 0
        return size - self._noted(size)

    def drains(self) -> bool:
        """Whether this process is the one that sends what lies in the file; it tries to become it."""
        if self._drain is not None:
            return True
        file = _open(self._beside("drain"), os.O_RDWR | os.O_CREAT)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(file)
            return False
        self._drain = file
        return True

    def head(self, *, most: int, most_bytes: int) -> list[Entry]:
        """What to send next; it stays until `settle`. Only for the process that drains."""
        found: list[tuple[Entry | None, int]] = []
        with self._alone(), contextlib.suppress(FileNotFoundError), self._path.open("rb") as file:
            start = self._noted(os.fstat(file.fileno()).st_size)
            file.seek(start)
            found = list(_read(file, start, most=most, most_bytes=most_bytes))
        batch = first_batch((entry for entry, _ in found if entry is not None), most=most, most_bytes=most_bytes)
        self._ends = [end for entry, end in found if entry is not None][: len(batch)]
        if not batch and found:
            self._note(found[-1][1])  # nothing but damaged lines
        return batch

    def settle(self, count: int) -> None:
        """The first `count` of the head are decided on."""
        if count:
            self._note(self._ends[count - 1])
            self._ends = self._ends[count:]

    def close(self) -> None:
        """Let another process drain."""
        if self._drain is not None:
            os.close(self._drain)
            self._drain = None

    def forked(self) -> None:
        """In a forked child: the hold on FILE.drain is the parent's, and so may be the thread lock."""
        self._turn = threading.Lock()
        self._ends = []
        self.close()

    def _beside(self, ending: str) -> Path:
        return self._path.with_name(f"{self._path.name}.{ending}")

    def _noted(self, size: int) -> int:
        """How far the file is sent; 0 where that cannot be so, which sends some of it again."""
        try:
            told = self._beside("drain").read_bytes()
        except FileNotFoundError:
            return 0
        return int(told) if told.strip().isdigit() and int(told) <= size else 0

    def _note(self, offset: int) -> None:
        with self._alone():
            size = self._path.stat().st_size
            if offset < size and offset < self._most_bytes // 2:
                self._write_note(offset)
                return
            # First nothing counts as sent, then the sent part goes: a crash between the two sends it again.
            self._write_note(0)
            if offset >= size:
                os.truncate(self._path, 0)
            else:
                self._keep_from(offset)

    def _write_note(self, offset: int) -> None:
        if self._drain is None:
            raise OSError(f"{self._path}: only the process that drains may note what is sent")
        os.pwrite(self._drain, f"{offset:0{NOTED_DIGITS}}\n".encode(), 0)
        os.fsync(self._drain)

    def _keep_from(self, offset: int) -> None:
        draft = self._beside("draft")
        with self._path.open("rb") as old, _opened(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC) as new:
            old.seek(offset)
            while part := old.read(1 << 20):
                _write_whole(new, part)
            os.fsync(new)
        draft.replace(self._path)

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """One thread of one process at a time."""
        with self._turn, _opened(self._beside("lock"), os.O_RDWR | os.O_CREAT) as file:
            deadline = time.monotonic() + LOCK_LIMIT_S
            while True:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    if time.monotonic() > deadline:  # its holder was stopped, not killed
                        raise
                    time.sleep(LOCK_POLL_S)
                else:
                    break
            try:
                yield
            finally:  # not left to the file's end, which a child that was forked meanwhile puts off
                fcntl.flock(file, fcntl.LOCK_UN)


@contextlib.contextmanager
def _opened(path: Path, flags: int) -> Iterator[int]:
    file = _open(path, flags)
    try:
        yield file
    finally:
        os.close(file)


def _open(path: Path, flags: int) -> int:
    file = os.open(path, flags | os.O_CLOEXEC, OWNER_ONLY)
    try:
        if stat.S_IMODE(os.fstat(file).st_mode) != OWNER_ONLY:  # it was there, as somebody else made it
            os.fchmod(file, OWNER_ONLY)
    except OSError:
        os.close(file)
        raise
    return file


def _write(file: int, lines: bytes, size: int) -> None:
    """All of it or nothing, as far as the disk allows."""
    try:
        _write_whole(file, lines)
        os.fsync(file)
    except OSError:
        os.ftruncate(file, size)
        raise


def _write_whole(file: int, content: bytes) -> None:
    """A disk may take less than it is given."""
    rest = memoryview(content)
    while rest:
        rest = rest[os.write(file, rest) :]


def _read(file: BinaryIO, start: int, *, most: int, most_bytes: int) -> Iterator[tuple[Entry | None, int]]:
    """Entries with the offsets of their ends; None for a line that cannot be read.

    Nobody writes meanwhile: a last line without an end is one that a killed process left.
    """
    for line in file:
        start, entry = start + len(line), _entry(line)
        if entry is None and line != b"\n":
            log.warning("a damaged line of the spill file was skipped", extra={"size_bytes": len(line)})
        yield entry, start
        most, most_bytes = most - (entry is not None), most_bytes - len(line)
        if most <= 0 or most_bytes < 0:
            return


def _entry(line: bytes) -> Entry | None:
    try:
        told = json.loads(line)
        event_id, to, body = told["id"], told["to"], told["body"]
    except (ValueError, LookupError, TypeError):
        return None
    if not isinstance(event_id, str) or to not in ("feedback", "completion") or not isinstance(body, dict):
        return None
    return Entry(event_id, to, json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode())
