"""What a stack will be: what the last one was, changed by what this command asks for. Ports are settled here."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from infra.local import children, parts
from infra.local.ports import claim, free_port, is_taken
from infra.local.state import State

# Told by the stack itself, or of no concern to its children.
OWN = frozenset(
    f"PLUMBLINE_{name}"
    for name in (
        "HOME",
        "DATABASE_URL",
        "KAFKA",
        "REDIS_URL",
        "OBJECTS_DIR",
        "PSEUDONYM_SECRET",
        "GATEWAY_URL",
        "REGISTRY_URL",
        "POLICY_SERVER_URLS",
        "BASE_MODEL",
        "API_KEY",
        "CHILD",
    )
)


@dataclass(frozen=True, slots=True)
class Wishes:
    """What one `up` asks for; what it leaves open stays as it was."""

    servers_only: bool = False
    base_model: Path | None = None
    settings: Mapping[str, str] = field(default_factory=dict)  # PLUMBLINE_* variables
    ports: Mapping[str, int] = field(default_factory=dict)  # by part


def settle(home: Path, before: State, wishes: Wishes) -> State:
    """The state to go to. StackFailed where an asked port is taken by somebody else."""
    base_model = wishes.base_model or before.base_model
    return before.model_copy(
        update={
            "ports": _ports(home, before, wishes),
            "settings": {**before.settings, **_from_shell(), **wishes.settings},
            "base_model": base_model.expanduser().resolve() if base_model is not None else None,
            "servers_only": wishes.servers_only,
            "folder": Path.cwd(),
        }
    )


def _from_shell() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name.startswith("PLUMBLINE_") and name not in OWN}


def _ports(home: Path, before: State, wishes: Wishes) -> dict[str, int]:
    ports = dict(before.ports)
    for name in parts.ports(servers_only=wishes.servers_only):
        ports[name] = _port(home, name, asked=wishes.ports.get(name), ports=ports)
    return ports


def _port(home: Path, name: str, *, asked: int | None, ports: Mapping[str, int]) -> int:
    """A running child keeps its port; else the asked one, else the last one, else a free one."""
    known = ports.get(name)
    owner = children.named(home, "kafka" if name == "kafka-controller" else name)
    if known is not None and asked in {None, known} and children.find(owner) is not None:
        return known
    if asked is not None:
        return claim(name, asked)
    if known is not None and not is_taken(known):
        return known
    while (port := free_port()) in ports.values():
        pass
    return port
