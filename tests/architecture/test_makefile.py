"""`make clean` ends every stack before it removes what would be needed to end one."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HOMES = (".plumbline", ".plumbline/demo", ".plumbline/test/stack", ".plumbline/test/stack-1", ".plumbline/of mine")
RECORDS = '#!/bin/sh\necho "$@" >> asked\n'
FAILS_AT_THE_DEMO = '#!/bin/sh\ncase "$4" in *demo) exit 2;; esac\n'


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A folder with the Makefile and the traces of stacks; data folders are nobody's home."""
    shutil.copy(ROOT / "Makefile", tmp_path)
    for home in HOMES:
        (tmp_path / home / "run").mkdir(parents=True)
        (tmp_path / home / "run" / "kafka.json").touch()
        (tmp_path / home / "data" / "run").mkdir(parents=True)
    (tmp_path / ".plumbline" / "cache").mkdir()
    return tmp_path


def make(target: str, checkout: Path) -> subprocess.CompletedProcess[str]:
    """As from a shell, also where `make` runs the tests."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    return subprocess.run(("make", target), cwd=checkout, env=environment, capture_output=True, text=True, check=False)


def clean(checkout: Path, plumbline: str) -> subprocess.CompletedProcess[str]:
    command = checkout / ".venv" / "bin" / "plumbline"
    command.parent.mkdir(parents=True)
    command.write_text(plumbline)
    command.chmod(0o755)
    return make("clean", checkout)


def test_clean_ends_the_stack_of_every_home_and_removes_them(checkout: Path) -> None:
    done = clean(checkout, RECORDS)
    assert done.returncode == 0, done.stderr
    asked = (checkout / "asked").read_text().splitlines()
    assert sorted(asked) == sorted(f"stack down --home {home}" for home in HOMES)
    assert not (checkout / ".plumbline").exists()


def test_clean_removes_nothing_while_a_stack_cannot_be_ended(checkout: Path) -> None:
    done = clean(checkout, FAILS_AT_THE_DEMO)
    assert done.returncode == 2
    assert "was not ended" in done.stderr
    assert all((checkout / home / "run" / "kafka.json").exists() for home in HOMES)


def test_clean_with_nothing_to_end_is_done(tmp_path: Path) -> None:
    shutil.copy(ROOT / "Makefile", tmp_path)
    assert make("clean", tmp_path).returncode == 0


@pytest.mark.parametrize("file", ["Makefile", "infra/docker/Dockerfile"])
def test_what_is_installed_is_compiled(file: str) -> None:
    installs = [
        line for line in (ROOT / file).read_text().splitlines() if "uv pip sync" in line or '"$$uv" pip sync' in line
    ]
    assert installs
    assert all("--compile-bytecode" in line for line in installs)
