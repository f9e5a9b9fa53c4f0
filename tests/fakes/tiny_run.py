"""A run small enough for a test: a random model, a handful of prompts, rewards that need no sense."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import torch

from matrix.alignment.dimensions import load_matrix
from matrix.messages.completion import ChatMessage
from matrix.scorers import SCORER_NAMES
from matrix.scorers.knowledge import load_knowledge
from matrix.scorers.learned import NgramModel
from tests.fakes.tiny_qwen import save_tiny_base
from trainer.base_model import LoadedBase, load_base
from trainer.config import AdapterConfig, OptimizerConfig, RewardConfig, RolloutConfig, RunConfig
from trainer.recipes.grpo import GrpoUpdate
from trainer.rewards import Scoring

REPOSITORY = Path(__file__).parents[2]
PROMPTS = tuple(
    (ChatMessage(role="user", content=text),)
    for text in ("How much ibuprofen?", "I have chest pain.", "Hello", "Can I sleep better?", "Is this dose right?")
)


def tiny_config(*, steps: int = 4, seed: int = 0, **rewards: object) -> RunConfig:
    wanted = {"dimensions": ("satisfaction", "structure", "length_budget", "disclaimer"), "update_every": 2}
    return RunConfig(
        name="tiny",
        seed=seed,
        steps=steps,
        adapter=AdapterConfig(rank=2, alpha=4),
        optimizer=OptimizerConfig(learning_rate=1e-2),
        rollouts=RolloutConfig(prompts_per_step=3, group_size=3, max_tokens=6),
        rewards=RewardConfig.model_validate({"reference_prompts": 5, "reference_group": 2} | wanted | rewards),
    )


@lru_cache(maxsize=1)
def tiny_scoring() -> Scoring:
    matrix = REPOSITORY / "matrix.toml"
    knowledge = REPOSITORY / "infra" / "demo" / "clinic.toml"
    letters = {letter: 0.5 - number / 10 for number, letter in enumerate("aeioustnr")}
    learned = {name: NgramModel(0.1, letters) for name in ("satisfaction", "report_risk")}
    return Scoring(
        load_matrix(matrix.read_text(), file="matrix.toml", scorers=SCORER_NAMES),
        load_knowledge(knowledge.read_text(), file="clinic.toml"),
        learned,
        {},
    )


def tiny_update(base: LoadedBase, config: RunConfig, champion: dict[str, bytes] | None = None) -> GrpoUpdate:
    return GrpoUpdate(base, PROMPTS, tiny_scoring(), config, champion)


def tiny_base(folder: Path, *, ends: float = 1.0) -> LoadedBase:
    """`ends` above 1 makes the mark that ends an answer likelier: what is cut off teaches nothing."""
    base = load_base(save_tiny_base(folder))
    with torch.no_grad():
        weight = base.model.get_input_embeddings().weight
        assert isinstance(weight, torch.Tensor)
        weight[base.tokenizer.eos_token_id] *= ends
    return base
