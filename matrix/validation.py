"""What pydantic found wrong, as a field and the rule it breaks.

A validator of a whole model has no place of its own and names the field in its words: "value: a thumb is true or
false". Left out: how a field is called by whoever sent it; that is its reader's business.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from pydantic import ValidationError

Place = tuple[str | int, ...]


class Finding(NamedTuple):
    """The first rule that a value breaks."""

    place: Place  # from the outermost field inwards; empty where it is the whole
    rule: str
    kind: str  # pydantic's name of the rule
    value: object  # what is there; None where the rule is of the whole


def first_finding(error: ValidationError) -> Finding:
    """Of several, pydantic tells the outermost field's first."""
    first = error.errors(include_url=False, include_context=False)[0]
    place, rule = named(first["loc"], first["msg"])
    return Finding(place, rule, first["type"], first["input"] if first["loc"] else None)


def named(place: Sequence[str | int], message: str) -> tuple[Place, str]:
    """Place and rule of one finding, the place from the message's words where it has no other."""
    rule = message.removeprefix("Value error, ")
    if not place and ": " in rule:
        field, rule = rule.split(": ", 1)
        return (field,), rule
    return tuple(place), rule
