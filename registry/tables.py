"""Rows of the registry: versions, aliases, gate reports, what people decided, and the log that only grows."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Column, DateTime, UniqueConstraint
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

SCHEMA = "registry"


class VersionRow(SQLModel, table=True):
    """A numbered adapter of a policy; number 0 is the base model without one."""

    __tablename__ = "versions"
    __table_args__ = (UniqueConstraint("policy", "adapter_digest"), {"schema": SCHEMA})

    policy: str = Field(primary_key=True)
    number: int = Field(primary_key=True)
    name: str  # under which policy servers know it
    adapter_digest: str
    adapter_uri: str  # "" for the base model
    run_id: str
    author: str
    snapshot_uri: str
    snapshot_sha256: str
    recipe_sha256: str
    status: str
    created_at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))


class AliasRow(SQLModel, table=True):
    """A name that points at a version: champion, candidate, previous, anchor."""

    __tablename__ = "aliases"
    __table_args__ = {"schema": SCHEMA}

    policy: str = Field(primary_key=True)
    alias: str = Field(primary_key=True)
    number: int
    moved_at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))


class EvaluationRequestRow(SQLModel, table=True):
    """An evaluation that was asked for: what its numbers must have compared. The newest of a version counts."""

    __tablename__ = "evaluation_requests"
    __table_args__ = {"schema": SCHEMA}

    policy: str = Field(primary_key=True)
    number: int = Field(primary_key=True)
    sequence: int = Field(primary_key=True)
    adapter_digest: str
    champion_digest: str
    anchor_digest: str
    prompts_uri: str
    prompts_sha256: str
    knowledge_sha256: str
    snapshot_uri: str
    asked_at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))


class GateReportRow(SQLModel, table=True):
    """A verdict on a version; a version judged again has several, the newest stands."""

    __tablename__ = "gate_reports"
    __table_args__ = {"schema": SCHEMA}

    report_digest: str = Field(primary_key=True)
    sequence: int = Field(index=True)  # order in which the reports of a policy came
    policy: str = Field(index=True)
    number: int
    adapter_digest: str = Field(index=True)
    champion_digest: str
    verdict: str
    evaluation_uri: str
    evaluation_sha256: str = Field(index=True)
    report: dict[str, Any] = Field(sa_column=Column(JSONB, nullable=False))
    probe: dict[str, Any] = Field(sa_column=Column(JSONB, nullable=False))
    judged_at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))


class PromotionRequestRow(SQLModel, table=True):
    """A promotion that was asked for, with the digests it names."""

    __tablename__ = "promotion_requests"
    __table_args__ = {"schema": SCHEMA}

    request_id: str = Field(primary_key=True)
    policy: str = Field(index=True)
    number: int
    adapter_digest: str
    report_digest: str
    route: str
    champion_digest: str
    matrix_sha256: str
    prompts_sha256: str
    knowledge_sha256: str
    requester: str
    author: str
    reason: str
    approvals_needed: int
    status: str
    created_at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))


class DecisionRow(SQLModel, table=True):
    """One person's word on a request."""

    __tablename__ = "decisions"
    __table_args__ = {"schema": SCHEMA}

    request_id: str = Field(primary_key=True)
    actor: str = Field(primary_key=True)
    word: str
    reason: str
    adapter_digest: str
    report_digest: str
    route: str
    champion_digest: str
    matrix_sha256: str
    prompts_sha256: str
    knowledge_sha256: str
    decided_at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))


class PromotionRow(SQLModel, table=True):
    """A move of the champion alias that was proven on every policy server."""

    __tablename__ = "promotions"
    __table_args__ = {"schema": SCHEMA}

    promotion_id: str = Field(primary_key=True)  # of a promotion: its request's id
    sequence: int = Field(index=True)
    policy: str = Field(index=True)
    action: str  # promote | rollback
    number: int
    adapter_digest: str
    from_number: int
    actor: str
    proof: dict[str, Any] = Field(sa_column=Column(JSONB, nullable=False))
    seconds: float
    at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))


class AuditRow(SQLModel, table=True):
    """One entry of the hash chain; a trigger refuses to change or delete it."""

    __tablename__ = "audit_entries"
    __table_args__ = {"schema": SCHEMA}

    number: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))
    actor: str
    action: str
    subject: str = Field(index=True)
    detail: dict[str, Any] = Field(sa_column=Column(JSONB, nullable=False))
    previous_hash: str
    hash: str
