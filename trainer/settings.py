"""Limits of the trainer's processes; what belongs to one run is in its recipe."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from pydantic import Field

from infra.settings import Settings


class TrainerSettings(Settings):
    """Addresses as every process has them, and how much a worker or a policy server may take."""

    torch_threads: int = Field(default=2, ge=1)
    lease_s: int = Field(default=90, ge=5)  # a run whose worker was silent for this long may be taken over
    sweep_s: int = Field(default=10, ge=1)  # how often a worker looks for such runs
    max_attempts: int = Field(default=5, ge=1)  # workers that one run may lose before it counts as failed
    checkpoint_every: int = Field(default=10, ge=1)  # steps
    evaluation_batch: int = Field(default=128, ge=1)  # prompts generated at once
    evaluation_max_tokens: int = Field(default=128, ge=1)  # of one completion
    serve_max_batch: int = Field(default=32, ge=1)  # completions generated at once
    serve_max_tokens: int = Field(default=512, ge=1)  # of one completion
    serve_max_waiting: int = Field(default=1024, ge=1)  # completions; beyond it a request is answered 503

    @property
    def lease(self) -> timedelta:
        """How long a claim holds without renewal."""
        return timedelta(seconds=self.lease_s)

    @property
    def runs_dir(self) -> Path:
        """Where checkpoints lie; workers that may take over one another's runs share it."""
        return self.home / "runs"
