"""Is every event accounted for? The demo knows what it sent; the product must say the same, to the event."""

from __future__ import annotations

from infra.demo.driver import NotSeen, Product, wait_for
from infra.demo.facts import Counts
from infra.demo.people import Cast
from infra.demo.traffic import Tally
from infra.demo.trials import StoryDiffers

SETTLING_PATIENCE_S = 120.0


def read_counts(product: Product, cast: Cast) -> Counts:
    """The gateway's reconciliation as it stands, with what states no tenant that can be read."""
    answer = product.gateway(cast.setup).get("/v1/counts")
    names = ("received", "accepted", "duplicate", "dead", "pending")
    return Counts(**{name: int(answer[name]) for name in names}, by_reason=dict(answer.get("by_reason", {})))


def settled_counts(product: Product, cast: Cast, tally: Tally) -> Counts:
    """Wait until every event that was sent is decided on; StoryDiffers where the numbers do not add up."""
    seen: list[Counts] = []

    def look() -> Counts | None:
        seen.append(read_counts(product, cast))
        return seen[-1] if seen[-1].settled() and seen[-1].received >= expected_received(tally) else None

    try:
        counts = wait_for("every event accounted for", look, patience_s=SETTLING_PATIENCE_S)
    except NotSeen as not_seen:
        last = seen[-1]
        raise NotSeen(
            wanted=f"{expected_received(tally)} events accounted for", waited_s=not_seen.waited_s, last=last
        ) from None
    must_add_up(counts, tally)
    return counts


def expected_received(tally: Tally) -> int:
    """Events that the product acknowledged or that went straight to Kafka."""
    return tally.distinct() + tally.dead() + tally.twice


def must_add_up(counts: Counts, tally: Tally) -> None:
    """Accepted and set aside exactly as sent. A request repeated after a lost answer may have become a duplicate."""
    wanted = {"accepted": tally.distinct(), "dead": tally.dead()}
    found = {"accepted": counts.accepted, "dead": counts.dead}
    if wanted != found:
        raise StoryDiffers(expected=f"counts {wanted}", seen=f"{found} ({counts.by_reason})")
    if not tally.twice <= counts.duplicate <= tally.twice + tally.retried:
        raise StoryDiffers(expected=f"{tally.twice} duplicates", seen=f"{counts.duplicate}")
