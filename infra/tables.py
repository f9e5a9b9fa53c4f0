"""Rows that are nobody's stage: messages on their way out, and keys."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, Column, DateTime, LargeBinary, func
from sqlalchemy.dialects.postgresql import ARRAY, TEXT
from sqlmodel import Field, SQLModel

from matrix.messages.base import DEFAULT_TENANT

SCHEMA = "infra"


class OutboxRow(SQLModel, table=True):
    """A message or command written in the transaction that decided it."""

    __tablename__ = "outbox"
    __table_args__ = {"schema": SCHEMA}

    id: int | None = Field(default=None, sa_column=Column(BigInteger, primary_key=True, autoincrement=True))
    stage: str = Field(index=True)
    kind: str  # "message", "command", or "parked": a message that its topic does not take
    destination: str  # topic, or task name
    key: str
    payload: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    created_at: datetime | None = Field(
        default=None, sa_column=Column(DateTime(timezone=True), nullable=False, server_default=func.now())
    )


class ApiKeyRow(SQLModel, table=True):
    """A key by its hash; the key itself is shown once and kept nowhere."""

    __tablename__ = "api_keys"
    __table_args__ = {"schema": SCHEMA}

    key_id: str = Field(primary_key=True)
    sha256: str = Field(unique=True)
    actor: str = Field(index=True)
    tenant: str = Field(default=DEFAULT_TENANT, sa_column_kwargs={"server_default": DEFAULT_TENANT})
    scopes: list[str] = Field(sa_column=Column(ARRAY(TEXT), nullable=False))
    created_at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))
    revoked_at: datetime | None = Field(default=None, sa_column=Column(DateTime(timezone=True)))
    expires_at: datetime | None = Field(default=None, sa_column=Column(DateTime(timezone=True)))  # rotated out
