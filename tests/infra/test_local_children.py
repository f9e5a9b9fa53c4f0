"""Children of the local stack: found again by pid file, ended with all they started, never mistaken for another."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from infra.local import children
from infra.local.children import Child
from matrix.errors import StackFailed

SLEEPER = (sys.executable, "-c", "import time; print('here', flush=True); time.sleep(600)")
PARENT = (
    sys.executable,
    "-c",
    "import subprocess, sys, time; subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)']);"
    "print('here', flush=True); time.sleep(600)",
)


def has_spoken(log: Path) -> Callable[[int], bool]:
    return lambda _pid: log.exists() and "here" in log.read_text()


@pytest.fixture
def child(tmp_path: Path) -> Iterator[Child]:
    log = tmp_path / "logs" / "part.log"
    made = Child("part", SLEEPER, tmp_path, has_spoken(log), grace_s=5)
    yield made
    children.end_all([made])


def started(child: Child) -> psutil.Process:
    children.start(child)
    children.wait_ready([child], lambda _line: None)
    process = children.find(child)
    assert process is not None
    return process


def test_a_started_child_is_found_by_its_name_alone_and_ended(child: Child) -> None:
    process = started(child)
    again = children.named(child.home, "part")
    assert children.find(again) == process
    assert children.end_all([again]) == ["part"]
    assert not process.is_running()
    assert children.find(again) is None


def test_ending_takes_what_the_child_started_with_it(child: Child) -> None:
    parent = Child(child.name, PARENT, child.home, child.is_ready)
    family = [started(parent), *started_by(parent)]
    children.end_all([parent])
    assert len(family) == 2
    assert not any(member.is_running() for member in family)


def started_by(child: Child) -> list[psutil.Process]:
    process = children.find(child)
    assert process is not None
    return process.children()


def test_what_a_killed_child_left_behind_is_ended_too(child: Child) -> None:
    parent = Child(child.name, PARENT, child.home, child.is_ready)
    process = started(parent)
    (left,) = process.children()
    process.kill()
    process.wait()
    assert children.find(parent) is None
    assert children.end_all([parent]) == ["part"]
    assert not left.is_running()


def test_a_process_that_only_has_the_noted_pid_is_not_touched(child: Child) -> None:
    with subprocess.Popen(SLEEPER, stdout=subprocess.DEVNULL) as stranger:
        child.pid_file.parent.mkdir(parents=True)
        child.pid_file.write_text(json.dumps({"pid": stranger.pid, "started": "another boot 1", "fingerprint": ""}))
        assert children.find(child) is None
        assert children.end_all([child]) == []
        assert stranger.poll() is None
        stranger.kill()


def test_a_child_that_was_not_noted_in_time_is_ended_with_what_it_started(child: Child) -> None:
    parent = Child(child.name, PARENT, child.home, child.is_ready)
    family = [started(parent), *started_by(parent)]
    child.pid_file.unlink()
    assert children.find(child) is None
    assert children.end_all([children.named(child.home, "part")]) == ["part"]
    assert not any(member.is_running() for member in family)


def test_a_child_of_another_name_or_home_is_not_taken_for_a_forgotten_one(child: Child, tmp_path: Path) -> None:
    process = started(child)
    others = [children.named(child.home, "other"), children.named(tmp_path / "elsewhere", "part")]
    assert children.end_all(others) == []
    assert process.is_running()


@pytest.mark.parametrize("step_s", [-3600.0, 1.0, 3600.0])
def test_a_step_of_the_clock_loses_no_child(child: Child, monkeypatch: pytest.MonkeyPatch, step_s: float) -> None:
    process = started(child)
    seen = psutil.Process.create_time
    monkeypatch.setattr(psutil.Process, "create_time", lambda self: seen(self) + step_s)
    assert children.find(child) == process
    assert children.end_all([child]) == ["part"]
    assert not process.is_running()


def test_a_pid_file_of_another_form_does_not_hide_a_living_child(child: Child) -> None:
    process = started(child)
    child.pid_file.write_text(json.dumps({"pid": process.pid, "started": process.create_time(), "fingerprint": ""}))
    assert children.end_all([child]) == ["part"]
    assert not process.is_running()
    assert not child.pid_file.exists()


def test_who_cannot_be_ended_stays_noted(child: Child, monkeypatch: pytest.MonkeyPatch) -> None:
    process = started(child)
    with monkeypatch.context() as patched:
        patched.setattr(children, "_send", lambda _process, _number: None)
        patched.setattr(psutil, "wait_procs", lambda waited, timeout: ([], list(waited)))
        children.end_all([child])
    assert children.find(child) == process


def test_a_damaged_pid_file_names_nobody(child: Child) -> None:
    child.pid_file.parent.mkdir(parents=True)
    child.pid_file.write_text('{"pid": 1')
    assert children.find(child) is None
    assert children.end_all([child]) == []


def test_a_child_that_ends_while_starting_is_reported_with_its_last_words(tmp_path: Path) -> None:
    failing = Child("part", (sys.executable, "-c", "raise SystemExit('no matrix')"), tmp_path, lambda _pid: False)
    children.start(failing)
    with pytest.raises(StackFailed, match=r"part: ended while starting: no matrix\. .*stack logs part"):
        children.wait_ready([failing], lambda _line: None)


def test_a_child_that_is_never_ready_is_reported_after_its_patience(tmp_path: Path) -> None:
    silent = Child("part", SLEEPER, tmp_path, lambda _pid: False, patience_s=0)
    children.start(silent)
    try:
        with pytest.raises(StackFailed, match="is not ready after 0 s"):
            children.wait_ready([silent], lambda _line: None)
    finally:
        children.end_all([silent])


def test_a_child_that_ignores_the_request_to_end_is_killed(tmp_path: Path) -> None:
    deaf = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('here', flush=True); time.sleep(600)"
    )
    child = Child("part", (sys.executable, "-c", deaf), tmp_path, has_spoken(tmp_path / "logs/part.log"), grace_s=0.1)
    process = started(child)
    children.end_all([child])
    assert not process.is_running()


def test_the_variables_of_the_starters_shell_do_not_reach_a_child(
    child: Child, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PLUMBLINE_API_KEY", "plb_secret")
    told = Child(child.name, SLEEPER, child.home, child.is_ready, environment={"PLUMBLINE_HOME": "/somewhere"})
    environment = started(told).environ()
    assert "PLUMBLINE_API_KEY" not in environment
    assert environment["PLUMBLINE_HOME"] == "/somewhere"


def test_a_child_lives_on_when_its_starter_is_killed(tmp_path: Path) -> None:
    script = (
        "import sys, time; from pathlib import Path; from infra.local import children\n"
        f"child = children.Child('part', {SLEEPER!r}, Path({str(tmp_path)!r}), lambda _: True)\n"
        "children.start(child); print('up', flush=True); time.sleep(600)"
    )
    with subprocess.Popen((sys.executable, "-c", script), stdout=subprocess.PIPE, text=True) as starter:
        assert starter.stdout is not None
        assert starter.stdout.readline() == "up\n"
        os.kill(starter.pid, signal.SIGKILL)
        starter.wait()
    child = children.named(tmp_path, "part")
    assert children.find(child) is not None
    assert children.end_all([child]) == ["part"]
