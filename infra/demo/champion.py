"""What patients get right now: the policy's registration, and one question put to the champion by the gateway."""

from __future__ import annotations

from dataclasses import dataclass

import httpx

from infra.base_model import register
from infra.demo.driver import Person, Product
from infra.demo.people import Cast
from infra.demo.trials import StoryDiffers

ADAPTER_HEADER = "X-Plumbline-Adapter"
ROUTE_PATIENCE_S = 30.0
MAX_TOKENS = 96
TIMEOUT_S = 60.0


@dataclass(frozen=True, slots=True)
class Reply:
    """A completion and the digest of the adapter that wrote it."""

    completion: str
    digest: str


def register_base(product: Product, cast: Cast, *, digest: str) -> None:
    """The base model becomes version 0, champion and anchor."""
    register(product.registry(cast.setup), policy=product.settings.policy, digest=digest)


def ask(product: Product, person: Person, question: str) -> Reply | None:
    """Greedy, so that the same bytes give the same words; None while the gateway has no route yet."""
    body = {
        "model": f"{product.settings.policy}@champion",
        "messages": [{"role": "user", "content": question}],
        "temperature": 0,
        "max_tokens": MAX_TOKENS,
    }
    url, key = f"{product.settings.gateway_url}/v1/chat/completions", {"Authorization": f"Bearer {person.key}"}
    try:
        answer = httpx.post(url, headers=key, json=body, timeout=TIMEOUT_S)
    except httpx.TransportError:
        return None
    if answer.status_code in (httpx.codes.NOT_FOUND, httpx.codes.SERVICE_UNAVAILABLE):
        return None
    if not answer.is_success:
        raise StoryDiffers(expected="an answer of the champion", seen=f"HTTP {answer.status_code}: {answer.text[:200]}")
    return Reply(answer.json()["choices"][0]["message"]["content"], answer.headers.get(ADAPTER_HEADER, ""))


def is_served(reply: Reply | None, digest: str) -> Reply | None:
    """The reply, if that adapter wrote it; the gateway follows a route within moments."""
    return reply if reply is not None and reply.digest == digest else None
