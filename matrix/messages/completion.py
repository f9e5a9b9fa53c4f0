"""What a policy wrote for whom, and which adapter wrote it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StrictBool, StringConstraints, model_validator

from matrix.messages.base import DEFAULT_TENANT, Identifier, Message, Moment, TenantName, Value

Digest = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
MAX_POLICY = 63  # characters
PolicyName = Annotated[str, StringConstraints(pattern=rf"^[a-z0-9][a-z0-9-]{{0,{MAX_POLICY - 1}}}$")]
MAX_CHARACTERS = 150_000  # of prompt and completion together: six bytes each at worst stay below MAX_RECORD_BYTES
MAX_CONTENT = 100_000  # characters of one turn


class ChatMessage(Value):
    """One turn of a conversation."""

    role: Literal["system", "user", "assistant"]
    content: Annotated[str, StringConstraints(max_length=MAX_CONTENT)]


class CompletionServed(Message):
    """A completion as it was served; `adapter_digest` is stamped when the request is dispatched."""

    tenant: TenantName = DEFAULT_TENANT
    completion_id: Identifier  # unique within the tenant
    policy: PolicyName
    adapter_digest: Digest  # of the adapter, or of the base model where none is loaded
    conversation_id: Identifier | None = None
    user_id: Identifier | None = None
    prompt: tuple[ChatMessage, ...] = Field(min_length=1)
    completion: Annotated[str, StringConstraints(max_length=MAX_CONTENT)]
    served_at: Moment
    propensity: float = Field(default=1.0, gt=0, le=1)  # probability with which the route chose this adapter
    audited: StrictBool = False  # this user was asked for feedback by lot: who answers unasked is no random sample
    audit_rate: float | None = Field(default=None, ge=0, le=1)  # probability of the lot; None where none was drawn
    consent: StrictBool = True  # may be stored and learned from; without it nothing of this is kept
    interrupted: StrictBool = False  # the stream broke or its reader left: `completion` is what was served until then

    @model_validator(mode="after")
    def _fits_a_record(self) -> CompletionServed:
        total = sum(len(message.content) for message in self.prompt) + len(self.completion)
        if total > MAX_CHARACTERS:
            raise ValueError(f"prompt: with the completion {total} characters, {MAX_CHARACTERS} at most")
        return self
