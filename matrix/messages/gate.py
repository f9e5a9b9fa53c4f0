"""The gate's findings, and what follows from people's decisions."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from pydantic import AwareDatetime, Field, model_validator

from matrix.digests import digest_json
from matrix.messages.base import Message, Value
from matrix.messages.completion import Digest, PolicyName

MOST_SPLIT = 0.99  # share of an alias's conversations that its splits may take together


class Verdict(StrEnum):
    """What the gate found; only PASS may be promoted."""

    PASS = "pass"
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"
    INVALID = "invalid"


class Finding(Value):
    """One rule on one cell. `difference`, `low`, `high` are on the dimension's unit scale; higher is better for the
    candidate. For rule `floor` they are the violation rate and its interval; lower is better."""

    dimension: str
    slice: str
    kind: Literal["soft", "hard"]
    rule: Literal["floor", "champion", "anchor", "superiority"]
    n: int
    difference: float | None
    low: float | None
    high: float | None
    limit: float  # what `low` (or `high` for floor) is held against
    passed: bool
    reason: str

    @property
    def cell(self) -> str:
        """`dimension×slice`."""
        return f"{self.dimension}×{self.slice}"


class GateReport(Message):
    """A verdict with every finding behind it; pure function of an evaluation and the matrix."""

    policy: PolicyName
    candidate: Digest
    champion: Digest
    anchor: Digest
    evaluation_sha256: Digest
    matrix_sha256: Digest
    prompts_sha256: Digest | Literal[""] = ""  # of the gate prompts behind the evaluation
    knowledge_sha256: Digest | Literal[""] = ""  # of what its scorers knew
    verdict: Verdict
    reasons: tuple[str, ...]
    findings: tuple[Finding, ...]

    def digest(self) -> str:
        """What an approval names."""
        return digest_json(self.model_dump(mode="json"))

    def failed_cells(self) -> tuple[str, ...]:
        """Cells with a failed finding, in order, once each; superiority is a rule of the whole and left out."""
        return tuple(dict.fromkeys(f.cell for f in self.findings if not f.passed and f.rule != "superiority"))


class VersionPromoted(Message):
    """The champion alias moved: forward by a promotion, back by a rollback."""

    policy: PolicyName
    version: int
    adapter_digest: Digest
    previous_digest: Digest
    actor: str
    action: Literal["promote", "rollback"]
    at: AwareDatetime


class Split(Value):
    """Another adapter that serves a share of an alias's conversations."""

    version: int
    served_name: str  # the model name at the policy server
    adapter_digest: Digest
    share: float = Field(gt=0, lt=1)


class RouteChanged(Message):
    """Where `policy@alias` leads; compacted by `policy@alias`, so that gateways rebuild their table from it.

    The adapter it names serves what its splits leave. Their order is part of the rule by which conversations are
    shared out (ingest.splits): a split keeps its place while it lasts, and a new one comes last.
    """

    policy: PolicyName
    alias: str
    version: int
    served_name: str  # the model name at the policy server
    adapter_digest: Digest
    at: AwareDatetime
    splits: tuple[Split, ...] = ()

    @model_validator(mode="after")
    def _leaves_a_share(self) -> RouteChanged:
        digests = [self.adapter_digest, *(split.adapter_digest for split in self.splits)]
        if len(set(digests)) < len(digests):
            raise ValueError("splits: every adapter stands once in a route")
        if sum(split.share for split in self.splits) > MOST_SPLIT + 1e-9:
            raise ValueError(
                f"splits: {MOST_SPLIT} of the conversations at most; to serve nothing else, move the alias"
            )
        return self
