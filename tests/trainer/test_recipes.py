"""A recipe with what a process trains on: the champion is where a run starts."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from matrix.errors import InvalidInput
from matrix.messages.sample import ScoredSample, Shard, SnapshotManifest
from tests.fakes.tiny_run import PROMPTS, tiny_base, tiny_config, tiny_scoring, tiny_update
from trainer.adapters import adapter_digest
from trainer.base_model import LoadedBase
from trainer.config import AdapterConfig
from trainer.recipes import ReadyRecipe, read_recipe
from trainer.settings import TrainerSettings
from trainer.snapshots import Snapshot

AT = datetime(2026, 1, 1, tzinfo=UTC)
POLICY = "clinic-assistant"


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> LoadedBase:
    return tiny_base(tmp_path_factory.mktemp("base"))


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


def test_a_run_starts_from_the_champion_that_it_is_given(base: LoadedBase) -> None:
    served = tiny_update(base, tiny_config())
    served.advance()
    files = served.adapter_files()
    recipe = ReadyRecipe(tiny_config(), base, lambda _: tiny_scoring())
    update = recipe.open(written_by(base.digest, base.digest), files)
    assert adapter_digest(update.adapter_files()) == adapter_digest(files)


def test_a_champion_of_another_rank_is_refused_by_name(base: LoadedBase) -> None:
    config = tiny_config()
    files = tiny_update(base, config.model_copy(update={"adapter": AdapterConfig(rank=4, alpha=8)})).adapter_files()
    with pytest.raises(InvalidInput, match="rank"):
        ReadyRecipe(config, base, lambda _: tiny_scoring()).open(written_by(base.digest, base.digest), files)


def test_without_a_base_model_the_setting_is_named() -> None:
    with pytest.raises(InvalidInput, match="PLUMBLINE_BASE_MODEL"):
        read_recipe(TrainerSettings.model_construct(base_model=None))('name = "x"', "run.toml")
