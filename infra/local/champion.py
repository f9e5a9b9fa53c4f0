"""What a fresh stack serves: its base model as version 0 and champion, so that `<policy>@champion` answers.

Registering takes an administrator's key; one is made for that and revoked at once.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager

from infra.access import AccessKeys, Scope
from infra.base_model import base_digest, register
from infra.clock import SystemClock
from infra.database import Database
from infra.http import ApiClient, Refused
from infra.local.stack import Stack
from infra.local.state import State
from infra.settings import Settings
from matrix.errors import StackFailed

CONFLICT = 409
ROUTE_PATIENCE_S = 30.0
POLL_S = 0.1
ACTOR = "local-setup"


def ensure_champion(stack: Stack, state: State, tell: Callable[[str], None]) -> None:
    """Register the stack's base model unless that is done, and return when the gateway has the route to it."""
    if state.base_model is None:
        return
    told = stack.variables()
    policy = told.get("PLUMBLINE_POLICY", str(Settings.model_fields["policy"].default))
    digest = base_digest(state.base_model)
    if state.registered == f"{policy} {digest}":
        return
    with (
        _key(told["PLUMBLINE_DATABASE_URL"]) as key,
        closing(ApiClient(told["PLUMBLINE_REGISTRY_URL"], key)) as registry,
        closing(ApiClient(told["PLUMBLINE_GATEWAY_URL"], key)) as gateway,
    ):
        try:
            register(registry, policy=policy, digest=digest)
        except Refused as refused:
            if refused.status != CONFLICT:
                raise
            tell(f"{refused.detail}; for this base model choose another policy: --set policy=NAME")
            return
        _wait_for_route(gateway, f"{policy}@champion")
    stack.mark_registered(f"{policy} {digest}")
    tell(f"{policy}@champion is the base model, version 0")


@contextmanager
def _key(database_url: str) -> Iterator[str]:
    database = Database(database_url)
    try:
        keys = AccessKeys(database, SystemClock())
        key = keys.create(ACTOR, [Scope.ADMIN, Scope.CHAT])
        try:
            yield key
        finally:
            keys.revoke(keys.authenticate(key).key_id)
    finally:
        database.close()


def _wait_for_route(gateway: ApiClient, name: str) -> None:
    deadline = time.monotonic() + ROUTE_PATIENCE_S
    while name not in [model["id"] for model in gateway.get("/v1/models")["data"]]:
        if time.monotonic() > deadline:
            raise StackFailed(
                part="gateway",
                reason=f"has no route to {name} after {ROUTE_PATIENCE_S:.0f} s",
                remedy="`plumbline stack logs registry` and `plumbline stack logs gateway` say why.",
            )
        time.sleep(POLL_S)
