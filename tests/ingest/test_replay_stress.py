"""Rough replays: the shares are met, the same seed gives the same deliveries, and the account misses nothing."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from ingest import reconciliation, steps
from ingest.formats import FORMATS
from ingest.formats.rows import Source
from ingest.reconciliation import Sent
from ingest.recording import Item, load
from ingest.stress import REASONS, Damage, Delivery, Stress, body, deliveries
from ingest.tensorzero import FeedbackRequest, to_body, to_event
from matrix.errors import InvalidInput
from matrix.messages.completion import CompletionServed
from matrix.messages.feedback import FeedbackEvent
from matrix.results import DeadLetter
from tests.fakes.feedback import AT, completion, thumb

RATING = {"kind": "rating", "value": 4}
SAID: list[dict[str, Any]] = [row for n in range(20) for row in (completion(f"c{n}"), thumb(f"e{n}", f"c{n}"))]
ITEMS = load(Source("made", "\n".join(map(json.dumps, SAID)), "replayed"), FORMATS["jsonl"]).items
SHARES = st.floats(0, 1)
STRESSES = st.builds(Stress, shuffle=st.booleans(), duplicate=SHARES, corrupt=SHARES, seed=st.integers(0, 99))


@given(stress=STRESSES)
def test_every_message_is_sent_once_and_the_shares_are_met(stress: Stress) -> None:
    planned = deliveries(ITEMS, stress)
    copies = [one for one in planned if one.is_copy]
    assert Counter(id(one.item) for one in planned if not one.is_copy) == Counter(map(id, ITEMS))
    assert len(copies) == len({id(one.item) for one in copies}) == round(stress.duplicate * len(ITEMS))
    assert sum(one.damage is not None for one in planned) == round(stress.corrupt * len(planned))
    assert deliveries(ITEMS, stress) == planned


@given(stress=STRESSES)
def test_unless_shuffled_the_order_stays_and_a_copy_follows_its_message(stress: Stress) -> None:
    planned = deliveries(ITEMS, Stress(duplicate=stress.duplicate, corrupt=stress.corrupt, seed=stress.seed))
    assert [one.item for one in planned if not one.is_copy] == list(ITEMS)
    seen: list[Item] = []
    for one in planned:
        assert not one.is_copy or one.item in seen
        seen.append(one.item)


def test_shuffled_feedback_comes_before_its_completion() -> None:
    planned = deliveries(ITEMS, Stress(shuffle=True, seed=3))
    first = {(one.is_event, one.item.message.completion_id): index for index, one in enumerate(planned)}
    assert any(first[True, f"c{n}"] < first[False, f"c{n}"] for n in range(20))


@pytest.mark.parametrize("damage", Damage)
@pytest.mark.parametrize("said", [thumb(), thumb() | RATING, completion()])
def test_whatever_is_damaged_is_set_aside_with_the_reason_that_the_account_expects(
    damage: Damage, said: dict[str, Any]
) -> None:
    if "prompt" in said and damage is Damage.UNKNOWN_KIND:
        pytest.skip("completions have no kind")
    model = CompletionServed if "prompt" in said else FeedbackEvent
    raw = body(delivery(said, damage), said, kind="kind", completion_id="completion_id")
    try:
        found = steps.decode(json.loads(raw), model)
    except ValueError:
        assert REASONS[damage] is steps.Reason.MALFORMED
    else:
        assert isinstance(found, DeadLetter)
        assert found.reason == REASONS[damage]


@pytest.mark.parametrize("damage", Damage)
@pytest.mark.parametrize("said", [thumb(), thumb() | RATING])
def test_whatever_is_damaged_is_no_request_that_the_gateway_takes(damage: Damage, said: dict[str, Any]) -> None:
    event = FeedbackEvent.model_validate(said)
    raw = body(delivery(said, damage), to_body(event), kind="metric_name", completion_id="inference_id")
    with pytest.raises((ValidationError, InvalidInput)):
        to_event(FeedbackRequest.model_validate_json(raw), "e1", AT)


def delivery(said: dict[str, Any], damage: Damage | None = None) -> Delivery:
    model = CompletionServed if "prompt" in said else FeedbackEvent
    return Delivery(Item(1, AT, model.model_validate(said)), damage=damage)


def counted(**more: int) -> dict[str, Any]:
    figures = {"received": 0, "accepted": 0, "duplicate": 0, "dead": 0, "pending": 0, "completions_dead": 0}
    figures["pending_before"] = 0
    return figures | {"by_reason": {}} | more


@given(stress=STRESSES, known=st.integers(0, 20), gateway=st.booleans())
def test_an_exact_account_holds_and_one_event_more_or_less_breaks_it(stress: Stress, known: int, gateway: bool) -> None:
    planned = deliveries(ITEMS, stress)
    sent, grown = undisturbed(planned, known=known, gateway=gateway)
    wanted = reconciliation.expected(planned)
    assert all(line.holds for line in reconciliation.lines(sent, grown, wanted, through_gateway=gateway))
    for name in ("received", "duplicate", "dead"):
        for off in (1, -1):
            wrong = grown | {name: grown[name] + off}
            assert not all(line.holds for line in reconciliation.lines(sent, wrong, wanted, through_gateway=gateway))


def undisturbed(planned: list[Delivery], *, known: int, gateway: bool) -> tuple[Sent, dict[str, Any]]:
    """What a product that loses nothing counts; it has seen the first `known` events before."""
    sent, reasons, letters = Sent(), Counter[str](), 0
    served = {one.item.message.completion_id for one in planned if one.damage is None and not one.is_event}
    seen, arrived = {f"e{n}" for n in range(known)}, Counter[str]()
    for one in planned:
        if one.damage is not None and gateway:
            sent.turned_away(one, "")
            continue
        sent.acknowledged(one)
        if not isinstance(one.item.message, FeedbackEvent):
            letters += one.damage is not None
            continue
        event = one.item.message
        if one.damage is not None:
            reasons[REASONS[one.damage]] += 1
            arrived["dead"] += 1
        elif event.event_id in seen:
            arrived["duplicate"] += 1
        else:
            arrived["accepted" if event.completion_id in served else "pending"] += 1
        seen |= {event.event_id} if one.damage is None else set()
    grown = counted(**arrived, received=arrived.total(), completions_dead=letters)
    return sent, grown | {"by_reason": dict(reasons)}


def test_completions_that_events_of_an_earlier_replay_waited_for_are_no_finding() -> None:
    (completion_sent,) = planned = deliveries(ITEMS[:1], Stress())
    sent = Sent()
    sent.acknowledged(completion_sent)
    grown = counted(accepted=2, pending=-2)
    for before, holds in ((2, True), (1, False)):
        found = reconciliation.lines(
            sent, grown | {"pending_before": before}, reconciliation.expected(planned), through_gateway=True
        )
        assert all(line.holds for line in found) is holds


def test_second_tries_widen_what_is_expected_and_nothing_else() -> None:
    (event,) = deliveries(ITEMS[1:2], Stress())
    sent = Sent()
    sent.tried_again(event)
    sent.acknowledged(event)
    wanted = reconciliation.expected([event])
    for received, holds in ((0, False), (1, True), (2, True), (3, False)):
        grown = counted(received=received, pending=min(received, 1), duplicate=max(received - 1, 0))
        found = reconciliation.lines(sent, grown, wanted, through_gateway=True)
        assert all(line.holds for line in found) is holds


def test_a_damaged_delivery_that_the_gateway_takes_is_a_finding() -> None:
    planned = deliveries(ITEMS[1:2], Stress(corrupt=1.0))
    sent = Sent()
    sent.acknowledged(planned[0])
    grown = counted(received=1, dead=1) | {"by_reason": {"malformed": 1}}
    found = reconciliation.lines(sent, grown, reconciliation.expected(planned), through_gateway=True)
    assert [line.what.split(",")[0] for line in found if not line.holds] == ["damaged"]
