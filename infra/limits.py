"""How fast a key may send: a token bucket for each, in the memory of this process.

A request takes as many tokens as it has events; it is let through where a token is left, so one larger than the
bucket passes too and what follows waits. Several gateways each allow the rate.
"""

from __future__ import annotations

from collections.abc import Callable

from matrix.errors import RateLimited

BURST_S = 2.0  # seconds of the rate that may come at once
REMEMBER_MOST = 10_000  # buckets; a forgotten one is full again


class RateLimits:
    """The buckets of one process; `monotonic_s` is where time comes from, `rate_of` knows tenants with their own."""

    def __init__(
        self,
        rate_per_s: float,
        monotonic_s: Callable[[], float],
        rate_of: Callable[[str], float | None] = lambda _tenant: None,
    ) -> None:
        self._rate, self._now, self._rate_of = rate_per_s, monotonic_s, rate_of
        self._buckets: dict[str, tuple[float, float]] = {}  # tokens left at a time

    def take(self, key_id: str, events: int = 1, *, tenant: str) -> None:
        """RateLimited where the bucket is empty."""
        rate = self._rate_of(tenant) or self._rate
        tokens = self._filled(key_id, rate)
        if tokens < 1.0:
            raise RateLimited(f"this key may send {rate:g} events a second", retry_after_s=(1.0 - tokens) / rate)
        self._buckets[key_id] = (tokens - events, self._buckets[key_id][1])

    def let_through(self, key_id: str, requests: int, *, tenant: str) -> int:
        """How many of so many requests of one event may pass, which come at once; those have taken their tokens."""
        tokens = self._filled(key_id, self._rate_of(tenant) or self._rate)
        passed = min(requests, max(int(tokens), 0))
        self._buckets[key_id] = (tokens - passed, self._buckets[key_id][1])
        return passed

    def take_more(self, key_id: str, events: int, *, tenant: str) -> None:
        """For what a request that was let through turned out to hold: never refused, what follows waits for it."""
        tokens = self._filled(key_id, self._rate_of(tenant) or self._rate)
        self._buckets[key_id] = (tokens - events, self._buckets[key_id][1])

    def _filled(self, key_id: str, rate: float) -> float:
        """Tokens that are there now."""
        now, full = self._now(), max(rate * BURST_S, 1.0)
        tokens, at = self._buckets.get(key_id, (full, now))
        if len(self._buckets) >= REMEMBER_MOST and key_id not in self._buckets:
            self._buckets.clear()
        tokens = min(full, tokens + (now - at) * rate)
        self._buckets[key_id] = (tokens, now)
        return tokens
