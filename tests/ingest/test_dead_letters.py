"""What was set aside can be looked at, judged again and dropped; whatever happens, each event counts once."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from infra.database import Database
from ingest import arrivals, dead_letters, service
from ingest.dead_letters import Replay
from ingest.repository_letters import Selection
from ingest.steps import AgeLimits
from matrix.errors import InvalidInput, NotFound
from matrix.topics import COMPLETION_SERVED, FEEDBACK_RECEIVED
from tests.fakes.feedback import AT, completion, record, thumb
from tests.fakes.privacy import PRIVACY

LATER = AT + timedelta(days=1)
ALL = Selection(tenants=("default",))


def say(database: Database, offset: int, body: object, **limits: timedelta) -> None:
    batch = record(FEEDBACK_RECEIVED.name, offset, body)
    service.receive_feedback(database, [arrivals.feedback(one, AT, AgeLimits(**limits), PRIVACY) for one in batch], AT)


def serve(database: Database, offset: int, body: object) -> None:
    batch = record(COMPLETION_SERVED.name, offset, body)
    service.receive_completions(database, [arrivals.completion(one, AT, AgeLimits(), PRIVACY) for one in batch], AT)


def replay(database: Database, wanted: Selection = ALL, **fixes: Any) -> dict[str, Any]:
    return dead_letters.replay(database, wanted, Replay(PRIVACY, AgeLimits(), fixes, "ana"), LATER)


def counted(database: Database) -> dict[str, int]:
    found = service.counts(database)
    assert found["received"] == sum(found[name] for name in ("accepted", "duplicate", "dead", "pending"))
    assert sum(found["by_reason"].values()) == found["dead"]
    return {name: found[name] for name in ("accepted", "duplicate", "dead", "pending") if found[name]}


def only(database: Database) -> dict[str, Any]:
    (letter,) = dead_letters.listed(database, ALL)
    return letter


def test_a_letter_that_was_mended_counts_once_and_its_record_read_again_changes_nothing(database: Database) -> None:
    serve(database, 0, completion())
    say(database, 0, thumb(mood="good"))
    assert counted(database) == {"dead": 1}
    answer = replay(database, mood=None)
    assert (answer["replayed"], answer["accepted"], answer["still_dead"]) == (1, 1, 0)
    say(database, 0, thumb(mood="good"))
    assert counted(database) == {"accepted": 1}
    assert (only(database)["state"], only(database)["handled_by"]) == ("replayed", "ana")


def test_a_letter_whose_event_was_sent_again_meanwhile_is_a_duplicate(database: Database) -> None:
    serve(database, 0, completion())
    say(database, 0, thumb(mood="good"))
    say(database, 1, thumb())
    replay(database, mood=None)
    assert counted(database) == {"accepted": 1, "duplicate": 1}


def test_a_letter_comes_back_under_its_own_ids_whatever_they_look_like(database: Database) -> None:
    named = {"event_id": "abc@mail.example.com", "completion_id": "4111111111111111"}
    serve(database, 0, completion(completion_id=named["completion_id"]))
    say(database, 0, thumb(mood="good", **named))
    assert replay(database, mood=None)["accepted"] == 1
    say(database, 1, thumb(**named))
    assert counted(database) == {"accepted": 1, "duplicate": 1}


def test_of_two_letters_of_one_event_one_is_the_first_and_the_other_its_duplicate(database: Database) -> None:
    for offset in (0, 1):
        say(database, offset, thumb(mood="good"))
    assert replay(database, mood=None)["replayed"] == 2
    assert counted(database) == {"pending": 1, "duplicate": 1}


def test_what_is_still_refused_stays_as_it_was(database: Database) -> None:
    say(database, 0, thumb(mood="good"))
    before = only(database)
    assert replay(database)["still_dead"] == 1
    assert only(database) == before


def test_feedback_that_waited_in_vain_is_accepted_once_its_completion_is_there(database: Database) -> None:
    say(database, 0, thumb())
    service.give_up_waiting(database, LATER, timedelta(hours=1))
    assert replay(database)["still_dead"] == 1
    serve(database, 0, completion())
    assert replay(database)["accepted"] == 1
    assert counted(database) == {"accepted": 1}


def test_the_wrong_completion_id_can_be_mended_but_not_an_id_that_was_counted(database: Database) -> None:
    say(database, 0, thumb(completion_id="typo"))
    serve(database, 0, completion())
    service.give_up_waiting(database, LATER, timedelta(hours=1))
    assert replay(database, event_id="another")["still_dead"] == 1
    assert replay(database, completion_id="c1")["accepted"] == 1
    assert (service.find_feedback(database, "default", "e1") or {})["completion_id"] == "c1"


def test_a_letter_that_was_replayed_may_wait_in_vain_again(database: Database) -> None:
    say(database, 0, thumb(mood="good"))
    replay(database, mood=None)
    service.give_up_waiting(database, LATER + timedelta(days=2), timedelta(days=1))
    assert counted(database) == {"dead": 1}
    assert (only(database)["reason"], only(database)["state"]) == ("unknown_completion", "waiting")


def test_a_completion_is_replayed_before_the_feedback_that_needs_it(database: Database) -> None:
    say(database, 0, thumb(mood="good"))
    serve(database, 0, completion(mood="good"))
    answer = replay(database, mood=None)
    assert (answer["stored"], answer["accepted"]) == (1, 1)
    assert service.counts(database)["completions"] == {"stored": 1, "dead": 0}


def test_waiting_for_an_operator_makes_no_event_too_old_and_time_heals_the_future(database: Database) -> None:
    oldest, next_hour = AT - timedelta(days=30), AT + timedelta(hours=1)
    say(database, 0, thumb("old", mood="good", occurred_at=oldest.isoformat()))
    say(database, 1, thumb("new", mood="good", occurred_at=next_hour.isoformat()))
    assert replay(database, mood=None)["pending"] == 2


def test_what_is_dropped_loses_its_words_and_stays_counted(database: Database) -> None:
    say(database, 0, thumb(mood="good"))
    dead_letters.drop(database, ALL, LATER, by="ana")
    assert counted(database) == {"dead": 1}
    letter = dead_letters.show(database, ("default",), only(database)["id"])
    assert (letter["state"], letter["payload"], letter["replayable"]) == ("dropped", "", False)
    with pytest.raises(NotFound):
        dead_letters.drop(database, Selection(tenants=("default",), ids=(letter["id"],)), LATER, by="ana")


@pytest.mark.parametrize("field", ["tenant", "consent"])
def test_whose_an_event_is_and_what_its_person_allowed_cannot_be_mended(database: Database, field: str) -> None:
    with pytest.raises(InvalidInput, match="set"):
        replay(database, ALL, **{field: "north"})


@pytest.mark.parametrize(
    "body",
    [
        thumb(consent=False),
        thumb(consent="no", kind="comment", value=None, text="my secret"),
        b'{"consent": false, "tenant": "default", "text": "my secret"',
        thumb(tags={"a": "x" * 300_000}),
    ],
)
def test_what_was_withheld_or_shortened_cannot_be_replayed_and_says_so(database: Database, body: object) -> None:
    say(database, 0, body)
    letter = dead_letters.show(database, ("default",), only(database)["id"])
    assert "secret" not in letter["payload"]
    with pytest.raises(InvalidInput, match="shortened or withheld"):
        replay(database, Selection(tenants=("default",), ids=(letter["id"],)))
    assert replay(database)["letters"] == [
        {"id": letter["id"], "outcome": "dead", "reason": "not_replayable", "detail": dead_letters.NOT_REPLAYABLE}
    ]


def test_letters_are_found_by_what_they_have_in_common(database: Database) -> None:
    say(database, 0, [thumb(mood="good"), thumb(kind="wink", value=None)])
    say(database, 1, b'{"tenant": "default"')
    serve(database, 0, b'{"tenant": "default"')

    def reasons(**narrowed: Any) -> list[str]:
        return sorted(
            row["reason"] for row in dead_letters.listed(database, Selection(tenants=("default",), **narrowed))
        )

    assert reasons() == ["malformed", "malformed", "unknown_field", "unknown_kind"]
    assert reasons(reason="malformed", topic=FEEDBACK_RECEIVED.name) == ["malformed"]
    assert reasons(since=AT + timedelta(seconds=1)) == []
    assert reasons(ids=(dead_letters.listed(database, ALL)[0]["id"],), limit=5) != []
    assert len(reasons(limit=2)) == 2


def test_no_letter_of_another_tenant_is_seen_or_handled(database: Database) -> None:
    say(database, 0, thumb(tenant="north", mood="good"))
    (letter,) = dead_letters.listed(database, Selection(tenants=("north",)))
    assert dead_letters.listed(database, Selection(tenants=("south",))) == []
    theirs = Selection(tenants=("south",), ids=(letter["id"],))
    with pytest.raises(NotFound):
        dead_letters.show(database, ("south",), letter["id"])
    with pytest.raises(NotFound):
        replay(database, theirs)
    with pytest.raises(NotFound):
        dead_letters.drop(database, theirs, LATER, by="eve")


def test_a_fix_is_redacted_like_whatever_else_is_stored(database: Database) -> None:
    say(database, 0, thumb(kind="comment", value=None, mood="x", text="hello"))
    replay(database, mood=None, text="write to ana.silva@example.org")
    with database.engine.connect() as connection:
        (body,) = connection.exec_driver_sql("SELECT body FROM ingest.feedback").one()
    assert "ana.silva" not in json.loads(body)["text"]
