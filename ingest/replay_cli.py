"""`plumbline ingest replay`: sends a recording, roughly where asked to, and accounts for every event of it."""

from __future__ import annotations

import asyncio
import gzip
import sys
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import click
import httpx
from rich.progress import Progress

from infra.clock import SystemClock
from infra.console import echo_json, people, progress
from infra.publishing import KafkaPublisher
from ingest import reconciliation, recording, replay, stress
from ingest.formats import FORMATS
from ingest.formats.rows import BadRow, Source
from ingest.reconciliation import COUNTED, Counts, Line, Sent
from ingest.recording import Recording
from ingest.replay import GatewaySender, KafkaSender, Sender
from ingest.settings import IngestSettings
from ingest.stress import Delivery, Stress
from matrix.errors import InvalidInput

HTTP_TIMEOUT_S = 30.0
SHOWN_ROWS = 10  # bad rows that people are shown; --json lists all
SHARE = click.FloatRange(0, 1)


@click.command(name="replay")
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
@click.option("--shuffle", is_flag=True, help="Any order: feedback comes before its completion, too.")
@click.option("--duplicate", type=SHARE, default=0.0, show_default=True, help="Share of the messages to send twice.")
@click.option("--corrupt", type=SHARE, default=0.0, show_default=True, help="Share of what is sent to damage.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of --shuffle, --duplicate and --corrupt.")
@click.option("--settle-s", default=120.0, show_default=True, help="How long to wait for the counts.")
@click.option("--json", "as_json", is_flag=True, help="Answer with one JSON object.")
@click.pass_context
def replay_command(ctx: click.Context, /, **options: Any) -> None:
    """Send a recording, then account for every event of it. FILE may be gzipped, or - for standard input.

    What --corrupt damages is refused by the gateway; sent straight to Kafka it is set aside by the worker. The account
    names every line of it, and ends with 1 where one does not hold.
    """
    asked = Asked(**options)
    found = recording.load(Source(asked.file, _text_of(asked.file), asked.policy), FORMATS[asked.form])
    if not asked.keep_times:
        found = recording.moved(found, SystemClock().now(), IngestSettings.load().max_age / 2)
    ctx.exit(_report(found, asyncio.run(_replayed(asked.planned(found), asked)), as_json=asked.as_json))


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
    shuffle: bool
    duplicate: float
    corrupt: float
    seed: int
    settle_s: float
    as_json: bool

    def __post_init__(self) -> None:
        if self.as_recorded and self.rate is not None:
            raise click.UsageError("--rate and --as-recorded exclude each other")
        if self.as_recorded and self.shuffle:
            raise click.UsageError("--shuffle and --as-recorded exclude each other")
        if self.speed is not None and not self.as_recorded:
            raise click.UsageError("--speed goes with --as-recorded")
        if self.as_recorded and not FORMATS[self.form].has_times:
            raise click.UsageError(f"{self.form} records no times; use --rate")

    def planned(self, found: Recording) -> list[Delivery]:
        """What is sent, in this order."""
        rough = Stress(shuffle=self.shuffle, duplicate=self.duplicate, corrupt=self.corrupt, seed=self.seed)
        return stress.deliveries(found.items, rough)

    def due(self, planned: list[Delivery]) -> list[tuple[float, Delivery]]:
        """When each delivery is due."""
        return replay.due_times(planned, rate=self.rate, speed=(self.speed or 1.0) if self.as_recorded else None)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was sent, by how much the counts grew, and the account of both."""

    sent: Sent
    grown: Counts
    account: list[Line]


def _text_of(file: str) -> str:
    try:
        raw = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
        return (gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw).decode()
    except UnicodeDecodeError as error:
        raise InvalidInput(field=file, value=error.reason, remedy="expected UTF-8 text") from None
    except (OSError, EOFError, ValueError, zlib.error) as error:  # a path with a NUL is a ValueError
        reason = getattr(error, "strerror", None) or str(error)
        raise InvalidInput(field="FILE", value=file, remedy=f"cannot be read: {reason}") from None


async def _replayed(planned: list[Delivery], asked: Asked) -> Outcome:
    settings, wanted = IngestSettings.load(), reconciliation.expected(planned)
    async with _http(settings) as client:
        gateway = GatewaySender(client)
        before = await gateway.counts()
        with progress() as bar:
            async with _sender(asked.to, gateway, settings) as sender:
                sent = await _send_with(bar, asked.due(planned), sender)
            grown = await replay.settled(gateway.counts, before, sent, wanted, most_s=asked.settle_s)
            unknown = await gateway.unknown(sent.event_ids) if sent.retried else 0
    account = reconciliation.lines(sent, grown, wanted, through_gateway=asked.to == "gateway")
    return Outcome(sent, grown, [*account, reconciliation.known(sent, unknown)] if sent.retried else account)


async def _send_with(bar: Progress, due: list[tuple[float, Delivery]], sender: Sender) -> Sent:
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
    publisher = KafkaPublisher(settings.kafka)
    await asyncio.to_thread(publisher.publish, [])  # connects, before several threads would
    try:
        yield KafkaSender(publisher)
    finally:
        publisher.close()


def _report(found: Recording, outcome: Outcome, *, as_json: bool) -> int:
    bad = sorted([*found.bad_rows, *outcome.sent.refused], key=lambda one: one.line)
    failed = [str(line) for line in outcome.account if not line.holds]
    if as_json:
        _answer(found, outcome, bad, failed)
    else:
        _tell(found, outcome, [f"  row {one.line}: {one.reason}" for one in bad])
    return 1 if failed else 0


def _answer(found: Recording, outcome: Outcome, bad: list[BadRow], failed: list[str]) -> None:
    sent = outcome.sent
    damaged = {
        "refused": dict(sent.refused_damage),
        "events": dict(sent.damaged_events),
        "completions": dict(sent.damaged_completions),
    }
    answer = {"rows": found.rows, "sent": {"completions": sent.completions, "events": sent.events}}
    answer |= {"retried": sent.retried, "damaged": damaged}
    answer |= {"bad_rows": [{"line": one.line, "reason": one.reason} for one in bad]}
    account = [asdict(line) | {"holds": line.holds} for line in outcome.account]
    echo_json(answer | outcome.grown | {"account": account, "discrepancies": failed, "reconciled": not failed})


def _tell(found: Recording, outcome: Outcome, bad: list[str]) -> None:
    console, sent = people(), outcome.sent
    console.print(f"{found.rows} rows read; sent {sent.completions} completions and {sent.events} events")
    if bad:
        console.print(f"{len(bad)} findings in rows that are no feedback:", *bad[:SHOWN_ROWS], sep="\n")
    if len(bad) > SHOWN_ROWS:
        console.print(f"  and {len(bad) - SHOWN_ROWS} more; --json lists all")
    for name in COUNTED:
        click.echo(f"{name:10}{outcome.grown[name]:>10}")
    for line in outcome.account:
        console.print(str(line), soft_wrap=True)
    if all(line.holds for line in outcome.account):
        console.print("every event is accounted for")
