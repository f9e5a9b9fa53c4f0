"""One request to the gateway: a batch of events, or one completion, and what the gateway decided."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import httpx

from ingest.client.retry import TryAgain, Verdict, judge, wished_s
from ingest.client.types import Entry
from matrix.errors import InvalidInput

PATHS = {"feedback": "/v1/feedback/batch", "completion": "/v1/completions/log"}


class Wire:
    """Keep-alive connections to one gateway; every verdict is a value, never an exception."""

    def __init__(self, base_url: str, api_key: str, *, timeout_s: float) -> None:
        self._base_url, self._api_key, self._timeout_s = _checked(base_url), api_key, timeout_s
        self._client = self._connect()

    def send(self, batch: Sequence[Entry]) -> Verdict:
        """All of a batch go to the same place."""
        to = batch[0].to
        content = batch[0].content
        if to == "feedback":
            content = b'{"events":[' + b",".join(entry.content for entry in batch) + b"]}"
        try:
            response = self._client.post(PATHS[to], content=content)
        except httpx.HTTPError as error:  # its text may hold an address, never a body
            return TryAgain(f"{self._base_url}: {type(error).__name__}")
        after_s = wished_s(response.headers.get("Retry-After"), datetime.now(UTC))
        return judge(response.status_code, _parsed(response), batch, after_s)

    def close(self) -> None:
        """Give back connections."""
        self._client.close()

    def forked(self) -> None:
        """In a forked child: the parent's connections are the parent's."""
        self._client = self._connect()

    def _connect(self) -> httpx.Client:
        headers = {"Content-Type": "application/json"}
        if self._api_key:
            headers["Authorization"] = f"Bearer {self._api_key}"
        return httpx.Client(base_url=self._base_url, headers=headers, timeout=self._timeout_s)


def _parsed(response: httpx.Response) -> Any:
    try:
        return response.json()
    except ValueError:
        return None


def _checked(base_url: str) -> str:
    try:
        url, _ = httpx.URL(base_url), urlsplit(base_url).port  # each finds what the other lets pass
    except (httpx.InvalidURL, TypeError, ValueError) as error:
        raise InvalidInput(field="base_url", value=base_url, remedy=f"expected an address ({error})") from None
    if url.scheme not in ("http", "https") or not url.host:
        raise InvalidInput(field="base_url", value=base_url, remedy="expected http://host or https://host")
    return str(url)
