"""What leaves memory: words redacted, people under pseudonyms of their tenant, dead letters that can be replayed."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from ingest.privacy import Privacy
from ingest.settings import LEAST_SECRET, IngestSettings
from matrix.errors import InvalidInput
from matrix.messages.completion import MAX_CHARACTERS, ChatMessage, CompletionServed
from matrix.messages.feedback import MAX_TEXT, FeedbackEvent, FeedbackKind

SECRET = b"a secret of these tests, thirty-two and more"
RAW = ("jane.doe@example.org", "+44 20 7946 0958", "4111 1111 1111 1111", "123-45-6789", "Jane Doe")
SAID = f"I am {RAW[4]}, {RAW[0]}, {RAW[1]}, card {RAW[2]}, SSN {RAW[3]}."
AT = datetime(2025, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def privacy() -> Privacy:
    return Privacy(SECRET)


def event(**fields: Any) -> FeedbackEvent:
    said = {"event_id": "e-1", "completion_id": "c-1", "kind": FeedbackKind.COMMENT, "text": SAID, "occurred_at": AT}
    return FeedbackEvent.model_validate(said | fields)


def completion(**fields: Any) -> CompletionServed:
    said: dict[str, Any] = {
        "completion_id": "c-1",
        "policy": "support",
        "adapter_digest": "0" * 64,
        "conversation_id": "conv-1",
        "user_id": "jane@example.org",
        "prompt": (ChatMessage(role="user", content=SAID),),
        "completion": f"Dear customer, you wrote: {SAID}",
        "served_at": AT,
    }
    return CompletionServed.model_validate(said | fields)


def assert_names_nobody(told: str) -> None:
    assert [raw for raw in RAW if raw in told] == []


def test_an_event_keeps_its_ids_and_loses_its_names(privacy: Privacy) -> None:
    kept = privacy.feedback(event(user_id="jane@example.org", tags={"note": SAID, "user_id": "jane@example.org"}))
    assert_names_nobody(kept.model_dump_json())
    assert (kept.event_id, kept.completion_id, kept.occurred_at) == ("e-1", "c-1", AT)
    assert kept.user_id == kept.tags["user_id"]
    assert FeedbackEvent.model_validate_json(kept.model_dump_json()) == kept


def test_a_completion_keeps_its_shape_and_loses_its_names(privacy: Privacy) -> None:
    kept = privacy.completion(completion())
    assert_names_nobody(kept.model_dump_json())
    assert [message.role for message in kept.prompt] == ["user"]
    assert kept.conversation_id == "conv-1"
    assert kept.user_id == privacy.person("default", "jane@example.org")


def test_a_conversation_that_is_named_after_somebody_gets_a_pseudonym(privacy: Privacy) -> None:
    kept = privacy.completion(completion(conversation_id="jane.doe@example.org"))
    assert kept.conversation_id == privacy.person("default", "jane.doe@example.org")


@pytest.mark.parametrize(
    "identity", ["0198c6b2-7c1e-7f00-8000-123456789012", "chatcmpl-9f8e7d6c5b4a", "conv-20250301-17", "u1"]
)
def test_ids_as_services_make_them_stay(identity: str, privacy: Privacy) -> None:
    assert privacy.identifier("default", identity) == identity


def test_a_pseudonym_is_one_persons_in_one_tenant_under_one_secret(privacy: Privacy) -> None:
    name = privacy.person("clinic", "jane")
    assert re.fullmatch(r"p_[a-z2-7]{26}", name)
    assert name == Privacy(SECRET).person("clinic", "jane")
    assert (
        len(
            {
                name,
                privacy.person("clinic", "john"),
                privacy.person("other", "jane"),
                Privacy(SECRET[::-1]).person("clinic", "jane"),
            }
        )
        == 4
    )
    assert privacy.person("clinic", name) == name


@given(st.text(min_size=1, max_size=40), st.text(min_size=1, max_size=40))
def test_two_people_never_share_a_pseudonym(one: str, other: str) -> None:
    privacy = Privacy(SECRET)
    assert (privacy.person("default", one) == privacy.person("default", other)) == (one == other)


WORDS = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\x00"), max_size=40)


@given(WORDS, st.sampled_from(["", SAID, "call 112", "<EMAIL> Bob"]))
def test_everything_is_private_after_the_first_time(words: str, said: str) -> None:
    privacy = Privacy(SECRET)
    once = privacy.feedback(event(text=f"{words} {said}", user_id="jane", tags={"note": words[:40]}))
    assert privacy.feedback(once) == once
    served = privacy.completion(completion(completion=words + said))
    assert privacy.completion(served) == served
    payload = privacy.payload(
        json.dumps({"text": words + said, "n": 4111111111111111, "l": [words]}).encode(), "default"
    )
    assert privacy.payload(payload.encode(), "default") == payload


@pytest.mark.slow
@given(st.integers(0, 12))
def test_what_placeholders_make_too_long_still_fits(shift: int) -> None:
    privacy = Privacy(SECRET)
    kept = privacy.feedback(
        event(text=("Bo Ek, a@b.co " * 2000)[shift : shift + MAX_TEXT], tags={"note": ("a@b.co " * 40)[:256]})
    )
    assert FeedbackEvent.model_validate_json(kept.model_dump_json()) == kept
    assert privacy.feedback(kept) == kept


def test_a_completion_at_its_limit_still_fits() -> None:
    privacy = Privacy(SECRET)
    full = ("a@b.co " * 20_000)[: MAX_CHARACTERS // 2]
    kept = privacy.completion(completion(prompt=(ChatMessage(role="user", content=full),), completion=full))
    assert CompletionServed.model_validate_json(kept.model_dump_json()) == kept


def test_a_dead_letter_stays_json_that_can_be_replayed(privacy: Privacy) -> None:
    sent = event(user_id="jane@example.org").model_dump(mode="json") | {
        "surprise": {"who": SAID, "card": 4111111111111111}
    }
    kept = json.loads(privacy.payload(json.dumps(sent).encode(), "default"))
    assert_names_nobody(json.dumps(kept))
    assert kept["surprise"]["card"] == "<CARD>"
    unchanged = ("event_id", "completion_id", "kind", "occurred_at", "tenant", "schema_version")
    assert {name: kept[name] for name in unchanged} == {name: sent[name] for name in unchanged}
    mended = FeedbackEvent.model_validate({name: value for name, value in kept.items() if name != "surprise"})
    assert privacy.feedback(mended) == mended == privacy.feedback(event(user_id="jane@example.org"))


IDS = ("event_id", "completion_id", "rejected_completion_id")


@given(st.lists(st.text(min_size=1, max_size=20) | st.sampled_from(RAW), min_size=3, max_size=3, unique=True))
def test_a_dead_letter_keeps_the_ids_that_an_accepted_event_would_keep(ids: list[str]) -> None:
    named = dict(zip(IDS, ids, strict=True))
    sent = {"kind": "preference", "occurred_at": AT.isoformat(), **named}
    kept = json.loads(Privacy(SECRET).payload(json.dumps(sent).encode(), "default"))
    try:
        FeedbackEvent.model_validate(sent)
    except ValidationError:
        return
    assert {name: kept[name] for name in IDS} == named


@pytest.mark.parametrize("identity", [4111111111111111, f"{RAW[0]}\n", f"{RAW[0]} " * 7, [RAW[0]], {"id": RAW[0]}])
def test_what_can_be_no_id_of_an_event_is_redacted_in_its_place(identity: object, privacy: Privacy) -> None:
    told = privacy.payload(json.dumps({"event_id": identity, "conversation_id": RAW[0]}).encode(), "default")
    assert_names_nobody(told)
    assert "4111111111111111" not in told


@pytest.mark.parametrize(
    "raw", [SAID.encode(), b"{" + SAID.encode(), b"\xff" + SAID.encode(), b"[" * 100_000 + SAID.encode()]
)
def test_a_payload_that_is_no_json_is_redacted_as_text(raw: bytes, privacy: Privacy) -> None:
    assert_names_nobody(privacy.payload(raw, "default"))


def test_a_repeated_field_hides_nothing(privacy: Privacy) -> None:
    assert_names_nobody(privacy.payload(f'{{"text": "{SAID}", "text": "ok"}}'.encode(), "default"))


def test_names_in_field_names_go_too(privacy: Privacy) -> None:
    assert_names_nobody(privacy.payload(json.dumps({RAW[0]: 1, "tags": {RAW[2]: "x"}}).encode(), "default"))


def test_without_a_secret_nothing_is_taken_in() -> None:
    with pytest.raises(InvalidInput, match="PLUMBLINE_PSEUDONYM_SECRET"):
        IngestSettings(pseudonym_secret=None).required_pseudonym_secret()


def test_a_short_secret_is_refused_and_not_shown(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    monkeypatch.setenv("PLUMBLINE_HOME", str(tmp_path))
    monkeypatch.setenv("PLUMBLINE_PSEUDONYM_SECRET", "tooshort")
    with pytest.raises(InvalidInput, match=f"at least {LEAST_SECRET}") as raised:
        IngestSettings.load()
    assert "tooshort" not in str(raised.value)


def test_the_secret_is_in_no_repr() -> None:
    settings = IngestSettings.model_validate({"pseudonym_secret": SECRET.decode()})
    assert SECRET.decode() not in repr(settings)
    assert SECRET.decode() not in repr(vars(Privacy(SECRET)).get("find"))
