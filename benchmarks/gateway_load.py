"""A load generator for one loopback port, in a process of its own so that it shares no lock with what it measures.

Written by hand on the loop's protocols, because a general HTTP client costs more than the gateway: requests are bytes
with a counter in the middle, answers are read as far as their length. Two ways: `closed`, every client sends when
answered; `open`, requests leave at a fixed rate and latency counts from when each was due, so that a stall is not
hidden by clients that wait. Reads one JSON object on standard input, writes one on standard output, ends by itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import random
import sys
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import uvloop

SAID = (
    "the answer was clear and helped me but the dose seems too high for my mother who takes it with "
    "food every morning please check whether this is still right thank you"
)
IN_TEN, WORDS = 10, 25  # one event in ten carries free text of so many words
PEOPLE = 5000
HOST = "127.0.0.1"
HEADERS_END, LENGTH = b"\r\n\r\n", b"content-length:"


@dataclass(frozen=True)
class Load:
    """What to send where."""

    port: int
    path: str
    key: str
    clients: int = 64
    seconds: float = 5.0
    rate: float | None = None  # requests a second; None: closed loop
    batch: int = 1  # events a request
    seed: int = 0
    completions: int = 1_000_000  # ids that feedback names; those below what is stocked are there
    prefix: str = "e"  # of event ids, so that runs do not repeat one another
    patience_s: float = 15.0  # for the last answers


@dataclass
class Tally:
    """What was sent and what came back."""

    made: int = 0  # requests
    latencies_s: list[float] = field(default_factory=list)
    statuses: dict[str, int] = field(default_factory=dict)
    stop_at: float = 0.0
    running: int = 0
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    def count(self, status: str) -> None:
        """One more of these."""
        self.statuses[status] = self.statuses.get(status, 0) + 1

    def stop_one(self) -> None:
        """A client has sent its last."""
        self.running -= 1
        if self.running <= 0:
            self.ended.set()


def events(load: Load) -> Iterator[dict[str, Any]]:
    """The mix: thumbs, ratings and clicks; one in ten says something in words."""
    drawn, words = random.Random(load.seed), SAID.split()
    for number in itertools.count():
        said: dict[str, Any] = {
            "inference_id": f"chatcmpl-{drawn.randrange(load.completions):016x}",
            "id": f"{load.prefix}-{number:09d}",
            "tags": {"user_id": f"u{drawn.randrange(PEOPLE)}", "surface": "web"},
        }
        kind = number % IN_TEN
        if kind == 0:
            said |= {"metric_name": "comment", "value": " ".join(drawn.choices(words, k=WORDS))}
        elif kind < 3:
            said |= {"metric_name": "rating", "value": drawn.randint(1, 5)}
        elif kind == 3:
            said |= {"metric_name": "regenerate"}
        else:
            said |= {"metric_name": "thumbs", "value": drawn.random() < 0.7}
        yield said


def requests(load: Load, tally: Tally) -> Iterator[bytes]:
    """Endless; each with events not sent before, and counted since it is about to be sent."""
    said = events(load)
    head = f"POST {load.path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {load.key}\r\n"
    head += "Content-Type: application/json\r\nContent-Length: "
    while True:
        body = json.dumps(next(said) if load.batch == 1 else [next(said) for _ in range(load.batch)]).encode()
        tally.made += 1
        yield head.encode() + str(len(body)).encode() + HEADERS_END + body


class Client(asyncio.Protocol):
    """One keep-alive connection with at most one request under way."""

    def __init__(self, tally: Tally, source: Iterator[bytes], turn: Turn | None) -> None:
        self._tally, self._source, self._turn = tally, source, turn
        self._received, self._began = b"", 0.0
        self._transport: asyncio.WriteTransport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Kept to write on."""
        self._transport = transport  # type: ignore[assignment]  # a TCP transport is both ways

    def send(self, began: float, request: bytes) -> None:
        """`began` is when latency counts from."""
        self._began = began
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        """Count an answer that is whole, and go on."""
        self._received = self._received + data if self._received else data
        head = self._received.find(HEADERS_END)
        if head < 0:
            return
        start = self._received.lower().find(LENGTH, 0, head) + len(LENGTH)
        if len(self._received) - head - len(HEADERS_END) < int(
            self._received[start : self._received.find(b"\r", start)]
        ):
            return
        self._tally.count(self._received[9:12].decode())
        self._received, now = b"", time.perf_counter()
        self._tally.latencies_s.append(now - self._began)
        if self._turn is not None:
            self._turn.is_free(self)
        elif now < self._tally.stop_at:
            self.send(now, next(self._source))
        else:
            self._tally.stop_one()

    def connection_lost(self, exc: Exception | None) -> None:
        """A server that hangs up is told of."""
        if not self._tally.ended.is_set():
            self._tally.count("lost")
            self._tally.stop_one()

    def close(self) -> None:
        """Hang up."""
        self._transport.close()


class Turn:
    """Who sends next at a fixed rate, and what is due and waits for somebody to be free."""

    def __init__(self, tally: Tally) -> None:
        self._tally = tally
        self._free: deque[Client] = deque()  # in turn: one that idles for long would be hung up on
        self._due: deque[tuple[float, bytes]] = deque()
        self.is_over = False

    def is_free(self, client: Client) -> None:
        """Hand it what is due."""
        if self._due:
            client.send(*self._due.popleft())
            return
        self._free.append(client)
        if self.is_over and len(self._free) == self._tally.running:
            self._tally.ended.set()

    def send(self, at: float, request: bytes) -> None:
        """Due at this time."""
        if self._free:
            self._free.popleft().send(at, request)
        else:
            self._due.append((at, request))

    def end(self) -> None:
        """Nothing more is due; ended where all are free."""
        self.is_over = True
        if len(self._free) == self._tally.running:
            self._tally.ended.set()


async def drive(load: Load) -> dict[str, Any]:
    """Run the load and say what came back."""
    tally, loop = Tally(), asyncio.get_running_loop()
    source = requests(load, tally)
    turn = None if load.rate is None else Turn(tally)
    clients = []
    for _ in range(load.clients):
        _, client = await loop.create_connection(lambda: Client(tally, source, turn), HOST, load.port)
        clients.append(client)
    began = time.perf_counter()
    tally.stop_at, tally.running = began + load.seconds, load.clients
    if turn is None:
        for client in clients:
            client.send(time.perf_counter(), next(source))
    else:
        for client in clients:
            turn.is_free(client)
        await _at_rate(load, turn, source)
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(tally.ended.wait(), load.seconds + load.patience_s)
    took_s = time.perf_counter() - began
    tally.ended.set()
    for client in clients:
        client.close()
    return _told(tally, took_s, load)


async def _at_rate(load: Load, turn: Turn, source: Iterator[bytes]) -> None:
    drawn, at = random.Random(load.seed), time.perf_counter()
    end = at + load.seconds
    while at < end:
        at += drawn.expovariate(load.rate or 1.0)
        request = next(source)
        await asyncio.sleep(max(at - time.perf_counter(), 0))
        turn.send(at, request)
    turn.end()


def _told(tally: Tally, took_s: float, load: Load) -> dict[str, Any]:
    took = sorted(tally.latencies_s) or [float("nan")]
    good = sum(n for status, n in tally.statuses.items() if status in ("200", "202"))
    return {
        "events": good * load.batch,
        "events_per_s": good * load.batch / took_s,
        "p50_ms": took[len(took) // 2] * 1000,
        "p99_ms": took[min(int(len(took) * 0.99), len(took) - 1)] * 1000,
        "statuses": tally.statuses,
        "requests": tally.made,
        "unanswered": tally.made - len(tally.latencies_s),
        "cpu_share": time.process_time() / took_s,
    }


if __name__ == "__main__":
    asked = Load(**json.load(sys.stdin))
    json.dump(uvloop.run(drive(asked)), sys.stdout)
