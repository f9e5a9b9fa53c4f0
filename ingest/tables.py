"""Rows of ingest. Ids are unique within a tenant, so every key begins with one.

`deliveries` is what makes counting exact: one row for every event read from the feedback topic. What retention
deletes goes on counting in `pruned_counts`. Block-range indexes on `received_at` cost next to nothing to keep, since
rows enter in the order of time, and make the sweep that deletes cheap.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, Column, DateTime, Float, Index, Integer, Text
from sqlmodel import Field, SQLModel

SCHEMA = "ingest"


def _moment() -> Column[datetime]:
    return Column(DateTime(timezone=True), nullable=False)


def _by_age(table: str) -> Index:
    return Index(f"ix_{table}_received_at", "received_at", postgresql_using="brin")


class CompletionRow(SQLModel, table=True):
    """A completion as it was served; the first body of an id stands."""

    __tablename__ = "completions"
    __table_args__ = (_by_age("completions"), {"schema": SCHEMA})

    tenant: str = Field(primary_key=True)
    completion_id: str = Field(primary_key=True)
    policy: str
    adapter_digest: str
    body: str = Field(sa_column=Column(Text, nullable=False))
    fingerprint: str
    served_at: datetime = Field(sa_column=_moment())
    received_at: datetime = Field(sa_column=_moment())


class FeedbackRow(SQLModel, table=True):
    """A distinct event; `reason` says why a dead one died."""

    __tablename__ = "feedback"
    __table_args__ = (
        Index("ix_feedback_tenant_completion_id_state", "tenant", "completion_id", "state"),
        Index("ix_feedback_state_received_at", "state", "received_at"),
        _by_age("feedback"),
        {"schema": SCHEMA},
    )

    tenant: str = Field(primary_key=True)
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
    payload_sha256: str
    received_at: datetime = Field(sa_column=_moment())


class DeliveryRow(SQLModel, table=True):
    """One event as it lay in Kafka and what it turned out to be; read again, it finds its row and changes nothing."""

    __tablename__ = "deliveries"
    __table_args__ = (_by_age("deliveries"), {"schema": SCHEMA})

    topic: str = Field(primary_key=True)
    partition: int = Field(sa_column=Column(Integer, primary_key=True))
    offset: int = Field(sa_column=Column(BigInteger, primary_key=True))
    position: int = Field(sa_column=Column(Integer, primary_key=True))
    payload_sha256: str = Field(primary_key=True)  # a position names an event only as long as its cluster lives
    tenant: str
    outcome: str  # first, duplicate or dead
    event_id: str | None = None
    received_at: datetime = Field(sa_column=_moment())


class DeadLetterRow(SQLModel, table=True):
    """An event or completion set aside, with what a person needs to find and mend it."""

    __tablename__ = "dead_letters"
    __table_args__ = (
        Index("ix_dead_letters_tenant_reason", "tenant", "reason"),
        Index("ix_dead_letters_letter_id", "letter_id"),
        Index("ix_dead_letters_tenant_event_id", "tenant", "event_id"),
        _by_age("dead_letters"),
        {"schema": SCHEMA},
    )

    topic: str = Field(primary_key=True)
    partition: int = Field(sa_column=Column(Integer, primary_key=True))
    offset: int = Field(sa_column=Column(BigInteger, primary_key=True))
    position: int = Field(sa_column=Column(Integer, primary_key=True))
    payload_sha256: str = Field(primary_key=True)
    letter_id: str  # what people name it by: a digest of the key
    tenant: str
    event_id: str | None = None  # where it could be read
    reason: str
    detail: str = Field(sa_column=Column(Text, nullable=False))
    step: str
    field: str | None = None
    payload: str = Field(sa_column=Column(Text, nullable=False))
    whole: bool  # False where the payload was shortened or withheld: such a letter cannot be replayed
    state: str  # waiting, replayed or dropped
    handled_by: str | None = None
    handled_at: datetime | None = Field(default=None, sa_column=Column(DateTime(timezone=True)))
    received_at: datetime = Field(sa_column=_moment())  # of the event; a letter may come later
    set_aside_at: datetime = Field(sa_column=_moment())


class TenantRow(SQLModel, table=True):
    """What a deployment declares of a tenant; a tenant without a row has the defaults."""

    __tablename__ = "tenants"
    __table_args__ = {"schema": SCHEMA}

    tenant: str = Field(primary_key=True)
    retention_days: int | None = None  # None keeps for ever
    rate_per_s: float | None = Field(default=None, sa_column=Column(Float))  # None: the gateway's own limit
    changed_at: datetime = Field(sa_column=_moment())


class PrunedCountRow(SQLModel, table=True):
    """How many rows of a figure retention has deleted: counts are these and the rows that are left."""

    __tablename__ = "pruned_counts"
    __table_args__ = {"schema": SCHEMA}

    tenant: str = Field(primary_key=True)
    name: str = Field(primary_key=True)  # as repository.counts names it
    number: int = Field(sa_column=Column(BigInteger, nullable=False))
