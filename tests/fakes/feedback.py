"""Events and completions as senders would make them."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from infra.streams import Incoming, split
from matrix.messages.feedback import Position

AT = datetime(2026, 1, 1, tzinfo=UTC)


def completion(completion_id: str = "c1", **fields: Any) -> dict[str, Any]:
    made = {
        "completion_id": completion_id,
        "policy": "clinic-assistant",
        "adapter_digest": "0" * 64,
        "prompt": [{"role": "user", "content": "Is this dose right?"}],
        "completion": "Ask your pharmacist.",
        "served_at": AT.isoformat(),
    }
    return made | fields


def thumb(event_id: str = "e1", completion_id: str = "c1", **fields: Any) -> dict[str, Any]:
    made = {
        "event_id": event_id,
        "completion_id": completion_id,
        "kind": "thumb",
        "value": True,
        "occurred_at": AT.isoformat(),
    }
    return made | fields


def record(topic: str, offset: int, body: object) -> list[Incoming]:
    """The events of one record of partition 0; bytes are taken as they are."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return list(split(raw, Position(topic=topic, partition=0, offset=offset, position=0)))
