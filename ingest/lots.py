"""Lots that anybody can draw again: numbers that a name alone decides, spread evenly over [0, 1).

No secret and no state, so every gateway draws the same and a log shows whether a lot was honest. They are safe to
publish because people cannot choose what is drawn by: completion ids are the gateway's own random ones.
"""

from __future__ import annotations

import hashlib

BITS = 53  # what a float holds exactly, so that no number rounds up to 1


def lot(purpose: str, name: str) -> float:
    """A number in [0, 1); lots of different purposes are independent."""
    digest = hashlib.sha256(f"{purpose}/{name}".encode()).digest()
    return (int.from_bytes(digest[:8]) >> (64 - BITS)) / (1 << BITS)


def is_audited(completion_id: str, rate: float) -> bool:
    """Whether the user is asked what they think of this completion: so many in a hundred, whoever they are."""
    return lot("audit", completion_id) < rate
