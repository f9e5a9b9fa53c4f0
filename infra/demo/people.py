"""Who takes part: the people and services of the clinic, each with a key of their own and no scope too many.

The engineer may also approve, as in a small team: what keeps her from approving her own candidate is the registry's
rule and not a missing scope.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from infra.demo.driver import Person, Product

ROLES: dict[str, tuple[str, tuple[str, ...]]] = {
    "setup": ("service:setup", ("admin", "view")),
    "engineer": ("maya-chen", ("train", "request", "approve", "view")),
    "safety_lead": ("dr-okafor", ("approve", "view")),
    "clinician": ("dr-lindqvist", ("approve", "view")),
    "operator": ("sam-ortiz", ("operate", "view")),
    "clinic_chat": ("service:clinic-chat", ("chat", "feedback")),
    "triage_desk": ("service:triage-desk", ("feedback",)),
}


@dataclass(frozen=True, slots=True)
class Cast:
    """Everyone, by what they do."""

    setup: Person
    engineer: Person
    safety_lead: Person
    clinician: Person
    operator: Person
    clinic_chat: Person
    triage_desk: Person


def hire(product: Product) -> Cast:
    """Make everyone's key through the command line, at once."""
    with ThreadPoolExecutor(max_workers=2) as pool:
        hired = {role: pool.submit(product.employ, actor, *scopes) for role, (actor, scopes) in ROLES.items()}
    return Cast(**{role: person.result() for role, person in hired.items()})
