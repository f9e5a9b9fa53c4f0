"""A completion with all that is known of it: the row that snapshots are made of."""

from __future__ import annotations

from pydantic import AwareDatetime, Field

from matrix.messages.base import Message, Value
from matrix.messages.completion import ChatMessage, Digest, PolicyName


class ScoredSample(Message):
    """One completion scored on the matrix; a later `label_version` of the same completion replaces an earlier."""

    completion_id: str
    policy: PolicyName
    adapter_digest: Digest
    user_id: str | None = None
    slice: str
    prompt: tuple[ChatMessage, ...]
    completion: str
    satisfaction: float | None = Field(default=None, ge=0, le=1)  # P(satisfied); None without feedback
    reported: bool = False
    scores: dict[str, float | None]  # per dimension, on its declared range; None where it does not apply
    label_version: int = 1
    served_at: AwareDatetime


class Shard(Value):
    """One file of a snapshot: canonical JSON lines of ScoredSample, ordered by completion id."""

    name: str
    sha256: Digest
    rows: int = Field(gt=0)


class SnapshotManifest(Message):
    """Frozen training input. Written last: its presence means that every shard arrived."""

    policy: PolicyName
    shards: tuple[Shard, ...] = Field(min_length=1)
    rows: int = Field(gt=0)
    reason: str  # why it was due, in words
    matrix_sha256: Digest
    risks: dict[str, float] = Field(default_factory=dict)  # "dimension×slice" -> risk when it was cut
    cut_at: AwareDatetime


class RiskEscalated(Message):
    """A cell's risk crossed its limit."""

    dimension: str
    slice: str
    risk: float = Field(ge=0, le=1)
    upper_bound: float = Field(ge=0, le=1)  # one-sided 95 % on the incident rate
    exposures: float = Field(ge=0)
    incidents: float = Field(ge=0)
    at: AwareDatetime
