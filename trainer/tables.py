"""Rows of the trainer: runs, and evaluations that were made."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Column, DateTime
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

SCHEMA = "trainer"


class RunRow(SQLModel, table=True):
    """One run: its id is derived from what it is trained on and how, so asking twice is asking once."""

    __tablename__ = "runs"
    __table_args__ = {"schema": SCHEMA}

    run_id: str = Field(primary_key=True)
    policy: str = Field(index=True)
    status: str = Field(index=True)  # matrix.messages.run.RunStatus
    snapshot_uri: str
    snapshot_sha256: str
    recipe_uri: str
    recipe_sha256: str
    recipe_name: str
    author: str  # who asked first
    champion_digest: str | None = None  # None: not looked up yet
    champion_uri: str | None = None  # empty: the base model
    attempt: int = 0
    claimed_by: str | None = None
    lease_until: datetime | None = Field(default=None, sa_column=Column(DateTime(timezone=True)))
    step: int = 0
    steps: int = 0
    figures: dict[str, float] = Field(default_factory=dict, sa_column=Column(JSONB, nullable=False))
    adapter_digest: str | None = None
    adapter_uri: str | None = None
    error: str | None = None
    created_at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))
    started_at: datetime | None = Field(default=None, sa_column=Column(DateTime(timezone=True)))
    ended_at: datetime | None = Field(default=None, sa_column=Column(DateTime(timezone=True)))


class EvaluationRow(SQLModel, table=True):
    """One evaluation: its id is derived from everything that was compared."""

    __tablename__ = "evaluations"
    __table_args__ = {"schema": SCHEMA}

    evaluation_id: str = Field(primary_key=True)
    policy: str
    candidate: str = Field(index=True)
    champion: str
    anchor: str
    evaluation_uri: str
    evaluation_sha256: str
    evaluated_at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))
