"""A gateway that keeps what it takes in memory, and behaves as badly as it is told to."""

from __future__ import annotations

import json
from collections import Counter, deque
from enum import StrEnum
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route


class Mood(StrEnum):
    """How the next request is answered."""

    TAKES = "takes"
    AWAY = "away"  # takes nothing
    TAKES_AND_FAILS = "takes and fails"  # takes all, and answers as if it had not
    BUSY = "busy"
    NO_KEY = "no key"
    WHOLE_REFUSED = "whole refused"  # a batch of more than one
    NONSENSE = "nonsense"


class FakeFeedbackGateway:
    """`moods` are used up one a request; after them it takes everything but `refused` ids."""

    def __init__(self) -> None:
        self.moods: deque[Mood] = deque()
        self.mood = Mood.TAKES
        self.refused: set[str] = set()
        self.events: list[dict[str, Any]] = []
        self.completions: list[dict[str, Any]] = []
        self.requests, self.keys, self.sizes = 0, Counter[str](), list[int]()
        routes = [
            Route("/v1/feedback/batch", self._batch, methods=["POST"]),
            Route("/v1/completions/log", self._completion, methods=["POST"]),
        ]
        self.app = Starlette(routes=routes)

    def taken(self) -> Counter[str]:
        """How often each id was taken."""
        return Counter(event["id"] for event in self.events)

    def ids(self) -> list[str]:
        """In the order of their first arrival."""
        return list(dict.fromkeys(event["id"] for event in self.events))

    async def _batch(self, request: Request) -> Response:
        events = json.loads(await request.body())["events"]
        self._seen(request)
        self.sizes.append(len(events))
        mood = self.moods.popleft() if self.moods else self.mood
        if mood is Mood.WHOLE_REFUSED:
            if len(events) > 1:
                return self._problem(422, "InvalidInput")
            mood = Mood.TAKES
        if mood in (Mood.TAKES, Mood.TAKES_AND_FAILS):
            self.events += [event for event in events if event["id"] not in self.refused]
        if mood is not Mood.TAKES:
            return self._bad(mood)
        return JSONResponse({"results": [self._result(event["id"]) for event in events]})

    async def _completion(self, request: Request) -> Response:
        told = json.loads(await request.body())
        self._seen(request)
        mood = self.moods.popleft() if self.moods else self.mood
        if mood in (Mood.TAKES, Mood.TAKES_AND_FAILS, Mood.WHOLE_REFUSED):
            self.completions.append(told)
        if mood in (Mood.TAKES, Mood.WHOLE_REFUSED):
            return JSONResponse({"completion_id": told["completion_id"]}, 202)
        return self._bad(mood)

    def _seen(self, request: Request) -> None:
        self.requests += 1
        self.keys[request.headers.get("Authorization", "")] += 1

    def _result(self, event_id: str) -> dict[str, Any]:
        if event_id not in self.refused:
            return {"feedback_id": event_id, "status": "accepted"}
        errors = [{"field": "inference_id", "rule": "not in this house", "value": "secret words"}]
        return {"feedback_id": event_id, "status": "refused", "errors": errors}

    def _bad(self, mood: Mood) -> Response:
        if mood is Mood.NONSENSE:
            return PlainTextResponse("welcome to the captive portal")
        status = {Mood.AWAY: 503, Mood.TAKES_AND_FAILS: 502, Mood.BUSY: 429, Mood.NO_KEY: 401}[mood]
        return self._problem(status, mood)

    def _problem(self, status: int, title: str) -> Response:
        headers = {"Retry-After": "0"} if status == 429 else {}
        return JSONResponse({"title": title, "status": status, "detail": "no", "errors": []}, status, headers)
