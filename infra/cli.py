"""The one command, `plumbline <stage> <verb>`. Stage commands are found through entry points, so this imports no stage.

Exit codes: 0 done or passed, 1 a verdict or finding against, 2 usage or bad input, 130 interrupted.
"""

from __future__ import annotations

import sys
from importlib.metadata import EntryPoint, entry_points

import click

from infra.settings import Settings
from infra.telemetry import configure_logging
from matrix.errors import Declined, PlumblineError

GROUP = "plumbline.commands"


class StageCommands(click.Group):
    """Loads a stage's commands only when they are asked for: `plumbline stack` must not import torch."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names, without loading any."""
        return sorted(entry.name for entry in _entries())

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The stage's group or command."""
        found = next((entry for entry in _entries() if entry.name == cmd_name), None)
        return None if found is None else found.load()

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """A fixed line for each, for the same reason."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, ABOUT.get(name, "")) for name in self.list_commands(ctx)])


ABOUT = {
    "bench": "measure what is claimed, beside its peer",
    "database": "keep PostgreSQL's tables at this version",
    "demo": "the whole loop on this machine, from a thumb to a served adapter",
    "ingest": "from a person's click to an accepted event, counted once",
    "keys": "make, list, rotate and revoke API keys",
    "registry": "versions, gate reports, approvals, promotion and rollback",
    "scorer": "scores, risk priorities and snapshots",
    "stack": "the local servers and the product's processes",
    "trainer": "updates, evaluations and the local policy server",
}


def _entries() -> list[EntryPoint]:
    return list(entry_points(group=GROUP))


@click.group(cls=StageCommands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="plumbline")
def root() -> None:
    """Close the loop between people and the model that answers them, behind a gate that holds safety."""


def main() -> None:
    """Run a command; what the product raises on purpose becomes one line and an exit code."""
    try:
        configure_logging(Settings.load().log_level)
        outcome = root(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except PlumblineError as error:
        click.echo(f"plumbline: {error}", err=True)
        sys.exit(1 if isinstance(error, Declined) else 2)
    except (click.Abort, KeyboardInterrupt):
        click.echo("plumbline: interrupted", err=True)
        sys.exit(130)
    except BrokenPipeError:
        sys.exit(0)
    sys.exit(outcome if isinstance(outcome, int) else 0)


if __name__ == "__main__":
    main()
