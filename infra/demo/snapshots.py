"""The snapshot that the scorer cuts by itself once it is due: nobody orders it."""

from __future__ import annotations

from dataclasses import dataclass

from infra.demo.driver import Product, wait_for
from infra.demo.people import Cast

CUT_PATIENCE_S = 300.0


@dataclass(frozen=True, slots=True)
class Cut:
    """A snapshot as the scorer lists it."""

    uri: str
    rows: int
    reason: str


def wait_for_snapshot(product: Product, cast: Cast) -> Cut:
    """The newest snapshot, once there is one."""

    def look() -> Cut | None:
        listed = product.command("scorer", "snapshot", "list", "--json", by=cast.engineer)["snapshots"]
        return Cut(listed[0]["uri"], listed[0]["rows"], listed[0]["reason"]) if listed else None

    return wait_for("a snapshot cut by the scorer", look, patience_s=CUT_PATIENCE_S)
