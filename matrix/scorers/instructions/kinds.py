"""The table of verifiable instructions: the 25 kinds of IFEval (arXiv:2311.07911), under its names and arguments.

Each is written here from the paper's description. Beyond it: relations "at most", "more than" and "exactly", paragraphs
parted by empty lines, options to choose from, and None where a rule cannot decide a language.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from matrix.errors import InvalidInput
from matrix.messages.base import Value
from matrix.scorers.instructions import edges, keywords, language, layout, lengths
from matrix.scorers.instructions.kind import Kind
from matrix.validation import first_finding

KINDS: dict[str, Kind[Any]] = {
    **keywords.KINDS,
    **language.KINDS,
    **lengths.KINDS,
    **layout.KINDS,
    **edges.KINDS,
}


@dataclass(frozen=True, slots=True)
class Instruction:
    """One thing to be followed; made by `instruction`."""

    kind: str
    arguments: Value

    def described(self) -> str:
        """In words."""
        told = ", ".join(f"{value}" for value in self.arguments.model_dump(mode="json").values() if value is not None)
        name = self.kind.split(":")[-1].replace("_", " ")
        return f"{name} ({told[:60]})" if told else name


def instruction(kind: str, arguments: Mapping[str, object] | None = None) -> Instruction:
    """Of a kind of the table; arguments that are None count as not given. Raises InvalidInput."""
    if kind not in KINDS:
        raise InvalidInput(field="instruction", value=kind, remedy=f"one of {', '.join(sorted(KINDS))}")
    given = {name: value for name, value in (arguments or {}).items() if value is not None}
    try:
        return Instruction(kind, KINDS[kind].arguments.model_validate(given))
    except ValidationError as error:
        found = first_finding(error)
        field = ".".join(map(str, (kind, *found.place)))
        raise InvalidInput(field=field, value=found.value, remedy=found.rule) from None


def follows(wanted: Instruction, completion: str, *, loose: bool = False) -> bool | None:
    """Whether the completion does as told; an empty one never does, None where a rule cannot decide.

    `loose` is IFEval's second reading: also right where it is without its first line, its last or both, or without
    asterisks, so that "Sure, here it is:" and bold type are forgiven.
    """
    check = KINDS[wanted.kind].follows
    strict = check(completion, wanted.arguments) if completion.strip() else False
    if loose and not strict and any(check(text, wanted.arguments) for text in _readings(completion)):
        return True
    return strict


def _readings(completion: str) -> Iterator[str]:
    """All but the text itself; none that is empty."""
    lines = completion.strip().split("\n")
    cut = [lines, lines[1:], lines[:-1], lines[1:-1]]
    texts = ["\n".join(kept).strip() for kept in cut]
    yield from (text for text in [*texts, *(text.replace("*", "") for text in texts)] if text.strip())
