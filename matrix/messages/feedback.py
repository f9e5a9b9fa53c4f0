"""What a person says about a completion, from the click to the accepted event.

Field rules follow TensorZero's feedback API (metric name and value type go together) and add kinds;
a new kind is a member of FeedbackKind and a row of CARRIES.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal, NamedTuple

from pydantic import Field, StrictBool, StrictFloat, StrictInt, StringConstraints, model_validator

from matrix.messages.base import DEFAULT_TENANT, Identifier, Message, Moment, TenantName, Value
from matrix.messages.completion import CompletionServed

MAX_TAGS, MAX_TAG = 32, 256  # of an event, and characters of one
TagText = Annotated[str, StringConstraints(max_length=MAX_TAG)]
MAX_TEXT = 20_000  # characters; longer comments are not comments


class FeedbackKind(StrEnum):
    """The ways in which people answer an answer."""

    THUMB = "thumb"
    RATING = "rating"
    EDIT = "edit"
    REGENERATE = "regenerate"
    REPORT = "report"
    COMMENT = "comment"
    COPY = "copy"
    ABANDON = "abandon"
    PREFERENCE = "preference"  # over another completion for the same prompt
    FOLLOW_UP = "follow_up"  # what the user said next


class Carries(NamedTuple):
    """What an event of a kind must carry; what is not named here it must not carry."""

    value: bool = False
    text: bool = False
    category: bool = False
    rejected_completion_id: bool = False


CARRIES: dict[FeedbackKind, Carries] = {
    FeedbackKind.THUMB: Carries(value=True),
    FeedbackKind.RATING: Carries(value=True),
    FeedbackKind.EDIT: Carries(text=True),
    FeedbackKind.REGENERATE: Carries(),
    FeedbackKind.REPORT: Carries(category=True),
    FeedbackKind.COMMENT: Carries(text=True),
    FeedbackKind.COPY: Carries(),
    FeedbackKind.ABANDON: Carries(),
    FeedbackKind.PREFERENCE: Carries(rejected_completion_id=True),
    FeedbackKind.FOLLOW_UP: Carries(text=True),
}


class FeedbackEvent(Message):
    """One thing one person said about one completion."""

    tenant: TenantName = DEFAULT_TENANT
    event_id: Identifier  # unique within the tenant
    completion_id: Identifier  # of a preference, the chosen one
    kind: FeedbackKind
    value: StrictBool | StrictInt | StrictFloat | None = None  # thumb: true is up; rating: 1 to 5
    text: Annotated[str, StringConstraints(min_length=1, max_length=MAX_TEXT)] | None = None
    category: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,63}$")] | None = None
    rejected_completion_id: Identifier | None = None
    user_id: Identifier | None = None
    occurred_at: Moment
    tags: dict[Identifier, TagText] = Field(default_factory=dict, max_length=MAX_TAGS)
    consent: StrictBool = True  # may be stored and learned from; without it the event is set aside without its words

    @model_validator(mode="after")
    def _carries_what_its_kind_needs(self) -> FeedbackEvent:
        for name, needed in zip(Carries._fields, CARRIES[self.kind], strict=True):
            is_there = getattr(self, name) is not None
            if is_there == needed:
                continue
            if needed:
                raise ValueError(f"{name}: a {self.kind} needs it")
            if (self.kind, name) != (FeedbackKind.REPORT, "text"):  # a report may say more in words
                raise ValueError(f"{name}: a {self.kind} does not carry it")
        if self.kind is FeedbackKind.THUMB and not isinstance(self.value, bool):
            raise ValueError("value: a thumb is true or false")
        if self.kind is FeedbackKind.RATING and (isinstance(self.value, bool) or not 1 <= (self.value or 0) <= 5):
            raise ValueError("value: a rating is a number from 1 to 5")
        if self.kind is FeedbackKind.PREFERENCE and self.rejected_completion_id == self.completion_id:
            raise ValueError("rejected_completion_id: a preference is between two completions")
        return self


class FeedbackAccepted(Message):
    """An event counted once, beside the completion it speaks of."""

    event: FeedbackEvent
    completion: CompletionServed


class DeadFeedback(Message):
    """An event set aside, with what a person needs to find, mend and replay it."""

    tenant: TenantName | Literal["_unknown"] = DEFAULT_TENANT
    reason: str
    detail: str
    step: str
    field: str | None = None
    topic: str
    partition: int
    offset: int
    position: int  # within the record, which may carry a list
    payload: str  # as received, shortened to MAX_TEXT characters
    set_aside_at: Moment


class Position(Value):
    """Where an event was read: unique in a cluster."""

    topic: str
    partition: int
    offset: int
    position: int
