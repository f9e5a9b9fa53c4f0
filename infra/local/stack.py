"""The stack as a whole: up, down, status, restart. A second `up` finds the running one and mends what died.

Whoever runs `up` may be killed at any moment: what it settles is written before it is used, and a process that it had
no time to note is known by its mark, so the next `up` goes on from there and the next `down` ends it all. A child whose
command or settings would now be others is started again; one that runs as it should is left alone.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from infra.local import children, kafka, parts, postgres, redis
from infra.local.children import Child
from infra.local.ports import HOST
from infra.local.settling import Wishes, settle
from infra.local.state import State, exclusive, load_state, passwords, save_state, write_env, write_private
from infra.local.topics import create_topics
from matrix.errors import StackFailed

LEAST_FREE_BYTES = 1 << 30
NO_WISHES = Wishes()
DISK_ERRORS = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM}


@dataclass(frozen=True, slots=True)
class PartStatus:
    """One part as it is now: running, not ready, died or stopped."""

    name: str
    state: str
    pid: int | None
    address: str
    log: str


def _quiet(_line: str) -> None:
    """Nobody listens to the progress."""


class Stack:
    """One home folder's stack."""

    def __init__(self, home: Path, *, cache: Path | None = None, tell: Callable[[str], None] = _quiet) -> None:
        self.home = home.expanduser().resolve()
        self.cache = (cache or self.home / "cache").expanduser().resolve()
        self._tell = tell

    def up(self, wishes: Wishes = NO_WISHES) -> State:
        """Start what does not run, in order, and return when all is ready. StackFailed names the part that is not."""
        with self._alone():
            self._check_disk()
            self._end_forgotten()
            state = settle(self.home, load_state(self.home) or State(), wishes)
            save_state(self.home, state)
            self._start_servers(state)
            if not state.servers_only:
                state = self._start_processes(state)
            self._publish(state)
        return state

    def down(self) -> list[str]:
        """End everything, the product before its servers; the names of what was running."""
        with self._alone():
            ended = children.end_all([children.named(self.home, name) for name in parts.PROCESSES])
            ended += children.end_all([children.named(self.home, name) for name in parts.SERVERS])
            for name in ("stack.env", "stack.json"):
                (self.home / name).unlink(missing_ok=True)
        return ended

    def restart(self, name: str) -> None:
        """End one part and start it as it was."""
        with self._alone():
            state = self._known()
            child = self._child(name, state)
            children.end_all([child])
            self._start(child, state)
            children.wait_ready([child], self._tell)
            self._publish(state)

    def status(self) -> list[PartStatus]:
        """Every part that the last `up` asked for, and any other that runs."""
        state = load_state(self.home)
        if state is None or not state.ports:
            return []
        asked = parts.names(servers_only=state.servers_only)
        return [
            self._look(name, state)
            for name in parts.names(servers_only="gateway" not in state.ports)
            if name in asked or children.find(children.named(self.home, name)) is not None
        ]

    def variables(self) -> dict[str, str]:
        """What stack.env says; StackFailed before the first start."""
        return parts.variables(self.home, self._known(), passwords(self.home))

    def mark_keys_made(self) -> None:
        """The first keys were shown: they are not made again."""
        save_state(self.home, self._known().model_copy(update={"keys_made": True}))

    def mark_registered(self, what: str) -> None:
        """This base model is the policy's version 0: it is not registered again."""
        save_state(self.home, self._known().model_copy(update={"registered": what}))

    def _end_forgotten(self) -> None:
        """End what no pid file names: it holds ports and data that its successor needs."""
        every = [children.named(self.home, name) for name in parts.names(servers_only=False)]
        children.end_all([child for child in every if children.find(child) is None])

    def _known(self) -> State:
        state = load_state(self.home)
        if state is None or not state.ports:
            raise StackFailed(
                part="stack", reason=f"there is none in {self.home}", remedy="Start it with `plumbline stack up`."
            )
        return state

    def _start_servers(self, state: State) -> None:
        servers = [self._child(name, state) for name in parts.SERVERS]
        for child in servers:
            self._mend(child, state)
        children.wait_ready(servers, self._tell)
        postgres.ensure_database(state.ports["postgres"], passwords(self.home).database)

    def _start_processes(self, state: State) -> State:
        """The policy server needs no other part and loads longest: it starts while the tables are made."""
        state = self._with_base_model(state)
        self._mend(self._child("policy-server", state), state)
        self._migrate(state)
        started = [self._child(name, state) for name in parts.PROCESSES]
        for child in started:
            self._mend(child, state)
        children.wait_ready(started, self._tell)
        return state

    def _with_base_model(self, state: State) -> State:
        if state.base_model is not None:
            return state
        from infra.demo.base import ensure_ground  # noqa: PLC0415 - only where no base model was given

        ground = ensure_ground(self.cache, seed=0, tell=self._tell)
        settings = {"PLUMBLINE_GATE_PROMPTS_FILE": str(ground.gate_prompts.resolve())} | state.settings
        state = state.model_copy(update={"base_model": ground.base_model.resolve(), "settings": settings})
        save_state(self.home, state)
        return state

    def _migrate(self, state: State) -> None:
        environment = {**os.environ, **parts.variables(self.home, state, passwords(self.home))}
        command = (*parts.PLUMBLINE, "database", "migrate")
        migration = subprocess.Popen(  # noqa: S603 - the command is ours
            command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )
        create_topics(f"{HOST}:{state.ports['kafka']}")
        told = (migration.communicate()[1] or "").strip().splitlines()
        if migration.returncode != 0:
            raise StackFailed(
                part="migrations",
                reason=told[-1][:300] if told else f"exit code {migration.returncode}",
                remedy="Run `plumbline database migrate` to see it whole.",
            )
        self._tell("tables and topics are there")

    def _mend(self, child: Child, state: State) -> None:
        """Leave a child alone that runs as it should; end one that runs otherwise; start what does not run."""
        if children.find(child) is not None and children.is_current(child):
            return
        children.end_all([child])
        self._start(child, state)

    def _start(self, child: Child, state: State) -> None:
        secret, ports = passwords(self.home), state.ports
        if child.name == "kafka":
            jars = kafka.ensure_jars(self.cache)
            kafka.prepare_data(self.home, jars, port=ports["kafka"], controller_port=ports["kafka-controller"])
        elif child.name == "postgres":
            postgres.prepare_data(self.home, password=secret.database)
        elif child.name == "redis":
            redis.prepare_data(self.home, port=ports["redis"], password=secret.redis)
        children.start(child)

    def _child(self, name: str, state: State) -> Child:
        secret = passwords(self.home)
        if name in parts.SERVERS:
            return parts.server(name, self.home, state, secret, kafka.jars_folder(self.cache))
        return parts.process(name, self.home, state, secret)

    def _look(self, name: str, state: State) -> PartStatus:
        child = self._child(name, state)
        process = children.find(child)
        if process is None:
            said = "died" if child.pid_file.exists() else "stopped"
        else:
            said = "running" if child.is_ready(process.pid) else "not ready"
        return PartStatus(name, said, None if process is None else process.pid, child.address, str(child.log))

    def _publish(self, state: State) -> None:
        """Written last: their presence means that all was ready."""
        write_env(self.home / "stack.env", parts.variables(self.home, state, passwords(self.home)))
        listed = [asdict(part) for part in self.status()]
        write_private(self.home / "stack.json", json.dumps({"ports": state.ports, "parts": listed}, indent=1))

    def _check_disk(self) -> None:
        self.home.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(self.home).free
        if free < LEAST_FREE_BYTES:
            raise StackFailed(
                part="disk",
                reason=f"{free >> 20} MB are free under {self.home}, {LEAST_FREE_BYTES >> 20} are needed",
                remedy="Free some space, or choose another folder with --home.",
            )

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """One command at a time; what the disk refuses becomes one line."""
        try:
            with exclusive(self.home / "run" / "lock") as held:
                if not held:
                    reason = f"another command is at work in {self.home}"
                    raise StackFailed(part="stack", reason=reason, remedy="Wait until it is done.")
                yield
        except OSError as error:
            if error.errno not in DISK_ERRORS:
                raise
            raise StackFailed(
                part="disk",
                reason=f"{error.strerror}: {error.filename or self.home}",
                remedy="Free some space or choose another folder with --home.",
            ) from error
