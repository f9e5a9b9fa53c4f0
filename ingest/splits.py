"""Which of an alias's adapters serves a conversation, where its route shares conversations out.

Going through the splits in their order, a conversation is a split's if its lot for that split's adapter lies below
the split's share of what the splits before it left; what no split takes is the route's own adapter's. So:

- a conversation has one answer, from every gateway and after every restart, while the route stands;
- a split's adapter serves `share` of all conversations, and that is the propensity which is logged;
- where the last split's share grows, or a split is added at the end, conversations move to that split alone and only
  from the route's own adapter; where it shrinks, they move back. Shares that move little move few conversations;
- lots hang on the adapter's digest: who tried one candidate is no likelier to try the next.

The route's own adapter enters no lot, so a new champion takes nobody from a split. Left out: a memory of who was
served by what; it would have to be shared by all gateways to keep the few whom a changed share moves.
"""

from __future__ import annotations

from dataclasses import dataclass

from ingest.lots import lot
from matrix.messages.gate import RouteChanged


@dataclass(frozen=True, slots=True)
class Assigned:
    """The adapter that answers."""

    policy: str
    served_name: str
    adapter_digest: str
    propensity: float  # probability with which the route chose it


def assign(route: RouteChanged, conversation: str) -> Assigned:
    """The adapter of this conversation, whose name is unique across tenants."""
    left = 1.0
    for split in route.splits:
        if lot(f"split {split.adapter_digest}", conversation) < split.share / left:
            return Assigned(route.policy, split.served_name, split.adapter_digest, split.share)
        left -= split.share
    return Assigned(route.policy, route.served_name, route.adapter_digest, left)


def conversation_of(tenant: str, session_id: str | None, user: str | None, completion_id: str) -> str:
    """What stays with one adapter: the session, else the person; without either, each completion for itself."""
    for kind, name in (("session", session_id), ("user", user)):
        if name is not None:
            return f"{tenant}/{kind}/{name}"
    return f"{tenant}/completion/{completion_id}"
