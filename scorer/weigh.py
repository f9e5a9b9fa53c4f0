"""The method on rewards of a file: what the trainer does in a run, decided without any server.

A batch is what shares a `step`, else the whole file. The reference policy's rewards come from a file of their own, else
from the first batch, which the answer says. Groups need not be alike in size: what is missing is unknown, not zero.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray

from matrix.alignment.advantages import violations
from matrix.alignment.aggregators import AGGREGATORS, Groups
from matrix.alignment.dimensions import Matrix
from matrix.alignment.method import Judged, Memory, Method, MethodConfig, Peril, named, told_of
from matrix.alignment.normalization import RefStats, alarms, centre, clip_share, fit_ref, ranges, rfn, unit_rewards
from matrix.alignment.spreads import Form
from matrix.errors import InvalidInput
from matrix.scorers import LEARNED

Array = NDArray[np.float64]
SLACK = 1e-9  # of a range's ends


@dataclass(frozen=True, slots=True)
class Rewarded:
    """One completion's rewards, on the declared ranges; a row of the file."""

    prompt_id: str
    sample_id: str
    rewards: Mapping[str, float | None]
    violation: float | None  # None: as the hard dimensions' rewards say
    step: int


@dataclass(frozen=True)
class Batch:
    """Groups of one step, as arrays."""

    step: int
    rows: tuple[tuple[Rewarded, ...], ...]  # by prompt
    unit: Array  # (P, G, N); NaN where a group is smaller than the largest
    violation: Array  # (P, G)


@dataclass(frozen=True)
class Weighed:
    """A batch and what the method made of it."""

    batch: Batch
    before: Array  # (N,) weights before
    memory: Memory
    judged: Judged


def rewarded(line: int, value: Any, matrix: Matrix) -> Rewarded:
    """A row as it was read; InvalidInput names the field that does not fit."""
    rewards = _rewards(value, matrix)
    if "prompt_id" not in value:
        raise InvalidInput(field="prompt_id", value="", remedy="missing: rows of one prompt are a group")
    unknown = next((name for name in rewards if name not in matrix.names()), None)
    if unknown is not None:
        raise InvalidInput(field=f"rewards.{unknown}", value="", remedy=f"one of {', '.join(matrix.names())}")
    numbers = {spec.name: _within(rewards.get(spec.name), spec.name, spec.low, spec.high) for spec in matrix.dimensions}
    violation = _within(value.get("violation"), "violation", 0.0, 1.0)
    step = _number(value.get("step", 0), "step")
    if step is None or not step.is_integer():
        raise InvalidInput(field="step", value="", remedy="a whole number")
    return Rewarded(
        _text(value["prompt_id"], "prompt_id"),
        _text(value.get("sample_id", line), "sample_id"),
        numbers,
        violation,
        int(step),
    )


def rewarded_names(rows: Iterable[Rewarded]) -> set[str]:
    """Dimensions that any row has a value of."""
    return {name for row in rows for name, value in row.rewards.items() if value is not None}


def batches(rows: Iterable[Rewarded], matrix: Matrix) -> list[Batch]:
    """By step and prompt, in order of their first appearance within a step."""
    ordered = sorted(rows, key=lambda row: row.step)
    return [_batch(step, list(members), matrix) for step, members in groupby(ordered, key=lambda row: row.step)]


def reference(batch: Batch, matrix: Matrix, form: Form) -> RefStats:
    """Frozen statistics of a batch that the reference policy wrote."""
    return fit_ref(batch.unit, matrix.names(), form=form)


def weigh(
    found: Sequence[Batch], matrix: Matrix, stats: RefStats, peril: Peril, config: MethodConfig
) -> Iterator[Weighed]:
    """Batch after batch: observed, weighed, judged."""
    method = Method(matrix, stats, config)
    memory, pressure = method.begin(), method.pressure(peril)
    for number, batch in enumerate(found):
        before = memory.weights
        memory = method.reweighed(method.observed(memory, batch.unit), peril, first=number == 0)
        yield Weighed(
            batch, before, memory, method.judged(memory, batch.unit, violation=batch.violation, pressure=pressure)
        )


def combine(
    found: Sequence[Batch], matrix: Matrix, stats: RefStats, peril: Peril, method: str
) -> Iterator[tuple[Batch, Array]]:
    """(P, G) advantages of each batch by another way of combining, a row of AGGREGATORS."""
    aggregate = AGGREGATORS[method]
    low, high = ranges(matrix)
    learned = np.array([spec.scorer in LEARNED for spec in matrix.dimensions])
    for batch in found:
        groups = Groups(
            raw=low + batch.unit * (high - low),
            unit=batch.unit,
            matrix=matrix,
            stats=stats,
            peril=peril,
            verifiable=~learned,
            domain=np.zeros(len(batch.unit), dtype=np.int_),
            violation=batch.violation,
        )
        advantages, aggregate = aggregate(groups)
        yield batch, advantages


def combined_answer(batch: Batch, advantages: Array, matrix: Matrix, stats: RefStats, method: str) -> dict[str, Any]:
    """What a method serves: κ, the covariance of each dimension's Z with its advantages within groups."""
    centred = centre(rfn(batch.unit, stats))
    freedom = max(centred.shape[0] * (centred.shape[1] - 1), 1)
    served = np.einsum("pgn,pg->n", centred, advantages) / freedom
    return {"step": batch.step, "method": method, "kappa": named(matrix.names(), served)}


def combined_rows(batch: Batch, advantages: Array) -> Iterator[dict[str, Any]]:
    """A row for each completion."""
    for p, group in enumerate(batch.rows):
        for g, row in enumerate(group):
            ids = {"step": batch.step, "prompt_id": row.prompt_id, "sample_id": row.sample_id}
            yield ids | {"advantage": float(advantages[p, g])}


def answer(one: Weighed, matrix: Matrix, peril: Peril) -> dict[str, Any]:
    """Weights, their factors, what they serve, and a sentence for each dimension."""
    names, memory = matrix.names(), one.memory
    no_drift = np.zeros(len(names))  # one file tells nothing of how its scorers moved
    return told_of(memory, names) | {
        "step": one.batch.step,
        "shares": named(names, one.judged.shares),
        "kappa": named(names, one.judged.alignment),
        "alarms": [str(alarm) for alarm in alarms(names, clip_share(one.judged.normalised), no_drift)],
        "zero_signal_groups": int(one.judged.advantages.zero_signal.sum()),
        "all_unsafe_groups": int(_all_unsafe(one.batch).sum()),
        "risks": {f"{name}×all": float(risk) for name, risk in zip(names, peril.risk, strict=True) if risk > 0},
        "reasons": dict(zip(names, reasons(one, matrix, peril), strict=True)),
    }


def reasons(one: Weighed, matrix: Matrix, peril: Peril) -> Iterator[str]:
    """Why each weight is what it is, for people."""
    memory, factors = one.memory, one.memory.factors
    for index, spec in enumerate(matrix.dimensions):
        was, now = one.before[index], memory.weights[index]
        went = "rose" if now > was + 5e-4 else "fell" if now < was - 5e-4 else "stayed"
        moved = f"weight {went} from {was:.2f} to {now:.2f}" if went != "stayed" else f"weight stayed at {now:.2f}"
        gap = spec.unit(spec.target) - float(memory.level[index])
        why = [f"{gap:.2f} below target" if gap > 0 else "at its target"]
        if peril.risk[index] > 0:
            why.append(f"risk {peril.risk[index]:.2f}")
        if peril.escalated[index]:
            why.append("escalated: it may not lose weight")
        if factors is not None and factors.redundancy[index] < 1.0 - 1e-9:
            why.append(f"says what others say (counts {factors.redundancy[index]:.2f})")
        if memory.patience.left[index] < 1.0:
            why.append("at its cap without improving: the target is out of reach or the reward says something else")
        if now >= spec.weight_cap - 1e-9:
            why.append(f"at its cap {spec.weight_cap:.2f}")
        yield f"{moved}: {'; '.join(why)}"


def sample_rows(one: Weighed, matrix: Matrix) -> Iterator[dict[str, Any]]:
    """A row for each completion, in the file's order within its prompt."""
    names = matrix.names()
    for p, group in enumerate(one.batch.rows):
        for g, row in enumerate(group):
            z = one.judged.normalised[p, g]
            yield {
                "step": one.batch.step,
                "prompt_id": row.prompt_id,
                "sample_id": row.sample_id,
                "z": {name: None if math.isnan(value) else float(value) for name, value in zip(names, z, strict=True)},
                "advantage": float(one.judged.advantages.values[p, g]),
            }


def _batch(step: int, rows: list[Rewarded], matrix: Matrix) -> Batch:
    groups: dict[str, list[Rewarded]] = {}
    for row in rows:
        groups.setdefault(row.prompt_id, []).append(row)
    largest = max(len(group) for group in groups.values())
    nothing = dict.fromkeys(matrix.names())
    scores = [[row.rewards for row in group] + [nothing] * (largest - len(group)) for group in groups.values()]
    unit = unit_rewards(scores, matrix)
    said = violations(unit, matrix)
    for p, group in enumerate(groups.values()):
        for g, row in enumerate(group):
            said[p, g] = said[p, g] if row.violation is None else row.violation
    return Batch(step, tuple(tuple(group) for group in groups.values()), unit, said)


def _all_unsafe(batch: Batch) -> NDArray[np.bool_]:
    sizes = [len(group) for group in batch.rows]
    return np.array([bool((batch.violation[p, :size] > 0).all()) for p, size in enumerate(sizes)], dtype=np.bool_)


def _rewards(value: Any, matrix: Matrix) -> Mapping[str, Any]:
    """Nested, or in columns of the dimensions' names as a CSV has them."""
    if not isinstance(value, Mapping):
        raise InvalidInput(field="row", value="", remedy="expected an object")
    if "rewards" not in value:
        columns = {name: value[name] for name in matrix.names() if name in value}
        if columns:
            return columns
    if not isinstance(value.get("rewards"), Mapping):
        raise InvalidInput(field="rewards", value="", remedy="expected an object of dimension: number or null")
    return value["rewards"]  # type: ignore[no-any-return]


def _number(value: Any, name: str) -> float | None:
    if value is None or value == "":
        return None
    if isinstance(value, str):  # a CSV cell
        try:
            value = float(value)
        except ValueError:
            raise InvalidInput(field=name, value="", remedy="expected a number or nothing") from None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidInput(field=name, value="", remedy="expected a number or null")
    return float(value)


def _within(given: Any, name: str, low: float, high: float) -> float | None:
    value = _number(given, name)
    if value is None:
        return None
    if not low - SLACK <= value <= high + SLACK:  # NaN and infinite are not
        raise InvalidInput(field=name, value=value, remedy=f"a number from {low:g} to {high:g}, its declared range")
    return float(min(max(value, low), high))


def _text(value: Any, name: str) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise InvalidInput(field=name, value="", remedy="expected text or a whole number")
    return str(value)
