"""Recipes: each one algorithm in one file, read top to bottom; RECIPES is their table."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from matrix.scorers.learned import LearnedScorer
from trainer.base_model import LoadedBase, load_base
from trainer.config import RunConfig, parse_config
from trainer.declarations import base_folder, read_knowledge, read_matrix
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
    scoring_of: Callable[[Snapshot], Scoring]

    @property
    def name(self) -> str:
        """What people call it."""
        return self.config.name

    def open(self, snapshot: Snapshot, champion: Mapping[str, bytes] | None) -> AdapterUpdate:
        """An update at its first step, which starts from the champion's files, or from the base."""
        prompts = [sample.prompt for sample in snapshot.samples]
        return RECIPES[self.config.recipe](self.base, prompts, self.scoring_of(snapshot), self.config, champion)


def read_recipe(settings: TrainerSettings) -> ReadRecipe:
    """Reads recipes for this process; the base model is loaded with the first."""
    loaded: list[LoadedBase] = []

    def read(text: str, file: str) -> ReadyRecipe:
        config = parse_config(text, file=file)
        if not loaded:
            loaded.append(load_base(base_folder(settings)))
        return ReadyRecipe(config, loaded[0], lambda snapshot: _scoring(settings, snapshot))

    return read


def learned_for(_settings: TrainerSettings) -> Callable[[Snapshot], Mapping[str, LearnedScorer]]:
    """The learned scorers of a snapshot, by name."""
    return lambda snapshot: fit_learned(snapshot.samples)


def _scoring(settings: TrainerSettings, snapshot: Snapshot) -> Scoring:
    return Scoring(
        matrix=read_matrix(settings),
        knowledge=read_knowledge(settings),
        learned=fit_learned(snapshot.samples),
        risks=snapshot.manifest.risks,
    )
