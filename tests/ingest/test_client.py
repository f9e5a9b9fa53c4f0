"""The client as a chat service uses it: no call raises or waits, and every event counts once or is told."""

from __future__ import annotations

import logging
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.client import AsyncPlumbline, Counts, Options, Plumbline, QueueFull, Refusal, Refused
from ingest.tensorzero import FeedbackRequest, to_event
from matrix.errors import InvalidInput
from matrix.messages.completion import CompletionServed
from matrix.messages.feedback import FeedbackKind
from tests.conftest import REPOSITORY
from tests.fakes.feedback_gateway import FakeFeedbackGateway, Mood
from tests.fakes.serving import served
from tests.fakes.waiting import until

FAST = Options(first_backoff_s=0.001, most_backoff_s=0.002, linger_s=0.001)
PATIENT = Options(first_backoff_s=30, most_backoff_s=30)
LIMIT_S = 60.0  # only ends a test that is broken
NOWHERE = "http://127.0.0.1:9"  # the port of `discard`: nobody listens
SECRET = "I am Jane Doe, +44 20 7946 0000"
COMPLETION: dict[str, Any] = {
    "policy": "clinic-assistant",
    "adapter_digest": "0" * 64,
    "prompt": [{"role": "user", "content": "May I?"}],
    "completion": "You may.",
}


@pytest.fixture
def gateway() -> FakeFeedbackGateway:
    return FakeFeedbackGateway()


@pytest.fixture
def url(gateway: FakeFeedbackGateway) -> Iterator[str]:
    with served(gateway.app) as url:
        yield url


def say_everything(client: Plumbline) -> list[str]:
    return [
        client.thumb("c1", True, user_id="u1"),
        client.rating("c1", 4.5),
        client.edit("c1", "Better so."),
        client.comment("c1", "Thanks", tags={"page": "chat"}),
        client.report("c1", "unsafe", "why"),
        client.regenerate("c1"),
        client.copy("c1", consent=False),
        client.abandon("c1"),
        client.preference("c1", "c2"),
        client.follow_up("c1", "And then?"),
    ]


def test_every_verb_becomes_the_event_of_its_kind(gateway: FakeFeedbackGateway, url: str) -> None:
    with Plumbline(url, "plb_key", options=FAST) as client:
        ids = say_everything(client)
        client.log_completion("c1", **COMPLETION, conversation_id="v1")
        assert client.flush(LIMIT_S)
        assert client.counts() == Counts(given=11, acknowledged=11)
    now = datetime.now(UTC)
    events = [to_event(FeedbackRequest.model_validate(body), body["id"], now) for body in gateway.events]
    assert [event.event_id for event in events] == ids
    assert [event.kind for event in events] == [
        FeedbackKind.THUMB, FeedbackKind.RATING, FeedbackKind.EDIT, FeedbackKind.COMMENT, FeedbackKind.REPORT,
        FeedbackKind.REGENERATE, FeedbackKind.COPY, FeedbackKind.ABANDON, FeedbackKind.PREFERENCE,
        FeedbackKind.FOLLOW_UP,
    ]  # fmt: skip
    assert (events[0].value, events[0].user_id, events[3].tags) == (True, "u1", {"page": "chat"})
    assert (events[6].consent, events[8].rejected_completion_id) == (False, "c2")
    assert CompletionServed.model_validate(gateway.completions[0]).conversation_id == "v1"
    assert set(gateway.keys) == {"Bearer plb_key"}


async def test_the_same_can_be_awaited(gateway: FakeFeedbackGateway, url: str) -> None:
    async with AsyncPlumbline(url, "plb_key", options=FAST) as client:
        ids = [await client.thumb("c1", True), await client.comment("c1", "so"), await client.copy("c1")]
        assert await client.flush(LIMIT_S)
        assert client.counts().acknowledged == 3
    assert gateway.ids() == ids


def test_what_is_said_while_one_waits_goes_together(gateway: FakeFeedbackGateway, url: str) -> None:
    gateway.mood = Mood.AWAY
    with Plumbline(url, "", options=Options(first_backoff_s=0.001, linger_s=LIMIT_S, batch_events=40)) as client:
        for number in range(100):
            client.thumb(f"c{number}", True)
        gateway.mood = Mood.TAKES
        assert client.flush(LIMIT_S)
    assert gateway.sizes[-3:] == [40, 40, 20]


moods = st.lists(st.sampled_from(Mood), max_size=12)
given_events = st.lists(st.sampled_from(["thumb", "refused", "completion", "same"]), min_size=1, max_size=30)


@pytest.mark.slow
@settings(max_examples=40)
@given(moods=moods, said=given_events, with_file=st.booleans(), batch=st.integers(1, 8))
def test_whatever_the_gateway_does_every_event_is_taken_or_told_and_none_is_lost(
    moods: list[Mood], said: list[str], with_file: bool, batch: int
) -> None:
    gateway, told = FakeFeedbackGateway(), list[Refusal]()
    gateway.moods.extend(moods)
    expected, refused, completions = set[str](), set[str](), set[str]()
    with tempfile.TemporaryDirectory() as folder, served(gateway.app) as url:
        file = Path(folder) / "spill" if with_file else None
        options = Options(first_backoff_s=0.001, most_backoff_s=0.002, linger_s=0.001, batch_events=batch)
        with Plumbline(url, "", spill=file, on_refused=told.append, options=options) as client:
            for number, one in enumerate(said):
                if one == "completion":
                    completions.add(client.log_completion(f"c{number}", **COMPLETION))
                elif one == "refused":
                    gateway.refused.add(f"r{number}")
                    refused.add(client.thumb("c", True, event_id=f"r{number}"))
                else:
                    expected.add(client.thumb("c", True, event_id="same" if one == "same" else f"e{number}"))
            assert client.flush(LIMIT_S)
            counts = client.counts()
    assert set(gateway.taken()) == expected
    assert {refusal.event_id for refusal in told} == refused
    assert {logged["completion_id"] for logged in gateway.completions} == completions
    assert (counts.waiting, counts.spilled_bytes) == (0, 0)
    assert counts.given == len(said) == counts.acknowledged + counts.refused


def test_what_waited_on_disk_goes_in_order_when_the_gateway_is_back(
    gateway: FakeFeedbackGateway, url: str, tmp_path: Path
) -> None:
    gateway.mood = Mood.AWAY
    with Plumbline(url, "", spill=tmp_path / "spill", options=FAST) as client:
        ids = [client.thumb("c1", True) for _ in range(50)]
        until(lambda: client.counts().waiting == 0, "all of it on disk")
        assert client.counts().spilled_bytes > 0
        assert client.counts().trouble == "status 503"
        gateway.mood = Mood.TAKES
        ids += [client.thumb("c1", True) for _ in range(50)]
        assert client.flush(LIMIT_S)
    assert gateway.ids() == ids
    assert (tmp_path / "spill").stat().st_size == 0


def test_a_client_that_is_closed_in_vain_leaves_its_events_to_the_next(tmp_path: Path) -> None:
    gateway = FakeFeedbackGateway()
    told: list[Refusal] = []
    first = Plumbline(NOWHERE, "", spill=tmp_path / "spill", on_refused=told.append, options=PATIENT)
    ids = [first.thumb("c1", True) for _ in range(5)]
    assert not first.close(0.0)
    assert (told, first.counts().waiting) == ([], 0)
    with served(gateway.app) as url, Plumbline(url, "", spill=tmp_path / "spill", options=FAST) as second:
        ids.append(second.thumb("c1", True))
        assert second.flush(LIMIT_S)
    assert gateway.ids() == ids


def test_without_a_file_what_is_left_at_the_end_is_told(tmp_path: Path) -> None:
    told: list[Refusal] = []
    client = Plumbline(NOWHERE, "", on_refused=told.append, options=PATIENT)
    ids = [client.thumb("c1", True) for _ in range(3)]
    assert not client.close(0.0)
    ids.append(client.thumb("c1", True))
    assert [(one.event_id, one.error) for one in told] == [(event_id, "Closed") for event_id in ids]
    assert client.counts().refused == client.counts().given == 4


def test_a_full_queue_is_told_and_drops_nothing_that_was_taken(gateway: FakeFeedbackGateway) -> None:
    told: list[Refusal] = []
    with served(gateway.app) as url:
        gateway.mood = Mood.AWAY
        options = Options(capacity=3, first_backoff_s=0.001, most_backoff_s=0.002)
        with Plumbline(url, "", on_refused=told.append, options=options) as client:
            ids = [client.thumb("c1", True) for _ in range(5)]
            assert [one.error for one in told] == ["QueueFull"] * 2
            gateway.mood = Mood.TAKES
            assert client.flush(LIMIT_S)
    assert gateway.ids() == ids[:3]


def test_memory_that_is_full_goes_to_disk_and_a_full_disk_is_told(tmp_path: Path) -> None:
    told: list[Refusal] = []
    options = Options(capacity=4, first_backoff_s=30, most_backoff_s=30, spill_most_bytes=3000, linger_s=30)
    client = Plumbline(NOWHERE, "", spill=tmp_path / "spill", on_refused=told.append, options=options)
    ids = [client.thumb("c1", True) for _ in range(60)]
    counts = client.counts()
    assert 0 < counts.spilled_bytes <= 3000
    assert {one.error for one in told} == {"QueueFull"}
    client.close(0.0)
    on_disk = (tmp_path / "spill").read_text().count("\n")
    assert on_disk + client.counts().refused == len(ids)


def test_a_disk_that_refuses_leaves_everything_in_memory(
    gateway: FakeFeedbackGateway, url: str, tmp_path: Path
) -> None:
    gateway.moods.extend([Mood.AWAY] * 3)
    with Plumbline(url, "", spill=tmp_path / "no folder" / "spill", options=FAST) as client:
        ids = [client.thumb("c1", True) for _ in range(5)]
        assert client.flush(LIMIT_S)
    assert gateway.ids() == ids


def nested(depth: int) -> list[Any]:
    found: list[Any] = []
    for _ in range(depth):
        found = [found]
    return found


WRONG: list[tuple[str, tuple[Any, ...], dict[str, Any], str]] = [
    ("rating", ("c1", 6), {}, "value"),
    ("thumb", ("c1", "yes"), {}, "value"),
    ("comment", ("c1", ""), {}, "text"),
    ("comment", ("c1", "a\x00b"), {}, "text"),
    ("comment", (None, "a"), {}, "completion_id"),
    ("comment", ("c1", "\ud800"), {}, "text"),
    ("report", ("c1", SECRET), {}, "category"),
    ("preference", ("c1", "c1"), {}, "rejected_completion_id"),
    ("copy", ("c1",), {"occurred_at": datetime(2026, 1, 1)}, "occurred_at"),  # noqa: DTZ001 - what a caller may do
    ("copy", ("c1",), {"user_id": 7}, "user_id"),
    ("copy", ("c1",), {"mood": SECRET}, "mood"),
    ("copy", ("c1",), {"event_id": "x" * 200}, "event_id"),
    ("log_completion", ("c1",), COMPLETION | {"policy": "NO"}, "policy"),
    ("log_completion", ("c1",), COMPLETION | {"prompt": [{"role": "bot", "content": SECRET}]}, "prompt.0.role"),
    ("log_completion", ("c1",), COMPLETION | {"prompt": SECRET}, "prompt.0"),
    ("log_completion", ("c1",), COMPLETION | {"prompt": None}, "prompt"),
    ("log_completion", ("c1",), COMPLETION | {"prompt": 7}, "prompt"),
    ("log_completion", ("c1",), COMPLETION | {"prompt": nested(900)}, "prompt"),
    ("log_completion", (nested(900),), COMPLETION, "completion_id"),
    ("comment", ("c1", "a"), {"tags": nested(900)}, "tags"),
    ("comment", ("c1", "a"), {"tags": {"page": nested(100_000)}}, "tags"),
    ("copy", ("c1",), {"event_id": nested(100_000)}, "event_id"),
]


@pytest.mark.parametrize(("verb", "arguments", "named", "field"), WRONG)
def test_a_wrong_call_is_told_by_its_field_and_never_raises_unless_asked(
    verb: str, arguments: tuple[Any, ...], named: dict[str, Any], field: str
) -> None:
    told: list[Refusal] = []
    with Plumbline(NOWHERE, "", on_refused=told.append) as client:
        getattr(client, verb)(*arguments, **named)
    (refusal,) = told
    assert (refusal.error, refusal.field) == ("InvalidInput", field)
    assert "Jane" not in str(refusal)
    with Plumbline(NOWHERE, "", raise_on_error=True) as client, pytest.raises(Refused, match=field):
        getattr(client, verb)(*arguments, **named)


def test_no_depth_of_nesting_raises() -> None:
    told: list[Refusal] = []
    with Plumbline(NOWHERE, "", on_refused=told.append) as client:
        for depth in range(300, 700):  # the interpreter's limit lies between, wherever the call comes from
            client.comment("c1", "a", tags={"page": nested(depth)})  # type: ignore[dict-item]  # what a caller may do
    assert {refusal.rule for refusal in told} >= {"nested too deep", "Input should be a valid string"}


def test_ids_in_bytes_are_the_ids_that_are_sent(gateway: FakeFeedbackGateway, url: str) -> None:
    with Plumbline(url, "", options=FAST) as client:
        assert client.copy("c1", event_id=b"e1") == "e1"  # type: ignore[arg-type]  # what a caller may do
        assert client.log_completion(b"c1", **COMPLETION) == "c1"  # type: ignore[arg-type]
        assert client.flush(LIMIT_S)
    assert gateway.ids() == ["e1"]


def test_a_full_queue_raises_where_it_was_asked_to(tmp_path: Path) -> None:
    client = Plumbline(NOWHERE, "", raise_on_error=True, options=Options(capacity=1, first_backoff_s=30))
    client.thumb("c1", True)
    with pytest.raises(QueueFull):
        client.thumb("c1", True)
    client.close(0.0)


def test_what_the_gateway_refuses_is_told_by_its_field_and_rule(gateway: FakeFeedbackGateway, url: str) -> None:
    told: list[Refusal] = []
    gateway.refused.add("bad")
    with Plumbline(url, "", on_refused=told.append, options=FAST) as client:
        client.thumb("c1", True, event_id="bad")
        client.thumb("c1", True, event_id="good")
        client.flush(LIMIT_S)
    assert told == [Refusal("bad", "Refused", "inference_id", "not in this house")]
    assert gateway.ids() == ["good"]


def test_a_callback_that_raises_ends_nothing(gateway: FakeFeedbackGateway, url: str) -> None:
    def broken(refusal: Refusal) -> None:
        raise RuntimeError(refusal.rule)

    gateway.refused.add("bad")
    with Plumbline(url, "", on_refused=broken, options=FAST) as client:
        client.rating("c1", 99)
        client.thumb("c1", True, event_id="bad")
        client.thumb("c1", True, event_id="good")
        assert client.flush(LIMIT_S)
    assert gateway.ids() == ["good"]


@pytest.mark.parametrize("mood", [Mood.AWAY, Mood.TAKES_AND_FAILS, Mood.WHOLE_REFUSED, Mood.NONSENSE, Mood.NO_KEY])
def test_no_word_and_no_key_is_logged(
    gateway: FakeFeedbackGateway, url: str, mood: Mood, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    gateway.moods.extend([mood] * 2)
    gateway.refused.add("bad")
    with Plumbline(url, "plb_secret", spill=tmp_path / "spill", options=FAST) as client:
        client.comment("c1", SECRET, user_id="jane", event_id="bad")
        client.comment("c1", SECRET, user_id="jane")
        client.rating("c1", 99, tags={"said": SECRET})
        client.report("c1", SECRET)
        assert client.flush(LIMIT_S)
    logged = " ".join(f"{record.getMessage()} {record.__dict__}" for record in caplog.records)
    assert "an event was refused" in logged
    assert not [word for word in ("Jane", "jane", "7946 0000", "plb_secret", "secret words") if word in logged]


@pytest.mark.parametrize("base_url", ["", "gateway:8080", "ftp://x", "http://", "http://[", "file:///etc/passwd"])
def test_an_address_that_is_none_is_told_at_once(base_url: str) -> None:
    with pytest.raises(InvalidInput, match="base_url"):
        Plumbline(base_url, "")


LIGHT = """
import sys
import ingest.client
heavy = {"faust", "celery", "torch", "sqlalchemy", "sqlmodel", "numpy", "fastapi", "starlette", "aiokafka", "kafka"}
ours = {name.split(".")[0] for name in sys.modules} & {"infra", "scorer", "trainer", "registry"}
loaded = (heavy & set(sys.modules)) | ours
sys.exit(f"loaded {sorted(loaded)}" if loaded else 0)
"""
ENDS = """
import os, sys
from ingest.client import Options, Plumbline
client = Plumbline(sys.argv[1], "", spill=sys.argv[2], options=Options(linger_s=60, exit_limit_s=float(sys.argv[3])))
print(client.thumb("c1", True))
"""
FORKS = """
import os, sys
from ingest.client import Options, Plumbline
client = Plumbline(sys.argv[1], "", spill=sys.argv[2], options=Options(linger_s=60))
client.thumb("c1", True, event_id="parent")
child = os.fork()
if child == 0:
    client.thumb("c1", True, event_id="child")
    sent = client.flush(60) and client.counts().acknowledged == 1
    os._exit(0 if sent else 1)
_, status = os.waitpid(child, 0)
sent = client.flush(60) and client.counts().acknowledged == 1
sys.exit(f"{status} {client.counts()}" if status or not sent else 0)
"""


def python(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    # From 3.12 on Python warns of every fork with threads; whether this one is safe is what is tested.
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", code, *arguments]
    return subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)


def test_the_client_loads_no_server_part() -> None:
    done = python(LIGHT)
    assert (done.returncode, done.stderr) == (0, "")


def test_an_interpreter_that_ends_sends_what_waits(gateway: FakeFeedbackGateway, url: str, tmp_path: Path) -> None:
    done = python(ENDS, url, str(tmp_path / "spill"), "60")
    assert (done.returncode, done.stderr) == (0, "")
    assert gateway.ids() == [done.stdout.strip()]


def test_an_interpreter_that_ends_while_the_gateway_is_away_leaves_what_waits_on_disk(tmp_path: Path) -> None:
    done = python(ENDS, NOWHERE, str(tmp_path / "spill"), "0.1")
    assert done.returncode == 0
    assert done.stdout.strip() in (tmp_path / "spill").read_text()


def test_a_forked_child_sends_its_own_events_and_the_parent_its_own(
    gateway: FakeFeedbackGateway, url: str, tmp_path: Path
) -> None:
    done = python(FORKS, url, str(tmp_path / "spill"))
    assert (done.returncode, done.stderr) == (0, "")
    assert gateway.taken() == {"child": 1, "parent": 1}
