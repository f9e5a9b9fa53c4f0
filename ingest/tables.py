"""Rows of ingest. `deliveries` is what makes counting exact: one row for every event read from the feedback topic."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, Column, DateTime, Index, Integer, Text
from sqlmodel import Field, SQLModel

SCHEMA = "ingest"


class CompletionRow(SQLModel, table=True):
    """A completion as it was served; the first body of an id stands."""

    __tablename__ = "completions"
    __table_args__ = {"schema": SCHEMA}

    completion_id: str = Field(primary_key=True)
    policy: str
    adapter_digest: str
    body: str = Field(sa_column=Column(Text, nullable=False))
    fingerprint: str
    served_at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))


class FeedbackRow(SQLModel, table=True):
    """A distinct event; `reason` says why a dead one died."""

    __tablename__ = "feedback"
    __table_args__ = (
        Index("ix_feedback_completion_id_state", "completion_id", "state"),
        Index("ix_feedback_state_received_at", "state", "received_at"),
        {"schema": SCHEMA},
    )

    event_id: str = Field(primary_key=True)
    completion_id: str
    kind: str
    body: str = Field(sa_column=Column(Text, nullable=False))
    fingerprint: str
    state: str
    reason: str | None = None
    topic: str  # where it was first read
    partition: int
    offset: int = Field(sa_column=Column(BigInteger, nullable=False))
    position: int
    received_at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))


class DeliveryRow(SQLModel, table=True):
    """One event as it lay in Kafka and what it turned out to be; read again, it finds its row and changes nothing."""

    __tablename__ = "deliveries"
    __table_args__ = {"schema": SCHEMA}

    topic: str = Field(primary_key=True)
    partition: int = Field(sa_column=Column(Integer, primary_key=True))
    offset: int = Field(sa_column=Column(BigInteger, primary_key=True))
    position: int = Field(sa_column=Column(Integer, primary_key=True))
    payload_sha256: str = Field(primary_key=True)  # a position names an event only as long as its cluster lives
    outcome: str  # first, duplicate or dead
    event_id: str | None = None


class DeadLetterRow(SQLModel, table=True):
    """An event or completion set aside, with what a person needs to find and mend it."""

    __tablename__ = "dead_letters"
    __table_args__ = (Index("ix_dead_letters_topic_reason", "topic", "reason"), {"schema": SCHEMA})

    topic: str = Field(primary_key=True)
    partition: int = Field(sa_column=Column(Integer, primary_key=True))
    offset: int = Field(sa_column=Column(BigInteger, primary_key=True))
    position: int = Field(sa_column=Column(Integer, primary_key=True))
    payload_sha256: str = Field(primary_key=True)
    reason: str
    detail: str = Field(sa_column=Column(Text, nullable=False))
    step: str
    field: str | None = None
    payload: str = Field(sa_column=Column(Text, nullable=False))
    set_aside_at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))
