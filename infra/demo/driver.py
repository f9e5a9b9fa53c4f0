"""The running product as its users reach it: the `plumbline` command, the gateway and the registry over HTTP.

Every call carries the key of a person or a service. Nothing here knows a stage's insides, and nothing sleeps for a
fixed time: what takes a while is asked for until it is there or a deadline passes.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from infra.http import ApiClient
from infra.local import lifeline
from infra.settings import Settings
from matrix.errors import Permanent

T = TypeVar("T")
POLL_S = 0.2
COMMAND_PATIENCE_S = 900.0  # the longest is a run on a machine that does much else


class CommandFailed(Permanent):
    """A `plumbline` command ended with another exit code than 0."""

    def __init__(self, *, command: str, exit_code: int, said: str) -> None:
        self.command, self.exit_code, self.said = command, exit_code, said
        super().__init__(f"`plumbline {command}` ended with {exit_code}: {said}")


class NotSeen(Permanent):
    """What was waited for did not come."""

    def __init__(self, *, wanted: str, waited_s: float, last: object) -> None:
        self.wanted, self.waited_s, self.last = wanted, waited_s, last
        super().__init__(f"{wanted}: not seen within {waited_s:.0f} s; last seen: {last}")


@dataclass(frozen=True, slots=True)
class Person:
    """Someone, or a service, with a key."""

    actor: str
    scopes: tuple[str, ...]
    key: str


class Product:
    """One running deployment; `home` is where its stack left its addresses."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.settings = settings_of(home)

    def command(self, *arguments: str, by: Person | None = None) -> Any:
        """Run `plumbline …` and parse what it prints (None for nothing); raises CommandFailed."""
        done = run_command(arguments, home=self.home, key=by.key if by else None)
        if done.returncode != 0:
            raise CommandFailed(
                command=" ".join(arguments), exit_code=done.returncode, said=last_line(done.stdout + done.stderr)
            )
        return json.loads(done.stdout) if done.stdout.strip() else None

    def employ(self, actor: str, *scopes: str) -> Person:
        """Make a key for a person or a service."""
        wanted = [argument for scope in scopes for argument in ("--scope", scope)]
        made = self.command("keys", "create", "--actor", actor, *wanted, "--json")
        return Person(actor, scopes, made["key"])

    def gateway(self, by: Person) -> ApiClient:
        """The gateway, as this person."""
        return ApiClient(self.settings.gateway_url, by.key)

    def registry(self, by: Person) -> ApiClient:
        """The registry, as this person."""
        return ApiClient(self.settings.registry_url, by.key, timeout_s=120.0)


def settings_of(home: Path) -> Settings:
    """Addresses of the stack of this home, whatever the environment of this process says of another."""
    told = dict(_variables((home / "stack.env").read_text()))
    names = {f"PLUMBLINE_{name.upper()}": name for name in Settings.model_fields}
    return Settings.model_validate({names[key]: value for key, value in told.items() if key in names})


def run_command(
    arguments: tuple[str, ...],
    *,
    home: Path,
    key: str | None = None,
    patience_s: float = COMMAND_PATIENCE_S,
    shows_progress: bool = False,
    ends_with_us: bool = False,
) -> subprocess.CompletedProcess[str]:
    """`plumbline …` in a process of its own, told of no other deployment than this home's.

    One that shows its progress writes to our standard error; what others say there is in the answer. One that ends with
    us does so however we end.
    """
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("PLUMBLINE_")}
    told: Mapping[str, str] = {"PLUMBLINE_HOME": str(home)} | ({"PLUMBLINE_API_KEY": key} if key else {})
    try:
        return subprocess.run(  # noqa: S603 - the command is ours
            [sys.executable, "-m", "infra.cli", *arguments],
            env={**inherited, **told},
            stdout=subprocess.PIPE,
            stderr=None if shows_progress else subprocess.PIPE,
            text=True,
            timeout=patience_s,
            check=False,
            preexec_fn=lifeline.ends_with_us() if ends_with_us else None,
        )
    except subprocess.TimeoutExpired:
        raise NotSeen(wanted=f"the end of `plumbline {' '.join(arguments)}`", waited_s=patience_s, last=None) from None


def wait_for(wanted: str, look: Callable[[], T | None], *, patience_s: float) -> T:
    """What `look` finds, as soon as it finds something; NotSeen after the deadline."""
    deadline = time.monotonic() + patience_s
    while (found := look()) is None:
        if time.monotonic() > deadline:
            raise NotSeen(wanted=wanted, waited_s=patience_s, last=None)
        time.sleep(POLL_S)
    return found


def last_line(text: str) -> str:
    """The last line that says something."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1][:300] if lines else "nothing was said"


def _variables(text: str) -> list[tuple[str, str]]:
    pairs = (line.split("=", 1) for line in text.splitlines() if "=" in line)
    return [(name, json.loads(value)) for name, value in pairs]
