"""What a benchmark answers: figures, each with its target, its peer measured in the same run, and their ratio.

A benchmark is a module of the folder benchmarks/ with `measure(profile) -> list[Figure]`, named in its table.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import psutil

DIGITS = 4  # significant


@dataclass(frozen=True, slots=True)
class Profile:
    """How a benchmark is to be run."""

    quick: bool = False  # shows that it runs; says nothing about the targets
    seed: int = 0
    minutes: float = 0.0  # of steady load for what watches memory; 0: not watched


@dataclass(frozen=True, slots=True)
class Target:
    """A bound on the value, or on the ratio to the peer."""

    of_ratio: bool = False
    at_least: float | None = None
    at_most: float | None = None

    def __str__(self) -> str:
        """As people write it: `ratio >= 0.7`."""
        bounds = [f">= {self.at_least:g}"] if self.at_least is not None else []
        bounds += [f"<= {self.at_most:g}"] if self.at_most is not None else []
        return f"{'ratio' if self.of_ratio else 'value'} {' and '.join(bounds)}"

    def holds(self, number: float) -> bool:
        """A bound itself is within."""
        low, high = self.at_least, self.at_most
        return (low is None or number >= low) and (high is None or number <= high)


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured number."""

    name: str
    unit: str
    value: float
    peer: float | None = None
    peer_name: str | None = None
    target: Target | None = None

    @property
    def ratio(self) -> float | None:
        """Value over peer."""
        return self.value / self.peer if self.peer else None

    @property
    def met(self) -> bool | None:
        """None without a target; a ratio to a peer that is not there is not met."""
        if self.target is None:
            return None
        judged = self.ratio if self.target.of_ratio else self.value
        return judged is not None and self.target.holds(judged)

    def row(self) -> dict[str, Any]:
        """As `--json` shows it."""
        return {
            "name": self.name,
            "unit": self.unit,
            "value": _rounded(self.value),
            "peer": _rounded(self.peer),
            "peer_name": self.peer_name,
            "ratio": _rounded(self.ratio),
            "target": None if self.target is None else str(self.target),
            "met": self.met,
        }


def report(bench: str, figures: Sequence[Figure], *, seed: int, packages: Sequence[str]) -> dict[str, Any]:
    """The one object that `plumbline bench <name> --json` prints."""
    return {
        "bench": bench,
        "machine": machine(),
        "versions": {"python": platform.python_version()} | {name: _version(name) for name in packages},
        "seed": seed,
        "figures": [figure.row() for figure in figures],
    }


def machine() -> dict[str, Any]:
    """What the figures were measured on; load is of the last minute, for a busy machine measures little."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30),
        "system": f"{platform.system()} {platform.release()}",
        "load": round(os.getloadavg()[0], 2),
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.machine())


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _rounded(number: float | None) -> float | None:
    return None if number is None else float(f"{number:.{DIGITS}g}")
