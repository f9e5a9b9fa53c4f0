"""The peer: the least an ASGI endpoint can do and still be durable. It produces the body to Kafka and waits for it.

It knows no keys, looks at nothing, and lets aiokafka collect records for two milliseconds.
"""

from __future__ import annotations

import sys
from typing import Any

import uvicorn
from aiokafka import AIOKafkaProducer

TOPIC = "feedback.received.v1"
ANSWER = b'{"status":"accepted"}'
HEADERS = [(b"content-type", b"application/json"), (b"content-length", str(len(ANSWER)).encode())]


class Bare:
    """ASGI."""

    def __init__(self, bootstrap: str) -> None:
        self._bootstrap = bootstrap
        self._producer: Any = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Any path takes a body; a request without one is a look at its health."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        if body:
            await (await self._producer.send(TOPIC, body))
        await send({"type": "http.response.start", "status": 202 if body else 200, "headers": HEADERS})
        await send({"type": "http.response.body", "body": ANSWER})

    async def _live(self, receive: Any, send: Any) -> None:
        await receive()
        self._producer = AIOKafkaProducer(
            bootstrap_servers=self._bootstrap, acks="all", linger_ms=2, max_request_size=4 << 20
        )
        await self._producer.start()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self._producer.stop()
        await send({"type": "lifespan.shutdown.complete"})


if __name__ == "__main__":
    application = Bare(sys.argv[1])
    port = int(sys.argv[2])
    uvicorn.run(
        application,
        host="127.0.0.1",
        port=port,
        loop="uvloop",
        http="httptools",
        proxy_headers=False,
        log_config=None,
        access_log=False,
    )
