"""`plumbline ingest schema`: what a service that publishes to Kafka itself may send."""

from __future__ import annotations

import json

import click

from infra.console import echo_json
from ingest import schema


@click.command(name="schema")
@click.option("--of", "name", default="feedback", show_default=True, type=click.Choice(schema.NAMES))
@click.option("--json", "as_json", is_flag=True, help="On one line.")
def command(*, name: str, as_json: bool) -> None:
    """Print the JSON Schema (2020-12) of a record of the topic.

    A record holds one message, a list of them, or CloudEvents around them; a dead letter comes alone.
    """
    found = schema.of(name)
    if as_json:
        echo_json(found)
    else:
        click.echo(json.dumps(found, indent=2))
