"""Pictures of the alignment matrix at work: what the weights followed, which rewards pull together, where risk lies.

They take plain values, so that the command on files and the demo's report draw the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from infra.pictures import Palette

FACTORS = ("weakness", "risk", "redundancy")
COLUMNS = 4
STRONGEST = 0.6  # opacity of a cell at its most: its number is read on it, by day and by night


@dataclass(frozen=True, slots=True)
class Weighing:
    """One update of the weights; by dimension."""

    step: int
    weights: Mapping[str, float]
    factors: Mapping[str, Mapping[str, float]]  # of FACTORS


def factor_stacks(weighings: Sequence[Weighing], palette: Palette) -> Figure:
    """A panel for each dimension over the updates: its weight as a line, its factors' pulls stacked below and above 0.

    A pull is the factor's logarithm, so that pulls add up: weakness and risk push up, redundancy down.
    """
    names = sorted(weighings[-1].weights, key=lambda name: -weighings[-1].weights[name])
    rows = -(-len(names) // COLUMNS)
    figure = Figure(figsize=(9.2, 1.7 * rows + 0.5), layout="constrained")
    panels = figure.subplots(rows, COLUMNS, sharex=True, sharey=True, squeeze=False)
    for number, axes in enumerate(panels.flat):
        if number < len(names):
            _stack(axes, weighings, names[number], palette)
        else:
            axes.set_axis_off()
    figure.supxlabel("step", fontsize=9, color=palette.quiet)
    figure.supylabel("pull of each factor (log), and weight (line)", fontsize=9, color=palette.quiet)
    handles, labels = panels.flat[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper right", ncols=4, frameon=False, fontsize=8)
    return figure


def covariance_map(names: Sequence[str], covariance: np.ndarray, palette: Palette) -> Figure:
    """Correlations within groups as a square: what rises together, what is traded against what; numbers written in."""
    deviation = np.sqrt(np.maximum(np.diag(covariance), 1e-12))
    shown = np.clip(covariance / np.outer(deviation, deviation), -1.0, 1.0)
    figure = Figure(figsize=(1.6 + 0.48 * len(names), 1.5 + 0.42 * len(names)), layout="constrained")
    axes = figure.subplots()
    for row, column in np.ndindex(shown.shape):
        number = shown[row, column]
        colour = palette.accent if number > 0 else palette.bad
        _cell(axes, row, column, strength=abs(number), colour=colour, text=f"{number:.1f}".replace("-0.0", "0.0"))
    _frame(axes, names, names)
    axes.set_title("correlation within groups", fontsize=9)
    return figure


def risk_map(risks: Mapping[str, float], palette: Palette) -> Figure:
    """Dimension by slice, 0 to 1; a blank where no cell is watched. Cells are named `dimension×slice`."""
    cells = {tuple(cell.split("×", maxsplit=1)): risk for cell, risk in risks.items()}
    dimensions, slices = sorted({one for one, _ in cells}), sorted({two for _, two in cells})
    figure = Figure(figsize=(2.6 + 0.9 * len(slices), 1.2 + 0.4 * len(dimensions)), layout="constrained")
    axes = figure.subplots()
    for (dimension, slice_), risk in cells.items():
        row, column = dimensions.index(dimension), slices.index(slice_)
        _cell(axes, row, column, strength=risk, colour=palette.bad, text=f"{risk:.2f}")
    _frame(axes, dimensions, slices)
    axes.set_title("risk", fontsize=9)
    return figure


def _cell(axes: Axes, row: int, column: int, *, strength: float, colour: str, text: str) -> None:
    """A square as strong as its number: drawn, not painted, so that a page's colours and its text stay."""
    axes.add_patch(
        Rectangle((column - 0.5, row - 0.5), 1, 1, facecolor=colour, alpha=STRONGEST * strength, linewidth=0)
    )
    axes.text(column, row, text, ha="center", va="center", fontsize=7)


def _frame(axes: Axes, rows: Sequence[str], columns: Sequence[str]) -> None:
    axes.set_xlim(-0.5, len(columns) - 0.5)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_xticks(range(len(columns)), columns, rotation=45, ha="right")
    axes.set_yticks(range(len(rows)), rows)
    axes.tick_params(length=0)


def _stack(axes: Axes, weighings: Sequence[Weighing], name: str, palette: Palette) -> None:
    steps = [one.step for one in weighings]
    colours = dict(zip(FACTORS, (palette.accent, palette.bad, palette.quiet), strict=True))
    above, below = np.zeros(len(steps)), np.zeros(len(steps))
    for factor in FACTORS:
        pull = np.log([max(one.factors.get(factor, {}).get(name, 1.0), 1e-6) for one in weighings])
        floor = np.where(pull >= 0, above, below)
        axes.fill_between(
            steps, floor, floor + pull, step="post", color=colours[factor], alpha=0.45, linewidth=0, label=factor
        )
        above, below = above + np.maximum(pull, 0), below + np.minimum(pull, 0)
    weights = [one.weights[name] for one in weighings]
    axes.step(steps, weights, where="post", color=palette.ink, linewidth=1.4, label="weight")
    axes.axhline(0.0, color=palette.line, linewidth=0.8)
    axes.set_title(f"{name}  {weights[-1]:.2f}", fontsize=8, loc="left", color=palette.ink)
    axes.tick_params(length=0, labelsize=7)
