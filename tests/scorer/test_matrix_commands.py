"""`plumbline scorer weigh|diagnose|explain` on files, as people call them."""

from __future__ import annotations

import json
import math
import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from matrix.alignment.aggregators import AGGREGATORS
from matrix.errors import PlumblineError
from scorer.cli import commands
from tests.conftest import REPOSITORY

MATRIX = str(REPOSITORY / "matrix.toml")
SIZE = 4  # completions a prompt


def rewarded(step: int, prompt: int, sample: int, draw: random.Random, **more: Any) -> dict[str, Any]:
    rewards = {
        "correctness": draw.random(),
        "sycophancy": float(draw.random() < 0.5),
        "clinical_safety": 0.0,
        "satisfaction": draw.random(),
        "factuality": None if draw.random() < 0.3 else draw.random(),
        "length_budget": -draw.random(),
    }
    row = {"step": step, "prompt_id": f"p{prompt}", "sample_id": f"{step}-{prompt}-{sample}", "rewards": rewards}
    return row | more


def written(path: Path, rows: list[Any]) -> str:
    path.write_text("\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows))
    return str(path)


def rows_of(steps: int = 2, *, seed: int = 1, **more: Any) -> list[dict[str, Any]]:
    draw = random.Random(seed)
    return [
        rewarded(step, prompt, sample, draw, **more)
        for step in range(steps)
        for prompt in range(8)
        for sample in range(SIZE)
    ]


@dataclass(frozen=True)
class Ran:
    """What a command did, as `plumbline` would end with it."""

    exit_code: int
    stdout: str
    stderr: str


def run(*arguments: str, text: str | None = None) -> Ran:
    done = CliRunner().invoke(commands, list(arguments), input=text, standalone_mode=False)
    if isinstance(done.exception, PlumblineError):
        return Ran(2, done.stdout, done.stderr + str(done.exception))
    assert done.exception is None, done.exc_info
    return Ran(int(done.return_value or 0), done.stdout, done.stderr)


def answers(result: Ran) -> list[dict[str, Any]]:
    assert result.exit_code == 0, result.stderr
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_weigh_answers_for_each_step_and_each_completion(tmp_path: Path) -> None:
    file = written(tmp_path / "rewards.jsonl", rows_of())
    told = answers(run("weigh", file, "--matrix", MATRIX, "--risk", "sycophancy=.4", "--json"))
    weighed, samples = [one for one in told if "weights" in one], [one for one in told if "sample_id" in one]
    assert [one["step"] for one in weighed] == [0, 1]
    assert len(samples) == 2 * 8 * SIZE
    for one in weighed:
        assert sum(one["weights"].values()) == pytest.approx(1.0)
        assert set(one["factors"]) == {"weakness", "risk", "redundancy"}
        assert one["factors"]["risk"]["sycophancy"] > 1.0
        assert "risk 0.40" in one["reasons"]["sycophancy"]
        assert one["reference"] == "the first batch itself"
    group = [one["advantage"] for one in samples if (one["step"], one["prompt_id"]) == (0, "p0")]
    assert sum(group) == pytest.approx(0.0, abs=1e-6)
    assert all(one["z"]["factuality"] is None or abs(one["z"]["factuality"]) <= 4 for one in samples)


def test_weigh_pushes_a_violation_below_its_group(tmp_path: Path) -> None:
    rows = rows_of(1)
    rows[0] |= {"violation": 0.5}
    told = answers(run("weigh", written(tmp_path / "r.jsonl", rows), "--matrix", MATRIX, "--json"))
    group = [one["advantage"] for one in told if one.get("prompt_id") == "p0"]
    assert group[0] < min(0.0, *group[1:])


def test_weigh_reads_standard_input_and_csv_columns(tmp_path: Path) -> None:
    text = "prompt_id,sample_id,correctness,satisfaction\n" + "\n".join(
        f"p{i // 4},{i},{i % 4 / 4},{'' if i == 3 else 0.5}" for i in range(16)
    )
    told = answers(run("weigh", "-", "--matrix", MATRIX, "--json", text=text))
    assert set(told[0]["weights"]) == {"correctness", "satisfaction"}
    assert "usefulness" in told[0]["left_out"]
    assert told[4]["z"]["satisfaction"] is None


def test_weigh_tells_a_bad_row_by_line_and_goes_on_unless_strict(tmp_path: Path) -> None:
    wrong = rewarded(0, 0, 9, random.Random(2))
    wrong["rewards"]["correctness"] = 1.5
    file = written(tmp_path / "r.jsonl", [*rows_of(1), wrong, "{not json"])
    result = run("weigh", file, "--matrix", MATRIX, "--json")
    assert result.exit_code == 0
    assert f"line {8 * SIZE + 1}: correctness: a number from 0 to 1" in result.stderr
    assert f"line {8 * SIZE + 2}: not JSON" in result.stderr
    strict = run("weigh", file, "--matrix", MATRIX, "--json", "--strict")
    assert strict.exit_code == 2
    assert strict.stdout == ""


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--risk", "sycophancy=2"], "--risk"),
        (["--risk", "charm=.2"], "--risk"),
        (["--matrix", "/no/such/file"], "--matrix"),
        (["--method", "gdpo", "--no-guard"], "--method"),
    ],
)
def test_weigh_refuses_what_it_cannot_use_in_one_line(tmp_path: Path, arguments: list[str], told: str) -> None:
    result = run("weigh", written(tmp_path / "r.jsonl", rows_of(1)), *arguments)
    assert result.exit_code == 2
    assert told in result.stderr


def test_weigh_shows_people_a_table_with_reasons(tmp_path: Path) -> None:
    result = run("weigh", written(tmp_path / "r.jsonl", rows_of(1)), "--matrix", MATRIX)
    assert result.exit_code == 0
    assert result.stdout == ""
    assert "below" in result.stderr


@pytest.mark.parametrize("method", sorted(AGGREGATORS))
def test_weigh_answers_by_every_method(tmp_path: Path, method: str) -> None:
    told = answers(
        run("weigh", written(tmp_path / "r.jsonl", rows_of()), "--matrix", MATRIX, "--method", method, "--json")
    )
    assert len([one for one in told if "sample_id" in one]) == 2 * 8 * SIZE
    assert all(math.isfinite(one["advantage"]) for one in told if "sample_id" in one)
    assert all(math.isfinite(served) for one in told if "kappa" in one for served in one["kappa"].values())


def test_diagnose_tells_the_model_from_the_traffic(tmp_path: Path) -> None:
    before = rows_of(1, slice="general") + rows_of(1, seed=2, slice="emergency")
    worse = [row | {"rewards": row["rewards"] | {"correctness": row["rewards"]["correctness"] / 4}} for row in before]
    files = [written(tmp_path / f"{name}.jsonl", rows) for name, rows in (("a", before), ("b", worse))]
    result = run("diagnose", *files, "--matrix", MATRIX, "--json")
    assert result.exit_code == 1  # a change within slices is shown
    (told,) = [json.loads(line) for line in result.stdout.splitlines()]
    first = told["changes"][0]
    assert (first["dimension"], first["cause"]) == ("correctness", "capability")
    assert first["within"]["value"] == pytest.approx(first["delta"]["value"])
    same = run("diagnose", files[0], files[0], "--matrix", MATRIX, "--json")
    assert same.exit_code == 0
    assert {row["cause"] for row in json.loads(same.stdout)["changes"]} == {"none"}


def test_explain_draws_what_weigh_answered(tmp_path: Path) -> None:
    file = written(tmp_path / "r.jsonl", rows_of(3))
    told = run("weigh", file, "--matrix", MATRIX, "--risk", "sycophancy=.4", "--json").stdout
    for ending in ("svg", "png"):
        result = run("explain", "-", "-o", str(tmp_path / "out"), "--format", ending, "--json", text=told)
        (drawn,) = answers(result)
        assert set(drawn["pictures"]) == {"factors", "covariance", "risk"}
        for path in drawn["pictures"].values():
            assert Path(path).stat().st_size > 1000
    assert "sycophancy" in (tmp_path / "out" / "factors.svg").read_text()


def test_explain_refuses_a_file_that_holds_no_weights(tmp_path: Path) -> None:
    result = run("explain", written(tmp_path / "r.jsonl", rows_of(1)), "-o", str(tmp_path))
    assert result.exit_code == 2
