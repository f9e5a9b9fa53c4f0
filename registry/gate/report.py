"""A gate report as people read it: one line per rule and cell, worst news first within the verdict's reasons."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from matrix.messages.gate import Finding, GateReport, Verdict

EXIT_CODES = {Verdict.PASS: 0, Verdict.FAIL: 1, Verdict.INCONCLUSIVE: 1, Verdict.INVALID: 2}
COLUMNS = ("cell", "rule", "n", "difference", "interval", "limit", "", "reason")


def rows(report: GateReport) -> Iterator[tuple[str, ...]]:
    """Cells of a table with COLUMNS, in the report's order."""
    for finding in report.findings:
        yield (
            finding.cell,
            finding.rule,
            str(finding.n),
            _number(finding.difference),
            _interval(finding),
            f"{'≤' if finding.rule == 'floor' else '>'} {finding.limit:.4f}",
            "ok" if finding.passed else "NO",
            finding.reason,
        )


def summary(report: GateReport) -> dict[str, Any]:
    """What a version shows of its report."""
    return {
        "verdict": report.verdict.value,
        "failed_cells": list(report.failed_cells()),
        "reasons": list(report.reasons),
        "report_digest": report.digest(),
    }


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:+.4f}"


def _interval(finding: Finding) -> str:
    return f"[{_number(finding.low)}, {_number(finding.high)}]"
