"""ConvAI2 "wild" dialogues (DeepPavlov/convai): thumbs on single messages, a rating from 1 to 5 on the whole dialogue.

Every message of the bot is a completion; `evaluation_score` on it is a thumb (1 up, 0 down); `eval_score` is a rating,
credited to the bot's last message. A rating of a dialogue in which the bot said nothing is a bad row, and so is a
thumb on a person's message. Messages carry no times of their own: they are spread evenly from start to end.
Left out: `profile_match`, a guess about the bot's persona and not a word about an answer.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from ingest.formats.rows import BadRow, Recorded, Source, each, model_digest, recorded_at, whole_file
from matrix.messages.completion import CompletionServed
from matrix.messages.feedback import FeedbackEvent, FeedbackKind

ROLES = {"Human": "user", "Bot": "assistant"}
THUMBS = {0: False, 1: True}


def read(source: Source) -> Iterator[Recorded | BadRow]:
    """One row a dialogue."""

    def dialogue(number: int, row: Any) -> Iterator[Recorded | BadRow]:
        return _dialogue(source, number, row)

    return each(iter(enumerate(whole_file(source), 1)), dialogue)


def _dialogue(source: Source, number: int, row: Any) -> Iterator[Recorded | BadRow]:
    messages, ends_at = row["dialog"], recorded_at(row["end_time"])
    prefix = f"convai2-{source.short_digest}-{number}"
    people = {one["class"]: one["user_id"] for one in (row["participant1_id"], row["participant2_id"])}
    prompt = [{"role": "system", "content": "Persona: " + " ".join(row["bot_profile"])}]
    completions, events = [], []
    for index, message in enumerate(messages):
        at = _time_of(index, len(messages), recorded_at(row["start_time"]), ends_at)
        score, sender = message["evaluation_score"], message["sender_class"]
        if sender == "Bot":
            completion = {
                "completion_id": f"{prefix}-{index}",
                "policy": source.policy,
                "adapter_digest": model_digest("convai2", str(people.get("Bot"))),
                "conversation_id": prefix,
                "user_id": people.get("User"),
                "prompt": list(prompt),
                "completion": message["text"],
                "served_at": at,
            }
            completions.append(CompletionServed.model_validate(completion))
        prompt.append({"role": ROLES[sender], "content": message["text"]})
        if score is None:
            continue
        if sender != "Bot" or score not in THUMBS:
            yield BadRow(number, f"dialog.{index}.evaluation_score: {score!r} on a message of {sender} is no thumb")
            continue
        events.append(_event(completions[-1], f"{prefix}-{index}-thumb", FeedbackKind.THUMB, THUMBS[score], at))
    if row["eval_score"] is not None and completions:
        events.append(_event(completions[-1], f"{prefix}-rating", FeedbackKind.RATING, row["eval_score"], ends_at))
    elif row["eval_score"] is not None:
        yield BadRow(number, "eval_score: rates a dialogue in which the bot said nothing")
    yield Recorded(number, tuple(completions), tuple(events))


def _time_of(index: int, count: int, starts_at: datetime, ends_at: datetime) -> datetime:
    return starts_at + (ends_at - starts_at) * (index / count)


def _event(completion: CompletionServed, event_id: str, kind: FeedbackKind, value: Any, at: datetime) -> FeedbackEvent:
    fields = {"event_id": event_id, "completion_id": completion.completion_id, "kind": kind, "value": value}
    return FeedbackEvent.model_validate(fields | {"user_id": completion.user_id, "occurred_at": at})
