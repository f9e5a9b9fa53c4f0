"""The local policy server: OpenAI's chat completions and vLLM's LoRA surface over one small model on this machine.

Request and response shapes, status codes and the wording of errors follow vLLM's OpenAI-compatible server
(`/v1/load_lora_adapter`, `/v1/unload_lora_adapter`; docs/features/lora.md), so that vLLM can take its place. A stream
goes token by token, but begins when its batch does: what waits for the batch before it waits in silence. Left out on
purpose: stop strings, top_p and penalties (refused, not ignored), continuous batching, authentication: loading an
adapter by path is for the internal network alone, so it binds to loopback unless told otherwise.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import Annotated, Any, Literal

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, PlainTextResponse, Response
from pydantic import BaseModel, ConfigDict, Field

from infra.event_stream import DONE, EventStream, written
from matrix.errors import ArtifactCorrupt, InvalidInput, NotFound, PlumblineError, SamplerUnavailable
from matrix.messages.completion import ChatMessage
from trainer.chunks import Chunk, ChunkWriter, Drawn, Ended, Listening
from trainer.microbatches import Generated, MicroBatcher, Wanted
from trainer.policies import ServedPolicies

MAX_SEED = 2**63 - 1


class StreamOptions(BaseModel):
    """OpenAI's, as far as they mean something here."""

    model_config = ConfigDict(extra="forbid")

    include_usage: bool = False


class ChatRequest(BaseModel):
    """OpenAI's body as far as this server honours it; a value it would have to ignore is refused."""

    model_config = ConfigDict(extra="forbid")

    model: str
    messages: Annotated[list[ChatMessage], Field(min_length=1)]
    n: int = Field(default=1, ge=1, le=64)
    temperature: float = Field(default=1.0, ge=0, le=2)
    max_tokens: int | None = Field(default=None, ge=1)
    max_completion_tokens: int | None = Field(default=None, ge=1)
    seed: int | None = Field(default=None, ge=0, le=MAX_SEED)
    logprobs: bool = False
    user: str | None = None
    stream: bool = False
    stream_options: StreamOptions | None = None
    stop: None = None
    top_logprobs: Literal[0] | None = None
    top_p: float = Field(default=1.0, ge=1, le=1)
    frequency_penalty: float = Field(default=0.0, ge=0, le=0)
    presence_penalty: float = Field(default=0.0, ge=0, le=0)


class LoadAdapterRequest(BaseModel):
    """vLLM's body; empty where vLLM would say what is missing."""

    lora_name: str = ""
    lora_path: str = ""
    load_inplace: bool = False


class UnloadAdapterRequest(BaseModel):
    """vLLM's body; `lora_int_id` is accepted and ignored there too."""

    lora_name: str = ""
    lora_int_id: int | None = None


def make_server(policies: ServedPolicies, batcher: MicroBatcher, *, max_tokens: int) -> FastAPI:
    """The application; it starts the batcher and closes it at the end."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        batcher.start()
        yield
        await asyncio.to_thread(batcher.close)

    api = FastAPI(title="Plumbline policy server", lifespan=lifespan, docs_url=None, redoc_url=None)
    api.add_exception_handler(RequestValidationError, _refuse_body)
    api.add_exception_handler(PlumblineError, _refuse)
    _add_chat(api, policies, batcher, max_tokens)
    _add_admin(api, policies)

    @api.get("/health")
    async def health() -> dict[str, str]:
        return {"status": "ok"}

    return api


def _add_chat(api: FastAPI, policies: ServedPolicies, batcher: MicroBatcher, max_tokens: int) -> None:
    @api.get("/v1/models")
    async def models() -> dict[str, Any]:
        return {"object": "list", "data": [_model_card(name, root) for name, root in policies.roots().items()]}

    @api.post("/v1/chat/completions", response_model=None)
    async def chat(request: ChatRequest) -> dict[str, Any] | Response:
        if request.stream_options is not None and not request.stream:
            raise InvalidInput(field="stream_options", value="", remedy="only where `stream` is true")
        prompt = policies.encode(request.model, request.messages)
        wanted = _wanted(request, policies, prompt, max_tokens)
        if request.stream:
            return await _stream(request, policies, wanted, batcher)
        futures = [asyncio.wrap_future(future) for future in batcher.submit(wanted)]
        completions = await asyncio.gather(*futures)
        return _answer(request, policies, len(prompt), completions)


def _wanted(request: ChatRequest, policies: ServedPolicies, prompt: tuple[int, ...], most: int) -> list[Wanted]:
    room = policies.context_tokens - len(prompt)
    if room < 1:
        raise InvalidInput(field="messages", value=len(prompt), remedy=f"at most {policies.context_tokens} tokens")
    tokens = min(request.max_completion_tokens or request.max_tokens or most, most, room)
    # Seeds of one request lie apart by 1, so `n` with a seed repeats what n requests would give.
    seed = secrets.randbelow(2**31) if request.seed is None else request.seed
    return [Wanted(request.model, prompt, tokens, request.temperature, seed + index) for index in range(request.n)]


async def _stream(
    request: ChatRequest, policies: ServedPolicies, wanted: list[Wanted], batcher: MicroBatcher
) -> Response:
    listening = Listening()
    listening.follow(batcher.submit([replace(one, hear=listening.to(index)) for index, one in enumerate(wanted)]))
    first = await listening.next()  # what fails before its first token fails with a status of its own
    frame = _frame(request, "chat.completion.chunk")
    shown = partial(_token_logprob, policies) if request.logprobs else None
    writer = ChunkWriter(frame, policies.decode, shown)
    events = _events(request, listening, first, writer, len(wanted[0].prompt))
    return EventStream(events, ended=listening.leave)


async def _events(
    request: ChatRequest, listening: Listening, heard: Drawn | Ended, writer: ChunkWriter, prompt_tokens: int
) -> AsyncGenerator[bytes, None]:
    running = request.n
    try:
        while running:
            for chunk in writer.chunks(heard):
                yield written(chunk)
            running -= isinstance(heard, Ended)
            heard = await listening.next() if running else heard
        if request.stream_options is not None and request.stream_options.include_usage:
            yield written(writer.usage(prompt_tokens))
    except PlumblineError as error:  # too late for a status
        yield written(_error_body(HTTPStatus.SERVICE_UNAVAILABLE, "ServiceUnavailableError", str(error)))
    yield written(DONE)


def _add_admin(api: FastAPI, policies: ServedPolicies) -> None:
    @api.post("/v1/load_lora_adapter")
    async def load_adapter(request: LoadAdapterRequest) -> Response:
        if not request.lora_name or not request.lora_path:
            return _error(
                HTTPStatus.BAD_REQUEST, "InvalidUserInput", "Both 'lora_name' and 'lora_path' must be provided."
            )
        if request.load_inplace:
            # Old key-value blocks of a reused name may survive a reload; names are content identities here.
            return _error(
                HTTPStatus.BAD_REQUEST, "InvalidUserInput", "'load_inplace' is not supported: names are immutable."
            )
        if request.lora_name in policies.roots():
            told = f"The lora adapter '{request.lora_name}' has already been loaded."
            return _error(HTTPStatus.BAD_REQUEST, "InvalidUserInput", told)
        await asyncio.to_thread(policies.load, request.lora_name, Path(request.lora_path))
        return PlainTextResponse(f"Success: LoRA adapter '{request.lora_name}' added successfully.")

    @api.post("/v1/unload_lora_adapter")
    async def unload_adapter(request: UnloadAdapterRequest) -> Response:
        if not request.lora_name:
            told = "'lora_name' needs to be provided to unload a LoRA adapter."
            return _error(HTTPStatus.BAD_REQUEST, "InvalidUserInput", told)
        try:
            await asyncio.to_thread(policies.unload, request.lora_name)
        except NotFound:
            told = f"The lora adapter '{request.lora_name}' cannot be found."
            return _error(HTTPStatus.NOT_FOUND, "NotFoundError", told)
        return PlainTextResponse(f"Success: LoRA adapter '{request.lora_name}' removed successfully.")


def _answer(
    request: ChatRequest, policies: ServedPolicies, prompt_tokens: int, completions: list[Generated]
) -> dict[str, Any]:
    written = sum(len(completion.tokens) for completion in completions)
    return _frame(request, "chat.completion") | {
        "choices": [
            {
                "index": index,
                "message": {"role": "assistant", "content": policies.decode(completion.tokens)},
                "logprobs": _logprobs(policies, completion) if request.logprobs else None,
                "finish_reason": "stop" if completion.ended else "length",
            }
            for index, completion in enumerate(completions)
        ],
        "usage": {
            "prompt_tokens": prompt_tokens,
            "completion_tokens": written,
            "total_tokens": prompt_tokens + written,
        },
    }


def _frame(request: ChatRequest, kind: str) -> Chunk:
    """What a completion and its chunks begin with."""
    made = {"id": f"chatcmpl-{secrets.token_hex(16)}", "object": kind, "created": int(time.time())}
    return made | {"model": request.model}


def _logprobs(policies: ServedPolicies, completion: Generated) -> dict[str, Any]:
    drawn = zip(completion.tokens, completion.logprobs, strict=True)
    return {"content": [_token_logprob(policies, token, logprob) for token, logprob in drawn]}


def _token_logprob(policies: ServedPolicies, token: int, logprob: float) -> dict[str, Any]:
    text = policies.token_text(token)
    return {"token": text, "logprob": logprob, "bytes": list(text.encode()), "top_logprobs": []}


def _model_card(name: str, root: str) -> dict[str, Any]:
    parent = None if name == ServedPolicies.BASE else ServedPolicies.BASE
    return {"id": name, "object": "model", "created": 0, "owned_by": "plumbline", "root": root, "parent": parent}


def _error(status: HTTPStatus, kind: str, message: str, parameter: str | None = None) -> JSONResponse:
    return JSONResponse(_error_body(status, kind, message, parameter), status_code=status)


def _error_body(status: HTTPStatus, kind: str, message: str, parameter: str | None = None) -> dict[str, Any]:
    return {"error": {"message": message, "type": kind, "param": parameter, "code": status.value}}


def _refuse(_: Request, error: Exception) -> JSONResponse:
    """HTTP codes of what the product raises on purpose."""
    match error:
        case NotFound(what="model"):
            return _error(HTTPStatus.NOT_FOUND, "NotFoundError", f"The model `{error.name}` does not exist.", "model")
        case NotFound():
            return _error(HTTPStatus.NOT_FOUND, "NotFoundError", str(error))
        case SamplerUnavailable():
            return _error(HTTPStatus.SERVICE_UNAVAILABLE, "ServiceUnavailableError", str(error))
        case InvalidInput():
            return _error(HTTPStatus.BAD_REQUEST, "BadRequestError", str(error), error.field)
        case ArtifactCorrupt():
            return _error(HTTPStatus.BAD_REQUEST, "BadRequestError", str(error), "lora_path")
    return _error(HTTPStatus.INTERNAL_SERVER_ERROR, "InternalServerError", str(error))


def _refuse_body(_: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, RequestValidationError):
        raise error
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"] if part != "body") or "body"
    return _error(HTTPStatus.BAD_REQUEST, "BadRequestError", f"{where}: {first['msg']}", where)
