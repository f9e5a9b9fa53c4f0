"""Rows of the scorer. Samples, feedback and risk counts depend on events alone: not on batches, order or the clock.
Their ids are qualified, `tenant/id`, because ids are unique within a tenant only.

Risk is kept as whole numbers per policy, cell and hour of serving. Whole numbers add up alike in any order, and decay
is applied when they are read, so the counts after any redelivery are those of an undisturbed run, to the bit. An hour
is a thirtieth of a weight at the default half-life, and bounds what a reading costs however much has been served.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Column, DateTime, Float, Index, Integer, Text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

SCHEMA = "scorer"


def _moment(*, primary_key: bool = False) -> Column[datetime]:
    return Column(DateTime(timezone=True), nullable=False, primary_key=primary_key)


class SampleRow(SQLModel, table=True):
    """A completion with its scores and its present label; the first body of an id stands."""

    __tablename__ = "samples"
    __table_args__ = (Index("ix_samples_served_at", "served_at", "completion_id"), {"schema": SCHEMA})

    completion_id: str = Field(primary_key=True)
    policy: str
    user_id: str | None = None
    slice: str
    body: str = Field(sa_column=Column(Text, nullable=False))  # CompletionServed
    scores: dict[str, Any] = Field(sa_column=Column(JSONB, nullable=False))
    satisfaction: float | None = Field(default=None, sa_column=Column(Float))
    reported: bool
    label_version: int  # 1 + distinct events
    served_at: datetime = Field(sa_column=_moment())


class FeedbackRow(SQLModel, table=True):
    """A distinct event; its body is a FeedbackEvent."""

    __tablename__ = "feedback"
    __table_args__ = (Index("ix_scorer_feedback_completion_id", "completion_id"), {"schema": SCHEMA})

    event_id: str = Field(primary_key=True)
    completion_id: str
    body: str = Field(sa_column=Column(Text, nullable=False))


class RiskCountRow(SQLModel, table=True):
    """Exposures and incidents of a cell among a policy's completions served in one hour."""

    __tablename__ = "risk_counts"
    __table_args__ = {"schema": SCHEMA}

    policy: str = Field(primary_key=True)
    hour: datetime = Field(sa_column=_moment(primary_key=True))  # before the cell: what is read is a range of hours
    dimension: str = Field(primary_key=True)
    slice: str = Field(primary_key=True)
    exposures: int = Field(sa_column=Column(BigInteger, nullable=False))
    incidents: int = Field(sa_column=Column(BigInteger, nullable=False))


class RiskStateRow(SQLModel, table=True):
    """Whether a cell is escalated, so that a crossing is told once, and the risk that was last recorded."""

    __tablename__ = "risk_states"
    __table_args__ = {"schema": SCHEMA}

    policy: str = Field(primary_key=True)
    dimension: str = Field(primary_key=True)
    slice: str = Field(primary_key=True)
    escalated: bool
    calm_windows: int
    window_at: datetime = Field(sa_column=_moment())  # when the last window was counted
    risk: float
    upper_bound: float


class RiskPointRow(SQLModel, table=True):
    """Risk of a cell as it was seen at a moment: what people see over time."""

    __tablename__ = "risk_points"
    __table_args__ = (Index("ix_risk_points_at", "at"), {"schema": SCHEMA})

    policy: str = Field(primary_key=True)
    dimension: str = Field(primary_key=True)
    slice: str = Field(primary_key=True)
    at: datetime = Field(sa_column=_moment(primary_key=True))
    risk: float
    upper_bound: float
    incidents: float
    exposures: float


class SnapshotRow(SQLModel, table=True):
    """A snapshot that was cut. The same samples under the same matrix are the same snapshot, whenever and why."""

    __tablename__ = "snapshots"
    __table_args__ = {"schema": SCHEMA}

    identity: str = Field(primary_key=True)
    uri: str
    sha256: str
    policy: str
    rows: int
    labelled: int  # labelled samples that were known when it was cut, in it or not
    reason: str = Field(sa_column=Column(Text, nullable=False))
    cut_at: datetime = Field(sa_column=_moment())


class ProgressRow(SQLModel, table=True):
    """How many samples a policy has, kept beside them so that asking costs nothing, and when they were last cut."""

    __tablename__ = "progress"
    __table_args__ = {"schema": SCHEMA}

    policy: str = Field(primary_key=True)
    samples: int = Field(sa_column=Column(BigInteger, nullable=False))
    labelled: int = Field(sa_column=Column(BigInteger, nullable=False))
    first_served_at: datetime = Field(sa_column=_moment())
    cut_labelled: int = Field(default=0, sa_column=Column(BigInteger, nullable=False))  # `labelled` at the last cut
    cut_at: datetime | None = Field(default=None, sa_column=Column(DateTime(timezone=True)))


class DeadLetterRow(SQLModel, table=True):
    """A record of feedback that was set aside, so that reading it again sets it aside once."""

    __tablename__ = "dead_letters"
    __table_args__ = {"schema": SCHEMA}

    topic: str = Field(primary_key=True)
    partition: int = Field(sa_column=Column(Integer, primary_key=True, autoincrement=False))
    offset: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))
    position: int = Field(sa_column=Column(Integer, primary_key=True, autoincrement=False))
    payload_sha256: str = Field(primary_key=True)
    reason: str
    set_aside_at: datetime = Field(sa_column=_moment())
