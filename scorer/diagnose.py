"""From rows of two windows to what changed, where, and why: matrix/alignment/diagnosis.py on a file's rewards."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from matrix.alignment.diagnosis import Diagnosis, Window, diagnose
from matrix.alignment.dimensions import Matrix
from matrix.errors import InvalidInput
from scorer.weigh import Rewarded, rewarded

EVERYTHING = "all"  # the slice of a row that names none


@dataclass(frozen=True, slots=True)
class Sliced:
    """One completion's rewards with the slice that its prompt belongs to."""

    rewarded: Rewarded
    slice: str
    scorer: str


def sliced(line: int, value: Any, matrix: Matrix) -> Sliced:
    """A row as it was read; InvalidInput names the field that does not fit."""
    row = rewarded(line, value, matrix)
    named = value.get("slice", EVERYTHING)
    scorer = value.get("scorer", "")
    for name, told in (("slice", named), ("scorer", scorer)):
        if not isinstance(told, str):
            raise InvalidInput(field=name, value="", remedy="expected text")
    return Sliced(row, named, scorer)


def changes(before: Iterable[Sliced], after: Iterable[Sliced], matrix: Matrix) -> list[dict[str, Any]]:
    """A row for each dimension that both windows have values of, the largest change within slices first."""
    old, new = list(before), list(after)
    found = []
    for index, spec in enumerate(matrix.dimensions):
        told = diagnose(_window(old, matrix, index), _window(new, matrix, index), spec.category)
        if told is not None:
            found.append(_row(spec.name, told))
    return sorted(found, key=lambda row: (-abs(row["within"]["value"]), row["dimension"]))


def _window(rows: Iterable[Sliced], matrix: Matrix, index: int) -> Window:
    spec = matrix.dimensions[index]
    prompts: dict[tuple[str, str], list[float]] = {}
    scorers = set()
    for row in rows:
        value = row.rewarded.rewards[spec.name]
        if value is not None:
            # A prompt without an id stands for itself alone.
            key = row.slice, row.rewarded.prompt_id or f"sample {row.rewarded.sample_id}"
            prompts.setdefault(key, []).append(spec.unit(value))
            scorers.add(row.scorer)
    values = tuple(sum(group) / len(group) for group in prompts.values())
    return Window(values, tuple(slice_ for slice_, _ in prompts), " and ".join(sorted(scorers)))


def _row(dimension: str, told: Diagnosis) -> dict[str, Any]:
    row: Mapping[str, Any] = asdict(told)
    return {"dimension": dimension, **row}
