"""The base model as more than one stage knows it: the digest of its files, and its registration as version 0.

The digest is computed without loading anything.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from infra.http import ApiClient
from matrix.digests import digest_json
from matrix.errors import InvalidInput

SERVED_NAME = "base"  # of the base model at the policy server
DIGESTED = ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json", "chat_template.jinja")


def base_digest(folder: Path) -> str:
    """Digest of the files that decide what the model says; InvalidInput where the folder holds no model."""
    if not (folder / "config.json").is_file():
        raise InvalidInput(
            field="PLUMBLINE_BASE_MODEL", value=str(folder), remedy="a folder with a model's config.json"
        )
    return digest_json([(name, _sha256(folder / name)) for name in sorted(DIGESTED) if (folder / name).is_file()])


def register(registry: ApiClient, *, policy: str, digest: str, served_name: str = SERVED_NAME) -> dict[str, Any]:
    """Version 0: what the base model wrote is credited to it, and it is champion. Again changes nothing."""
    body = {"policy": policy, "base_digest": digest, "base_uri": "", "served_name": served_name}
    version: dict[str, Any] = registry.post("/v1/policies", body)
    return version


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
