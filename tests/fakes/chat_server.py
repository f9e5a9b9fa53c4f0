"""A policy server that says one sentence, whole or in pieces, remembers what it was asked, and fails when told to."""

from __future__ import annotations

import asyncio
import json
import re
import threading
from collections.abc import AsyncIterator, Callable
from typing import Any

from fastapi import FastAPI
from fastapi.responses import JSONResponse, Response, StreamingResponse

USAGE = {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}
LONGEST_S = 60.0  # generous: this bound only ends a test that is broken


class _Ascii(JSONResponse):
    """May say what UTF-8 cannot spell, as a server of any other make may."""

    def render(self, content: Any) -> bytes:
        return json.dumps(content).encode()


class FakeChatServer:
    """vLLM's chat endpoint, as far as a proxy sees it."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        self.fails_with: int | None = None
        self.says = "Ask your pharmacist."
        self.while_asked: Callable[[], None] = lambda: None
        self.waits_before: int | None = None  # the piece that is not sent until `go_on`
        self.breaks_before: int | None = None  # the piece at which the connection ends
        self.sends: list[bytes] | None = None  # in place of its own events
        self.go_on, self.left = threading.Event(), threading.Event()
        self.app = FastAPI()

        @self.app.post("/v1/chat/completions")
        async def complete(body: dict[str, Any]) -> Response:
            self.asked.append(body)
            self.while_asked()
            if self.fails_with is not None:
                return JSONResponse({"error": {"message": "no"}}, status_code=self.fails_with)
            if body.get("stream"):
                return StreamingResponse(self._stream(body), media_type="text/event-stream; charset=utf-8")
            message = {"role": "assistant", "content": self.says}
            choice = {"index": 0, "message": message, "finish_reason": "stop"}
            answer = {"id": "chatcmpl-theirs", "object": "chat.completion", "created": 1, "model": body["model"]}
            return _Ascii(answer | {"choices": [choice], "usage": USAGE})

    async def _stream(self, body: dict[str, Any]) -> AsyncIterator[bytes]:
        whole = False
        try:
            for number, event in enumerate(self._events(body) if self.sends is None else self.sends):
                if number == self.waits_before:
                    await asyncio.to_thread(self.go_on.wait, LONGEST_S)
                if number == self.breaks_before:
                    raise ConnectionResetError("the fake breaks the connection")
                yield event
            whole = True
        finally:
            if not whole:
                self.left.set()

    def _events(self, body: dict[str, Any]) -> list[bytes]:
        deltas: list[tuple[dict[str, Any], str | None]] = [({"role": "assistant", "content": ""}, None)]
        deltas += [({"content": piece}, None) for piece in re.findall(r"\s*\S+|\s+", self.says)]
        deltas.append(({"content": ""}, "stop"))
        frame = {"id": "chatcmpl-theirs", "object": "chat.completion.chunk", "created": 1, "model": body["model"]}
        chunks: list[dict[str, Any]] = [
            frame | {"choices": [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}]}
            for delta, reason in deltas
        ]
        if (body.get("stream_options") or {}).get("include_usage"):
            chunks.append(frame | {"choices": [], "usage": USAGE})
        return [f"data: {json.dumps(chunk)}\n\n".encode() for chunk in chunks] + [b"data: [DONE]\n\n"]
