"""What leaves the memory of whoever takes in people's words: texts redacted, people under pseudonyms.

A pseudonym is HMAC-SHA256 under a key of the tenant's own (RFC 2104), so one person stays one person within a tenant
and nobody can follow them to another. Everything here does nothing the second time, so the gateway and the worker
both apply it. Left out: the ids that services join on (JOINED_ON) stay as they are, also in a dead letter, which
would otherwise come back as another event on another completion.
"""

from __future__ import annotations

import base64
import hmac
import json
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pydantic import TypeAdapter, ValidationError

from ingest.redaction import redactor, rules
from ingest.redaction.redactor import Find
from matrix.messages.base import MAX_IDENTIFIER, Identifier
from matrix.messages.completion import MAX_CHARACTERS, MAX_CONTENT, ChatMessage, CompletionServed
from matrix.messages.feedback import MAX_TAG, MAX_TEXT, FeedbackEvent

PSEUDONYM = re.compile(r"p_[a-z2-7]{26}")
PEOPLE = frozenset({"user_id", "user", "userId", "username"})  # fields that hold a person's name or id
JOINED_ON = frozenset({"event_id", "completion_id", "rejected_completion_id"})
IDS = JOINED_ON | {"id", "conversation_id", "inference_id", "episode_id"}
TIMES = frozenset({"occurred_at", "served_at"})
CODES = frozenset({"tenant", "kind", "metric_name", "category", "policy", "adapter_digest", "role"})
IDENTIFIER: TypeAdapter[str] = TypeAdapter(Identifier)
CODE = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")


class Privacy:
    """Applied before anything is sent, stored, logged or answered."""

    def __init__(self, secret: bytes, find: Find = rules.find) -> None:
        self._secret, self._find = secret, find
        self._keys: dict[str, bytes] = {}

    def text(self, text: str) -> str:
        """Placeholders for what was found."""
        return redactor.redact(text, self._find)

    def person(self, tenant: str, name: str) -> str:
        """A name for this person in this tenant, the same every time."""
        if PSEUDONYM.fullmatch(name):
            return name
        digest = hmac.digest(self._key(tenant), name.encode("utf-8", "surrogatepass"), "sha256")[:16]
        return "p_" + base64.b32encode(digest).decode().rstrip("=").lower()

    def identifier(self, tenant: str, name: str) -> str:
        """An id as it is, or its pseudonym where it looks like personal data."""
        return name if self.text(name) == name else self.person(tenant, name)

    def feedback(self, event: FeedbackEvent) -> FeedbackEvent:
        """Its words redacted, its person under a pseudonym."""
        changes: dict[str, Any] = {"tags": self.tags(event.tenant, event.tags)}
        if event.text is not None:
            changes["text"] = self.fitted(event.text, MAX_TEXT)
        if event.user_id is not None:
            changes["user_id"] = self.person(event.tenant, event.user_id)
        return event.model_copy(update=changes)

    def completion(self, completion: CompletionServed) -> CompletionServed:
        """Prompt and completion redacted, the person under a pseudonym."""
        said = self.fitted(completion.completion, MAX_CONTENT)
        room = MAX_CHARACTERS - len(said)
        prompt = []
        for message in completion.prompt:
            content = self.fitted(message.content, min(MAX_CONTENT, room))
            room -= len(content)
            prompt.append(ChatMessage(role=message.role, content=content))
        changes: dict[str, Any] = {"prompt": tuple(prompt), "completion": said}
        if completion.user_id is not None:
            changes["user_id"] = self.person(completion.tenant, completion.user_id)
        if completion.conversation_id is not None:
            changes["conversation_id"] = self.identifier(completion.tenant, completion.conversation_id)
        return completion.model_copy(update=changes)

    def payload(self, raw: bytes, tenant: str) -> str:
        """A dead letter's payload: JSON stays JSON that can be replayed, anything else is redacted as text."""
        try:
            value = json.loads(raw)
            redacted = self._json(value, tenant, name="")
        except (ValueError, RecursionError):
            return self.text(_storable(raw.decode("utf-8", "replace")))
        return _storable(json.dumps(redacted, ensure_ascii=False, separators=(",", ":")))

    def digest(self, raw: bytes) -> str:
        """A name for these bytes that nobody without the secret can try guesses against."""
        return hmac.digest(self._secret, b"plumbline payload\x00" + raw, "sha256").hex()

    def _json(self, value: Any, tenant: str, *, name: str) -> Any:
        if isinstance(value, Mapping):
            return {
                self.text(key): part if _is_joined_on(key, part) else self._json(part, tenant, name=key)
                for key, part in value.items()
            }
        if isinstance(value, list):
            return [self._json(part, tenant, name=name) for part in value]
        if isinstance(value, str):
            return self._field(value, tenant, name)
        if value is None or isinstance(value, bool):
            return value
        redacted = self._field(str(value), tenant, name)
        return value if redacted == str(value) else redacted

    def _field(self, value: str, tenant: str, name: str) -> str:
        if name in PEOPLE:
            return self.person(tenant, value)
        if name in IDS:
            return self.identifier(tenant, value)
        if (name in TIMES and _is_time(value)) or (name in CODES and CODE.fullmatch(value)):
            return value
        return self.text(value)

    def tags(self, tenant: str, tags: Mapping[str, str]) -> dict[str, str]:
        """Names and values redacted, people under pseudonyms."""
        return {
            self.fitted(name, MAX_IDENTIFIER): self.person(tenant, value)
            if name in PEOPLE
            else self.fitted(value, MAX_TAG)
            for name, value in tags.items()
        }

    def fitted(self, text: str, most: int) -> str:
        """Redacted, and cut where placeholders made it longer than its field; what is cut is gone over again."""
        while len(redacted := self.text(text)) > most:
            text = _cut(redacted, most)
        return redacted

    def _key(self, tenant: str) -> bytes:
        if tenant not in self._keys:
            self._keys[tenant] = hmac.digest(self._secret, f"plumbline pseudonyms of {tenant}".encode(), "sha256")
        return self._keys[tenant]


def _cut(text: str, most: int) -> str:
    """At most so many characters, without half a placeholder at the end."""
    head = text[:most]
    opened = head.rfind("<")
    return head[:opened] if opened > max(head.rfind(">"), most - 16) else head


def _is_joined_on(name: str, value: object) -> bool:
    """What is no id of a message is joined on by nobody."""
    if name not in JOINED_ON:
        return False
    try:
        IDENTIFIER.validate_python(value)
    except ValidationError:
        return False
    return True


def _is_time(value: str) -> bool:
    try:
        datetime.fromisoformat(value)
    except ValueError:
        return False
    return True


def _storable(text: str) -> str:
    """Without what PostgreSQL and UTF-8 refuse."""
    return text.encode("utf-8", "replace").decode().replace("\x00", "\ufffd")
