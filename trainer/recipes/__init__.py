"""Recipes: each one algorithm in one file, read top to bottom; RECIPES is their table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from infra.objects import FolderObjectStore
from matrix.alignment.dimensions import load_matrix
from matrix.digests import adapter_name
from matrix.errors import ArtifactCorrupt, InvalidInput
from matrix.ports import ObjectStore
from matrix.scorers import SCORER_NAMES
from matrix.scorers.knowledge import load_knowledge
from matrix.scorers.learned import LearnedScorer
from trainer.adapters import CONFIG, WEIGHTS, adapter_digest
from trainer.base_model import LoadedBase, load_base
from trainer.config import RunConfig, parse_config
from trainer.learned import fit_learned
from trainer.recipes.grpo import GrpoUpdate
from trainer.rewards import Scoring
from trainer.settings import TrainerSettings
from trainer.snapshots import Snapshot
from trainer.training import AdapterUpdate, ReadRecipe

RECIPES = {"grpo": GrpoUpdate}


@dataclass(frozen=True, slots=True)
class ReadyRecipe:
    """A recipe with what this process trains on."""

    config: RunConfig
    base: LoadedBase
    objects: ObjectStore
    scoring_of: Callable[[Snapshot], Scoring]

    @property
    def name(self) -> str:
        """What people call it."""
        return self.config.name

    def open(self, snapshot: Snapshot) -> AdapterUpdate:
        """An update at its first step."""
        prompts = [sample.prompt for sample in snapshot.samples]
        champion = champion_files(self.objects, snapshot, base_digest=self.base.digest)
        return RECIPES[self.config.recipe](self.base, prompts, self.scoring_of(snapshot), self.config, champion)


def champion_files(objects: ObjectStore, snapshot: Snapshot, *, base_digest: str) -> dict[str, bytes] | None:
    """The adapter that wrote most of the snapshot's completions, verified; None where that was the base model."""
    [(digest, _)] = Counter(sample.adapter_digest for sample in snapshot.samples).most_common(1)
    if digest == base_digest:
        return None
    folder = f"object:adapters/{adapter_name(snapshot.manifest.policy, digest)}"
    files = {name: objects.read(f"{folder}/{name}") for name in (WEIGHTS, CONFIG)}
    if adapter_digest(files) != digest:
        raise ArtifactCorrupt(folder, expected=digest, found=adapter_digest(files))
    return files


def read_recipe(settings: TrainerSettings) -> ReadRecipe:
    """Reads recipes for this process; the base model is loaded with the first."""
    loaded: list[LoadedBase] = []

    def read(text: str, file: str) -> ReadyRecipe:
        config = parse_config(text, file=file)
        if settings.base_model is None:
            raise InvalidInput(field="base_model", value=None, remedy="a folder: set PLUMBLINE_BASE_MODEL")
        if not loaded:
            loaded.append(load_base(settings.base_model))
        objects = FolderObjectStore(settings.objects_dir)
        return ReadyRecipe(config, loaded[0], objects, lambda snapshot: _scoring(settings, snapshot))

    return read


def learned_for(_settings: TrainerSettings) -> Callable[[Snapshot], Mapping[str, LearnedScorer]]:
    """The learned scorers of a snapshot, by name."""
    return lambda snapshot: fit_learned(snapshot.samples)


def _scoring(settings: TrainerSettings, snapshot: Snapshot) -> Scoring:
    matrix_file, knowledge_file = settings.matrix_file, settings.knowledge_file
    return Scoring(
        matrix=load_matrix(matrix_file.read_text(), file=str(matrix_file), scorers=SCORER_NAMES),
        knowledge=load_knowledge(knowledge_file.read_text(), file=str(knowledge_file)),
        learned=fit_learned(snapshot.samples),
        risks=snapshot.manifest.risks,
    )
