"""Small snapshots in an object store, as the scorer writes them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from matrix.digests import canonical_json, digest_bytes
from matrix.messages.completion import ChatMessage
from matrix.messages.sample import ScoredSample, Shard, SnapshotManifest
from matrix.ports import ObjectStore

AT = datetime(2026, 1, 1, tzinfo=UTC)
TEXTS = ("Please see a doctor today.", "Take 400 mg with food.", "That is right.", "Call an ambulance now.")


def write_snapshot(
    objects: ObjectStore,
    texts: Sequence[str] = TEXTS,
    *,
    policy: str = "clinic-assistant",
    matrix_sha256: str = "0" * 64,
    earlier: Sequence[ChatMessage] = (),
) -> str:
    """The uri of a snapshot with one sample per text, half of them liked; `earlier` turns open every prompt."""
    samples = [
        ScoredSample(
            completion_id=f"chatcmpl-{number:04}",
            policy=policy,
            adapter_digest="0" * 64,
            slice="general",
            prompt=(
                *earlier,
                ChatMessage(role="user", content=f"Question {number}?"),
            ),
            completion=text,
            satisfaction=float(number % 2),
            reported=number % 4 == 0,
            scores={},
            served_at=AT,
        )
        for number, text in enumerate(texts)
    ]
    content = b"".join(canonical_json(sample.model_dump(mode="json")) + b"\n" for sample in samples)
    shard = Shard(name="shard-0000.jsonl", sha256=digest_bytes(content), rows=len(samples))
    manifest = SnapshotManifest(
        policy=policy, shards=(shard,), rows=len(samples), reason="a test", matrix_sha256=matrix_sha256, cut_at=AT
    )
    described = canonical_json(manifest.model_dump(mode="json"))
    folder = f"snapshots/{digest_bytes(described)[:16]}"
    objects.write(f"{folder}/{shard.name}", content)
    objects.write(f"{folder}/manifest.json", described)
    return f"object:{folder}"
