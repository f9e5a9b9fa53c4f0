"""Pure steps between a batch and its rows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeVar

from pydantic import ValidationError

from infra.streams import Incoming
from matrix.alignment.dimensions import Matrix
from matrix.messages.base import Message
from matrix.messages.completion import CompletionServed
from matrix.messages.feedback import FeedbackAccepted, FeedbackEvent
from matrix.messages.sample import ScoredSample
from matrix.scorers import score_many
from matrix.scorers.knowledge import Knowledge
from matrix.scorers.slices import slice_of
from scorer import satisfaction
from scorer.tables import SampleRow

M = TypeVar("M", bound=Message)


def decode(batch: Sequence[Incoming], kind: type[M]) -> tuple[list[M], list[Incoming]]:
    """What can be read, and the rest."""
    read: list[M] = []
    refused: list[Incoming] = []
    for one in batch:
        try:
            # JSON mode: what JSON cannot spell otherwise (times, tuples) is text or a list there.
            read.append(kind.model_validate_json(one.raw))
        except ValidationError:
            refused.append(one)
    return read, refused


def first_of_each(completions: Iterable[CompletionServed]) -> dict[str, CompletionServed]:
    """By id; the first body of an id stands."""
    found: dict[str, CompletionServed] = {}
    for one in completions:
        found.setdefault(one.completion_id, one)
    return found


def first_events(accepted: Iterable[FeedbackAccepted]) -> dict[str, FeedbackEvent]:
    """By event id; what does not speak of the completion beside it is no feedback."""
    found: dict[str, FeedbackEvent] = {}
    for one in (one for one in accepted if one.event.completion_id == one.completion.completion_id):
        found.setdefault(one.event.event_id, one.event)
    return found


def scored(completions: Sequence[CompletionServed], matrix: Matrix, knowledge: Knowledge) -> list[SampleRow]:
    """Rows without feedback, scored by the rules."""
    scores = score_many([(one.prompt, one.completion) for one in completions], matrix, knowledge, {})
    return [
        SampleRow.model_validate(
            {
                "completion_id": one.completion_id,
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
