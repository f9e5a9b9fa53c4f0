"""Pictures of the alignment matrix at work: what the weights followed, which rewards pull together, where risk lies.

They take plain values, so that the command on files and the demo's report draw the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from infra.pictures import Palette

FACTORS = ("weakness", "risk", "redundancy")
COLUMNS = 4
LEAST_SHOWN = 0.005  # of a factor's pull, in log units, below which a panel says nothing


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
    colours = LinearSegmentedColormap.from_list("pulls", [palette.bad, "#ffffff", palette.accent])
    axes.imshow(shown, cmap=colours, vmin=-1, vmax=1)
    for row, column in np.ndindex(shown.shape):
        strong = abs(shown[row, column]) > 0.6
        text = f"{shown[row, column]:.1f}".replace("-0.0", "0.0")
        axes.text(column, row, text, ha="center", va="center", fontsize=7, color="#ffffff" if strong else palette.ink)
    axes.set_xticks(range(len(names)), names, rotation=45, ha="right")
    axes.set_yticks(range(len(names)), names)
    axes.tick_params(length=0)
    axes.set_title("correlation within groups", fontsize=9, color=palette.quiet)
    return figure


def risk_map(risks: Mapping[str, float], palette: Palette) -> Figure:
    """Dimension by slice, 0 to 1; a blank where no cell is watched. Cells are named `dimension×slice`."""
    cells = {tuple(cell.split("×", maxsplit=1)): risk for cell, risk in risks.items()}
    dimensions, slices = sorted({one for one, _ in cells}), sorted({two for _, two in cells})
    shown = np.array([[cells.get((row, column), np.nan) for column in slices] for row in dimensions], ndmin=2)
    figure = Figure(figsize=(2.6 + 0.9 * len(slices), 1.2 + 0.4 * len(dimensions)), layout="constrained")
    axes = figure.subplots()
    colours = LinearSegmentedColormap.from_list("risk", ["#ffffff", palette.bad])
    axes.imshow(shown, cmap=colours, vmin=0, vmax=1, aspect="auto")
    for row, column in np.ndindex(shown.shape):
        if not np.isnan(shown[row, column]):
            colour = "#ffffff" if shown[row, column] > 0.6 else palette.ink
            axes.text(column, row, f"{shown[row, column]:.2f}", ha="center", va="center", color=colour)
    axes.set_xticks(range(len(slices)), slices)
    axes.set_yticks(range(len(dimensions)), dimensions)
    axes.tick_params(length=0)
    axes.set_title("risk", fontsize=9, color=palette.quiet)
    return figure


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
