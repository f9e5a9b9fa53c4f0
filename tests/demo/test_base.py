"""The base model's place in the cache: fitted once, whole or not there, and by nobody who is gone."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from infra.demo import base
from tests.fakes.waiting import until


@pytest.mark.slow
def test_a_base_model_is_fitted_once_and_what_a_killed_fit_left_is_cleared_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fitted: list[Path] = []

    def fit(_text: Path, model: Path) -> str:
        model.mkdir()
        fitted.append(model)
        return "d" * 64

    monkeypatch.setattr(base, "_fit", fit)
    (tmp_path / ".draft-of-a-killed-one" / "model").mkdir(parents=True)
    with ThreadPoolExecutor() as pool:
        entries = set(pool.map(lambda _: base._ensure_entry(tmp_path, lambda _line: None), range(3)))
    assert len(fitted) == 1
    ground = base.ensure_ground(tmp_path, seed=0, tell=lambda _line: None)
    assert (entries, ground.digest, ground.was_cached) == ({ground.base_model.parent}, "d" * 64, True)
    assert ground.base_model.is_dir()
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".draft")] == []


def test_a_command_that_ends_with_us_does_so_when_we_are_killed(tmp_path: Path) -> None:
    script = (
        "from pathlib import Path; from infra.demo.driver import run_command\n"
        f"run_command(('ingest', 'redact', '-'), home=Path({str(tmp_path)!r}), ends_with_us=True)"
    )
    with subprocess.Popen((sys.executable, "-c", script), stdin=subprocess.PIPE) as starter:  # which is never closed
        try:
            until(lambda: psutil.Process(starter.pid).children(), "the command")
            (helper,) = psutil.Process(starter.pid).children()
        finally:
            starter.kill()
        starter.wait()
        until(lambda: not helper.is_running() or helper.status() == psutil.STATUS_ZOMBIE, "its end")
