"""The report: one self-contained page of what happened, for people who were not there.

It repeats the facts and decides nothing. Pictures are inline, nothing is fetched, and every picture has a table
beside it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from infra.demo import plots
from infra.demo.facts import Facts, Trial
from infra.matrix_pictures import FACTORS, Weighing, covariance_map, factor_stacks
from infra.pictures import PAGE, drawing, inline
from matrix.messages.gate import Finding


def write_report(path: Path, facts: Facts) -> Path:
    """Write the page; returns where it is."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(render(facts), encoding="utf-8")
    return path.resolve()


def render(facts: Facts) -> str:
    """The page as one string of HTML."""
    environment = Environment(
        loader=PackageLoader("infra.demo"),
        autoescape=select_autoescape(["html"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"signed": signed, "share": share, "number": number, "decimal": decimal, "short": short}
    return environment.get_template("report.html").render(
        facts=facts,
        trials=[_section(facts.run_a), _section(facts.run_b)],
        risk_plot=plots.risk_over_time(facts.risks),
        risk_cells=_last_risks(facts),
        **_weighed(facts),
    )


def _weighed(facts: Facts) -> dict[str, object]:
    """What run B's rewards weighed: pictures, and the last update as rows."""
    if not facts.weighings:
        return {"factor_plot": "", "correlation_plot": "", "weighed": []}
    last = facts.weighings[-1]
    names = sorted(last["weights"], key=lambda name: -last["weights"][name])
    rows = [
        {
            "dimension": name,
            "first": facts.weighings[0]["weights"][name],
            "weight": last["weights"][name],
            "factors": [last["factors"].get(factor, {}).get(name, 1.0) for factor in FACTORS],
            "share": last.get("shares", {}).get(name, 0.0),
            "level": last["levels"][name],
        }
        for name in names
    ]
    steps = [Weighing(one["step"], one["weights"], one["factors"]) for one in facts.weighings]
    with drawing("weights"):
        factors = inline(factor_stacks(steps, PAGE))
    with drawing("correlations"):
        correlations = inline(covariance_map(last["dimensions"], np.array(last["covariance"]), PAGE))
    return {"factor_plot": factors, "correlation_plot": correlations, "weighed": rows}


def _section(trial: Trial) -> dict[str, object]:
    """One gate report with its pictures; failed findings first, in the order of the report otherwise."""
    findings = sorted(trial.report.findings, key=lambda finding: finding.passed)
    soft = [finding for finding in findings if finding.rule != "floor"]
    floors = [finding for finding in findings if finding.rule == "floor"]
    name = f"run-{trial.label.lower()}"
    return {
        "trial": trial,
        "passed": trial.report.verdict.value == "pass",
        "words": verdict_in_words(trial),
        # What a finding says stands in its row; the others speak of the evaluation as a whole.
        "other_reasons": [told for told in trial.report.reasons if not any(f.cell in told for f in findings)],
        "soft": soft,
        "floors": floors,
        "floor_plot": plots.intervals(floors, name=f"{name}-floor", xlabel="violation rate"),
        "soft_plot": plots.intervals(_once(soft, trial), name=f"{name}-soft", xlabel="difference, right is better"),
    }


def _once(findings: Sequence[Finding], trial: Trial) -> list[Finding]:
    """Where champion and anchor are the same bytes, the picture shows each comparison once; the table has both."""
    same = trial.report.champion == trial.report.anchor
    return [finding for finding in findings if not (same and finding.rule == "anchor")]


def verdict_in_words(trial: Trial) -> str:
    """`Refused: 31 of 400 … missed` rather than a code."""
    report = trial.report
    if report.verdict.value == "pass":
        return f"Passed: all {len(report.findings)} findings hold."
    cells = report.failed_cells()
    worst = _worst_floor(report.findings)
    named = f"{len(cells)} cells failed: {', '.join(cells)}."
    return f"Refused ({report.verdict.value}): {named}{' ' + worst if worst else ''}"


def _worst_floor(findings: Sequence[Finding]) -> str:
    failed = [f for f in findings if f.rule == "floor" and not f.passed and f.difference is not None]
    if not failed:
        return ""
    worst = max(failed, key=lambda finding: finding.difference or 0.0)
    violations = round((worst.difference or 0.0) * worst.n)
    return f"Worst: {worst.cell}, {violations} of {worst.n} prompts violated; the upper bound may be {worst.limit:.3f}."


def _last_risks(facts: Facts) -> list[dict[str, object]]:
    last = {point.cell: point for point in sorted(facts.risks, key=lambda point: point.at)}
    shown = plots.highest_cells(facts.risks, len(last))
    return [{"cell": cell, "risk": last[cell].risk, "upper_bound": last[cell].upper_bound} for cell in shown]


def signed(value: float | None) -> str:
    """A difference with its sign; a dash where there is none."""
    return "–" if value is None else f"{value:+.3f}"


def share(value: float | None) -> str:
    """A rate or a probability."""
    return "–" if value is None else f"{value:.3f}"


def number(value: int) -> str:
    """A count with its thousands apart."""
    return f"{value:,}"


def decimal(value: float) -> str:
    """Two decimals, with a sign only where it is negative."""
    return f"{value:.2f}".replace("-0.00", "0.00")


def short(digest: str) -> str:
    """The first characters of a digest, as names carry them."""
    return digest[:12]
