"""Freezing samples as files with a hash.

A snapshot is the folder `snapshots/<first 16 hex>/` of the object store, named by the SHA-256 of its manifest's bytes:
- `samples-00000.jsonl` …: canonical JSON lines of ScoredSample, ordered by completion id over all shards;
- `manifest.json`: canonical JSON of SnapshotManifest with each shard's SHA-256, written last.
The identity is over policy, matrix and shards alone; why and when it was cut are not in it. Who cuts looks the identity
up first, so that one deployment has one snapshot, and one manifest, for the same samples under the same matrix.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from matrix.digests import canonical_json, digest_bytes, digest_json
from matrix.messages.sample import ScoredSample, Shard, SnapshotManifest
from matrix.ports import ObjectStore

SHARD_ROWS = 10_000
NAMED_BY = 16  # hex characters of the manifest's hash in the folder's name


@dataclass(frozen=True, slots=True)
class Frozen:
    """Shards ready to be written, with what names them."""

    policy: str
    matrix_sha256: str
    shards: tuple[tuple[Shard, bytes], ...]

    @property
    def identity(self) -> str:
        """The same samples under the same matrix have the same, whenever and why they are cut."""
        listed = [shard.model_dump() for shard, _ in self.shards]
        return digest_json({"policy": self.policy, "matrix": self.matrix_sha256, "shards": listed})

    @property
    def rows(self) -> int:
        """Samples in all shards."""
        return sum(shard.rows for shard, _ in self.shards)


@dataclass(frozen=True, slots=True)
class Written:
    """Where a snapshot lies."""

    uri: str
    sha256: str


def freeze(samples: Sequence[ScoredSample], *, policy: str, matrix_sha256: str) -> Frozen:
    """The bytes of these samples, in whatever order they come."""
    ordered = sorted(samples, key=lambda one: one.completion_id)
    return Frozen(policy, matrix_sha256, tuple(_shards(ordered)))


def write(
    objects: ObjectStore, frozen: Frozen, *, reason: str, risks: Mapping[str, float], cut_at: datetime
) -> Written:
    """Write shards, then the manifest: its presence means that every shard arrived."""
    manifest = SnapshotManifest(
        policy=frozen.policy,
        shards=tuple(shard for shard, _ in frozen.shards),
        rows=frozen.rows,
        reason=reason,
        matrix_sha256=frozen.matrix_sha256,
        risks=dict(risks),
        cut_at=cut_at,
    )
    content = canonical_json(manifest.model_dump(mode="json"))
    sha256 = digest_bytes(content)
    folder = f"snapshots/{sha256[:NAMED_BY]}"
    for shard, lines in frozen.shards:
        objects.write(f"{folder}/{shard.name}", lines)
    objects.write(f"{folder}/manifest.json", content)
    return Written(f"object:{folder}", sha256)


def _shards(ordered: Sequence[ScoredSample]) -> Iterator[tuple[Shard, bytes]]:
    for number, start in enumerate(range(0, len(ordered), SHARD_ROWS)):
        rows = ordered[start : start + SHARD_ROWS]
        content = b"".join(canonical_json(row.model_dump(mode="json")) + b"\n" for row in rows)
        yield Shard(name=f"samples-{number:05}.jsonl", sha256=digest_bytes(content), rows=len(rows)), content
