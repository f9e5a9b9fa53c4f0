"""`plumbline ingest`: the processes of ingest, and people's commands, which speak to the gateway over HTTP."""

from __future__ import annotations

import click

from infra.console import echo_json
from infra.http import ApiClient
from ingest import app, dead_letters_cli, schema_cli, tenants_cli
from ingest.reconciliation import COUNTED
from ingest.redact_cli import redact_command
from ingest.replay_cli import replay_command
from ingest.settings import IngestSettings


@click.group(name="ingest", context_settings={"help_option_names": ["-h", "--help"]})
def commands() -> None:
    """From a person's click to an accepted event, counted once."""


@commands.command()
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", default=8080, show_default=True, type=click.IntRange(1, 65535))
def serve(*, host: str, port: int) -> None:
    """Run the gateway: feedback, logged completions, chat."""
    app.serve(IngestSettings.load(), host=host, port=port)


@commands.command()
def work() -> None:
    """Run the worker that stores, joins and counts."""
    app.work(IngestSettings.load())


@commands.command()
@click.option("--json", "as_json", is_flag=True, help="Answer with one JSON object.")
def counts(*, as_json: bool) -> None:
    """What became of all feedback: received = accepted + duplicate + dead + pending."""
    found = _client(IngestSettings.load()).get("/v1/counts")
    if as_json:
        echo_json(found)
        return
    for name in COUNTED:
        click.echo(f"{name:10}{found[name]:>10}")
    for reason, number in found["by_reason"].items():
        click.echo(f"  dead: {reason:24}{number:>6}")


def _client(settings: IngestSettings) -> ApiClient:
    return ApiClient(settings.gateway_url, settings.api_key.get_secret_value() if settings.api_key else None)


commands.add_command(dead_letters_cli.commands)
commands.add_command(replay_command)
commands.add_command(redact_command)
commands.add_command(schema_cli.command)
commands.add_command(tenants_cli.commands)
