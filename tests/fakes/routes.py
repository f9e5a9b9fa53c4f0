"""Routes as a dictionary."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime

from matrix.digests import adapter_name
from matrix.messages.gate import RouteChanged


@dataclass
class FakeRoutes:
    """Implements trainer.champions.Routes."""

    champions: dict[str, RouteChanged] = field(default_factory=dict)

    def champion(self, policy: str) -> RouteChanged | None:
        return self.champions.get(policy)

    def point(self, policy: str, digest: str, *, version: int) -> None:
        name = adapter_name(policy, digest) if version else "base"
        self.champions[policy] = RouteChanged(
            policy=policy,
            alias="champion",
            version=version,
            served_name=name,
            adapter_digest=digest,
            at=datetime(2026, 1, 1, tzinfo=UTC),
        )
