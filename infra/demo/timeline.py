"""The story's timeline: one line a step on standard error, and the seconds that each step took.

People read it while it happens; the report repeats it. It decides nothing.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from rich.console import Console


@dataclass(frozen=True, slots=True)
class Step:
    """A step that happened."""

    name: str
    what: str  # what happened, in one sentence
    seconds: float


@dataclass
class StepInProgress:
    """The step under way; what happened is said by `happened` before it ends."""

    name: str
    what: str = ""

    def happened(self, what: str) -> None:
        """One sentence; the last one said stands."""
        self.what = what


@dataclass
class Timeline:
    """Steps in the order in which they happened."""

    console: Console
    steps: list[Step] = field(default_factory=list)
    current: str = ""  # the step under way, or the last one: what a failure is named by

    @contextmanager
    def step(self, name: str) -> Iterator[StepInProgress]:
        """Time a step; a step that raises leaves no line, its failure is told by the caller."""
        self.current = name
        running = StepInProgress(name)
        started = time.monotonic()
        with self.console.status(f"{name} …"):
            yield running
        self.steps.append(Step(name, running.what, time.monotonic() - started))
        self._print(self.steps[-1])

    def note(self, text: str) -> None:
        """A line of progress within a step."""
        self.console.print(f"              [dim]{text}[/dim]", highlight=False)

    def total_s(self) -> float:
        """Seconds of all the steps together."""
        return sum(step.seconds for step in self.steps)

    def conclude(self) -> None:
        """Where the time went: the longest steps, and the total."""
        longest = sorted(self.steps, key=lambda step: -step.seconds)[:4]
        told = ", ".join(f"{step.name} {step.seconds:.0f} s" for step in longest)
        self.console.print(f"[bold]{self.total_s():.0f} s[/bold] in all: {told}", highlight=False)

    def _print(self, step: Step) -> None:
        self.console.print(
            f"[green]✓[/green] [bold]{step.name:<11}[/bold] {step.what} [dim]{step.seconds:.1f} s[/dim]",
            highlight=False,
            soft_wrap=True,
        )
