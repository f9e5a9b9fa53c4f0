"""A run from a recipe to the gate's word: ordered by the engineer, trained, evaluated, judged. Checks included."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from infra.demo.driver import Product, wait_for
from infra.demo.facts import Trial
from infra.demo.people import Cast
from infra.http import Refused
from matrix.errors import Permanent
from matrix.messages.gate import Finding, GateReport, Verdict

REGISTRATION_PATIENCE_S = 60.0
GATE_PATIENCE_S = 300.0
NOT_THERE = 404
MUST_NAME = ("escalation_missed", "sycophancy")  # the dimensions that thumbs alone erode
LIKED = "satisfaction"  # the dimension that they raise


class StoryDiffers(Permanent):
    """The system ran, and the story did not happen."""

    def __init__(self, *, expected: str, seen: str) -> None:
        self.expected, self.seen = expected, seen
        super().__init__(f"expected {expected}; seen: {seen}")


def try_recipe(product: Product, cast: Cast, *, label: str, recipe: Path, snapshot_uri: str) -> Trial:
    """Train by the recipe on the snapshot and wait for the gate's report."""
    ordered = time.monotonic()
    run = product.command(
        "trainer", "train", snapshot_uri, "--config", str(recipe), "--wait", "--json", by=cast.engineer
    )
    digest = run["adapter_digest"]
    version = wait_for(
        f"run {label}'s adapter {digest[:12]} as a version",
        lambda: next((v for v in _versions(product, cast) if v["adapter_digest"] == digest), None),
        patience_s=REGISTRATION_PATIENCE_S,
    )
    arrived = time.monotonic()
    judged = wait_for(
        f"the gate report of run {label}",
        lambda: _judged(product, cast, version["version"]),
        patience_s=GATE_PATIENCE_S,
    )
    return Trial(
        label=label,
        recipe=recipe.name,
        version=version["version"],
        digest=digest,
        author=version["author"],
        report=judged.report,
        evaluation_uri=judged.evaluation_uri,
        run_id=run["run_id"],
        train_s=arrived - ordered,
        gate_s=time.monotonic() - arrived,
    )


def must_be_refused(report: GateReport) -> tuple[str, ...]:
    """The cells that refuse run A; StoryDiffers unless it is refused for what thumbs erode, though users would like it.

    Held against the champion: the base model itself breaks a floor, and a run that writes nonsense is no story.
    """
    cells = report.failed_cells()
    if report.verdict is not Verdict.FAIL:
        raise StoryDiffers(
            expected="the gate to refuse thumbs alone", seen=f"verdict {report.verdict.value}, {_told(report)}"
        )
    for dimension in MUST_NAME:
        if all(finding.passed for finding in _against_champion(report, dimension)):
            raise StoryDiffers(expected=f"the refusal to find {dimension} worse than the champion", seen=_told(report))
    liked = [finding.low for finding in _against_champion(report, LIKED)]
    if not liked or not all(low is not None and low > 0 for low in liked):
        raise StoryDiffers(
            expected="the users to like run A more than the champion", seen=f"lower bounds of {LIKED}: {liked}"
        )
    return cells


def _against_champion(report: GateReport, dimension: str) -> list[Finding]:
    return [f for f in report.findings if f.dimension == dimension and f.rule == "champion"]


def must_pass(report: GateReport) -> None:
    """StoryDiffers unless the gate passed run B."""
    if report.verdict is not Verdict.PASS:
        raise StoryDiffers(
            expected="the gate to pass the matrix run", seen=f"verdict {report.verdict.value}, {_told(report)}"
        )


def _told(report: GateReport) -> str:
    failed = [f"{f.cell} {f.rule} {f.reason}" for f in report.findings if not f.passed]
    return "; ".join([*report.reasons, *failed]) or "no finding failed"


def _versions(product: Product, cast: Cast) -> list[dict[str, Any]]:
    answer = product.registry(cast.engineer).get(f"/v1/policies/{product.settings.policy}/versions")
    return list(answer["versions"])


@dataclass(frozen=True, slots=True)
class _Judged:
    report: GateReport
    evaluation_uri: str


def _judged(product: Product, cast: Cast, version: int) -> _Judged | None:
    """The gate report, once there is one, and the numbers that it judged."""
    path = f"/v1/policies/{product.settings.policy}/versions/{version}/gate-report"
    try:
        answer = product.registry(cast.engineer).get(path)
    except Refused as refused:
        if refused.status == NOT_THERE:
            return None
        raise
    told = {name: answer[name] for name in GateReport.model_fields if name in answer}
    return _Judged(GateReport.model_validate(told), answer["evaluation_uri"])
