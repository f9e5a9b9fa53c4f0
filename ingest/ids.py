"""Identifiers that sort by time: UUID version 7 (RFC 9562, section 5.7), from a time and randomness handed in."""

from __future__ import annotations

import uuid
from datetime import datetime

RANDOM_BYTES = 10


def uuid7(at: datetime, randomness: bytes) -> str:
    """48 bits of milliseconds, then version, variant and the randomness (10 bytes; 74 bits of them count)."""
    milliseconds = int(at.timestamp() * 1000) & ((1 << 48) - 1)
    bits = (milliseconds << 80) | int.from_bytes(randomness[:RANDOM_BYTES])
    bits = bits & ~(0xF << 76) | (0x7 << 76)
    bits = bits & ~(0x3 << 62) | (0x2 << 62)
    return str(uuid.UUID(int=bits))
