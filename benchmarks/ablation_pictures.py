"""Two pictures of the ablations, drawn from the figures that the benchmark prints: attainment, and a hazard's cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure as Picture

from infra.bench import Figure
from infra.pictures import PLAIN

OURS = ("rfn", "weakest_first", "ours")  # what a row's name begins with
LEFT_OUT = ("no_", "ours")  # single factors switched off, and the product's defaults, which are a row's double here


def pictures(figures: Sequence[Figure]) -> Mapping[str, Picture]:
    """By file name without its ending; in PLAIN's colours."""
    values = {figure.name: figure.value for figure in figures}
    attained = [name for name in _rows(values, "E2") if not any(part in name for part in LEFT_OUT)]
    return {
        "ablation-attainment": _attainment(values, attained),
        "ablation-hazard": _hazard(values, _rows(values, "E4")),
    }


def _rows(values: Mapping[str, float], title: str) -> list[str]:
    ending = ": mean attainment"
    found = [name for name in values if name.startswith(f"{title}: ") and name.endswith(ending)]
    return [name.removeprefix(f"{title}: ").removesuffix(ending) for name in found]


def _attainment(values: Mapping[str, float], names: list[str]) -> Picture:
    picture = Picture(figsize=(7.4, 0.9 + 0.3 * len(names)), layout="constrained")
    axes = picture.subplots()
    ordered = sorted(names, key=lambda name: values[f"E2: {name}: mean attainment"])
    for about, marker in (("mean attainment", "o"), ("least attainment", "|")):
        for row, name in enumerate(ordered):
            _point(axes, values, f"E2: {name}: {about}", row, marker=marker, ours=name.startswith(OURS))
    axes.set_yticks(range(len(ordered)), ordered)
    axes.set_xlim(0, 1)
    axes.set_xlabel("share of the targets attained: mean (dot) and least (line), with two standard errors")
    _plain(axes)
    return picture


def _hazard(values: Mapping[str, float], names: list[str]) -> Picture:
    picture = Picture(figsize=(7.4, 0.9 + 0.36 * len(names)), layout="constrained")
    axes = picture.subplots()
    for row, name in enumerate(reversed(names)):
        _point(axes, values, f"E4: {name}: cumulative violations", row, marker="o", ours="stratified" in name)
    axes.set_yticks(range(len(names)), list(reversed(names)))
    axes.set_xlim(left=0)
    axes.set_xlabel("steps of violation after a hazard appears, with two standard errors (fewer is better)")
    _plain(axes)
    return picture


def _point(axes: Axes, values: Mapping[str, float], name: str, row: int, *, marker: str, ours: bool) -> None:
    mean, error = values[name], values[f"{name}, standard error"]
    colour = PLAIN.accent if ours else PLAIN.quiet
    axes.hlines(row, mean - 2 * error, mean + 2 * error, color=colour, linewidth=2)
    axes.plot([mean], [row], marker=marker, color=colour, markersize=7, linestyle="")


def _plain(axes: Axes) -> None:
    axes.grid(axis="x", color=PLAIN.line, linewidth=0.5)
    axes.set_axisbelow(True)
    axes.tick_params(length=0)
