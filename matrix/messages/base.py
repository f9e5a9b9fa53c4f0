"""What every message shares: frozen, no unknown fields, a schema version."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict


class Value(BaseModel):
    """A frozen value inside a message."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Message(Value):
    """A frozen payload of a topic; readers refuse a schema version they do not know."""

    schema_version: Literal[1] = 1

    def to_payload(self) -> bytes:
        """Bytes on the wire: UTF-8 JSON."""
        return self.model_dump_json(exclude_none=True).encode()
