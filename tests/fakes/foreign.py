"""Payloads as other services send them, written by hand from their public formats, with what each must become."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ingest.connectors import CONNECTORS, webhook
from ingest.connectors.items import Connector, Delivery
from tests.fakes.feedback import AT

MAPPINGS = Path(__file__).with_name("webhooks.toml")
STATED = "2026-01-01T09:00:00Z"
STATED_S = 1767258000


def keyed(text: str) -> str:
    return hashlib.blake2b(text.encode(), key=b"made up", digest_size=16).hexdigest()


DELIVERY = Delivery(now=AT, keyed=keyed)
ALL: dict[str, Connector] = {**CONNECTORS, **webhook.load(MAPPINGS, taken=frozenset(CONNECTORS))}


@dataclass(frozen=True)
class Recorded:
    """One item, the fields of the messages it must give (ids apart), and the paths without which it is refused."""

    connector: str
    payload: Callable[[], dict[str, Any]]
    gives: tuple[dict[str, Any], ...]
    required: tuple[str, ...] = ()


def langfuse_event() -> dict[str, Any]:
    return {
        "id": "ev-1",
        "type": "score-create",
        "timestamp": STATED,
        "metadata": None,
        "body": langfuse_score() | {"traceId": "trace-1", "observationId": "gen-1"},
    }


def langfuse_score() -> dict[str, Any]:
    return {
        "id": "score-1",
        "traceId": "chatcmpl-1",
        "name": "user-feedback",
        "value": 1,
        "dataType": "BOOLEAN",
        "comment": "clear and short",
        "metadata": {"userId": "u1"},
    }


def openai_stored() -> dict[str, Any]:
    return {
        "id": "chatcmpl-7",
        "object": "chat.completion",
        "created": STATED_S,
        "model": "gpt-4o-mini-2024-07-18",
        "metadata": {"user_id": "u1", "conversation_id": "s1"},
        "messages": [
            {"role": "developer", "content": "Be brief."},
            {"role": "user", "content": [{"type": "text", "text": "May I take "}, {"type": "text", "text": "both?"}]},
        ],
        "choices": [
            {
                "index": 0,
                "finish_reason": "stop",
                "logprobs": None,
                "message": {"role": "assistant", "content": "Ask first.", "refusal": None, "annotations": []},
            },
            {
                "index": 1,
                "finish_reason": "stop",
                "message": {"role": "assistant", "content": None, "refusal": "I cannot say."},
            },
        ],
        "usage": {"prompt_tokens": 20, "completion_tokens": 5, "total_tokens": 25},
        "system_fingerprint": "fp_1",
    }


def openai_pair() -> dict[str, Any]:
    stored = openai_stored()
    request = {"model": "gpt-4o-mini", "messages": stored.pop("messages")[1:], "user": "u2", "temperature": 0.2}
    del stored["metadata"], stored["choices"][1]
    return {"request": request, "response": stored}


def librechat() -> dict[str, Any]:
    return {
        "messageId": "m-1",
        "conversationId": "k-1",
        "user": "66f0",
        "updatedAt": STATED,
        "feedback": {"rating": "thumbsDown", "tag": "inaccurate", "text": "the dose is wrong"},
    }


def open_webui() -> dict[str, Any]:
    def message(name: str, parent: str | None, role: str, content: str, model: str = "") -> dict[str, Any]:
        made = {"id": name, "parentId": parent, "role": role, "content": content, "timestamp": STATED_S}
        return made | ({"model": model} if model else {})

    messages = [
        message("q1", None, "user", "May I take both?"),
        message("a1", "q1", "assistant", "Yes.", "llama3.1:8b"),
        message("b1", "q1", "assistant", "No.", "qwen2.5"),
    ]
    return {
        "id": "f-1",
        "user_id": "u1",
        "version": 0,
        "type": "rating",
        "data": {
            "rating": -1,
            "model_id": "llama3.1:8b",
            "sibling_model_ids": ["qwen2.5"],
            "reason": "not_factually_correct",
            "comment": "they must not be mixed",
            "tags": ["health"],
            "details": {"rating": 2},
        },
        "meta": {"arena": True, "model_id": "arena", "message_id": "a1", "chat_id": "k1", "tags": ["health"]},
        "snapshot": {"chat": {"id": "k1", "chat": {"history": {"messages": {m["id"]: m for m in messages}}}}},
        "created_at": STATED_S - 60,
        "updated_at": STATED_S,
    }


def tensorzero() -> dict[str, Any]:
    return {"metric_name": "comment", "inference_id": "c1", "value": "too long", "tags": {"user_id": "u1"}}


def adaptive() -> dict[str, Any]:
    return {"feedback_key": "quality", "preferred_completion": "c1", "other_completion": "c2", "user": "u1"}


def slack() -> dict[str, Any]:
    button = {"type": "feedback_buttons", "action_id": "answer", "block_id": "c1", "value": "down"}
    return {
        "type": "block_actions",
        "user": {"id": "U01", "username": "ann"},
        "container": {"type": "message", "message_ts": "1767258000.000100"},
        "actions": [button | {"action_ts": "1767258000.000200"}],
    }


def zendesk() -> dict[str, Any]:
    return {
        "id": "2b24ef10",
        "type": "zen:event-type:ticket.csat",
        "account_id": 12514403,
        "time": STATED,
        "detail": {"id": "35436", "external_id": "c1", "requester_id": 20978392},
        "event": {"score": 7, "comment": "helped"},
    }


UTC_STATED = "2026-01-01T09:00:00Z"
SCORE = {"user_id": "u1", "tags": {"score": "user-feedback", "trace_id": "chatcmpl-1"}, "completion_id": "chatcmpl-1"}
GEN = {
    "user_id": "u1",
    "tags": {"score": "user-feedback", "trace_id": "trace-1"},
    "completion_id": "gen-1",
    "occurred_at": UTC_STATED,
}
LIBRE = {
    "completion_id": "m-1",
    "user_id": "66f0",
    "occurred_at": UTC_STATED,
    "tags": {"reason": "inaccurate", "conversation_id": "k-1"},
}
WEBUI = {
    "completion_id": "a1",
    "user_id": "u1",
    "occurred_at": UTC_STATED,
    "tags": {"reason": "not_factually_correct", "model": "llama3.1:8b", "chat_id": "k1", "detail_rating": "2"},
}
ASKED = {"conversation_id": "k1", "user_id": "u1", "served_at": UTC_STATED}
GPT = {"policy": "gpt-4o-mini-2024-07-18", "served_at": UTC_STATED}
TURNS = ({"role": "system", "content": "Be brief."}, {"role": "user", "content": "May I take both?"})
QUESTION = ({"role": "user", "content": "May I take both?"},)
THUMB, COMMENT = {"kind": "thumb"}, {"kind": "comment"}

RECORDED = (
    Recorded(
        "langfuse",
        langfuse_score,
        (SCORE | THUMB | {"value": True}, SCORE | COMMENT | {"text": "clear and short"}),
        ("traceId", "name", "value"),
    ),
    Recorded(
        "langfuse",
        langfuse_event,
        (GEN | THUMB | {"value": True}, GEN | COMMENT | {"text": "clear and short"}),
        ("type", "body.name", "body.value"),
    ),
    Recorded(
        "openai",
        openai_stored,
        tuple(
            GPT | {"completion_id": name, "prompt": TURNS, "completion": text, "user_id": "u1", "conversation_id": "s1"}
            for name, text in (("chatcmpl-7", "Ask first."), ("chatcmpl-7-1", "I cannot say."))
        ),
        ("id", "model", "created", "messages", "choices", "messages.0.role"),
    ),
    Recorded(
        "openai",
        openai_pair,
        (GPT | {"completion_id": "chatcmpl-7", "prompt": QUESTION, "completion": "Ask first.", "user_id": "u2"},),
        ("request.messages", "response.id", "response.choices", "response.choices.0.message"),
    ),
    Recorded(
        "librechat",
        librechat,
        (LIBRE | THUMB | {"value": False}, LIBRE | COMMENT | {"text": "the dose is wrong"}),
        ("messageId", "feedback", "feedback.rating"),
    ),
    Recorded(
        "open-webui",
        open_webui,
        (
            ASKED | {"completion_id": "a1", "policy": "llama3-1-8b", "prompt": QUESTION, "completion": "Yes."},
            ASKED | {"completion_id": "b1", "policy": "qwen2-5", "prompt": QUESTION, "completion": "No."},
            WEBUI | THUMB | {"value": False},
            WEBUI | COMMENT | {"text": "they must not be mixed"},
            WEBUI | {"kind": "preference", "completion_id": "b1", "rejected_completion_id": "a1"},
        ),
        ("id", "type", "data.rating", "meta.message_id"),
    ),
    Recorded(
        "tensorzero",
        tensorzero,
        (COMMENT | {"completion_id": "c1", "text": "too long", "user_id": "u1", "tags": {"user_id": "u1"}},),
        ("metric_name", "inference_id", "value"),
    ),
    Recorded(
        "adaptive",
        adaptive,
        (
            {
                "kind": "preference",
                "completion_id": "c1",
                "rejected_completion_id": "c2",
                "user_id": "u1",
                "tags": {"feedback_key": "quality"},
            },
        ),
        ("feedback_key", "preferred_completion", "other_completion"),
    ),
    Recorded(
        "slack",
        slack,
        (
            THUMB
            | {
                "completion_id": "c1",
                "value": False,
                "user_id": "U01",
                "occurred_at": "2026-01-01T09:00:00.000200Z",
                "tags": {"channel": "slack"},
            },
        ),
        ("actions.0.block_id", "actions.0.value", "user.id"),
    ),
    Recorded(
        "zendesk",
        zendesk,
        (
            {
                "kind": "rating",
                "event_id": "2b24ef10",
                "completion_id": "c1",
                "value": 4.5,
                "user_id": "20978392",
                "occurred_at": UTC_STATED,
            },
        ),
        ("id", "detail.external_id", "event.score"),
    ),
)
