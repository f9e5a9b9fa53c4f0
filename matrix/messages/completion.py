"""What a policy wrote for whom, and which adapter wrote it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AwareDatetime, Field, StringConstraints

from matrix.messages.base import Message, Value

Digest = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
PolicyName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]


class ChatMessage(Value):
    """One turn of a conversation."""

    role: Literal["system", "user", "assistant"]
    content: Annotated[str, StringConstraints(max_length=100_000)]


class CompletionServed(Message):
    """A completion as it was served; `adapter_digest` is stamped when the request is dispatched."""

    completion_id: Annotated[str, StringConstraints(min_length=1, max_length=128)]
    policy: PolicyName
    adapter_digest: Digest  # of the adapter, or of the base model where none is loaded
    conversation_id: str | None = None
    user_id: str | None = None
    prompt: tuple[ChatMessage, ...] = Field(min_length=1)
    completion: Annotated[str, StringConstraints(max_length=100_000)]
    served_at: AwareDatetime
    propensity: float = Field(default=1.0, gt=0, le=1)  # probability with which the route chose this adapter
