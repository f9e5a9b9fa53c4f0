"""One process of the stack: started apart from this one, found again by its pid file, and ended by its pid.

A pid alone names nobody once its process is gone, so a pid file also holds when the process started: in ticks since
which boot, which no step of the clock moves. A process that only inherited the number is never touched; one that the
pid file does not name, because who started it was killed before it was written, is known by its mark.
Children outlive the command that started them on purpose: `stack up` returns, `stack down` finds them. Nothing is
restarted here behind the operator's back.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import pwd
import signal
import subprocess
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from matrix.errors import StackFailed

MARK = "PLUMBLINE_CHILD"  # in every child's environment; its descendants inherit it
POLL_S = 0.05
STRAGGLERS_S = 0.3  # for those whose leader is gone
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True, slots=True)
class Child:
    """What to run and how to know that it works; everything lies under `home`."""

    name: str
    command: tuple[str, ...]
    home: Path
    is_ready: Callable[[int], bool]  # the process's pid in, whether it does its work out
    environment: Mapping[str, str] = field(default_factory=dict)
    folder: Path | None = None  # to start in; None: where we are
    user: str | None = None
    patience_s: float = 60.0
    ending: signal.Signals = signal.SIGTERM  # asks it to end in good order
    grace_s: float = 15.0  # between asking it to end and ending it
    address: str = ""

    @property
    def log(self) -> Path:
        """Standard output and error of the present run; the one before is beside it as .log.1."""
        return self.home / "logs" / f"{self.name}.log"

    @property
    def pid_file(self) -> Path:
        """Who was started under this name."""
        return self.home / "run" / f"{self.name}.json"

    def fingerprint(self) -> str:
        """Changes when the child would have to be started differently."""
        told = {"command": self.command, "environment": dict(self.environment), "at": self.address}
        return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()


def named(home: Path, name: str) -> Child:
    """What suffices to find, read and end a child that an earlier command started."""
    return Child(name=name, command=(), home=home, is_ready=lambda _pid: True)


# Held so that a child which ends while we still run is reaped, and not reported as forgotten.
_STARTED: dict[int, subprocess.Popen[bytes]] = {}


def find(child: Child) -> psutil.Process | None:
    """The running process of this child, or None."""
    noted = _noted(child)
    if noted is None:
        return None
    try:
        process = psutil.Process(int(noted["pid"]))
        same = _started(process.pid) == noted["started"]
        alive = same and process.status() != psutil.STATUS_ZOMBIE
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return None
    return process if alive else None


def is_current(child: Child) -> bool:
    """Whether the process in the pid file was started as this child would be now."""
    noted = _noted(child)
    return noted is not None and noted.get("fingerprint") == child.fingerprint()


def start(child: Child) -> int:
    """Start it in a session of its own and note who it is. Returns the pid; does not wait for readiness."""
    for folder in (child.log.parent, child.pid_file.parent):
        folder.mkdir(parents=True, exist_ok=True)
    (child.home / "run" / f"{child.name}.ready").unlink(missing_ok=True)
    if child.log.exists():
        child.log.replace(child.log.with_suffix(".log.1"))
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("PLUMBLINE_")}
    environment = {**inherited, **child.environment, MARK: _mark(child)}
    try:
        with child.log.open("wb") as log:
            process = subprocess.Popen(  # noqa: S603 - the command is ours
                child.command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=environment,
                start_new_session=True,
                user=child.user,
                group=None if child.user is None else pwd.getpwnam(child.user).pw_gid,
                extra_groups=None if child.user is None else [],
                cwd="/" if child.user else child.folder,
            )
    except FileNotFoundError as error:
        raise StackFailed(
            part=child.name, reason=f"{child.command[0]} is not there", remedy="Run `make` again to install it."
        ) from error
    _STARTED[process.pid] = process
    _note(child, process.pid)
    return process.pid


def wait_ready(waited: Sequence[Child], tell: Callable[[str], None]) -> None:
    """Return when all answer; StackFailed with the end of its log for the first that ends or takes too long."""
    began = time.monotonic()
    pending = list(waited)
    while pending:
        for child in list(pending):
            elapsed_s = time.monotonic() - began
            if _is_ready(child, elapsed_s):
                pending.remove(child)
                tell(f"{child.name} is ready after {elapsed_s:.1f} s")
        if pending:
            time.sleep(POLL_S)


def _is_ready(child: Child, elapsed_s: float) -> bool:
    process = find(child)
    if process is None:
        raise StackFailed(part=child.name, reason=f"ended while starting: {last_line(child)}", remedy=_see(child))
    if child.is_ready(process.pid):
        return True
    if elapsed_s > child.patience_s:
        raise StackFailed(part=child.name, reason=f"is not ready after {child.patience_s:.0f} s", remedy=_see(child))
    return False


def end_all(ending: Sequence[Child]) -> list[str]:
    """End them together with all that they started; the names of those that ran. Who outlives it stays noted."""
    known = {child.name: find(child) for child in ending}
    marked = _marked([_mark(child) for child in ending if known[child.name] is None])
    asked: dict[str, list[psutil.Process]] = {}
    others, grace_s = [], STRAGGLERS_S
    for child in ending:
        told, process = _noted(child) or {}, known[child.name]
        asked[child.name] = _leaders(marked[_mark(child)]) if process is None else [process]
        for leader in asked[child.name]:
            others += _descendants(leader)
            _send(leader, int(told.get("ending", child.ending)))
            grace_s = max(grace_s, float(told.get("grace_s", child.grace_s)))
    leaders = [leader for family in asked.values() for leader in family]
    psutil.wait_procs(leaders, timeout=grace_s)  # a leader ends its own
    _, alive = psutil.wait_procs([*leaders, *others], timeout=STRAGGLERS_S)
    for member in alive:
        _send(member, signal.SIGKILL)
    _, left = psutil.wait_procs(alive, timeout=5)
    _reap([*leaders, *others])
    for child in ending:
        if not set(asked[child.name]) & set(left):
            child.pid_file.unlink(missing_ok=True)
    return [name for name, family in asked.items() if family]


def last_line(child: Child) -> str:
    """The line of the log that most likely says what went wrong."""
    try:
        lines = child.log.read_text(errors="replace").splitlines()
    except OSError:
        return "no log"
    told = [line.strip() for line in lines if line.strip()]
    return told[-1][:300] if told else "it said nothing"


def _mark(child: Child) -> str:
    return f"{child.home}:{child.name}"


def _noted(child: Child) -> dict[str, Any] | None:
    try:
        noted = json.loads(child.pid_file.read_text())
    except (OSError, ValueError):
        return None
    return noted if isinstance(noted, dict) and {"pid", "started"} <= noted.keys() else None


def _note(child: Child, pid: int) -> None:
    started = _started(pid)
    if started is None:
        return  # already over: wait_ready reports it
    draft = child.pid_file.with_suffix(".draft")
    told = {"pid": pid, "started": started, "fingerprint": child.fingerprint()}
    draft.write_text(json.dumps({**told, "ending": child.ending.value, "grace_s": child.grace_s}))
    draft.replace(child.pid_file)


def _started(pid: int) -> str | None:
    """When, in ticks since which boot; None where there is no such process."""
    try:
        told = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except OSError:
        return None
    ticks = told.rpartition(")")[2].split()[19]  # field 22 of proc(5); the second may hold spaces and brackets
    return f"{BOOT_ID.read_text().strip()} {ticks}"


def _descendants(process: psutil.Process) -> list[psutil.Process]:
    with contextlib.suppress(psutil.NoSuchProcess):
        return process.children(recursive=True)
    return []


def _marked(marks: Collection[str]) -> dict[str, list[psutil.Process]]:
    """By mark, the processes that carry it: what a killed child left, and what a killed command could not note."""
    found: dict[str, list[psutil.Process]] = {mark: [] for mark in marks}
    for process in psutil.process_iter() if found else ():
        with contextlib.suppress(psutil.Error, OSError):
            mark = process.environ().get(MARK)
            if mark in found and process.status() != psutil.STATUS_ZOMBIE:
                found[mark].append(process)
    return found


def _leaders(family: Sequence[psutil.Process]) -> list[psutil.Process]:
    """Those that no other of them started: they end the others."""
    pids, leaders = {member.pid for member in family}, []
    for member in family:
        with contextlib.suppress(psutil.NoSuchProcess):
            if member.ppid() not in pids:
                leaders.append(member)
    return leaders


def _send(process: psutil.Process, number: int) -> None:
    with contextlib.suppress(psutil.NoSuchProcess):
        process.send_signal(number)  # psutil looks again whether the pid is still the same process


def _reap(family: list[psutil.Process]) -> None:
    for member in family:
        if (ours := _STARTED.pop(member.pid, None)) is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                ours.wait(timeout=1)


def _see(child: Child) -> str:
    return f"Its log is {child.log}; `plumbline stack logs {child.name}` shows it."
