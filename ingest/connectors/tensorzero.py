"""TensorZero's feedback bodies, many at once; what a body means is ingest.tensorzero's business.

A body without an `id` is known by what it says: sent twice, it is one event.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import ValidationError

from ingest.connectors.items import Delivery, Message, Outcome, each
from ingest.tensorzero import FeedbackRequest, to_event
from matrix.errors import InvalidInput
from matrix.messages.base import MAX_IDENTIFIER


def read(payload: object, delivery: Delivery) -> list[Outcome]:
    """A body of POST /feedback, or a list of them."""
    return each(payload, delivery, _body)


def _body(item: Mapping[str, Any], delivery: Delivery) -> Iterator[Message | InvalidInput]:
    try:
        body = FeedbackRequest.model_validate(item)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        field = ".".join(str(part) for part in first["loc"][:1]) or "body"
        raise InvalidInput(field=field, value=first["input"], remedy=first["msg"]) from None
    if body.dryrun:
        raise InvalidInput(field="dryrun", value=True, remedy="left out here; POST /v1/feedback only checks with it")
    event_id = body.id or f"tensorzero-{delivery.keyed(json.dumps(item, sort_keys=True))}"[:MAX_IDENTIFIER]
    yield to_event(body, event_id, delivery.now)
