"""What the patients and their services send, and how untidily: planned from a seed, sent concurrently.

Two services stand between patients and the product. The clinic's chat asks through the gateway. The triage desk asks
the policy server itself and logs what it served afterwards, so feedback on its completions is early. Some feedback is
held back (late), some is sent twice, some is malformed: refused at the gateway, a dead letter where it went straight
to Kafka. What a patient does depends on the completion alone, so the plan holds whatever arrives first.
"""

from __future__ import annotations

import json
import random
import uuid
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from matrix.digests import digest_json
from matrix.messages.completion import ChatMessage

DESK_SHARE = 0.12  # of visits that the triage desk serves
LATE_SHARE = 0.06  # of feedback that waits until every visit is over
TWICE_SHARE = 0.05  # of feedback that is sent again under the same id
STRANGERS = 5  # events on completions that nobody ever logs


@dataclass(frozen=True, slots=True)
class Visit:
    """One patient asks one thing."""

    number: int
    patient: str
    conversation_id: str
    prompt: tuple[ChatMessage, ...]
    at_the_desk: bool
    seed: int  # of the completion and of the reaction to it


@dataclass(frozen=True, slots=True)
class Remark:
    """One thing that a patient says about a completion, in the gateway's words."""

    metric_name: str
    value: Any
    text: str | None = None
    category: str | None = None


@dataclass(frozen=True, slots=True)
class Sending:
    """A feedback body, and how it is sent."""

    body: dict[str, Any]
    late: bool
    twice: bool


@dataclass
class Tally:
    """What was sent, counted where it was acknowledged."""

    completions: int = 0
    logged: int = 0  # completions logged by a service of their own, after their feedback
    kinds: Counter[str] = field(default_factory=Counter)  # distinct events acknowledged, by metric name
    early: int = 0
    late: int = 0
    twice: int = 0
    refused: int = 0  # malformed, refused by the gateway with the field that is wrong
    malformed: int = 0  # events that went straight to Kafka and cannot be accepted
    neighbours: int = 0  # good events in the same records as malformed ones
    strangers: int = 0  # on completions that nobody logs
    silent: int = 0  # visits after which the patient said nothing
    retried: int = 0  # requests that were repeated because a server was not ready

    def distinct(self) -> int:
        """Events that must be accepted."""
        return sum(self.kinds.values()) + self.neighbours

    def dead(self) -> int:
        """Events that must be set aside."""
        return self.malformed + self.strangers

    def irregular(self) -> dict[str, int]:
        """The untidy part, in words."""
        return {
            "early: before the completion was logged": self.early,
            "late: after every visit was over": self.late,
            "sent twice under one id": self.twice,
            "malformed, refused by the gateway": self.refused,
            "malformed, straight to Kafka": self.malformed,
            "on completions that nobody logged": self.strangers,
        }


def plan_visits(prompts: Sequence[tuple[ChatMessage, ...]], *, patients: int, seed: int) -> list[Visit]:
    """A visit per prompt, patients drawn with replacement; the same seed gives the same plan."""
    draw = random.Random(f"visits {seed}")  # noqa: S311 - a simulation, not a secret
    return [
        Visit(
            number=number,
            patient=f"patient-{draw.randrange(patients):04}",
            conversation_id=f"visit-{seed}-{number}",
            prompt=prompt,
            at_the_desk=draw.random() < DESK_SHARE,
            seed=draw.getrandbits(31),
        )
        for number, prompt in enumerate(prompts)
    ]


def plan_feedback(visit: Visit, completion_id: str, remarks: Sequence[Remark], now: datetime) -> list[Sending]:
    """Bodies for the gateway; ids follow from the visit, so that sending again is the same event."""
    draw = random.Random(f"feedback {visit.seed}")  # noqa: S311
    return [
        Sending(
            body=_body(visit, completion_id, remark, number, now),
            late=draw.random() < LATE_SHARE,
            twice=draw.random() < TWICE_SHARE,
        )
        for number, remark in enumerate(remarks)
    ]


def _body(visit: Visit, completion_id: str, remark: Remark, number: int, now: datetime) -> dict[str, Any]:
    said = {"text": remark.text, "category": remark.category}
    return {
        "id": event_id(visit, number),
        "metric_name": remark.metric_name,
        "inference_id": completion_id,
        "value": remark.value,
        "user_id": visit.patient,
        "occurred_at": now.isoformat(),
        "tags": {"service": "triage-desk" if visit.at_the_desk else "clinic-chat"},
    } | {name: value for name, value in said.items() if value is not None}


def event_id(visit: Visit, number: int) -> str:
    """The same remark on the same visit has the same id, however often it is sent."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"{visit.conversation_id}/{visit.seed}/{number}"))


def logged(visit: Visit, completion_id: str, completion: str, adapter_digest: str, policy: str) -> dict[str, Any]:
    """What the triage desk logs of a completion that it served by itself."""
    return {
        "completion_id": completion_id,
        "policy": policy,
        "adapter_digest": adapter_digest,
        "conversation_id": visit.conversation_id,
        "user_id": visit.patient,
        "prompt": [message.model_dump() for message in visit.prompt],
        "completion": completion,
        "served_at": datetime.now(UTC).isoformat(),
    }


def refusable_bodies(completion_id: str) -> list[dict[str, Any]]:
    """Bodies that the gateway must refuse, one for each way to be wrong."""
    good: dict[str, Any] = {"metric_name": "thumbs", "inference_id": completion_id, "value": True}
    return [
        good | {"value": "yes"},
        good | {"metric_name": "rating", "value": 9},
        good | {"metric_name": "applause"},
        good | {"inference_id": ""},
        good | {"stars": 5},
        {"metric_name": "thumbs", "value": True},
        good | {"metric_name": "comment", "value": 3},
        good | {"metric_name": "report", "value": None},
    ]


def stranger_bodies(seed: int) -> list[dict[str, Any]]:
    """Feedback on completions that nobody ever logs: taken, waited for, set aside."""
    return [
        {
            "id": str(uuid.uuid5(uuid.NAMESPACE_URL, f"stranger/{seed}/{number}")),
            "metric_name": "thumbs",
            "inference_id": f"lost-{seed}-{number}",
            "value": True,
            "occurred_at": datetime.now(UTC).isoformat(),
            "tags": {"service": "clinic-chat"},
        }
        for number in range(STRANGERS)
    ]


def stray_events(completion_id: str) -> list[tuple[bytes, int, int]]:
    """Payloads for Kafka that bypass the gateway: (bytes, events that are malformed, good neighbours in the record)."""
    event = {
        "schema_version": 1,
        "event_id": f"stray-{digest_json(completion_id)[:16]}",
        "completion_id": completion_id,
        "kind": "thumb",
        "value": True,
        "occurred_at": datetime.now(UTC).isoformat(),
    }
    without = {name: value for name, value in event.items() if name != "occurred_at"}
    return [
        (b"{not json", 1, 0),
        (_json(event | {"kind": "rating", "value": 11}), 1, 0),
        (_json(event | {"kind": "wave"}), 1, 0),
        (_json(event | {"mood": "fine"}), 1, 0),
        (_json(without), 1, 0),
        (_json([event, event | {"value": "up"}, 7]), 2, 1),
    ]


def _json(value: Any) -> bytes:
    return json.dumps(value).encode()
