"""The patients' visits over HTTP: many at once, as a clinic's services would bring them.

Requests that a server could not take (503, no connection) are sent again with the same id; anything else that is not
the expected answer ends the story with what was seen.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import httpx

from infra.demo.driver import Person
from infra.demo.traffic import (
    Remark,
    Sending,
    Tally,
    Visit,
    logged,
    plan_feedback,
    refusable_bodies,
    stranger_bodies,
)
from infra.demo.trials import StoryDiffers
from matrix.errors import Permanent, SamplerUnavailable

AT_ONCE = 32  # visits under way; the policy server answers those that ask together in one batch
TRIES = 8
SEEDS_TRIED = 4
FIRST_PAUSE_S = 0.25
TIMEOUT_S = 60.0
DESK_BATCH = 10  # the triage desk logs its completions when it has as many

React = Callable[[Visit, str], Sequence[Remark]]  # a visit and the completion in, what the patient says out


class UnexpectedAnswer(Permanent):
    """A server answered something that the story does not expect."""

    def __init__(self, *, request: str, status: int, body: str) -> None:
        self.request, self.status, self.body = request, status, body
        super().__init__(f"{request} was answered {status}: {body[:200]}")


@dataclass(frozen=True, slots=True)
class Services:
    """Where the two services send what, and as whom."""

    gateway_url: str
    policy_server_url: str
    policy: str
    base_name: str  # the base model's name at the policy server
    base_digest: str
    clinic_chat: Person
    triage_desk: Person
    max_tokens: int = 96
    temperature: float = 1.0


class Clinic:
    """Holds what is in flight: connections, the tally, and what services keep for later."""

    def __init__(self, services: Services, react: React, *, tell: Callable[[int], None]) -> None:
        self._services, self._react, self._tell = services, react, tell
        self.tally = Tally()
        self.served: list[tuple[Visit, str, str]] = []  # visit, completion id, completion
        self._unlogged: list[dict[str, Any]] = []
        self._late: list[dict[str, Any]] = []
        self._slots = asyncio.Semaphore(AT_ONCE)

    async def open(self, visits: Sequence[Visit]) -> None:
        """Feedback by strangers, all the visits, then what came late and what the desk has still to log."""
        limits = httpx.Limits(max_connections=2 * AT_ONCE, max_keepalive_connections=2 * AT_ONCE)
        async with httpx.AsyncClient(timeout=TIMEOUT_S, limits=limits) as client:
            for body in stranger_bodies(visits[0].seed):
                await self._feedback(client, body)
                self.tally.strangers += 1
            await _all(self._visit(client, visit) for visit in visits)
            await self._refuse_malformed(client)
            await _all(self._post_late(client, body) for body in self._late)
            await self._log(client)

    async def _visit(self, client: httpx.AsyncClient, visit: Visit) -> None:
        async with self._slots:
            completion_id, completion = await self._ask(client, visit)
            self.tally.completions += 1
            self.served.append((visit, completion_id, completion))
            said = self._react(visit, completion)
            for sending in plan_feedback(visit, completion_id, said, datetime.now(UTC)):
                await self._send(client, visit, sending)
            self.tally.silent += not said
            if visit.at_the_desk:
                await self._leave_at_the_desk(client, visit, completion_id, completion)
            self._tell(1)

    async def _ask(self, client: httpx.AsyncClient, visit: Visit) -> tuple[str, str]:
        """A tiny model samples a stray byte now and then that no text store takes; the patient then asks again."""
        ask = self._ask_desk if visit.at_the_desk else self._ask_gateway
        for again in range(SEEDS_TRIED):
            try:
                completion_id, completion = await ask(client, replace(visit, seed=visit.seed + again))
            except UnexpectedAnswer as answer:
                if answer.status != httpx.codes.UNPROCESSABLE_ENTITY or again == SEEDS_TRIED - 1:
                    raise
                continue
            if "\x00" not in completion:
                return completion_id, completion
        raise StoryDiffers(expected="completions made of text", seen=f"{SEEDS_TRIED} with control characters")

    async def _ask_gateway(self, client: httpx.AsyncClient, visit: Visit) -> tuple[str, str]:
        answer = await self._post(
            client,
            f"{self._services.gateway_url}/v1/chat/completions",
            self._question(visit, model=f"{self._services.policy}@champion"),
            by=self._services.clinic_chat,
            session=visit.conversation_id,
        )
        return answer["id"], answer["choices"][0]["message"]["content"]

    async def _ask_desk(self, client: httpx.AsyncClient, visit: Visit) -> tuple[str, str]:
        """The desk stands in the product's own network and asks the policy server without the gateway."""
        answer = await self._post(
            client,
            f"{self._services.policy_server_url}/v1/chat/completions",
            self._question(visit, model=self._services.base_name),
        )
        completion = answer["choices"][0]["message"]["content"]
        return f"desk-{visit.conversation_id}", completion

    async def _leave_at_the_desk(
        self, client: httpx.AsyncClient, visit: Visit, completion_id: str, completion: str
    ) -> None:
        digest, policy = self._services.base_digest, self._services.policy
        self._unlogged.append(logged(visit, completion_id, completion, digest, policy))
        if len(self._unlogged) >= DESK_BATCH:
            await self._log(client)

    def _question(self, visit: Visit, *, model: str) -> dict[str, Any]:
        return {
            "model": model,
            "messages": [message.model_dump() for message in visit.prompt],
            "temperature": self._services.temperature,
            "max_tokens": self._services.max_tokens,
            "seed": visit.seed,
            "user": visit.patient,
        }

    async def _send(self, client: httpx.AsyncClient, visit: Visit, sending: Sending) -> None:
        if sending.late:
            self._late.append(sending.body)
            return
        await self._feedback(client, sending.body)
        self.tally.kinds[sending.body["metric_name"]] += 1
        self.tally.early += visit.at_the_desk
        if sending.twice:
            await self._feedback(client, sending.body)
            self.tally.twice += 1

    async def _post_late(self, client: httpx.AsyncClient, body: dict[str, Any]) -> None:
        async with self._slots:
            await self._feedback(client, body)
        self.tally.kinds[body["metric_name"]] += 1
        self.tally.late += 1

    async def _log(self, client: httpx.AsyncClient) -> None:
        """The desk logs what it has served since the last time."""
        bodies, self._unlogged = self._unlogged, []
        url = f"{self._services.gateway_url}/v1/completions/log"
        for body in bodies:
            await self._post(client, url, body, by=self._services.triage_desk, expected=202)
        self.tally.logged += len(bodies)

    async def _feedback(self, client: httpx.AsyncClient, body: dict[str, Any]) -> None:
        desk = body["tags"]["service"] == "triage-desk"
        by = self._services.triage_desk if desk else self._services.clinic_chat
        await self._post(client, f"{self._services.gateway_url}/v1/feedback", body, by=by, expected=202)

    async def _refuse_malformed(self, client: httpx.AsyncClient) -> None:
        """What a careless client sends: each must be refused with the field that is wrong."""
        url = f"{self._services.gateway_url}/v1/feedback"
        for body in refusable_bodies(self.served[0][1]):
            answer = await client.post(url, json=body, headers=_key(self._services.clinic_chat))
            if not 400 <= answer.status_code < 500 or not answer.json().get("errors"):
                raise UnexpectedAnswer(request=f"feedback {body}", status=answer.status_code, body=answer.text)
            self.tally.refused += 1

    async def _post(
        self,
        client: httpx.AsyncClient,
        url: str,
        body: dict[str, Any],
        *,
        by: Person | None = None,
        session: str | None = None,
        expected: int = 200,
    ) -> Any:
        headers = (_key(by) if by else {}) | ({"X-Session-Id": session} if session else {})
        for attempt in range(TRIES):
            try:
                answer = await client.post(url, json=body, headers=headers)
            except httpx.TransportError:
                answer = None
            if answer is not None and answer.status_code == expected:
                return answer.json()
            if answer is not None and answer.status_code != httpx.codes.SERVICE_UNAVAILABLE:
                raise UnexpectedAnswer(request=url, status=answer.status_code, body=answer.text)
            self.tally.retried += 1
            await asyncio.sleep(FIRST_PAUSE_S * 2**attempt)
        raise SamplerUnavailable(f"{url} did not take a request in {TRIES} tries")


def _key(person: Person) -> dict[str, str]:
    return {"Authorization": f"Bearer {person.key}"}


async def _all(tasks: Any) -> None:
    """Every one of them; the first failure cancels the rest."""
    async with asyncio.TaskGroup() as group:
        for task in tasks:
            group.create_task(_awaited(task))


async def _awaited(task: Awaitable[None]) -> None:
    await task
