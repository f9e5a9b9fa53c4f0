"""What every connector owes: exact messages, named refusals, ids that repeat, no neighbour lost, no exception."""

from __future__ import annotations

import json
import string
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest import steps
from ingest.connectors import CONNECTORS, webhook
from ingest.connectors.items import Outcome, Refused, Taken
from matrix.errors import InvalidInput
from matrix.messages.completion import CompletionServed
from matrix.messages.feedback import FeedbackEvent
from tests.fakes.foreign import ALL, DELIVERY, MAPPINGS, RECORDED, Recorded

recorded = pytest.mark.parametrize("one", RECORDED, ids=lambda one: f"{one.connector}-{one.payload.__name__}")


def messages(outcomes: list[Outcome]) -> list[FeedbackEvent | CompletionServed]:
    return [message for one in outcomes if isinstance(one, Taken) for message in one.messages]


def refused(outcomes: list[Outcome]) -> list[Refused]:
    return [one for one in outcomes if isinstance(one, Refused)]


def said(message: FeedbackEvent | CompletionServed, expected: dict[str, Any]) -> dict[str, Any]:
    """What the message says; ids and times only where they are expected."""
    dropped = {"adapter_digest", "event_id", "occurred_at"} - expected.keys()
    found: dict[str, Any] = json.loads(message.model_dump_json(exclude=dropped, exclude_defaults=True))
    return found


def without(payload: dict[str, Any], path: str) -> dict[str, Any]:
    *parents, last = path.split(".")
    found: Any = payload
    for part in parents:
        found = found[int(part)] if isinstance(found, list) else found[part]
    del found[last]
    return payload


@recorded
def test_a_payload_becomes_exactly_these_messages(one: Recorded) -> None:
    outcomes = ALL[one.connector](one.payload(), DELIVERY)
    assert refused(outcomes) == []
    found = messages(outcomes)
    assert [said(message, expected) for message, expected in zip(found, one.gives, strict=True)] == json.loads(
        json.dumps(one.gives)
    )


def missing() -> Iterator[Any]:
    for one in RECORDED:
        yield from (pytest.param(one, path, id=f"{one.connector}-{path}") for path in one.required)


@pytest.mark.parametrize(("one", "path"), missing())
def test_a_field_that_must_be_there_is_named_when_it_is_not(one: Recorded, path: str) -> None:
    outcomes = ALL[one.connector](without(one.payload(), path), DELIVERY)
    assert messages(outcomes) == []
    assert all(path.endswith(found.field.removeprefix("choices.0.")) for found in refused(outcomes))
    assert all(found.rule for found in refused(outcomes))
    assert refused(outcomes)


@recorded
def test_a_payload_that_comes_again_is_the_same_events_again(one: Recorded) -> None:
    later = replace(DELIVERY, now=DELIVERY.now + timedelta(days=1))
    first, again = (messages(ALL[one.connector](one.payload(), when)) for when in (DELIVERY, later))
    assert [identity(message) for message in first] == [identity(message) for message in again]
    assert len({identity(message) for message in first}) == len(first)


@recorded
def test_ids_are_keyed(one: Recorded) -> None:
    """A plain digest would let anyone check a guess at words that were redacted."""
    other = replace(DELIVERY, keyed=lambda text: "another" + DELIVERY.keyed(text))
    for ours, theirs in zip(
        *(messages(ALL[one.connector](one.payload(), by)) for by in (DELIVERY, other)), strict=True
    ):
        if isinstance(ours, FeedbackEvent) and isinstance(theirs, FeedbackEvent) and ours.event_id != "2b24ef10":
            assert ours.event_id != theirs.event_id


def identity(message: FeedbackEvent | CompletionServed) -> tuple[str, str]:
    name = message.event_id if isinstance(message, FeedbackEvent) else message.completion_id
    return name, steps.fingerprint(message)


WORDS = st.sampled_from(
    ["1", "-1", "score-create", "thumbs", "rating", "thumbsUp", "c1", "c2", "text", "user", "assistant", "up", ""]
)
texts = st.text(st.characters(codec=None) | st.sampled_from(string.printable), max_size=6) | WORDS
NAMES = sorted(
    {name for one in RECORDED for name in json.dumps(one.payload()).replace('"', " ").split() if ":" not in name}
)
junk = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(NAMES) | texts, inner, max_size=6),
    max_leaves=12,
)


@pytest.mark.parametrize("name", sorted(ALL))
@given(payload=junk)
def test_no_json_makes_a_connector_fail(name: str, payload: object) -> None:
    outcomes = ALL[name](payload, DELIVERY)
    assert outcomes
    assert all(found.field and found.rule for found in refused(outcomes))


@st.composite
def bent(draw: st.DrawFn, payload: dict[str, Any]) -> Any:
    """A payload with something else at one to three of its places."""
    for _ in range(draw(st.integers(1, 3))):
        found: Any = payload
        while True:
            keys = list(found) if isinstance(found, dict) else list(range(len(found)))
            if not keys:
                break
            key = draw(st.sampled_from(keys))
            if isinstance(found[key], dict | list) and draw(st.booleans()):
                found = found[key]
                continue
            found[key] = draw(junk)
            break
    return payload


@recorded
@given(data=st.data())
def test_a_bent_item_costs_no_neighbour_and_raises_nothing(one: Recorded, data: st.DataObject) -> None:
    payload = [one.payload(), data.draw(bent(one.payload())), data.draw(junk), one.payload()]
    outcomes = ALL[one.connector](payload, DELIVERY)
    by_index = {index: [found for found in outcomes if found.index == index] for index in range(len(payload))}
    assert all(by_index.values())
    (alone,) = ALL[one.connector](one.payload(), DELIVERY)
    assert isinstance(alone, Taken)
    for index in (0, 3):
        assert by_index[index] == [Taken(index, alone.messages)]


@recorded
@given(data=st.data())
def test_one_id_never_has_two_bodies_unless_the_sender_chose_it(one: Recorded, data: st.DataObject) -> None:
    if one.connector in ("zendesk", "openai"):
        return
    bodies: dict[str, str] = {}
    for payload in (one.payload(), data.draw(bent(one.payload())), data.draw(bent(one.payload()))):
        for message in messages(ALL[one.connector](payload, DELIVERY)):
            if isinstance(message, FeedbackEvent) and "id" not in (payload if one.connector == "tensorzero" else ()):
                assert bodies.setdefault(message.event_id, steps.fingerprint(message)) == steps.fingerprint(message)


@pytest.mark.parametrize("name", sorted(CONNECTORS))
@pytest.mark.parametrize("payload", [None, 3, "text", [], [[]], {}, [None]])
def test_what_is_no_item_is_refused_by_name(name: str, payload: object) -> None:
    outcomes = ALL[name](payload, DELIVERY)
    assert messages(outcomes) == []
    assert len(outcomes) == 1


REFUSALS = [
    ("langfuse", {"traceId": "t", "name": "hallucination", "value": 1, "dataType": "BOOLEAN"}, "name"),
    ("langfuse", {"traceId": "t", "name": "thumbs", "value": 0.7}, "value"),
    ("langfuse", {"traceId": "t", "name": "thumbs", "value": 1, "source": "EVAL"}, "source"),
    ("langfuse", {"sessionId": "s", "name": "thumbs", "value": 1}, "traceId"),
    ("langfuse", {"traceId": "t", "name": "stars", "value": 9}, "value"),
    ("langfuse", {"type": "trace-create", "body": {"id": "t"}}, "type"),
    ("librechat", {"messageId": "m", "feedback": None}, "feedback"),
    ("librechat", {"messageId": "m", "feedback": {"rating": "up"}}, "feedback.rating"),
    ("open-webui", {"id": "f", "type": "comment"}, "type"),
    ("open-webui", {"id": "f", "type": "rating", "data": {"rating": 0}}, "data.rating"),
    ("adaptive", {"feedback_key": "k", "preferred_completion": "a", "other_completion": "a"}, "other_completion"),
    ("adaptive", {"feedback_key": "k", "tied": "good"}, "tied"),
    ("tensorzero", {"metric_name": "thumbs", "inference_id": "c", "value": True, "dryrun": True}, "dryrun"),
    ("slack", {"actions": [{"block_id": "c", "value": "maybe"}], "user": {"id": "u"}}, "actions.0.value"),
    ("survey", {"words": "no answers"}, "answers"),
    ("survey", {"answers": []}, "body"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "payload", "field"), REFUSALS)
def test_what_means_something_else_is_refused(name: str, payload: object, field: str) -> None:
    (only,) = ALL[name](payload, DELIVERY)
    assert isinstance(only, Refused)
    assert only.field == field


def test_tool_calls_and_images_are_refused_and_named() -> None:
    asked = [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:"}}]}]
    answer = {"message": {"role": "assistant", "content": None, "tool_calls": [{"id": "call"}]}}
    base = {"id": "c", "model": "m", "created": 1767258000, "choices": [answer], "messages": asked}
    (image,) = ALL["openai"](base, DELIVERY)
    (tools,) = ALL["openai"](base | {"messages": [{"role": "user", "content": "hi"}]}, DELIVERY)
    assert [one.field for one in (image, tools) if isinstance(one, Refused)] == [
        "messages.0.content.0.type",
        "choices.0.message.content",
    ]


def test_a_changed_mind_is_another_event_and_the_policy_can_be_named() -> None:
    (one,) = [row for row in RECORDED if row.payload.__name__ == "langfuse_score"]
    up, down = (messages(ALL["langfuse"](one.payload() | {"value": value}, DELIVERY))[0] for value in (1, 0))
    assert identity(up)[0] != identity(down)[0]
    (log,) = [row for row in RECORDED if row.payload.__name__ == "openai_pair"]
    (served,) = messages(ALL["openai"](log.payload(), replace(DELIVERY, policy="clinic-assistant")))
    assert isinstance(served, CompletionServed)
    assert served.policy == "clinic-assistant"


def test_a_chat_that_goes_round_in_a_circle_costs_its_completion_and_not_the_feedback() -> None:
    (one,) = [row for row in RECORDED if row.connector == "open-webui"]
    payload = one.payload()
    payload["snapshot"]["chat"]["chat"]["history"]["messages"]["q1"]["parentId"] = "q1"
    outcomes = ALL["open-webui"](payload, DELIVERY)
    assert [type(message).__name__ for message in messages(outcomes)] == ["FeedbackEvent"] * 3
    assert all("history.messages" in found.field for found in refused(outcomes))


@pytest.mark.parametrize(("rating", "pairs"), [(1, [("a1", "b1"), ("a1", "c1")]), (-1, [])])
def test_among_several_answers_a_win_is_over_each_and_a_loss_says_not_who_won(
    rating: int, pairs: list[tuple[str, str]]
) -> None:
    (one,) = [row for row in RECORDED if row.connector == "open-webui"]
    payload = one.payload()
    chat = payload["snapshot"]["chat"]["chat"]["history"]["messages"]
    chat["c1"] = chat["b1"] | {"id": "c1", "model": "phi4"}
    payload["data"] |= {"rating": rating, "sibling_model_ids": ["qwen2.5", "phi4"]}
    found = [one for one in messages(ALL["open-webui"](payload, DELIVERY)) if isinstance(one, FeedbackEvent)]
    assert [(one.completion_id, one.rejected_completion_id) for one in found if one.kind == "preference"] == pairs


def test_of_many_answers_beside_the_rated_one_the_first_sixteen_are_taken_and_the_rest_is_named() -> None:
    (one,) = [row for row in RECORDED if row.connector == "open-webui"]
    payload = one.payload()
    chat = payload["snapshot"]["chat"]["chat"]["history"]["messages"]
    chat |= {f"b{n}": chat["b1"] | {"id": f"b{n}"} for n in range(1, 51)}
    payload["data"] |= {"rating": 1}
    outcomes = ALL["open-webui"](payload, DELIVERY)
    assert [found.field for found in refused(outcomes)] == ["data.sibling_model_ids"]
    kinds = [getattr(message, "kind", "completion") for message in messages(outcomes)]
    assert (kinds.count("completion"), kinds.count("preference"), kinds.count("thumb")) == (17, 16, 1)


def test_of_many_choices_of_one_completion_the_first_sixteen_are_taken_and_the_rest_is_named() -> None:
    (one,) = [row for row in RECORDED if row.payload.__name__ == "openai_pair"]
    payload = one.payload()
    payload["response"]["choices"] *= 1000
    outcomes = ALL["openai"](payload, DELIVERY)
    assert [(found.field, found.value) for found in refused(outcomes)] == [("choices", 1000)]
    assert len(messages(outcomes)) == 16


def test_a_list_in_a_payload_is_as_long_as_one_alone_may_be() -> None:
    few = replace(DELIVERY, most_items=2)
    payloads: list[object] = [[{}] * 3, {"batch": [{}] * 3}, {"data": [{}] * 3}]
    for payload in payloads:
        with pytest.raises(InvalidInput, match="2 items at most"):
            ALL["langfuse"](payload, few)
    assert len(ALL["langfuse"]([{}] * 2, few)) == 2


def test_items_are_read_where_the_mapping_says() -> None:
    answers = [{"about": "stars", "answer": 7, "stars": 4}, {"about": "words", "answer": "c2", "words": "fine"}]
    found = messages(ALL["survey"]({"answers": answers}, DELIVERY))
    assert [(one.completion_id, getattr(one, "kind", "")) for one in found] == [("7", "rating"), ("c2", "comment")]


COPY = "[a.fields]\nkind = {constant='copy'}\ncompletion_id = {path='c'"
RATING = "[a.fields]\nkind = {constant='rating'}\ncompletion_id = {path='c'}\n"
BAD_FILES = [
    ("", None, ""),
    ("x", "", "readable TOML"),
    ("[Slack]\nfields = {}", "Slack", "pattern"),
    ("[openai]\nfields = {}", "openai", "no connector has yet"),
    ("[a]", "a.fields", "required"),
    ("[a.fields]\nkind = {constant='thumb'}", "a.fields.completion_id", "required"),
    ("[a.fields]\nkind = {constant='wink'}\ncompletion_id = {path='c'}", "a.fields.kind", "one of"),
    ("[a.fields]\nkind = {constant='thumb'}\ncompletion_id = {path='c'}", "a.fields.value", "needs it"),
    ("[a.fields]\nkind = {}\ncompletion_id = {path='c'}", "a.fields.kind", "either path or constant"),
    (COPY.replace("'c'", "'c..d'") + "}", "a.fields.completion_id.path", "pattern"),
    (COPY + "}\nmood = {path='m'}", "a.fields.mood", "one of"),
    (COPY + ", scale=[1,2]}", "a.fields.completion_id.scale", "only"),
    (COPY + ", mapp={}}", "a.fields.completion_id.mapp", "permit"),
    (RATING + "value={path='v', scale=[5,1]}", "a.fields.value.scale", "lowest first"),
]


@pytest.mark.parametrize(("content", "key", "expected"), BAD_FILES)
def test_a_mapping_file_is_checked_when_it_is_loaded(
    tmp_path: Path, content: str, key: str | None, expected: str
) -> None:
    file = tmp_path / "webhooks.toml"
    file.write_text(content)
    if key is None:
        assert webhook.load(file) == {}
        return
    with pytest.raises(InvalidInput) as raised:
        webhook.load(file, taken=frozenset(CONNECTORS))
    assert raised.value.field == (f"{file}: {key}" if key else str(file))
    assert expected in raised.value.remedy


def test_a_mapping_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"none\.toml"):
        webhook.load(tmp_path / "none.toml")
    assert set(webhook.load(MAPPINGS)) == {"slack", "zendesk", "survey"}
