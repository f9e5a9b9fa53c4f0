"""Figures, targets and the command that prints them."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

import benchmarks
from infra.bench import Figure, Target, report
from infra.cli import root


@pytest.mark.parametrize(
    ("value", "peer", "target", "met"),
    [
        (7.0, 10.0, Target(of_ratio=True, at_least=0.7), True),
        (6.9, 10.0, Target(of_ratio=True, at_least=0.7), False),
        (20.0, 10.0, Target(of_ratio=True, at_most=2), True),
        (9_999.0, None, Target(at_least=10_000), False),
        (1.0, None, Target(of_ratio=True, at_least=0.7), False),
        (1.0, 2.0, None, None),
    ],
)
def test_a_target_is_met_at_its_bound_and_never_without_a_peer(
    value: float, peer: float | None, target: Target | None, met: bool | None
) -> None:
    assert Figure("f", "x", value, peer, "p", target).met is met


def test_the_report_has_the_fields_that_were_promised() -> None:
    figure = Figure("f", "events/s", 123456.0, 100000.0, "peer", Target(of_ratio=True, at_least=0.7))
    told = report("gateway", [figure], seed=3, packages=("pydantic", "no-such-package"))
    assert told.keys() == {"bench", "machine", "versions", "seed", "figures"}
    assert told["figures"] == [
        {"name": "f", "unit": "events/s", "value": 123500.0, "peer": 100000.0, "peer_name": "peer"}
        | {"ratio": 1.235, "target": "ratio >= 0.7", "met": True}
    ]
    assert told["versions"]["no-such-package"] == "not installed"


def test_every_benchmark_is_listed_and_says_how_it_is_run() -> None:
    listed = CliRunner().invoke(root, ["bench", "list", "--json"])
    names = [row["name"] for row in json.loads(listed.stdout)["benchmarks"]]
    assert names == sorted(benchmarks.BENCHMARKS)
    for name in names:
        assert "--quick" in CliRunner().invoke(root, ["bench", name, "-h"]).stdout


@pytest.mark.stack
@pytest.mark.slow
def test_a_quick_run_of_the_gateways_benchmark_tells_every_figure() -> None:
    told = CliRunner().invoke(
        root, ["bench", "gateway", "--quick", "--json", "--minutes", "0.05"], standalone_mode=False
    )
    assert told.exception is None, told.exception
    figures = json.loads(told.stdout)["figures"]
    assert len(figures) == 7
    assert all(figure["value"] > 0 for figure in figures)
