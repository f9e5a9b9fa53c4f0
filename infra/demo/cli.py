"""`plumbline demo`: the whole loop on this machine. Exit 1 names the step that did not happen and what was seen."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from types import FrameType

import click

from infra.console import echo_json, people
from infra.demo.facts import Facts
from infra.demo.report import write_report
from infra.demo.story import Plan, tell
from infra.demo.timeline import Timeline
from infra.settings import DEFAULT_HOME
from matrix.errors import InvalidInput, PlumblineError, StackFailed

PATIENTS = 240
NOT_STORY = (StackFailed, InvalidInput)  # the machine or the command is at fault: exit 2


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--seed", default=1, show_default=True, type=click.IntRange(min=0), help="Another seed, another clinic.")
@click.option("--patients", default=PATIENTS, show_default=True, type=click.IntRange(20, 5000))
@click.option("--home", type=click.Path(path_type=Path), help="The stack's folder  [default: .plumbline/demo]")
@click.option("--report", type=click.Path(path_type=Path), help="The page  [default: .plumbline/demo-report.html]")
@click.option("--keep", is_flag=True, help="Leave the stack running afterwards.")
@click.option("--json", "as_json", is_flag=True, help="Answer with one JSON object.")
def command(*, seed: int, patients: int, home: Path | None, report: Path | None, keep: bool, as_json: bool) -> int:
    """Improve a clinic's assistant from its simulated patients' feedback, and take it back."""
    root = Path(os.environ.get("PLUMBLINE_HOME", DEFAULT_HOME))
    plan = Plan(
        seed=seed,
        patients=patients,
        home=(home or root / "demo").resolve(),
        cache=(root / "cache").resolve(),
        keep=keep,
    )
    timeline = Timeline(people())
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        facts = tell(plan, timeline)
    except NOT_STORY:
        raise
    except PlumblineError as error:
        click.echo(f"plumbline demo: step '{timeline.current}' did not happen: {error}", err=True)
        return 1
    page = write_report(report or root / "demo-report.html", facts)
    _conclude(facts, plan, timeline, page, as_json=as_json)
    return 0


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    """Who ends the demo ends its stack too, as with Ctrl-C."""
    raise KeyboardInterrupt


def _conclude(facts: Facts, plan: Plan, timeline: Timeline, page: Path, *, as_json: bool) -> None:
    timeline.conclude()
    timeline.console.print(f"report: {page}", soft_wrap=True)
    if plan.keep:
        timeline.console.print(
            f"the stack is still running: PLUMBLINE_HOME={plan.home} plumbline stack status", soft_wrap=True
        )
    if as_json:
        echo_json(facts.answer(report=str(page)))
