"""A run as a straight line: read, claim, go on from the last checkpoint, step by step, store, announce.

Whatever ends a run early leaves it resumable: a stop asked for by SIGTERM and a Transient error give the run back with
its checkpoint; a killed worker leaves a lease that runs out. What is Permanent marks the run failed and says why. Asked
for again, a trained run announces its candidate again: who refused it then may take it now.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

from matrix.digests import adapter_name, canonical_json, digest_bytes, digest_files
from matrix.errors import IllegalTransition, InvalidInput, Permanent, RunDiverged, Transient
from matrix.messages.run import CandidateTrained, RunStatus, weights_name
from matrix.ports import Clock, ObjectStore
from trainer.champions import Champion, Routes, find_champion, read_adapter
from trainer.checkpoints import latest_checkpoint, save_checkpoint
from trainer.declarations import as_text
from trainer.heartbeat import heartbeat
from trainer.service import RunAsked, Runs
from trainer.snapshots import Snapshot, read_manifest, read_snapshot
from trainer.tables import RunRow

log = logging.getLogger(__name__)


class AdapterUpdate(Protocol):
    """A recipe at work on one adapter; everything it will do follows from its state."""

    @property
    def step(self) -> int:
        """Steps done."""
        ...

    @property
    def steps(self) -> int:
        """Steps in all."""
        ...

    def advance(self) -> Mapping[str, float]:
        """One step; its figures."""
        ...

    def state(self) -> Mapping[str, Any]:
        """What a checkpoint must keep: tensors and JSON values, nested."""
        ...

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from there."""
        ...

    def adapter_files(self) -> Mapping[str, bytes]:
        """The adapter as files, by name."""
        ...

    def weighings(self) -> Sequence[Mapping[str, Any]]:
        """Updates of the rewards' weights, in order, with what led to each: for people who ask why."""
        ...


class Recipe(Protocol):
    """What a run does, read from its file."""

    @property
    def name(self) -> str:
        """What people call it."""
        ...

    def open(self, snapshot: Snapshot, champion: Mapping[str, bytes] | None) -> AdapterUpdate:
        """An update at its first step, from the champion's files or the base; equal inputs give equal updates."""
        ...


CRASHES = (RuntimeError, ValueError, MemoryError, ArithmeticError, LookupError, TypeError, AttributeError)
ReadRecipe = Callable[[str, str], Recipe]  # (text, file as errors name it)


class RunCrashed(Permanent):
    """A recipe that broke: out of memory, or a fault of the program."""

    def __init__(self, *, run_id: str, error: BaseException) -> None:
        self.run_id, self.kind = run_id, type(error).__name__
        said = (str(error).strip().splitlines() or ["no reason given"])[0]
        super().__init__(f"run {run_id} crashed: {self.kind}: {said}")


class AttemptsExhausted(Permanent):
    """Workers that died over and over on the same run."""

    def __init__(self, *, run_id: str, attempts: int) -> None:
        self.run_id, self.attempts = run_id, attempts
        super().__init__(f"run {run_id} lost {attempts} workers and is not tried again; look for what killed them")


@dataclass(frozen=True, slots=True)
class Ground:
    """What a run stands on, by digest: on other ground it would be another run."""

    matrix: str
    knowledge: str
    base: str


@dataclass(frozen=True, slots=True)
class Trainer:
    """A process that trains."""

    runs: Runs
    objects: ObjectStore
    clock: Clock
    routes: Routes
    ground: Ground
    read_recipe: ReadRecipe
    runs_dir: Path
    checkpoint_every: int
    max_attempts: int

    def train(self, snapshot_uri: str, config_uri: str, author: str, should_stop: Callable[[], bool]) -> None:
        """Train the run of this snapshot and recipe, or go on with it; what is trained is announced again.

        Nothing where another worker holds it, or it has failed.
        """
        try:
            asked, recipe = self._read(snapshot_uri, config_uri, author)
        except Permanent as error:
            self.runs.fail_unreadable(snapshot_uri, config_uri, str(error))
            raise
        known = self.runs.ask(asked)
        row = self.runs.claim(asked.run_id)
        if row is None and known.status == RunStatus.TRAINED:
            self._announce_again(known)
            return
        if row is None:
            log.info("run is held or has ended", extra={"run_id": asked.run_id})
            return
        with heartbeat(self.runs, row.run_id):
            self._attempt(row, recipe, should_stop)

    def _attempt(self, row: RunRow, recipe: Recipe, should_stop: Callable[[], bool]) -> None:
        """One claim: it ends the run or gives it back, unless the process is killed."""
        try:
            if row.attempt > self.max_attempts:
                raise AttemptsExhausted(run_id=row.run_id, attempts=row.attempt - 1)
            self._run(row, recipe, should_stop)
        except Transient:
            self.runs.release(row.run_id)
            raise
        except IllegalTransition as error:
            log.warning("run was taken over", extra={"run_id": row.run_id, "reason": str(error)})
        except Permanent as error:
            self.runs.end_failed(row.run_id, str(error))
            raise
        except CRASHES as error:
            crashed = RunCrashed(run_id=row.run_id, error=error)
            self.runs.end_failed(row.run_id, str(crashed))
            raise crashed from error

    def _read(self, snapshot_uri: str, config_uri: str, author: str) -> tuple[RunAsked, Recipe]:
        content = self.objects.read(config_uri)
        recipe = self.read_recipe(as_text(content, file=config_uri, field="recipe"), config_uri)
        snapshot_sha256, manifest = read_manifest(self.objects, snapshot_uri)
        asked = RunAsked(
            policy=manifest.policy,
            snapshot_uri=snapshot_uri,
            snapshot_sha256=snapshot_sha256,
            recipe_uri=config_uri,
            recipe_sha256=digest_bytes(content),
            recipe_name=recipe.name,
            author=author,
        )
        return asked, recipe

    def _run(self, row: RunRow, recipe: Recipe, should_stop: Callable[[], bool]) -> None:
        update, figures = self._opened(row, recipe)
        folder = self.runs_dir / row.run_id
        self.runs.hold(row.run_id)
        while update.step < update.steps:
            if should_stop():
                self._keep(folder, update, figures)
                self.runs.release(row.run_id)
                log.info("run was given back", extra={"run_id": row.run_id, "step": update.step})
                return
            figures = self._advance(update, row.run_id)
            if update.step % self.checkpoint_every == 0 or update.step == update.steps:
                self._keep(folder, update, figures)
            self.runs.renew(row.run_id, step=update.step, steps=update.steps, figures=figures)
        self._finish(row, update, figures)

    def _opened(self, row: RunRow, recipe: Recipe) -> tuple[AdapterUpdate, Mapping[str, float]]:
        """The update where its last checkpoint left it, and the figures of that step."""
        snapshot = read_snapshot(self.objects, row.snapshot_uri)
        _same("matrix_sha256", f"{row.snapshot_uri}/manifest.json", snapshot.manifest.matrix_sha256, self.ground.matrix)
        champion = self._champion(row)
        found = latest_checkpoint(self.runs_dir / row.run_id)
        if found is not None:
            for name, wanted in asdict(self.ground).items():
                _same(name, f"checkpoint of run {row.run_id}", found[1]["ground"][name], wanted)
        files = read_adapter(self.objects, champion.uri, champion.digest) if champion.uri else None
        update = recipe.open(snapshot, files)
        if found is None:
            return update, {}
        update.restore(found[1]["update"])
        return update, found[1]["figures"]

    def _champion(self, row: RunRow) -> Champion:
        """What the row says; the first attempt looks it up."""
        if row.champion_digest is not None and row.champion_uri is not None:
            return Champion(row.champion_digest, row.champion_uri)
        champion = find_champion(self.routes, row.policy, base_digest=self.ground.base)
        self.runs.set_champion(row.run_id, champion)
        return champion

    def _advance(self, update: AdapterUpdate, run_id: str) -> Mapping[str, float]:
        figures = update.advance()
        if not all(math.isfinite(value) for value in figures.values()):
            raise RunDiverged(run_id=run_id, step=update.step)
        return figures

    def _finish(self, row: RunRow, update: AdapterUpdate, figures: Mapping[str, float]) -> None:
        files = update.adapter_files()
        digest = digest_files(files)
        name = adapter_name(row.policy, digest)
        # The configuration last: a folder that has it has the weights too.
        for file in sorted(files, reverse=True):
            self.objects.write(f"adapters/{name}/{file}", files[file])
        lines = [canonical_json(dict(one)) for one in update.weighings()]
        self.objects.write(weights_name(row.run_id), b"".join(line + b"\n" for line in lines))
        ended = {"adapter_digest": digest, "adapter_uri": f"object:adapters/{name}", "figures": dict(figures)}
        ended_at = self.clock.now()
        self.runs.end_trained(_candidate(row.model_copy(update=ended | {"ended_at": ended_at}), self.ground.base))

    def _announce_again(self, row: RunRow) -> None:
        """As it was announced at the run's end, on the base that its last checkpoint tells of."""
        found = latest_checkpoint(self.runs_dir / row.run_id)
        base = self.ground.base if found is None else found[1]["ground"]["base"]
        self.runs.announce_again(_candidate(row, base))

    def _keep(self, folder: Path, update: AdapterUpdate, figures: Mapping[str, float]) -> None:
        state = {"update": update.state(), "figures": dict(figures), "ground": asdict(self.ground)}
        save_checkpoint(folder, update.step, state)


def _candidate(row: RunRow, base_digest: str) -> CandidateTrained:
    """What a trained run's row says to the others."""
    said = row.model_dump(include=set(CandidateTrained.model_fields))
    name = adapter_name(row.policy, row.adapter_digest or "")
    made = {"adapter_name": name, "base_digest": base_digest, "trained_at": row.ended_at}
    return CandidateTrained.model_validate(said | made)


def _same(name: str, where: str, found: str, wanted: str) -> None:
    if found != wanted:
        remedy = f"today's is {wanted}; put back the files that it was made under, or cut a new snapshot and ask again"
        raise InvalidInput(field=f"{where}: {name}", value=found, remedy=remedy)
