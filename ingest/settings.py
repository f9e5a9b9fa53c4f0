"""Limits of the gateway and of the ingest worker; addresses come from infra.settings."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from pydantic import Field, SecretStr, field_validator

from infra.settings import Settings
from ingest.steps import AgeLimits
from matrix.errors import InvalidInput

LEAST_SECRET = 32  # characters; people's names are few, so a short secret would let anyone try them all


class IngestSettings(Settings):
    """PLUMBLINE_* variables that ingest alone reads."""

    max_body_bytes: int = Field(default=900_000, gt=0)  # far below what a record may hold
    rate_per_s: float = Field(default=5_000, gt=0)  # events that one key may send to one gateway
    max_age_s: float = Field(default=30 * 86_400, gt=0)  # older feedback describes an adapter nobody serves
    max_skew_s: float = Field(default=300, ge=0)  # clocks of clients run ahead this far without being refused
    pending_ttl_s: float = Field(default=30 * 86_400, gt=0)  # how long feedback waits for its completion
    sweep_every_s: float = Field(default=60, gt=0)
    # A run of events that nobody could decode means a bad deploy, not bad luck: the stream stops for a person.
    dead_letter_run_limit: int = Field(default=1000, gt=0)
    policy_server_timeout_s: float = Field(default=120, gt=0)
    # Share of completions whose user is asked for feedback by lot: who answers unasked is no random sample. More than
    # one in ten would be a nuisance, and people who are asked too often answer anything.
    audit_rate: float = Field(default=0.01, ge=0, le=0.1)
    pseudonym_secret: SecretStr | None = None  # users' pseudonyms hang on it; without it nothing is taken in
    webhooks_file: Path | None = None  # connectors that the deployment declares; see ingest.connectors.webhook
    entity_model: Path | None = None  # folder of a spaCy model that finds names; rules alone where there is none

    @field_validator("pseudonym_secret")
    @classmethod
    def _is_long_enough(cls, secret: SecretStr | None) -> SecretStr | None:
        if secret is not None and len(secret.get_secret_value()) < LEAST_SECRET:
            raise ValueError(f"at least {LEAST_SECRET} random characters")
        return secret

    def required_pseudonym_secret(self) -> bytes:
        """Whoever takes in people's words needs it. InvalidInput where it is not set."""
        if self.pseudonym_secret is None:
            remedy = f"{LEAST_SECRET} random characters or more, the same for every process and kept"
            raise InvalidInput(field="PLUMBLINE_PSEUDONYM_SECRET", value="(not set)", remedy=remedy)
        return self.pseudonym_secret.get_secret_value().encode()

    @property
    def age_limits(self) -> AgeLimits:
        """Which times of occurrence are believed."""
        return AgeLimits(self.max_age, self.max_skew)

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
