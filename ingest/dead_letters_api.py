"""Dead letters over HTTP: a key sees and handles those of its tenant and of no other; one with the scope `admin` also
what states no tenant that can be read.

Looking needs the scope `view`, handling `operate`. A call must say which letters it means: by id, or by what they
have in common.
"""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Depends, FastAPI, Query
from pydantic import AwareDatetime, Field

from infra.access import Principal, Scope
from infra.http import require
from ingest import dead_letters
from ingest.dead_letters import MOST, LetterTopic, Replay
from ingest.feedback_schema import problems
from ingest.gateway import Gateway
from ingest.repository_letters import Selection
from ingest.steps import Reason
from ingest.tenants import seen_by
from matrix.errors import InvalidInput
from matrix.messages.base import Value

Viewer = Annotated[Principal, Depends(require(Scope.VIEW))]
Operator = Annotated[Principal, Depends(require(Scope.OPERATE))]
LetterId = Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")]
REFUSALS = problems(400, 401, 403, 404, 413, 422, 429, 503)


class Wanted(Value):
    """Which letters a call means."""

    ids: tuple[LetterId, ...] | None = Field(default=None, min_length=1, max_length=MOST)
    reason: Reason | None = None
    topic: LetterTopic | None = None
    since: AwareDatetime | None = None
    limit: int = Field(default=MOST, ge=1, le=MOST)

    def of(self, principal: Principal) -> Selection:
        """Of what the key sees. InvalidInput where nothing narrows it: everything is never meant by mistake."""
        if (self.ids, self.reason, self.topic, self.since) == (None, None, None, None):
            raise InvalidInput(field="ids", value=None, remedy="ids, or at least one of reason, topic, since")
        limit = self.limit if self.ids is None else MOST
        return Selection(seen_by(principal), self.reason, self.topic, self.since, self.ids, limit)


class WantedAgain(Wanted):
    """Which letters are judged again, and what is mended in each before."""

    set: dict[Annotated[str, Field(min_length=1, max_length=128)], Any] = Field(default_factory=dict, max_length=32)


def add_routes(api: FastAPI, gateway: Gateway) -> None:
    """Looking and handling."""
    _add_views(api, gateway)

    @api.post("/v1/dead-letters/replay", tags=["dead letters"], responses=REFUSALS)
    def replay(body: WantedAgain, principal: Operator) -> dict[str, Any]:
        """Judge letters again, after `set` has mended fields (null takes one out); each event counts once."""
        how = Replay(gateway.privacy, gateway.limits, body.set, principal.actor)
        return dead_letters.replay(gateway.database, body.of(principal), how, gateway.clock.now())

    @api.post("/v1/dead-letters/drop", tags=["dead letters"], responses=REFUSALS)
    def drop(body: Wanted, principal: Operator) -> dict[str, Any]:
        """Forget what letters say; they stay counted as dead."""
        return dead_letters.drop(gateway.database, body.of(principal), gateway.clock.now(), by=principal.actor)


def _add_views(api: FastAPI, gateway: Gateway) -> None:
    @api.get("/v1/dead-letters", tags=["dead letters"], responses=REFUSALS)
    def list_dead_letters(
        principal: Viewer,
        reason: Reason | None = None,
        topic: LetterTopic | None = None,
        since: AwareDatetime | None = None,
        limit: Annotated[int, Query(ge=1, le=MOST)] = 100,
    ) -> dict[str, Any]:
        """What was set aside, the newest first, with the beginning of each payload."""
        wanted = Selection(seen_by(principal), reason, topic, since, None, limit)
        return {"dead_letters": dead_letters.listed(gateway.database, wanted)}

    @api.get("/v1/dead-letters/{letter_id}", tags=["dead letters"], responses=REFUSALS)
    def show_dead_letter(letter_id: LetterId, principal: Viewer) -> dict[str, Any]:
        """One letter with its payload as it is kept: redacted."""
        return dead_letters.show(gateway.database, seen_by(principal), letter_id)
