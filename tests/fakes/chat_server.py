"""A policy server that answers one sentence, remembers what it was asked, and fails when told to."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from fastapi import FastAPI
from fastapi.responses import JSONResponse


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
        self.app = FastAPI()

        @self.app.post("/v1/chat/completions")
        async def complete(body: dict[str, Any]) -> JSONResponse:
            self.asked.append(body)
            self.while_asked()
            if self.fails_with is not None:
                return JSONResponse({"error": {"message": "no"}}, status_code=self.fails_with)
            message = {"role": "assistant", "content": self.says}
            choice = {"index": 0, "message": message, "finish_reason": "stop"}
            return _Ascii({"id": "theirs", "object": "chat.completion", "model": body["model"], "choices": [choice]})
