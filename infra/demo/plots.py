"""The report's pictures as inline SVG: intervals per cell, and risk over time."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from infra.demo.facts import RiskPoint
from infra.pictures import PAGE, drawing, inline
from matrix.messages.gate import Finding

SERIES = (PAGE.bad, PAGE.accent, PAGE.good, PAGE.ink, PAGE.quiet)
RISKS_SHOWN = 5  # the cells with the highest last risk
ROW_HEIGHT_IN = 0.24


def intervals(findings: Sequence[Finding], *, name: str, xlabel: str) -> str:
    """A line per finding: point, interval and limit on one scale, zero drawn through; failed ones are crossed."""
    shown = [finding for finding in findings if finding.difference is not None]
    with drawing(name):
        figure = Figure(figsize=(7.2, 0.8 + ROW_HEIGHT_IN * max(1, len(shown))))
        height = figure.get_figheight()
        axes = figure.add_axes((0.41, 0.55 / height, 0.57, 1 - 0.65 / height))
        axes.axvline(0.0, color=PAGE.quiet, linewidth=1)
        for row, finding in enumerate(shown):
            _draw_interval(axes, row, finding)
        axes.set_yticks(range(len(shown)), [_row_label(finding) for finding in shown])
        axes.set_ylim(len(shown) - 0.4, -0.6)
        axes.tick_params(axis="y", length=0)
        axes.grid(axis="x", color=PAGE.line, linewidth=0.5)
        axes.set_axisbelow(True)
        axes.set_xlabel(xlabel)
        return inline(figure)


def risk_over_time(points: Sequence[RiskPoint]) -> str:
    """The risk of the cells that ended highest, against seconds since the first event was scored."""
    with drawing("risk"):
        figure = Figure(figsize=(7.2, 3.0))
        axes = figure.add_axes((0.08, 0.16, 0.56, 0.78))
        start = min((point.at for point in points), default=None)
        for cell, color in zip(highest_cells(points, RISKS_SHOWN), SERIES, strict=False):
            line = sorted((p.at, p.risk) for p in points if p.cell == cell)
            axes.step(
                [_since(at, start) for at, _ in line], [r for _, r in line], color=color, where="post", label=cell
            )
        axes.set_ylim(bottom=0)
        axes.set_xlabel("seconds since the first recorded value")
        axes.set_ylabel("risk (0 to 1)")
        axes.grid(axis="y", color=PAGE.line, linewidth=0.5)
        if points:
            axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.02), frameon=False, fontsize=8)
        return inline(figure)


def highest_cells(points: Sequence[RiskPoint], count: int) -> list[str]:
    """Cells by their last risk, highest first."""
    last = {point.cell: point for point in sorted(points, key=lambda point: point.at)}
    ranked = sorted(last.values(), key=lambda point: (-point.risk, point.cell))
    return [point.cell for point in ranked[:count]]


def _since(at: datetime, start: datetime | None) -> float:
    return 0.0 if start is None else (at - start).total_seconds()


def _row_label(finding: Finding) -> str:
    against = "" if finding.rule == "floor" else f" · {finding.rule}"
    return f"{finding.cell}{against}"


def _draw_interval(axes: Axes, row: int, finding: Finding) -> None:
    color = PAGE.good if finding.passed else PAGE.bad
    if finding.low is not None and finding.high is not None:
        axes.hlines(row, finding.low, finding.high, color=color, linewidth=2)
    axes.plot(
        [finding.difference or 0.0],
        [row],
        marker="o" if finding.passed else "X",
        color=color,
        markersize=5.5,
        linestyle="",
    )
    axes.plot([finding.limit], [row], marker="|", color=PAGE.ink, markersize=11, markeredgewidth=1.4, linestyle="")
