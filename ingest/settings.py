"""Limits of the gateway and of the ingest worker; addresses come from infra.settings."""

from __future__ import annotations

from datetime import timedelta

from pydantic import Field

from infra.settings import Settings


class IngestSettings(Settings):
    """PLUMBLINE_* variables that ingest alone reads."""

    max_body_bytes: int = Field(default=900_000, gt=0)  # a broker takes records up to 1 MiB by default
    max_age_s: float = Field(default=30 * 86_400, gt=0)  # older feedback describes an adapter nobody serves
    max_skew_s: float = Field(default=300, ge=0)  # clocks of clients run ahead this far without being refused
    pending_ttl_s: float = Field(default=30 * 86_400, gt=0)  # how long feedback waits for its completion
    sweep_every_s: float = Field(default=60, gt=0)
    # A run of events that nobody could decode means a bad deploy, not bad luck: the stream stops for a person.
    dead_letter_run_limit: int = Field(default=1000, gt=0)
    policy_server_timeout_s: float = Field(default=120, gt=0)

    @property
    def max_age(self) -> timedelta:
        """Oldest event that is still taken."""
        return timedelta(seconds=self.max_age_s)

    @property
    def max_skew(self) -> timedelta:
        """How far in the future an event may lie."""
        return timedelta(seconds=self.max_skew_s)

    @property
    def pending_ttl(self) -> timedelta:
        """How long feedback waits for its completion."""
        return timedelta(seconds=self.pending_ttl_s)
