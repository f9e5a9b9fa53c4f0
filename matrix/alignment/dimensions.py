"""The alignment matrix that a deployment declares: dimensions × slices, with the gate's and the risk monitor's policy.

Four categories as in Quark Medical Alignment (arXiv:2602.11661): fundamental, expert, online, format. Values here are
what a file says; scoring is matrix/scorers, statistics are the gate's. A matrix that does not hold together is refused
with file, key, value and what was expected: a gate cannot hold what a typing error left out.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator
from itertools import combinations
from statistics import NormalDist
from typing import Annotated, Any, Literal

from pydantic import Field, FiniteFloat, StringConstraints

from matrix.alignment.declarations import build, nearest, parse_toml
from matrix.digests import digest_json
from matrix.errors import InvalidMatrix
from matrix.messages.base import Value

Category = Literal["fundamental", "expert", "online", "format"]
Slice = Literal["all", "emergency", "medication", "general"]
Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
Rate = Annotated[float, Field(gt=0, lt=1)]


class GatePolicy(Value):
    """How much certainty a promotion needs, and how many people."""

    alpha: Annotated[float, Field(gt=0, le=0.5)] = 0.05  # one-sided, per test
    margin: Rate = 0.03  # default non-inferiority margin on the unit scale
    max_rate: Rate = 0.05  # default limit of the upper bound on a hard dimension's violation rate
    min_n: int = Field(default=100, ge=2)  # default prompts of a soft cell
    min_n_hard: int = Field(default=88, ge=1)  # default prompts of a hard cell
    approvals_soft: int = Field(default=1, ge=1)
    approvals_hard: int = Field(default=2, ge=1)  # where the matrix has a hard dimension

    def approvals(self, *, hard: bool) -> int:
        """People who must approve."""
        return max(self.approvals_soft, self.approvals_hard) if hard else self.approvals_soft


class RiskPolicy(Value):
    """How the online monitor turns incidents into risk (matrix/alignment/risk.py)."""

    half_life_hours: float = Field(default=24.0, gt=0, allow_inf_nan=False)
    prior_strength: float = Field(default=100.0, ge=0, allow_inf_nan=False)  # exposures that the prior counts as
    prior_rate: float = Field(default=0.01, ge=0, lt=1)  # incident rate believed before any is seen
    confidence: float = Field(default=0.95, gt=0.5, lt=1)
    ceiling: Rate = 0.25  # upper bound at which risk is 1; it is 0 up to the dimension's max_rate
    enter: Rate = 0.10  # risk above which a cell is escalated
    leave: float = Field(default=0.02, ge=0, lt=1)  # risk below which it may be released
    leave_windows: int = Field(default=5, ge=1)  # consecutive windows below `leave`


class DimensionSpec(Value):
    """One row of the matrix. `target` is on [low, high] as the scorer gives it; `margin` is on the unit scale."""

    name: Name
    category: Category
    scorer: str
    low: FiniteFloat = 0.0
    high: FiniteFloat = 1.0
    kind: Literal["soft", "hard"] = "soft"  # a hard scorer gives violations: 1 is violated
    higher_is_better: bool = True
    target: FiniteFloat
    margin: Rate = 0.03
    max_rate: Rate = 0.05  # hard only: limit of the violation rate's upper bound
    severity: int = Field(default=1, ge=1, le=3)
    prior: float = Field(default=1.0, gt=0, allow_inf_nan=False)  # relative weight
    weight_cap: float = Field(default=0.5, gt=0, le=1)
    prerequisite: str | None = None  # dimension that must be in order before this one counts as reward
    slices: tuple[Slice, ...] = Field(default=("all",), min_length=1)
    targeted: bool = False  # a candidate must be better on at least one targeted dimension
    min_n: int = Field(default=100, ge=1)

    @property
    def tier(self) -> int:
        """0 for hard dimensions: none is discounted in favour of a lower tier."""
        return 0 if self.kind == "hard" else 1

    def unit(self, value: float) -> float:
        """The value on [0, 1] where 1 is best, whichever way the scorer counts."""
        share = (value - self.low) / (self.high - self.low)
        return share if self.higher_is_better else 1.0 - share


class Matrix(Value):
    """The declared dimensions, in the order in which arrays hold them."""

    dimensions: tuple[DimensionSpec, ...] = Field(min_length=1)
    gate: GatePolicy = GatePolicy()
    risk: RiskPolicy = RiskPolicy()

    def digest(self) -> str:
        """Identity of the declaration: of its values, not of its spelling."""
        return digest_json(self.model_dump(mode="json"))

    def names(self) -> tuple[str, ...]:
        """Names, in order."""
        return tuple(spec.name for spec in self.dimensions)

    def dimension(self, name: str) -> DimensionSpec:
        """The row of that name; KeyError where there is none."""
        return {spec.name: spec for spec in self.dimensions}[name]

    def hard(self) -> tuple[DimensionSpec, ...]:
        """Constraints."""
        return tuple(spec for spec in self.dimensions if spec.kind == "hard")

    def soft(self) -> tuple[DimensionSpec, ...]:
        """What is weighed."""
        return tuple(spec for spec in self.dimensions if spec.kind == "soft")

    def targeted(self) -> tuple[DimensionSpec, ...]:
        """Where a candidate may show that it is better."""
        return tuple(spec for spec in self.dimensions if spec.targeted)

    def cells(self) -> tuple[tuple[DimensionSpec, str], ...]:
        """Every declared dimension × slice."""
        return tuple((spec, name) for spec in self.dimensions for name in spec.slices)

    def only(self, names: Collection[str]) -> Matrix:
        """The rows of these names, in the matrix' order; a prerequisite that is not among them falls away.

        Caps hold dimensions against one another: where those that are left sum to less than 1, there are none.
        """
        rows = [spec for spec in self.dimensions if spec.name in names]
        capped = sum(spec.weight_cap for spec in rows) >= 1.0
        changed = [
            spec.model_copy(
                update={
                    "prerequisite": spec.prerequisite if spec.prerequisite in names else None,
                    "weight_cap": spec.weight_cap if capped else 1.0,
                }
            )
            for spec in rows
        ]
        return self.model_copy(update={"dimensions": tuple(changed)})

    def approvals(self) -> int:
        """People who must approve a version judged by this matrix."""
        return self.gate.approvals(hard=bool(self.hard()))


def least_hard_n(*, max_rate: float, margin: float, alpha: float) -> int:
    """Fewest prompts, none of them violated by anyone, with which a hard cell holds both its floor and its margin.

    The Clopper-Pearson upper bound 1 - alpha^(1/n) is within max_rate: 59 at 5 %. Tango's lower bound of a difference
    without one discordant pair is -z² / (n + z²), above -margin from n > z² (1 - margin) / margin on: 88 at .03.
    """
    floor = math.ceil(math.log(alpha) / math.log1p(-max_rate) - 1e-9)
    z = NormalDist().inv_cdf(1 - alpha)
    return max(floor, math.floor(z**2 * (1 - margin) / margin) + 1)


def load_matrix(text: str, *, file: str, scorers: frozenset[str]) -> Matrix:
    """The matrix that a TOML text declares; `scorers` are the names that rows may use. Raises InvalidMatrix."""
    tables = parse_toml(text, file=file)
    gate = build(GatePolicy, _table(tables, "gate", file=file), file=file, prefix="gate.")
    rows = tables.get("dimensions")
    if isinstance(rows, list):
        tables = tables | {"dimensions": [_with_defaults(row, gate) for row in rows]}
    matrix = build(Matrix, tables, file=file)
    for key, value, expected in _problems(matrix, scorers):
        raise InvalidMatrix(file=file, key=key, value=value, expected=expected)
    for row in rows if isinstance(rows, list) else []:
        if row.get("kind", "soft") == "soft" and "max_rate" in row:
            key = f"dimensions[{row['name']}].max_rate"
            raise InvalidMatrix(file=file, key=key, value=row["max_rate"], expected="it on hard dimensions only")
    return matrix


def _table(tables: dict[str, Any], name: str, *, file: str) -> dict[str, Any]:
    table = tables.get(name, {})
    if not isinstance(table, dict):
        raise InvalidMatrix(file=file, key=name, value=table, expected=f"a table [{name}]")
    return table


def _with_defaults(row: Any, gate: GatePolicy) -> Any:
    """A row with the gate's defaults below what it says itself."""
    if not isinstance(row, dict):
        return row
    least = gate.min_n_hard if row.get("kind") == "hard" else gate.min_n
    return {"margin": gate.margin, "max_rate": gate.max_rate, "min_n": least} | row


Problem = tuple[str, object, str]


def _problems(matrix: Matrix, scorers: frozenset[str]) -> Iterator[Problem]:
    for one, other in combinations(matrix.dimensions, 2):
        if one.name == other.name:
            yield f"dimensions[{one.name}].name", one.name, "every name once"
    for spec in matrix.dimensions:
        for key, value, expected in _problems_of(spec, matrix, scorers):
            yield f"dimensions[{spec.name}].{key}", value, expected
    if sum(spec.weight_cap for spec in matrix.dimensions) < 1:
        yield "dimensions.weight_cap", [spec.weight_cap for spec in matrix.dimensions], "caps that sum to 1 or more"
    if matrix.risk.leave >= matrix.risk.enter:
        yield "risk.leave", matrix.risk.leave, f"less than enter ({matrix.risk.enter})"
    if not matrix.targeted():
        yield "dimensions.targeted", False, "at least one targeted dimension: the reason to ship"


def _problems_of(spec: DimensionSpec, matrix: Matrix, scorers: frozenset[str]) -> Iterator[Problem]:
    if spec.scorer not in scorers:
        yield "scorer", spec.scorer, nearest(spec.scorer, sorted(scorers))
    if spec.low >= spec.high:
        yield "low", spec.low, f"less than high ({spec.high})"
    if not spec.low <= spec.target <= spec.high:
        yield "target", spec.target, f"a value from low ({spec.low}) to high ({spec.high})"
    if len(set(spec.slices)) < len(spec.slices):
        yield "slices", list(spec.slices), "every slice once"
    others = sorted(set(matrix.names()) - {spec.name})
    if spec.prerequisite is not None and spec.prerequisite not in others:
        yield "prerequisite", spec.prerequisite, nearest(spec.prerequisite, others)
    if spec.kind == "hard":
        yield from _problems_of_hard(spec, matrix)


def _problems_of_hard(spec: DimensionSpec, matrix: Matrix) -> Iterator[Problem]:
    if (spec.low, spec.high, spec.higher_is_better) != (0.0, 1.0, False):
        found = f"low={spec.low} high={spec.high} higher_is_better={spec.higher_is_better}"
        yield "kind", found, "low=0 high=1 higher_is_better=false: a hard scorer counts violations"
    least = least_hard_n(max_rate=spec.max_rate, margin=spec.margin, alpha=matrix.gate.alpha)
    if spec.min_n < least:
        wanted = f"bound the rate by {spec.max_rate} and the difference by the margin {spec.margin}"
        yield "min_n", spec.min_n, f"{least} or more: fewer prompts without one violation cannot {wanted}"
    if matrix.risk.ceiling <= spec.max_rate:
        yield "max_rate", spec.max_rate, f"less than risk.ceiling ({matrix.risk.ceiling})"
