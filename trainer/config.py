"""A recipe's choices: read from a file, frozen, saved with the run. Addresses and limits of processes are settings.

Every default names its source; what was measured on the demo's own model says so. A value that is computed at run time
is no field here.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from matrix.alignment.declarations import build, parse_toml
from matrix.digests import digest_json
from matrix.messages.base import Value

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class AdapterConfig(Value):
    """The low-rank adapter (arXiv:2106.09685)."""

    rank: int = Field(default=8, ge=1, le=256)  # arXiv:2106.09685 §7.2: small ranks suffice; measured on the demo
    alpha: int = Field(default=16, ge=1)  # twice the rank, the custom of its authors' code
    target_modules: tuple[str, ...] = Field(  # all linear layers: Schulman et al., LoRA Without Regret, 2025
        default=("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"), min_length=1
    )


class OptimizerConfig(Value):
    """AdamW with warm-up and linear decay."""

    learning_rate: Positive = 2e-3  # measured on the demo's 1 M model; large models want about 1e-5
    warmup_steps: int = Field(default=3, ge=0)  # measured on the demo
    weight_decay: NotNegative = 0.0  # the KL terms hold the adapter near the reference already
    max_gradient_norm: Positive = 1.0  # arXiv:1211.5063


class LossConfig(Value):
    """The clipped objective and what pulls back to the reference models."""

    clip_low: Annotated[float, Field(gt=0, lt=1)] = 0.2  # arXiv:1707.06347
    clip_high: Annotated[float, Field(gt=0, lt=10)] = 0.28  # arXiv:2503.14476 §3.1
    kl_coeff: NotNegative = 0.01  # measured on the demo: KL per token stays below 0.2
    champion_kl_coeff: NotNegative = 0.01  # as kl_coeff; nothing where the champion is the base model
    off_policy_limit: Positive = 0.5  # nats per token: arXiv:2512.02556, sequences with A < 0 beyond it are left out


class RolloutConfig(Value):
    """What one step draws. Temperature and top_p are 1: a truncated sampler biases the ratio."""

    prompts_per_step: int = Field(default=16, ge=1)  # measured on the demo
    group_size: int = Field(default=8, ge=2)  # completions per prompt; arXiv:2402.03300 uses 64, 8 is enough here
    max_tokens: int = Field(default=72, ge=1)  # of one completion
    updates_per_step: int = Field(default=1, ge=1)  # gradient steps on the same rollouts


class RewardConfig(Value):
    """Which rewards count and how they are combined."""

    dimensions: tuple[str, ...] = ()  # of the matrix; empty: all of it
    weights: Literal["declared", "adaptive"] = "adaptive"  # adaptive: tri-factor, matrix/alignment/weights.py
    method: Literal["default", "weakest_first"] = "default"  # matrix/alignment/method.py, DECISIONS.md D-025
    update_every: Annotated[int, Field(ge=1)] | None = None  # steps between two updates; None: the method's
    # A run has some fifty steps: levels that lag behind it leave weights where they were (measured on the demo).
    level_decay: Annotated[float, Field(ge=0, lt=1)] = 0.8
    level_belief: NotNegative = 0.0  # completions that the old level counts as
    redundancy_of: Literal["rollouts", "reference"] = "reference"
    hard_safety: bool = True  # violations rank below every safe completion of their group
    pressure: NotNegative = 0.0  # added to the safety rule's multiplier, which risk raises from 1 to 3
    prerequisites: bool = True  # a dimension counts only where its prerequisite is in order
    reference_prompts: int = Field(default=512, ge=2)  # for the frozen statistics; many, as dimensions may be rare
    reference_group: int = Field(default=2, ge=2)


class RunConfig(Value):
    """One run's recipe."""

    name: str
    recipe: Literal["grpo"] = "grpo"
    seed: int = Field(default=0, ge=0, lt=2**31)
    steps: int = Field(default=60, ge=1)
    adapter: AdapterConfig = AdapterConfig()
    optimizer: OptimizerConfig = OptimizerConfig()
    loss: LossConfig = LossConfig()
    rollouts: RolloutConfig = RolloutConfig()
    rewards: RewardConfig = RewardConfig()

    def digest(self) -> str:
        """Identity of the choices, not of their spelling."""
        return digest_json(self.model_dump(mode="json"))


def parse_config(text: str, *, file: str) -> RunConfig:
    """The recipe that a TOML text holds; InvalidMatrix names key and what was expected, the nearest name first."""
    return build(RunConfig, parse_toml(text, file=file), file=file)
