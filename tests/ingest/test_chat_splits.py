"""Laws of who is served by which adapter: one answer for a conversation, the declared shares, and few moves."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from math import comb

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from pydantic import ValidationError

from infra.database import Database
from ingest.routes import RouteTable, UnknownModel
from ingest.splits import assign, conversation_of
from matrix.messages.gate import MOST_SPLIT, RouteChanged, Split
from tests.fakes.chat_door import ROUTE, ChatDoor, chat_door
from tests.fakes.clock import FakeClock

NAMES = [f"default/session/{number}" for number in range(2000)]


def split(number: int, share: float) -> Split:
    return Split(version=number, served_name=f"candidate-{number}", adapter_digest=f"{number:064x}", share=share)


def sharing(*shares: float) -> RouteChanged:
    splits = [split(number, share) for number, share in enumerate(shares, start=10)]
    return RouteChanged.model_validate(ROUTE.model_dump() | {"splits": [one.model_dump() for one in splits]})


def adapters(route: RouteChanged) -> list[str]:
    return [assign(route, name).served_name for name in NAMES]


percents = st.integers(1, 60).map(lambda percent: percent / 100)
several = st.lists(percents, min_size=1, max_size=4).filter(lambda shares: sum(shares) <= MOST_SPLIT)


@given(several, st.text())
def test_a_conversation_has_one_adapter_and_its_propensity_is_that_adapters_share(
    shares: list[float], name: str
) -> None:
    route = sharing(*shares)
    chosen = assign(route, name)
    assert chosen == assign(RouteChanged.model_validate_json(route.to_payload()), name)
    declared = {one.served_name: one.share for one in route.splits} | {ROUTE.served_name: 1 - sum(shares)}
    assert chosen.propensity == pytest.approx(declared[chosen.served_name])
    assert 0 < chosen.propensity <= 1


def test_a_route_without_splits_serves_everybody() -> None:
    assert {assign(ROUTE, name).propensity for name in NAMES} == {1.0}
    assert set(adapters(ROUTE)) == {ROUTE.served_name}


def outside(count: int, n: int, share: float) -> float:
    """Probability that a fair lot gives a count at least as far from its mean."""
    mean = n * share
    far = [k for k in range(n + 1) if abs(k - mean) >= abs(count - mean)]
    return sum(comb(n, k) * share**k * (1 - share) ** (n - k) for k in far)


@pytest.mark.parametrize("shares", [(0.1,), (0.5,), (0.2, 0.3), (0.05, 0.45, 0.25)])
def test_shares_are_met_as_well_as_fair_lots_meet_them(shares: tuple[float, ...]) -> None:
    counted = Counter(adapters(sharing(*shares))[:1000])  # of fixed names: the same every time
    for one in sharing(*shares).splits:
        assert outside(counted[one.served_name], 1000, one.share) > 0.001


@given(several, percents, percents)
def test_a_last_split_that_grows_takes_from_the_routes_own_adapter_alone(
    before: list[float], less: float, more: float
) -> None:
    assume(less < more and sum(before) + more <= MOST_SPLIT)
    small, large = adapters(sharing(*before, less)), adapters(sharing(*before, more))
    moved = {(was, became) for was, became in zip(small, large, strict=True) if was != became}
    assert moved <= {(ROUTE.served_name, f"candidate-{10 + len(before)}")}


@given(several, percents)
def test_a_split_that_is_added_last_moves_nobody_between_the_others(before: list[float], share: float) -> None:
    assume(sum(before) + share <= MOST_SPLIT)
    without, with_it = adapters(sharing(*before)), adapters(sharing(*before, share))
    moved = {(was, became) for was, became in zip(without, with_it, strict=True) if was != became}
    assert moved <= {(ROUTE.served_name, f"candidate-{10 + len(before)}")}


@given(several)
def test_a_new_champion_takes_nobody_from_a_split(shares: list[float]) -> None:
    route = sharing(*shares)
    later = route.model_copy(update={"served_name": "newer", "adapter_digest": "b" * 64})
    assert [name for name in adapters(later) if name != "newer"] == [
        name for name in adapters(route) if name != ROUTE.served_name
    ]


def test_who_tried_one_candidate_is_no_likelier_to_try_the_next() -> None:
    first, second = (
        {name for name in NAMES if assign(ROUTE.model_copy(update={"splits": (one,)}), name).propensity < 0.5}
        for one in (split(1, 0.2), split(2, 0.2))
    )
    assert outside(len(first & second), len(first), 0.2) > 0.001


def test_a_session_goes_before_a_person_and_tenants_do_not_share_them() -> None:
    assert conversation_of("a", "s", "u", "c") == conversation_of("a", "s", None, "d")
    assert conversation_of("a", None, "u", "c") == conversation_of("a", None, "u", "d")
    named = [("a", "s", None), ("b", "s", None), ("a", None, "s"), ("a", None, None), ("a/session", None, "s")]
    assert len({conversation_of(*one, "c") for one in named}) == len(named)


@pytest.mark.parametrize("shares", [(0.5, 0.5), (0.991,), (0.0,), (1.0,), (float("nan"),)])
def test_a_route_leaves_its_own_adapter_a_share(shares: tuple[float, ...]) -> None:
    with pytest.raises(ValidationError):
        sharing(*shares)


def test_an_adapter_stands_once_in_a_route() -> None:
    twice = split(1, 0.1).model_dump() | {"adapter_digest": ROUTE.adapter_digest}
    with pytest.raises(ValidationError, match="once"):
        RouteChanged.model_validate(ROUTE.model_dump() | {"splits": [twice]})


def test_an_adapter_can_be_named_by_its_version_or_its_digest_and_is_then_not_shared_out() -> None:
    table = RouteTable()
    table.apply(sharing(0.4))
    for name, version in ((f"@sha256:{'a' * 64}", 3), (f"@sha256:{10:064x}", 10), ("@3", 3), ("@10", 10)):
        found = table.resolve(ROUTE.policy + name)
        assert (found.version, found.splits) == (version, ())
    for unknown in ("@4", "@sha256:" + "b" * 64, "@sha256:", "@", "@aaaa", "@sha256:" + "a" * 12):
        with pytest.raises(UnknownModel, match="clinic-assistant@champion"):
            table.resolve(ROUTE.policy + unknown)
    with pytest.raises(UnknownModel):
        table.resolve("nobody@3")


@pytest.fixture
def door(database: Database, clock: FakeClock) -> Iterator[ChatDoor]:
    with chat_door(database, clock) as made:
        yield made


def test_a_session_stays_with_its_adapter_and_the_log_says_how_likely_that_was(door: ChatDoor) -> None:
    door.routes.apply(sharing(0.4))
    asked = {"model": ROUTE.policy, "messages": [{"role": "user", "content": "Hello"}]}
    told: dict[str, set[str]] = {}
    for session in ("s1", "s2", "s3", "s4", "s5") * 2:
        answer = door.client.post("/v1/chat/completions", json=asked, headers={"X-Session-Id": session})
        told.setdefault(session, set()).add(answer.headers["X-Plumbline-Adapter"])
    assert [len(adapters) for adapters in told.values()] == [1] * 5
    logged = door.completions()
    assert {one.adapter_digest for one in logged} == {"a" * 64, f"{10:064x}"}
    assert {(one.adapter_digest[0], round(one.propensity, 9)) for one in logged} == {("a", 0.6), ("0", 0.4)}
    served = {f"{10:064x}": "candidate-10", "a" * 64: ROUTE.served_name}
    assert [body["model"] for body in door.server.asked] == [served[one.adapter_digest] for one in logged]


def test_models_are_listed_with_what_shares_them(door: ChatDoor) -> None:
    door.routes.apply(sharing(0.4))
    (card,) = door.client.get("/v1/models").json()["data"]
    assert (card["id"], card["root"]) == ("clinic-assistant@champion", ROUTE.served_name)
    assert [(one["version"], one["share"]) for one in card["splits"]] == [(10, 0.4)]
