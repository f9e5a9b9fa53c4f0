"""OpenAI's chat completion body as the gateway takes it: what is handed on, what is kept here, what is refused by name.

What a policy server would have to ignore is refused there, what the gateway would have to ignore here: a field that
is neither is no field of this product. Left out: several completions a request, tools, everything that is not text.
"""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, model_validator

from matrix.errors import InvalidInput
from matrix.messages.base import Identifier, unstorable
from matrix.messages.completion import MAX_CONTENT, ChatMessage

HERE = {"model", "n", "stream", "user", "metadata", "store"}  # the gateway's own business
NOT_SERVED = "not served: a completion is one text, which people can judge"


def _not_served(value: object) -> None:
    if value is not None:
        raise ValueError(NOT_SERVED)


def _joined(content: object) -> object:
    """OpenAI's list of text parts as vLLM joins it."""
    if not isinstance(content, list):
        return content
    if not all(
        isinstance(part, dict) and part.keys() == {"type", "text"} and part["type"] == "text" for part in content
    ):
        raise ValueError("a text, or a list of parts {type: text, text}")
    return "\n".join(str(part["text"]) for part in content)


NotServed = Annotated[None, BeforeValidator(_not_served)]
Penalty = Annotated[float, Field(ge=-2, le=2)]
MetadataName = Annotated[str, StringConstraints(max_length=64)]
MetadataText = Annotated[str, StringConstraints(max_length=512)]


class _Closed(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class AskedMessage(ChatMessage):
    """One turn as clients send it."""

    content: Annotated[str, BeforeValidator(_joined), StringConstraints(max_length=MAX_CONTENT)]

    @model_validator(mode="before")
    @classmethod
    def _without_what_says_nothing(cls, data: Any) -> Any:
        # Official clients send a completion's message back as the next turn, with `refusal: null` and its like.
        if not isinstance(data, dict):
            return data
        return {name: value for name, value in data.items() if value not in (None, [])}


class StreamOptions(_Closed):
    """OpenAI's, as far as they mean something here."""

    include_usage: bool = False


class ResponseFormat(_Closed):
    """Text, or JSON where the policy server can hold a model to it."""

    type: Literal["text", "json_object", "json_schema"]
    json_schema: dict[str, Any] | None = None


class ChatRequest(_Closed):
    """OpenAI's body; what is sent is handed on, what is not is left to the policy servers."""

    model: str
    messages: list[AskedMessage] = Field(min_length=1)
    temperature: float | None = Field(default=None, ge=0, le=2)
    max_tokens: int | None = Field(default=None, ge=1)
    max_completion_tokens: int | None = Field(default=None, ge=1)
    top_p: float | None = Field(default=None, gt=0, le=1)
    frequency_penalty: Penalty | None = None
    presence_penalty: Penalty | None = None
    seed: int | None = Field(default=None, ge=0, lt=2**63)
    stop: str | list[str] | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = Field(default=None, ge=0, le=20)
    response_format: ResponseFormat | None = None
    stream: bool = False
    stream_options: StreamOptions | None = None
    user: Identifier | None = None
    store: bool | None = None  # false: nothing of the exchange is stored
    metadata: dict[MetadataName, MetadataText] | None = Field(default=None, max_length=16)  # for clients' own books
    n: Literal[1] | None = 1
    tools: NotServed = None
    tool_choice: NotServed = None
    functions: NotServed = None
    function_call: NotServed = None
    modalities: NotServed = None
    audio: NotServed = None

    @model_validator(mode="after")
    def _options_belong_to_a_stream(self) -> ChatRequest:
        if self.stream_options is not None and not self.stream:
            raise ValueError("stream_options: only where `stream` is true")
        return self

    def for_policy_server(self, served_name: str) -> dict[str, Any]:
        """What is handed on. InvalidInput for what no log or no JSON could hold."""
        try:
            sent = self.model_dump(exclude_unset=True, exclude=HERE, exclude_none=True)
            json.dumps(sent, allow_nan=False)
        except (ValueError, RecursionError):  # only a schema can hold either
            remedy = "JSON without NaN, and not nested without end"
            raise InvalidInput(field="response_format", value="", remedy=remedy) from None
        where = unstorable(sent | {"user": self.user})
        if where is not None:
            rule = "holds a NUL or half a surrogate pair, which no text store accepts"
            raise InvalidInput(field=where, value="", remedy=rule)
        if self.response_format is not None and self.response_format.type == "text":
            del sent["response_format"]  # the default, which not every server knows by name
        return sent | {"model": served_name} | ({"stream": True} if self.stream else {})
