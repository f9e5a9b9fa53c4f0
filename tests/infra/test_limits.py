"""A token bucket for each key."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.limits import BURST_S, RateLimits
from matrix.errors import RateLimited


class Watch:
    """A monotonic clock that moves when told."""

    def __init__(self) -> None:
        self.at_s = 0.0

    def __call__(self) -> float:
        return self.at_s


def passes(limits: RateLimits, key: str, events: int = 1) -> bool:
    try:
        limits.take(key, events, tenant="t")
    except RateLimited:
        return False
    return True


@given(
    rate=st.floats(0.5, 100),
    steps=st.lists(st.tuples(st.floats(0, 1), st.integers(1, 20)), min_size=1, max_size=60),
)
def test_no_key_sends_more_than_its_rate_a_burst_and_one_request(rate: float, steps: list[tuple[float, int]]) -> None:
    watch = Watch()
    limits = RateLimits(rate, watch)
    passed = 0
    for wait_s, events in steps:
        watch.at_s += wait_s
        passed += events if passes(limits, "k", events) else 0
    assert passed <= rate * watch.at_s + max(rate * BURST_S, 1.0) + max(events for _, events in steps)


def test_it_passes_again_after_the_time_that_the_refusal_names() -> None:
    watch = Watch()
    limits = RateLimits(2.0, watch)
    limits.take("k", 100, tenant="t")
    with pytest.raises(RateLimited) as told:
        limits.take("k", tenant="t")
    watch.at_s += told.value.retry_after_s + 1e-6
    assert passes(limits, "k")


def test_keys_do_not_share_and_a_tenant_may_have_a_rate_of_its_own() -> None:
    limits = RateLimits(1.0, Watch(), {"big": 50.0}.get)
    assert [passes(limits, "a") for _ in range(3)] == [True, True, False]
    assert passes(limits, "b")
    for _ in range(100):
        limits.take("c", tenant="big")
    with pytest.raises(RateLimited):
        limits.take("c", tenant="big")


@given(rate=st.floats(0.1, 20), turns=st.lists(st.tuples(st.floats(0, 2), st.integers(0, 9)), max_size=20))
def test_requests_that_come_at_once_pass_as_one_after_the_other(rate: float, turns: list[tuple[float, int]]) -> None:
    watch = Watch()
    at_once, singly = RateLimits(rate, watch), RateLimits(rate, watch)
    for wait_s, requests in turns:
        watch.at_s += wait_s
        passed = sum([passes(singly, "k") for _ in range(requests)])
        assert at_once.let_through("k", requests, tenant="t") == passed
