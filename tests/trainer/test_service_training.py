from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
import torch
from sqlmodel import select

from infra.database import Database
from infra.objects import FolderObjectStore
from infra.tables import OutboxRow
from matrix.digests import digest_files
from matrix.errors import ArtifactCorrupt, InvalidInput, ObjectStoreUnavailable, RunDiverged, SnapshotCorrupt
from matrix.messages.run import CandidateTrained
from tests.fakes.clock import FakeClock
from tests.fakes.routes import FakeRoutes
from tests.fakes.small_update import SmallRecipe
from tests.fakes.snapshots import write_snapshot
from tests.fakes.tiny_qwen import save_tiny_adapter
from tests.fakes.waiting import until
from trainer.service import Runs, list_runs
from trainer.tables import RunRow
from trainer.training import AttemptsExhausted, Ground, RunCrashed, Trainer

LEASE = timedelta(seconds=60)
STEPS = 6
GROUND = Ground(matrix="0" * 64, knowledge="e" * 64, base="d" * 64)


class Killed(BaseException):
    """What no `except` of the product catches."""


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture
def snapshot(objects: FolderObjectStore) -> str:
    return write_snapshot(objects)


@pytest.fixture
def config(objects: FolderObjectStore) -> str:
    return objects.write("recipes/small.toml", b'name = "small"\n')


@pytest.fixture
def routes() -> FakeRoutes:
    return FakeRoutes()


Make = Callable[[str, SmallRecipe], Trainer]


@pytest.fixture
def trainer_named(
    database: Database, objects: FolderObjectStore, clock: FakeClock, tmp_path: Path, routes: FakeRoutes
) -> Make:
    def make(name: str, recipe: SmallRecipe) -> Trainer:
        return Trainer(
            runs=Runs(database, clock, worker=name, lease=LEASE, wake=lambda: None),
            objects=objects,
            clock=clock,
            routes=routes,
            ground=GROUND,
            read_recipe=lambda text, file: recipe,
            runs_dir=tmp_path / "runs",
            checkpoint_every=2,
            max_attempts=2,
        )

    return make


@pytest.fixture
def recipe() -> SmallRecipe:
    return SmallRecipe("small", STEPS)


def go_on() -> bool:
    return False


def only_run(database: Database) -> RunRow:
    [row] = list_runs(database, 10)
    return row


def announced(database: Database) -> list[CandidateTrained]:
    with database.unit_of_work() as session:
        rows = session.exec(select(OutboxRow).where(OutboxRow.kind == "message")).all()
    return [CandidateTrained.model_validate_json(row.payload) for row in rows]


def test_two_deliveries_are_one_run_and_one_candidate(
    trainer_named: Make, recipe: SmallRecipe, snapshot: str, config: str, database: Database
) -> None:
    for name in ("one", "two"):
        trainer_named(name, recipe).train(snapshot, config, "ada", go_on)
    row = only_run(database)
    assert (row.status, row.step, row.attempt) == ("trained", STEPS, 1)
    assert {message.adapter_digest for message in announced(database)} == {row.adapter_digest}


def test_a_trained_run_that_is_asked_for_again_is_announced_again_as_it_was(
    trainer_named: Make, recipe: SmallRecipe, snapshot: str, config: str, database: Database, clock: FakeClock
) -> None:
    trainer_named("one", recipe).train(snapshot, config, "ada", go_on)
    clock.advance(LEASE * 2)
    later = replace(trainer_named("two", recipe), ground=replace(GROUND, base="c" * 64))
    later.train(snapshot, config, "bob", go_on)
    first, again = announced(database)
    assert again == first
    assert first.base_digest == GROUND.base


def test_a_failed_run_that_is_asked_for_again_announces_nothing(
    trainer_named: Make, recipe: SmallRecipe, snapshot: str, config: str, database: Database
) -> None:
    with pytest.raises(RunDiverged):
        trainer_named("one", replace(recipe, diverges_at=1)).train(snapshot, config, "ada", go_on)
    trainer_named("two", recipe).train(snapshot, config, "ada", go_on)
    assert announced(database) == []


def test_the_stored_adapter_has_the_digest_that_is_announced(
    trainer_named: Make, recipe: SmallRecipe, snapshot: str, config: str, database: Database, objects: FolderObjectStore
) -> None:
    trainer_named("one", recipe).train(snapshot, config, "ada", go_on)
    [message] = announced(database)
    folder = objects.local_path(message.adapter_uri)
    assert digest_files({path.name: path.read_bytes() for path in folder.iterdir()}) == message.adapter_digest
    assert message.adapter_name == f"clinic-assistant-{message.adapter_digest[:12]}"
    assert (message.author, message.recipe_name) == ("ada", "small")


def undisturbed(make: Make, recipe: SmallRecipe, snapshot: str, objects: FolderObjectStore, database: Database) -> str:
    """Digest of an adapter trained without interruption, as a run of its own."""
    other = objects.write("recipes/undisturbed.toml", b'name = "undisturbed"\n')
    make("undisturbed", recipe).train(snapshot, other, "ada", go_on)
    return announced(database)[-1].adapter_digest


@pytest.mark.parametrize("killed_at", [1, 3, 4, STEPS])
def test_a_killed_run_goes_on_to_the_same_bytes(
    trainer_named: Make,
    recipe: SmallRecipe,
    snapshot: str,
    config: str,
    database: Database,
    clock: FakeClock,
    objects: FolderObjectStore,
    killed_at: int,
) -> None:
    def kill(step: int) -> None:
        if step == killed_at:
            raise Killed

    with pytest.raises(Killed):
        trainer_named("one", replace(recipe, after_step=kill)).train(snapshot, config, "ada", go_on)
    trainer_named("two", recipe).train(snapshot, config, "ada", go_on)
    assert announced(database) == []
    clock.advance(LEASE * 2)
    trainer_named("two", recipe).train(snapshot, config, "ada", go_on)
    [message] = announced(database)
    assert message.adapter_digest == undisturbed(trainer_named, recipe, snapshot, objects, database)


def test_a_run_told_to_stop_is_given_back_and_goes_on_to_the_same_bytes(
    trainer_named: Make,
    recipe: SmallRecipe,
    snapshot: str,
    config: str,
    database: Database,
    objects: FolderObjectStore,
) -> None:
    done: list[int] = []
    stopping = replace(recipe, after_step=done.append)
    trainer_named("one", stopping).train(snapshot, config, "ada", lambda: len(done) == 3)
    assert (only_run(database).status, only_run(database).step) == ("running", 3)
    resumed: list[int] = []
    trainer_named("two", replace(recipe, after_step=resumed.append)).train(snapshot, config, "ada", go_on)
    assert resumed == [4, 5, 6]
    [message] = announced(database)
    assert message.adapter_digest == undisturbed(trainer_named, recipe, snapshot, objects, database)


def test_a_run_that_meets_a_full_disk_can_be_taken_at_once(
    trainer_named: Make, recipe: SmallRecipe, snapshot: str, config: str, database: Database
) -> None:
    def refuse(step: int) -> None:
        raise ObjectStoreUnavailable("no space left")

    with pytest.raises(ObjectStoreUnavailable):
        trainer_named("one", replace(recipe, after_step=refuse)).train(snapshot, config, "ada", go_on)
    trainer_named("two", recipe).train(snapshot, config, "ada", go_on)
    assert only_run(database).status == "trained"


def test_a_run_that_diverges_fails_and_keeps_its_last_good_checkpoint(
    trainer_named: Make, recipe: SmallRecipe, snapshot: str, config: str, database: Database, tmp_path: Path
) -> None:
    with pytest.raises(RunDiverged):
        trainer_named("one", replace(recipe, diverges_at=5)).train(snapshot, config, "ada", go_on)
    row = only_run(database)
    assert row.status == "failed"
    assert "diverged at step 5" in (row.error or "")
    assert sorted(path.name for path in (tmp_path / "runs" / row.run_id).iterdir())[-1] == "step-00000004"
    assert announced(database) == []


def test_a_corrupt_shard_fails_the_run_by_name(
    trainer_named: Make, recipe: SmallRecipe, snapshot: str, config: str, database: Database, objects: FolderObjectStore
) -> None:
    shard = objects.local_path(f"{snapshot}/shard-0000.jsonl")
    shard.write_bytes(shard.read_bytes().replace(b"doctor", b"dealer"))
    with pytest.raises(SnapshotCorrupt):
        trainer_named("one", recipe).train(snapshot, config, "ada", go_on)
    assert only_run(database).status == "failed"
    assert "shard-0000.jsonl" in (only_run(database).error or "")


def test_a_corrupt_manifest_is_refused_before_there_is_a_run(
    trainer_named: Make, recipe: SmallRecipe, snapshot: str, config: str, database: Database, objects: FolderObjectStore
) -> None:
    manifest = objects.local_path(f"{snapshot}/manifest.json")
    manifest.write_bytes(manifest.read_bytes().replace(b"a test", b"a joke"))
    with pytest.raises(SnapshotCorrupt):
        trainer_named("one", recipe).train(snapshot, config, "ada", go_on)
    assert list_runs(database, 10) == []


def keep_champion(objects: FolderObjectStore, tmp_path: Path, seed: int) -> str:
    name, folder, digest = save_tiny_adapter(tmp_path, seed, policy="clinic-assistant")
    for path in folder.iterdir():
        objects.write(f"adapters/{name}/{path.name}", path.read_bytes())
    return digest


def test_every_attempt_starts_from_the_champion_of_the_first(
    trainer_named: Make,
    recipe: SmallRecipe,
    snapshot: str,
    config: str,
    database: Database,
    objects: FolderObjectStore,
    tmp_path: Path,
    routes: FakeRoutes,
) -> None:
    first, second = (keep_champion(objects, tmp_path, seed) for seed in (1, 2))
    given: list[str] = []

    def note(champion: Mapping[str, bytes] | None) -> None:
        given.append(digest_files(champion or {}))

    routes.point("clinic-assistant", first, version=1)
    trainer_named("one", replace(recipe, before_start=note)).train(snapshot, config, "ada", lambda: True)
    routes.point("clinic-assistant", second, version=2)
    trainer_named("two", replace(recipe, before_start=note)).train(snapshot, config, "bob", go_on)
    assert given == [first, first]
    assert only_run(database).champion_digest == first
    assert [message.author for message in announced(database)] == ["ada"]


def test_a_base_model_is_no_champion_adapter(
    trainer_named: Make, recipe: SmallRecipe, snapshot: str, config: str, database: Database, routes: FakeRoutes
) -> None:
    given: list[Mapping[str, bytes] | None] = []
    routes.point("clinic-assistant", "d" * 64, version=0)
    trainer_named("one", replace(recipe, before_start=given.append)).train(snapshot, config, "ada", go_on)
    assert (given, only_run(database).champion_uri) == ([None], "")


def test_a_champion_with_other_bytes_fails_the_run(
    trainer_named: Make,
    recipe: SmallRecipe,
    snapshot: str,
    config: str,
    database: Database,
    objects: FolderObjectStore,
    tmp_path: Path,
    routes: FakeRoutes,
) -> None:
    digest = keep_champion(objects, tmp_path, 1)
    routes.point("clinic-assistant", digest, version=1)
    weights = objects.local_path(f"object:adapters/clinic-assistant-{digest[:12]}/adapter_model.safetensors")
    weights.write_bytes(weights.read_bytes() + b" ")
    with pytest.raises(ArtifactCorrupt):
        trainer_named("one", recipe).train(snapshot, config, "ada", go_on)
    assert only_run(database).status == "failed"


@pytest.mark.parametrize("error", [RuntimeError("out of memory\nsee above"), ValueError("bad"), MemoryError()])
def test_a_recipe_that_crashes_fails_the_run_in_one_line(
    trainer_named: Make, recipe: SmallRecipe, snapshot: str, config: str, database: Database, error: Exception
) -> None:
    def crash(step: int) -> None:
        raise error

    with pytest.raises(RunCrashed):
        trainer_named("one", replace(recipe, after_step=crash)).train(snapshot, config, "ada", go_on)
    row = only_run(database)
    assert row.status == "failed"
    assert type(error).__name__ in (row.error or "")
    assert len((row.error or "").splitlines()) == 1


def test_a_run_that_kills_its_workers_is_not_tried_for_ever(
    trainer_named: Make, recipe: SmallRecipe, snapshot: str, config: str, database: Database, clock: FakeClock
) -> None:
    def kill(step: int) -> None:
        raise Killed

    for name in ("one", "two"):
        with pytest.raises(Killed):
            trainer_named(name, replace(recipe, after_step=kill)).train(snapshot, config, "ada", go_on)
        clock.advance(LEASE * 2)
    with pytest.raises(AttemptsExhausted):
        trainer_named("three", recipe).train(snapshot, config, "ada", go_on)
    assert only_run(database).status == "failed"


def test_a_recipe_that_cannot_be_read_fails_the_run_that_waits_for_it(
    trainer_named: Make, recipe: SmallRecipe, snapshot: str, config: str, database: Database, objects: FolderObjectStore
) -> None:
    trainer_named("one", recipe).train(snapshot, config, "ada", lambda: True)
    objects.local_path(config).write_bytes(b"name = \xff")
    with pytest.raises(InvalidInput, match="UTF-8"):
        trainer_named("one", recipe).train(snapshot, config, "ada", go_on)
    assert only_run(database).status == "failed"
    assert "recipes/small.toml" in (only_run(database).error or "")


def test_a_snapshot_of_another_matrix_is_refused(
    trainer_named: Make, recipe: SmallRecipe, config: str, database: Database, objects: FolderObjectStore
) -> None:
    other = write_snapshot(objects, matrix_sha256="1" * 64)
    with pytest.raises(InvalidInput, match="matrix_sha256") as caught:
        trainer_named("one", recipe).train(other, config, "ada", go_on)
    assert caught.value.value == "1" * 64
    assert only_run(database).status == "failed"


@pytest.mark.parametrize("part", ["knowledge", "base"])
def test_a_run_does_not_go_on_upon_other_ground(
    trainer_named: Make, recipe: SmallRecipe, snapshot: str, config: str, part: str
) -> None:
    done: list[int] = []
    trainer = trainer_named("one", replace(recipe, after_step=done.append))
    trainer.train(snapshot, config, "ada", lambda: bool(done))
    with pytest.raises(InvalidInput, match=part):
        replace(trainer, ground=replace(GROUND, **{part: "f" * 64})).train(snapshot, config, "ada", go_on)


def test_a_long_step_does_not_lose_the_lease(
    trainer_named: Make, recipe: SmallRecipe, snapshot: str, config: str, database: Database, clock: FakeClock
) -> None:
    def wait_for_a_beat(step: int) -> None:
        before = only_run(database).lease_until
        assert before is not None
        clock.advance(timedelta(seconds=1))
        until(lambda: (only_run(database).lease_until or before) > before, "a beat")

    trainer = trainer_named("one", replace(recipe, steps=1, after_step=wait_for_a_beat))
    beating = Runs(database, clock, worker="one", lease=timedelta(seconds=0.06), wake=lambda: None)
    replace(trainer, runs=beating).train(snapshot, config, "ada", go_on)
    assert only_run(database).status == "trained"


def test_a_run_that_was_lost_while_it_calibrated_takes_no_step(
    trainer_named: Make, recipe: SmallRecipe, snapshot: str, config: str, database: Database, clock: FakeClock
) -> None:
    done: list[int] = []

    def lose(champion: Mapping[str, bytes] | None) -> None:
        clock.advance(LEASE * 2)
        Runs(database, clock, worker="two", lease=LEASE, wake=lambda: None).claim(only_run(database).run_id)

    losing = replace(recipe, before_start=lose, after_step=done.append)
    trainer_named("one", losing).train(snapshot, config, "ada", go_on)
    assert done == []
    assert only_run(database).claimed_by == "two"
