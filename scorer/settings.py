"""When a snapshot is due and what may enter it; addresses come from infra.settings."""

from __future__ import annotations

from datetime import timedelta

from pydantic import Field

from infra.settings import Settings


class ScorerSettings(Settings):
    """PLUMBLINE_* variables that the scorer alone reads."""

    snapshot_min_samples: int = Field(default=500, gt=0)  # newly labelled samples that make one due
    snapshot_max_age_s: float = Field(default=7 * 86_400, gt=0)  # new labels wait no longer than this
    snapshot_risk: float = Field(default=0.5, gt=0, le=1)  # a cell at this risk makes one due early
    snapshot_risk_min_samples: int = Field(default=50, gt=0)  # new labels that an early one needs
    snapshot_user_cap: int = Field(default=50, gt=0)  # samples of one user in a snapshot
    snapshot_max_samples: int = Field(default=20_000, gt=0)  # the latest served are kept
    due_every_s: float = Field(default=2.0, gt=0)  # how often the worker asks whether one is due
    risk_points_keep_s: float = Field(default=90 * 86_400, gt=0, le=3650 * 86_400)  # how long recorded risks stay
    # The same variables as ingest's: of completions both judge the same.
    max_age_s: float = Field(default=30 * 86_400, gt=0)
    max_skew_s: float = Field(default=300, ge=0)
    train_config: str | None = None  # uri of a stored recipe: each snapshot is then trained on at once

    @property
    def snapshot_max_age(self) -> timedelta:
        """Longest time that new labels wait."""
        return timedelta(seconds=self.snapshot_max_age_s)

    @property
    def risk_points_keep(self) -> timedelta:
        """How long recorded risks stay."""
        return timedelta(seconds=self.risk_points_keep_s)

    @property
    def max_age(self) -> timedelta:
        """Oldest completion that is taken."""
        return timedelta(seconds=self.max_age_s)

    @property
    def max_skew(self) -> timedelta:
        """How far in the future a completion may lie."""
        return timedelta(seconds=self.max_skew_s)
