"""What a kind of instruction is: the arguments that it takes, and a check of a completion against them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Generic, TypeVar

from pydantic import Field, StringConstraints

from matrix.messages.base import Value

MOST = 100_000  # of anything that is counted: as many as a completion has characters
Count = Annotated[int, Field(ge=0, le=MOST)]
Ordinal = Annotated[int, Field(ge=1, le=MOST)]
Words = Annotated[str, StringConstraints(min_length=1, max_length=MOST, pattern=r"\S")]
WordList = Annotated[tuple[Words, ...], Field(min_length=1, max_length=100)]
Arguments = TypeVar("Arguments", bound=Value)


class Relation(StrEnum):
    """How a count stands to the number asked for; IFEval knows "at least" and "less than"."""

    AT_LEAST = "at least"
    LESS_THAN = "less than"
    AT_MOST = "at most"
    MORE_THAN = "more than"
    EXACTLY = "exactly"

    def holds(self, count: int, wanted: int) -> bool:
        """Whether `count` is as many as that."""
        match self:
            case Relation.AT_LEAST:
                return count >= wanted
            case Relation.LESS_THAN:
                return count < wanted
            case Relation.AT_MOST:
                return count <= wanted
            case Relation.MORE_THAN:
                return count > wanted
            case Relation.EXACTLY:
                return count == wanted


class NoArguments(Value):
    """The kind says it all."""


@dataclass(frozen=True, slots=True)
class Kind(Generic[Arguments]):
    """A row of the table; `follows` answers None where a rule cannot decide."""

    arguments: type[Arguments]
    follows: Callable[[str, Arguments], bool | None]
