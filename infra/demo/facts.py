"""What a told story leaves behind: the facts that its report and its JSON answer are made of. Values only."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from infra.demo.timeline import Step
from matrix.messages.gate import GateReport


@dataclass(frozen=True, slots=True)
class Counts:
    """The gateway's reconciliation of feedback."""

    received: int
    accepted: int
    duplicate: int
    dead: int
    pending: int
    by_reason: dict[str, int] = field(default_factory=dict)  # dead letters by reason

    def settled(self) -> bool:
        """Every event is accounted for exactly once and none is waiting."""
        return self.pending == 0 and self.received == self.accepted + self.duplicate + self.dead


@dataclass(frozen=True, slots=True)
class Judged:
    """A completion of a gate prompt, with the names of the scorers that objected to it."""

    completion: str
    objections: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SideBySide:
    """One gate prompt as the base model and both candidates complete it."""

    prompt: str
    slice: str
    base: Judged
    run_a: Judged
    run_b: Judged


@dataclass(frozen=True, slots=True)
class Trial:
    """A run, from the recipe to the gate's word on its adapter."""

    label: str  # "A" or "B"
    recipe: str
    version: int
    digest: str
    author: str
    report: GateReport
    evaluation_uri: str  # the numbers that the report judged
    run_id: str
    train_s: float  # from the order to the candidate's version
    gate_s: float  # from the version to the gate's report


@dataclass(frozen=True, slots=True)
class RiskPoint:
    """A cell's risk at a moment."""

    cell: str
    at: datetime
    risk: float
    upper_bound: float  # one-sided 95 % on the incident rate


@dataclass(frozen=True, slots=True)
class SatisfactionRow:
    """Mean satisfaction of one policy on the gate's prompts: as learned, and as the simulator alone knows it."""

    policy: str
    n: int
    learned: float
    truth: float


@dataclass(frozen=True, slots=True)
class Served:
    """A move of the champion alias, and the proof of what is served since."""

    action: str  # promote or rollback
    version: int
    digest: str
    seconds: float
    proof: dict[str, Any]
    actor: str


@dataclass(frozen=True, slots=True)
class BeforeAfter:
    """One patient's question, asked of the champion before the promotion, after it, and after the rollback."""

    question: str
    before: str
    after: str
    after_rollback: str


@dataclass(frozen=True, slots=True)
class AuditRow:
    """One act in the audit log."""

    at: str
    actor: str
    action: str
    subject: str
    detail: str


@dataclass(frozen=True, slots=True)
class Facts:
    """The whole story."""

    seed: int
    patients: int
    base_digest: str
    completions: int
    sent: dict[str, int]  # events acknowledged by the gateway, by kind
    irregular: dict[str, int]  # early, late, repeated, refused, malformed on Kafka, on unknown completions
    counts: Counts
    snapshot_uri: str
    snapshot_rows: int
    snapshot_reason: str
    risks: tuple[RiskPoint, ...]
    run_a: Trial
    run_b: Trial
    approvers: tuple[str, ...]
    refused_approval: str  # what the author of the candidate was told
    promoted: Served
    rolled_back: Served
    question: BeforeAfter
    answers: tuple[SideBySide, ...]
    satisfaction: tuple[SatisfactionRow, ...]
    weighings: tuple[dict[str, Any], ...]  # run B's updates of its weights, as `plumbline trainer weights` tells them
    audit: tuple[AuditRow, ...]
    audit_chain: str  # whether the log's hash chain holds, in the registry's words
    steps: tuple[Step, ...]

    def answer(self, *, report: str) -> dict[str, Any]:
        """The JSON object that `plumbline demo --json` prints."""
        return {
            "refused": {"cells": list(self.run_a.report.failed_cells())},
            "promoted": {"digest": self.promoted.digest, "approvers": list(self.approvers)},
            "rolled_back": {"to": self.rolled_back.digest, "seconds": round(self.rolled_back.seconds, 3)},
            "events": {
                "received": self.counts.received,
                "accepted": self.counts.accepted,
                "duplicate": self.counts.duplicate,
                "dead": self.counts.dead,
            },
            "seed": self.seed,
            "seconds": round(sum(step.seconds for step in self.steps), 1),
            "steps": {step.name: round(step.seconds, 1) for step in self.steps},
            "report": report,
            "satisfaction_truth": {row.policy: round(row.truth, 4) for row in self.satisfaction},
        }
