"""All that a stream step may answer: a bad event is a value, not an exception."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Ok(Generic[T]):
    """Go on with this value."""

    value: T


@dataclass(frozen=True, slots=True)
class Drop:
    """Lost on purpose, and counted."""

    reason: str


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """Set aside for a person: `reason` is a short code to count by, `detail` the sentence, `field` where."""

    reason: str
    detail: str
    step: str
    field: str | None = None


Result = Ok[T] | Drop | DeadLetter
