"""`plumbline ingest`: the processes of ingest, and people's commands, which speak to the gateway over HTTP."""

from __future__ import annotations

import asyncio
import gzip
import sys
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import httpx
from rich.progress import Progress

from infra.clock import SystemClock
from infra.console import echo_json, people, progress
from infra.http import ApiClient
from infra.publishing import AsyncKafkaPublisher
from ingest import app, replay
from ingest.formats import FORMATS
from ingest.formats.rows import Source
from ingest.replay import GatewaySender, KafkaSender, Recording, Sender, Sent
from ingest.settings import IngestSettings
from matrix.errors import InvalidInput

HTTP_TIMEOUT_S = 30.0
SHOWN_ROWS = 10  # bad rows that people are shown; --json lists all


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
    for name in replay.COUNTED:
        click.echo(f"{name:10}{found[name]:>10}")
    for reason, number in found["by_reason"].items():
        click.echo(f"  dead: {reason:24}{number:>6}")


@commands.group(name="dead-letters")
def dead_letters() -> None:
    """What was set aside, and why."""


@dead_letters.command(name="list")
@click.option("--reason", help="Only those with this reason.")
@click.option("--limit", default=100, show_default=True, type=click.IntRange(1, 1000))
@click.option("--json", "as_json", is_flag=True, help="Answer with one JSON object a line.")
def list_dead_letters(*, reason: str | None, limit: int, as_json: bool) -> None:
    """List dead letters, the newest first."""
    query = {"limit": str(limit)} | ({"reason": reason} if reason else {})
    for letter in _client(IngestSettings.load()).get("/v1/dead-letters", **query)["dead_letters"]:
        if as_json:
            echo_json(letter)
        else:
            where = f"{letter['topic']}/{letter['partition']}@{letter['offset']}.{letter['position']}"
            click.echo(f"{letter['set_aside_at']}  {letter['reason']:20}{where}  {letter['detail']}")


@commands.command(name="replay")
@click.argument("file")
@click.option("--format", "form", required=True, type=click.Choice(list(FORMATS)))
@click.option("--rate", type=click.FloatRange(min=0, min_open=True), help="Messages a second; else as fast as it goes.")
@click.option("--as-recorded", is_flag=True, help="Keep the recording's own pace.")
@click.option("--speed", type=click.FloatRange(min=0, min_open=True), help="With --as-recorded: times as fast.")
@click.option("--to", type=click.Choice(["gateway", "kafka"]), default="gateway", show_default=True)
@click.option("--policy", default="replayed", show_default=True, help="Policy that the completions are credited to.")
@click.option(
    "--keep-times",
    is_flag=True,
    help="Send recorded times as they are; else the recording ends now, squeezed to half the age limit.",
)
@click.option("--settle-s", default=120.0, show_default=True, help="How long to wait for the counts.")
@click.option("--json", "as_json", is_flag=True, help="Answer with one JSON object.")
@click.pass_context
def replay_command(ctx: click.Context, /, **options: Any) -> None:
    """Send a recording, then account for every event of it. FILE may be gzipped, or - for standard input."""
    asked = Asked(**options)
    recording = replay.load(Source(asked.file, _text_of(asked.file), asked.policy), FORMATS[asked.form])
    if not asked.keep_times:
        recording = replay.moved(recording, SystemClock().now(), IngestSettings.load().max_age / 2)
    sent, grown = asyncio.run(_replayed(recording, asked))
    ctx.exit(_report(recording, sent, grown, as_json=asked.as_json))


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """The options of `replay`, as click hands them over."""

    file: str
    form: str
    rate: float | None
    as_recorded: bool
    speed: float | None
    to: str
    policy: str
    keep_times: bool
    settle_s: float
    as_json: bool

    def __post_init__(self) -> None:
        if self.as_recorded and self.rate is not None:
            raise click.UsageError("--rate and --as-recorded exclude each other")
        if self.speed is not None and not self.as_recorded:
            raise click.UsageError("--speed goes with --as-recorded")
        if self.as_recorded and not FORMATS[self.form].has_times:
            raise click.UsageError(f"{self.form} records no times; use --rate")

    def due(self, recording: Recording) -> list[tuple[float, replay.Item]]:
        """When each message is due."""
        return replay.due_times(recording, rate=self.rate, speed=(self.speed or 1.0) if self.as_recorded else None)


def _text_of(file: str) -> str:
    try:
        raw = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
        return (gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw).decode()
    except UnicodeDecodeError as error:
        raise InvalidInput(field=file, value=error.reason, remedy="expected UTF-8 text") from None
    except (OSError, EOFError, ValueError, zlib.error) as error:  # a path with a NUL is a ValueError
        reason = getattr(error, "strerror", None) or str(error)
        raise InvalidInput(field="FILE", value=file, remedy=f"cannot be read: {reason}") from None


async def _replayed(recording: Recording, asked: Asked) -> tuple[Sent, replay.Counts]:
    settings = IngestSettings.load()
    async with _http(settings) as client:
        gateway = GatewaySender(client)
        before = await gateway.counts()
        with progress() as bar:
            async with _sender(asked.to, gateway, settings) as sender:
                sent = await _send_with(bar, asked.due(recording), sender)
            orphans = recording.orphans()
            grown = await replay.settled(
                gateway.counts, before, events=sent.events, orphans=orphans, most_s=asked.settle_s
            )
    return sent, grown


async def _send_with(bar: Progress, due: list[tuple[float, replay.Item]], sender: Sender) -> Sent:
    task = bar.add_task("sending", total=len(due))
    try:
        return await replay.send_all(due, sender, lambda: bar.advance(task))
    except ExceptionGroup as group:
        raise group.exceptions[0] from None


def _http(settings: IngestSettings) -> httpx.AsyncClient:
    key = settings.api_key.get_secret_value() if settings.api_key else ""
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    return httpx.AsyncClient(base_url=settings.gateway_url, headers=headers, timeout=HTTP_TIMEOUT_S)


@asynccontextmanager
async def _sender(to: str, gateway: GatewaySender, settings: IngestSettings) -> AsyncIterator[Sender]:
    if to == "gateway":
        yield gateway
        return
    publisher = AsyncKafkaPublisher(settings.kafka)
    await publisher.start()
    try:
        yield KafkaSender(publisher)
    finally:
        await publisher.stop()


def _client(settings: IngestSettings) -> ApiClient:
    return ApiClient(settings.gateway_url, settings.api_key.get_secret_value() if settings.api_key else None)


def _report(recording: Recording, sent: Sent, grown: replay.Counts, *, as_json: bool) -> int:
    found = replay.discrepancies(sent, grown)
    bad = sorted([*recording.bad_rows, *sent.refused], key=lambda one: one.line)
    if as_json:
        answer = {"rows": recording.rows, "sent": {"completions": sent.completions, "events": sent.events}}
        answer |= {"retried": sent.retried, "bad_rows": [{"line": one.line, "reason": one.reason} for one in bad]}
        echo_json(answer | grown | {"discrepancies": found, "reconciled": not found})
    else:
        _tell(recording, sent, grown, [f"  row {one.line}: {one.reason}" for one in bad], found)
    return 1 if found else 0


def _tell(recording: Recording, sent: Sent, grown: replay.Counts, bad: list[str], found: list[str]) -> None:
    console = people()
    console.print(f"{recording.rows} rows read; sent {sent.completions} completions and {sent.events} events")
    if bad:
        console.print(f"{len(bad)} findings in rows that are no feedback:", *bad[:SHOWN_ROWS], sep="\n")
    if len(bad) > SHOWN_ROWS:
        console.print(f"  and {len(bad) - SHOWN_ROWS} more; --json lists all")
    for name in replay.COUNTED:
        click.echo(f"{name:10}{grown[name]:>10}")
    for line in found or ["every event is accounted for"]:
        console.print(line)
