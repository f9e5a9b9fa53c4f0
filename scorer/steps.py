"""Pure steps between a batch and its rows."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeVar

from pydantic import ValidationError

from infra.streams import Incoming
from matrix.alignment.dimensions import Matrix
from matrix.messages.base import DEFAULT_TENANT, Message, qualified
from matrix.messages.completion import CompletionServed
from matrix.messages.feedback import MAX_TEXT, FeedbackAccepted, FeedbackEvent
from matrix.messages.sample import ScoredSample
from matrix.results import DeadLetter
from matrix.scorers import score_many
from matrix.scorers.knowledge import Knowledge
from matrix.scorers.slices import slice_of
from scorer import satisfaction
from scorer.tables import SampleRow

M = TypeVar("M", bound=Message)
TENANT = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
SHOWN = 300  # characters of a sentence or field name that came from outside


@dataclass(frozen=True, slots=True)
class Refused:
    """An event that has no effect, and why."""

    incoming: Incoming
    letter: DeadLetter


def completions(
    batch: Sequence[Incoming], now: datetime, *, max_age: timedelta, max_skew: timedelta
) -> tuple[list[CompletionServed], list[Refused]]:
    """Completions whose time can be believed, and the rest."""

    def judged(one: CompletionServed) -> DeadLetter | None:
        age = now - one.served_at
        if age > max_age:
            return DeadLetter("too_old", f"served_at: {age} ago", "age", "served_at")
        return DeadLetter("in_the_future", f"served_at: in {-age}", "age", "served_at") if -age > max_skew else None

    return _sorted_out(batch, CompletionServed, judged)


def feedback(batch: Sequence[Incoming]) -> tuple[list[FeedbackAccepted], list[Refused]]:
    """Feedback beside the completion it speaks of, and the rest."""

    def judged(one: FeedbackAccepted) -> DeadLetter | None:
        if event_completion(one.event) == sample_id(one.completion):
            return None
        return DeadLetter("mismatch", "event and completion name two completions", "check", "completion_id")

    return _sorted_out(batch, FeedbackAccepted, judged)


def tenant_of(value: object) -> str:
    """Whose feedback a record holds, also where it is refused."""
    event = value.get("event") if isinstance(value, Mapping) else None
    stated = event.get("tenant") if isinstance(event, Mapping) else None
    return stated if isinstance(stated, str) and TENANT.fullmatch(stated) else DEFAULT_TENANT


def shown(raw: bytes) -> str:
    """A payload as text that any store can hold, shortened."""
    return raw.decode("utf-8", "replace").replace("\x00", "\ufffd")[:MAX_TEXT]


def _sorted_out(
    batch: Sequence[Incoming], kind: type[M], judge: Callable[[M], DeadLetter | None]
) -> tuple[list[M], list[Refused]]:
    read: list[M] = []
    refused: list[Refused] = []
    for one in batch:
        try:
            # JSON mode: what JSON cannot spell otherwise (times, tuples) is text or a list there.
            message = kind.model_validate_json(one.raw)
        except ValidationError as error:
            refused.append(Refused(one, _explained(error)))
        except RecursionError:
            refused.append(Refused(one, DeadLetter("malformed", "nested too deep", "decode")))
        else:
            letter = judge(message)
            read += [message] if letter is None else []
            refused += [] if letter is None else [Refused(one, letter)]
    return read, refused


def _explained(error: ValidationError) -> DeadLetter:
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    if first["type"] == "json_invalid":
        return DeadLetter("malformed", "not JSON", "decode")
    field = shown(".".join(str(part) for part in first["loc"]).encode("utf-8", "replace"))[:SHOWN]
    detail = shown(str(first["msg"]).encode("utf-8", "replace"))[:SHOWN]
    return DeadLetter("unreadable", f"{field}: {detail}" if field else detail, "check", field or None)


def sample_id(completion: CompletionServed) -> str:
    """What a completion is kept under: ids are unique within a tenant."""
    return qualified(completion.tenant, completion.completion_id)


def event_id(event: FeedbackEvent) -> str:
    """What an event is kept under."""
    return qualified(event.tenant, event.event_id)


def event_completion(event: FeedbackEvent) -> str:
    """What the completion that an event speaks of is kept under."""
    return qualified(event.tenant, event.completion_id)


def first_of_each(completions: Iterable[CompletionServed]) -> dict[str, CompletionServed]:
    """By id; the first body of an id stands."""
    found: dict[str, CompletionServed] = {}
    for one in completions:
        found.setdefault(sample_id(one), one)
    return found


def first_events(accepted: Iterable[FeedbackAccepted]) -> dict[str, FeedbackEvent]:
    """By id; the first body of an id stands."""
    found: dict[str, FeedbackEvent] = {}
    for one in accepted:
        found.setdefault(event_id(one.event), one.event)
    return found


def scored(completions: Sequence[CompletionServed], matrix: Matrix, knowledge: Knowledge) -> list[SampleRow]:
    """Rows without feedback, scored by the rules."""
    scores = score_many([(one.prompt, one.completion) for one in completions], matrix, knowledge, {})
    return [
        SampleRow.model_validate(
            {
                "completion_id": sample_id(one),
                "policy": one.policy,
                "user_id": one.user_id,
                "slice": slice_of(one.prompt, knowledge),
                "body": one.to_payload().decode(),
                "scores": row,
                "satisfaction": None,
                "reported": False,
                "label_version": 1,
                "served_at": one.served_at,
            }
        )
        for one, row in zip(completions, scores, strict=True)
    ]


def relabelled(row: SampleRow, events: Iterable[FeedbackEvent]) -> SampleRow:
    """The row with the label that all its events give."""
    label = satisfaction.label(events, served(row).completion)
    told = {"satisfaction": label.satisfaction, "reported": label.reported, "label_version": label.version}
    return SampleRow.model_validate(row.model_dump() | told)


def served(row: SampleRow) -> CompletionServed:
    """The completion behind a row."""
    return CompletionServed.model_validate_json(row.body)


def to_sample(row: SampleRow) -> ScoredSample:
    """What is told of a row and frozen in snapshots."""
    completion = served(row)
    return ScoredSample(
        completion_id=row.completion_id,
        policy=row.policy,
        adapter_digest=completion.adapter_digest,
        user_id=row.user_id,
        slice=row.slice,
        prompt=completion.prompt,
        completion=completion.completion,
        satisfaction=row.satisfaction,
        reported=row.reported,
        scores=row.scores,
        label_version=row.label_version,
        served_at=completion.served_at,
    )
