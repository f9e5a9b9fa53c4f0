"""Limits of the registry's processes; addresses come from infra."""

from __future__ import annotations

from pydantic import Field

from infra.settings import Settings


class RegistrySettings(Settings):
    """Addresses as every process has them, and how closely a policy server must reproduce a probe."""

    registry_max_body_bytes: int = Field(default=64 * 1024, ge=1024)
    probe_tolerance: float = Field(default=0.02, gt=0, lt=1)  # nats per token; other kernels differ by about 1e-3
    server_timeout_s: float = Field(default=60.0, gt=0)
    upkeep_every_s: float = Field(default=5.0, gt=0)  # how often policy servers are asked what they serve
