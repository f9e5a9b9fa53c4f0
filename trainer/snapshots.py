"""Reading a snapshot: every byte is checked against the hash that names it before anything is trained on it."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import ValidationError

from matrix.digests import digest_bytes
from matrix.errors import SnapshotCorrupt
from matrix.messages.sample import ScoredSample, Shard, SnapshotManifest
from matrix.ports import ObjectStore

MANIFEST = "manifest.json"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Frozen training input, verified."""

    uri: str
    sha256: str  # of the manifest's bytes, which name every shard's
    manifest: SnapshotManifest
    samples: tuple[ScoredSample, ...]


def read_snapshot(objects: ObjectStore, uri: str) -> Snapshot:
    """Raises NotFound where there is none, SnapshotCorrupt where a byte is not what its hash says."""
    sha256, manifest = read_manifest(objects, uri)
    samples = tuple(sample for shard in manifest.shards for sample in _read_shard(objects, uri, shard))
    return Snapshot(uri, sha256, manifest, samples)


def read_manifest(objects: ObjectStore, uri: str) -> tuple[str, SnapshotManifest]:
    """(sha256, manifest) of the snapshot in this folder; the folder is named by the first hex of that hash."""
    content = objects.read(f"{uri}/{MANIFEST}")
    sha256, named = digest_bytes(content), uri.rstrip("/").rpartition("/")[2]
    if not named or not sha256.startswith(named):
        raise SnapshotCorrupt(uri, expected=named, found=sha256[: len(named)])
    try:
        return sha256, SnapshotManifest.model_validate_json(content)
    except ValidationError as error:
        raise SnapshotCorrupt(uri, expected="a manifest", found=str(error.errors()[0]["msg"])) from error


def _read_shard(objects: ObjectStore, uri: str, shard: Shard) -> list[ScoredSample]:
    content = objects.read(f"{uri}/{shard.name}")
    found = digest_bytes(content)
    if found != shard.sha256:
        raise SnapshotCorrupt(f"{uri}/{shard.name}", expected=shard.sha256, found=found)
    try:
        samples = [ScoredSample.model_validate_json(line) for line in content.splitlines() if line.strip()]
    except ValidationError as error:
        raise SnapshotCorrupt(f"{uri}/{shard.name}", expected="samples", found=str(error.errors()[0]["msg"])) from error
    if len(samples) != shard.rows:
        raise SnapshotCorrupt(f"{uri}/{shard.name}", expected=f"{shard.rows} rows", found=f"{len(samples)} rows")
    return samples
