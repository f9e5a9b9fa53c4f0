"""A recipe with what a process trains on: the champion comes from the snapshot, and only as its own bytes."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from infra.objects import FolderObjectStore
from matrix.digests import adapter_name
from matrix.errors import ArtifactCorrupt, InvalidInput
from matrix.messages.sample import ScoredSample, Shard, SnapshotManifest
from tests.fakes.tiny_run import PROMPTS, tiny_base, tiny_config, tiny_scoring, tiny_update
from trainer.adapters import adapter_digest
from trainer.base_model import LoadedBase
from trainer.recipes import ReadyRecipe, champion_files, read_recipe
from trainer.settings import TrainerSettings
from trainer.snapshots import Snapshot

AT = datetime(2026, 1, 1, tzinfo=UTC)
POLICY = "clinic-assistant"


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> LoadedBase:
    return tiny_base(tmp_path_factory.mktemp("base"))


@pytest.fixture
def objects(tmp_path: Path) -> FolderObjectStore:
    return FolderObjectStore(tmp_path / "objects")


def written_by(*digests: str) -> Snapshot:
    samples = tuple(
        ScoredSample(
            completion_id=f"c{number}",
            policy=POLICY,
            adapter_digest=digest,
            slice="general",
            prompt=PROMPTS[number % len(PROMPTS)],
            completion="Rest.",
            scores={},
            served_at=AT,
        )
        for number, digest in enumerate(digests)
    )
    shard = Shard(name="shard", sha256="0" * 64, rows=len(samples))
    manifest = SnapshotManifest(
        policy=POLICY, shards=(shard,), rows=len(samples), reason="a test", matrix_sha256="0" * 64, cut_at=AT
    )
    return Snapshot("object:snapshots/x", "0" * 64, manifest, samples)


def stored(objects: FolderObjectStore, files: dict[str, bytes]) -> str:
    digest = adapter_digest(files)
    for name, content in files.items():
        objects.write(f"adapters/{adapter_name(POLICY, digest)}/{name}", content)
    return digest


def test_the_base_is_no_adapter(base: LoadedBase, objects: FolderObjectStore) -> None:
    assert champion_files(objects, written_by(base.digest, base.digest), base_digest=base.digest) is None


def test_a_run_starts_from_the_adapter_that_wrote_most_of_the_snapshot(
    base: LoadedBase, objects: FolderObjectStore
) -> None:
    served = tiny_update(base, tiny_config())
    served.advance()
    digest = stored(objects, served.adapter_files())
    recipe = ReadyRecipe(tiny_config(), base, objects, lambda _: tiny_scoring())
    update = recipe.open(written_by(digest, digest, base.digest))
    assert adapter_digest(update.adapter_files()) == digest


def test_a_champion_with_other_bytes_is_refused(base: LoadedBase, objects: FolderObjectStore) -> None:
    files = tiny_update(base, tiny_config()).adapter_files()
    digest = adapter_digest(files)
    folder = f"adapters/{adapter_name(POLICY, digest)}"
    for name, content in files.items():
        objects.write(f"{folder}/{name}", content + b" ")
    with pytest.raises(ArtifactCorrupt):
        champion_files(objects, written_by(digest), base_digest=base.digest)


def test_without_a_base_model_the_setting_is_named() -> None:
    with pytest.raises(InvalidInput, match="PLUMBLINE_BASE_MODEL"):
        read_recipe(TrainerSettings.model_construct(base_model=None))('name = "x"', "run.toml")
