"""Content identities: what has the same digest has the same bytes. SHA-256 in hex throughout."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

SHORT = 12  # hex characters of an adapter's digest in its name: `<policy>-<first 12>`


def digest_bytes(content: bytes) -> str:
    """Hex SHA-256 of the bytes."""
    return hashlib.sha256(content).hexdigest()


def canonical_json(value: Any) -> bytes:
    """One spelling per value: sorted keys, no spaces, UTF-8, no NaN."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def digest_json(value: Any) -> str:
    """Digest of the canonical spelling."""
    return digest_bytes(canonical_json(value))


def digest_files(files: Mapping[str, bytes]) -> str:
    """Digest of a folder's files: of the sorted list of names with each file's own digest."""
    return digest_json(sorted((name, digest_bytes(content)) for name, content in files.items()))


def adapter_name(policy: str, digest: str) -> str:
    """Immutable name under which a policy server loads an adapter; never reused for other bytes."""
    return f"{policy}-{digest[:SHORT]}"
