"""A run as a straight line: read, claim, go on from the last checkpoint, step by step, store, announce.

Whatever ends a run early leaves it resumable: a stop asked for by SIGTERM and a Transient error give the run back with
its checkpoint; a killed worker leaves a lease that runs out. What is Permanent marks the run failed and says why.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from matrix.digests import adapter_name, digest_bytes, digest_files
from matrix.errors import IllegalTransition, Permanent, RunDiverged, Transient
from matrix.messages.run import CandidateTrained
from matrix.ports import Clock, ObjectStore
from trainer.checkpoints import latest_checkpoint, save_checkpoint
from trainer.service import RunAsked, Runs
from trainer.snapshots import Snapshot, read_manifest, read_snapshot

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


class Recipe(Protocol):
    """What a run does, read from its file."""

    @property
    def name(self) -> str:
        """What people call it."""
        ...

    def open(self, snapshot: Snapshot) -> AdapterUpdate:
        """An update at its first step; the same snapshot gives the same update."""
        ...


ReadRecipe = Callable[[str, str], Recipe]  # (text, file as errors name it)


@dataclass(frozen=True, slots=True)
class Trainer:
    """A process that trains."""

    runs: Runs
    objects: ObjectStore
    clock: Clock
    base_digest: str
    read_recipe: ReadRecipe
    runs_dir: Path
    checkpoint_every: int

    def train(self, snapshot_uri: str, config_uri: str, author: str, should_stop: Callable[[], bool]) -> None:
        """Train the run of this snapshot and recipe, or go on with it; nothing where it is held or has ended."""
        asked, recipe = self._read(snapshot_uri, config_uri, author)
        self.runs.ask(asked)
        if self.runs.claim(asked.run_id) is None:
            log.info("run is held or has ended", extra={"run_id": asked.run_id})
            return
        try:
            self._run(asked, recipe, should_stop)
        except Transient:
            self.runs.release(asked.run_id)
            raise
        except IllegalTransition as error:
            log.warning("run was taken over", extra={"run_id": asked.run_id, "reason": str(error)})
        except Permanent as error:
            self.runs.end_failed(asked.run_id, str(error))
            raise

    def _read(self, snapshot_uri: str, config_uri: str, author: str) -> tuple[RunAsked, Recipe]:
        content = self.objects.read(config_uri)
        recipe = self.read_recipe(content.decode(), config_uri)
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

    def _run(self, asked: RunAsked, recipe: Recipe, should_stop: Callable[[], bool]) -> None:
        update = recipe.open(read_snapshot(self.objects, asked.snapshot_uri))
        folder = self.runs_dir / asked.run_id
        found = latest_checkpoint(folder)
        if found is not None:
            update.restore(found[1]["update"])
        figures: Mapping[str, float] = {} if found is None else found[1]["figures"]
        while update.step < update.steps:
            if should_stop():
                _keep(folder, update, figures)
                self.runs.release(asked.run_id)
                log.info("run was given back", extra={"run_id": asked.run_id, "step": update.step})
                return
            figures = self._advance(update, asked.run_id)
            if update.step % self.checkpoint_every == 0 or update.step == update.steps:
                _keep(folder, update, figures)
            self.runs.renew(asked.run_id, step=update.step, steps=update.steps, figures=figures)
        self._finish(asked, update.adapter_files(), figures)

    def _advance(self, update: AdapterUpdate, run_id: str) -> Mapping[str, float]:
        figures = update.advance()
        if not all(math.isfinite(value) for value in figures.values()):
            raise RunDiverged(run_id=run_id, step=update.step)
        return figures

    def _finish(self, asked: RunAsked, files: Mapping[str, bytes], figures: Mapping[str, float]) -> None:
        digest = digest_files(files)
        name = adapter_name(asked.policy, digest)
        # The configuration last: a folder that has it has the weights too.
        for file in sorted(files, reverse=True):
            self.objects.write(f"adapters/{name}/{file}", files[file])
        self.runs.end_trained(
            CandidateTrained(
                run_id=asked.run_id,
                policy=asked.policy,
                adapter_name=name,
                adapter_digest=digest,
                adapter_uri=f"object:adapters/{name}",
                base_digest=self.base_digest,
                snapshot_uri=asked.snapshot_uri,
                snapshot_sha256=asked.snapshot_sha256,
                recipe_name=asked.recipe_name,
                recipe_sha256=asked.recipe_sha256,
                author=asked.author,
                figures=dict(figures),
                trained_at=self.clock.now(),
            )
        )


def _keep(folder: Path, update: AdapterUpdate, figures: Mapping[str, float]) -> None:
    save_checkpoint(folder, update.step, {"update": update.state(), "figures": dict(figures)})
