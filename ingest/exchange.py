"""One request on its way: which adapter answers it, and what is logged of it.

The adapter is the one of the route at dispatch: an alias that moves meanwhile does not change who wrote the
completion. Without the user's consent nothing is logged and nobody is asked for feedback; the completion is served all
the same, and feedback on it waits like feedback on any completion that nobody logged.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from ingest.chat_request import ChatRequest
from ingest.gateway import Gateway
from ingest.lots import is_audited
from ingest.splits import assign, conversation_of
from matrix.errors import InvalidInput, SamplerUnavailable
from matrix.messages.completion import CompletionServed
from matrix.topics import COMPLETION_SERVED

ADAPTER_HEADER = "X-Plumbline-Adapter"
ASK_HEADER = "X-Plumbline-Ask-Feedback"
ID_BYTES = 16


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, as the key and the headers say."""

    tenant: str
    session_id: str | None
    consent: bool


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request that has its adapter."""

    gateway: Gateway
    conversation: str  # what stays with one adapter and one server
    served_name: str
    asked: CompletionServed  # without what the policy will write

    def headers(self) -> dict[str, str]:
        """What the client is told beside the completion."""
        asks = {ASK_HEADER: "1"} if self.asked.audited else {}
        return {ADAPTER_HEADER: self.asked.adapter_digest} | asks

    def named(self, answer: dict[str, Any]) -> dict[str, Any]:
        """The policy server's answer, or a chunk of it, under the name that feedback will use."""
        return answer | {"id": self.asked.completion_id, "model": self.served_name}

    async def log(self, text: str, *, interrupted: bool = False) -> None:
        """Durable once it returns; SamplerUnavailable for what cannot be logged, else as Gateway.send."""
        said = {"completion": text, "interrupted": interrupted, "served_at": self.gateway.clock.now()}
        try:
            served = CompletionServed.model_validate(self.asked.model_dump() | said)
        except ValidationError as error:
            raise SamplerUnavailable(f"the policy server's answer cannot be logged: {_rule(error)}") from None
        if served.consent:
            # In a thread: a long conversation takes the redaction longer than other requests should wait.
            private = await asyncio.to_thread(self.gateway.privacy.completion, served)
            await self.gateway.send(COMPLETION_SERVED, private.completion_id, private)


def begin(gateway: Gateway, body: ChatRequest, caller: Caller) -> Exchange:
    """Refuses what could not be logged whatever the policy writes: InvalidInput, UnknownModel, NoRouteYet."""
    route = gateway.routes.resolve(body.model)
    completion_id = f"chatcmpl-{gateway.random_bytes(ID_BYTES).hex()}"
    conversation = conversation_of(caller.tenant, caller.session_id, body.user, completion_id)
    chosen = assign(route, conversation)
    consent = caller.consent and body.store is not False
    draws = consent and gateway.audit_rate > 0
    fields = {
        "tenant": caller.tenant,
        "completion_id": completion_id,
        "policy": chosen.policy,
        "adapter_digest": chosen.adapter_digest,
        "conversation_id": caller.session_id,
        "user_id": body.user,
        "prompt": [message.model_dump() for message in body.messages],
        "completion": "",
        "served_at": gateway.clock.now(),
        "propensity": chosen.propensity,
        "audited": draws and is_audited(completion_id, gateway.audit_rate),
        "audit_rate": gateway.audit_rate if draws else None,
        "consent": consent,
    }
    try:
        asked = CompletionServed.model_validate(fields)
    except ValidationError as error:
        raise InvalidInput(field="messages", value="", remedy=_rule(error)) from None
    return Exchange(gateway, conversation, chosen.served_name, asked)


def _rule(error: ValidationError) -> str:
    rule = str(error.errors(include_url=False)[0]["msg"]).removeprefix("Value error, ")
    return rule.removeprefix("prompt: ")
