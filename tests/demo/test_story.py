"""A story that did not happen is not told: every check refuses what it is there to refuse."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from infra.demo import decisions, trials
from infra.demo.cli import command
from infra.demo.driver import NotSeen, Person, last_line, settings_of, wait_for
from infra.demo.facts import Trial
from infra.demo.staging import MARKER, prepare_home
from infra.demo.trials import StoryDiffers
from infra.local.stack import Stack
from matrix.errors import InvalidInput
from matrix.messages.gate import GateReport, Verdict

OPERATOR = Person("sam", ("operate",), "plb_x")


def test_a_refusal_that_names_missed_escalations_and_sycophancy_is_the_story(refused: Trial) -> None:
    assert trials.must_be_refused(refused.report) == ("escalation_missed×emergency", "sycophancy×general")


@pytest.mark.parametrize("unnamed", trials.MUST_NAME)
def test_a_refusal_for_other_reasons_is_not_the_story(refused: Trial, unnamed: str) -> None:
    others = tuple(finding for finding in refused.report.findings if finding.dimension != unnamed)
    with pytest.raises(StoryDiffers, match=unnamed):
        trials.must_be_refused(refused.report.model_copy(update={"findings": others}))


def changed(report: GateReport, dimension: str, rule: str, **fields: object) -> GateReport:
    findings = tuple(
        finding.model_copy(update=fields) if (finding.dimension, finding.rule) == (dimension, rule) else finding
        for finding in report.findings
    )
    return report.model_copy(update={"findings": findings})


@pytest.mark.parametrize("dimension", trials.MUST_NAME)
def test_a_floor_that_the_champion_breaks_too_is_not_the_story(refused: Trial, dimension: str) -> None:
    with pytest.raises(StoryDiffers, match=f"{dimension} worse than the champion"):
        trials.must_be_refused(changed(refused.report, dimension, "champion", passed=True))


@pytest.mark.parametrize("low", [None, -0.1, 0.0])
def test_a_refused_run_that_users_would_not_like_more_is_not_the_story(refused: Trial, low: float | None) -> None:
    with pytest.raises(StoryDiffers, match="like run A more"):
        trials.must_be_refused(changed(refused.report, "satisfaction", "champion", low=low))


def test_a_report_that_does_not_say_what_users_would_like_is_not_the_story(refused: Trial) -> None:
    others = tuple(finding for finding in refused.report.findings if finding.dimension != "satisfaction")
    with pytest.raises(StoryDiffers, match="like run A more"):
        trials.must_be_refused(refused.report.model_copy(update={"findings": others}))


@pytest.mark.parametrize("verdict", [Verdict.PASS, Verdict.INCONCLUSIVE, Verdict.INVALID])
def test_only_a_failed_gate_refuses_run_a(refused: Trial, verdict: Verdict) -> None:
    with pytest.raises(StoryDiffers):
        trials.must_be_refused(refused.report.model_copy(update={"verdict": verdict}))


def test_run_b_must_pass_and_a_failure_says_which_finding(passed: Trial, refused: Trial) -> None:
    trials.must_pass(passed.report)
    with pytest.raises(StoryDiffers, match="escalation_missed×emergency floor"):
        trials.must_pass(refused.report)


SHOWN = {"server": "http://here", "artifact_sha256": "b" * 64, "tokens": 12}


def served(*servers: dict[str, Any], **changes: Any) -> dict[str, Any]:
    proof = {"artifact_sha256": "b" * 64, "servers": list(servers)}
    return {"version": 2, "adapter_digest": "b" * 64, "seconds": 0.4, "proof": proof} | changes


def test_a_proof_of_other_bytes_ends_the_story() -> None:
    with pytest.raises(StoryDiffers, match="promote"):
        decisions.as_served("promote", served(SHOWN, adapter_digest="c" * 64), expected="b" * 64, by=OPERATOR)


@pytest.mark.parametrize(
    "servers",
    [(), (SHOWN, SHOWN | {"tokens": 0}), (SHOWN, SHOWN | {"artifact_sha256": "c" * 64})],
    ids=["nobody", "without tokens", "other bytes"],
)
def test_a_move_that_some_server_does_not_prove_ends_the_story(servers: tuple[dict[str, Any], ...]) -> None:
    with pytest.raises(StoryDiffers, match="proof"):
        decisions.as_served("rollback", served(*servers), expected="b" * 64, by=OPERATOR)


def test_a_broken_audit_log_ends_the_story() -> None:
    decisions.must_be_intact("intact")
    with pytest.raises(StoryDiffers, match="broken at entry 3"):
        decisions.must_be_intact("broken at entry 3")


def test_a_proven_move_is_kept_with_its_seconds() -> None:
    assert decisions.as_served("promote", served(SHOWN), expected="b" * 64, by=OPERATOR).seconds == 0.4


def test_what_does_not_come_is_named() -> None:
    with pytest.raises(NotSeen, match="a candidate"):
        wait_for("a candidate", lambda: None, patience_s=0.0)


def test_a_folder_with_something_of_the_users_is_never_wiped(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("the only copy")
    with pytest.raises(InvalidInput, match="home"):
        prepare_home(tmp_path, cache=tmp_path / "cache")
    assert (tmp_path / "thesis.txt").exists()


def test_a_folder_of_an_earlier_demo_is_wiped(tmp_path: Path) -> None:
    home = tmp_path / "demo"
    prepare_home(home, cache=tmp_path / "cache")
    (home / "leftover").touch()
    prepare_home(home, cache=tmp_path / "cache")
    assert [path.name for path in home.iterdir()] == [MARKER]


@pytest.mark.parametrize("removals", range(12))
def test_a_wipe_interrupted_anywhere_is_taken_up_by_the_next_demo(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, removals: int
) -> None:
    home, left = tmp_path / "demo", iter(range(removals))
    prepare_home(home, cache=tmp_path / "cache")
    for name in ("a", "z"):
        (home / name).mkdir()
        (home / name / "file").touch()
        (home / f"{name}.log").touch()

    def interrupting(removal: Callable[..., None]) -> Callable[..., None]:
        def remove(*arguments: Any, **options: Any) -> None:
            if next(left, None) is None:
                raise KeyboardInterrupt
            removal(*arguments, **options)

        return remove

    with monkeypatch.context() as patched:
        patched.setattr(Stack, "down", lambda _stack: [])
        for name in ("unlink", "rmdir"):
            patched.setattr(os, name, interrupting(getattr(os, name)))
        with contextlib.suppress(KeyboardInterrupt):
            prepare_home(home, cache=tmp_path / "cache")
    prepare_home(home, cache=tmp_path / "cache")
    assert [path.name for path in home.iterdir()] == [MARKER]


def test_addresses_come_from_the_stack_of_the_home_and_not_from_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PLUMBLINE_GATEWAY_URL", "http://elsewhere.example")
    (tmp_path / "stack.env").write_text('PLUMBLINE_GATEWAY_URL="http://127.0.0.1:1"\n')
    assert settings_of(tmp_path).gateway_url == "http://127.0.0.1:1"


def test_a_traceback_is_told_by_its_last_line() -> None:
    assert last_line("Traceback\n  File\nValueError: no\n\n") == "ValueError: no"


@pytest.mark.parametrize("arguments", [("--seed", "x"), ("--patients", "1"), ("--nonsense",)])
def test_bad_arguments_end_with_2_and_a_usage_line(arguments: tuple[str, ...]) -> None:
    done = CliRunner().invoke(command, arguments)
    assert done.exit_code == 2
    assert "Usage" in done.output


def test_a_home_that_is_not_the_demos_ends_with_2_and_one_line(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").touch()
    done = subprocess.run(
        [sys.executable, "-m", "infra.cli", "demo", "--home", str(tmp_path)],
        env={**os.environ, "PLUMBLINE_HOME": str(tmp_path / "root")},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 2
    assert len(done.stderr.strip().splitlines()) == 1
    assert "home" in done.stderr
