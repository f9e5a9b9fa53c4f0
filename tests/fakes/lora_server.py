"""vLLM's LoRA surface over scripted completions: what each adapter folder's bytes would say, and servers that lie."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from fastapi.responses import JSONResponse, PlainTextResponse, Response

Spoken = tuple[tuple[str, ...], tuple[float, ...]]  # tokens and logprobs


class FakeLoraServer:
    """`voices` says what a model answers, by the weights' bytes; b"" is the base model."""

    def __init__(self, voices: dict[bytes, Spoken], *, serves_base_always: bool = False, loads: bool = True) -> None:
        self.voices, self.serves_base_always, self.loads = voices, serves_base_always, loads
        self.loaded: dict[str, str] = {}
        self.asked: list[str] = []
        self.spoken: list[int] = []  # tokens of each completion
        self.when_spoken: Callable[[], object] = lambda: None
        self.app = self._app()

    def restart(self) -> None:
        """Adapters are held in memory alone."""
        self.loaded.clear()

    def _speak(self, model: str) -> Spoken | None:
        if model == "base" or (model in self.loaded and self.serves_base_always):
            return self.voices[b""]
        if model not in self.loaded:
            return None
        return self.voices[(Path(self.loaded[model]) / "adapter_model.safetensors").read_bytes()]

    def _app(self) -> FastAPI:
        app = FastAPI()

        @app.get("/v1/models")
        def models() -> dict[str, Any]:
            roots = {"base": "/models/base"} | self.loaded
            return {"object": "list", "data": [{"id": name, "object": "model", "root": roots[name]} for name in roots]}

        @app.post("/v1/load_lora_adapter")
        def load(body: dict[str, str]) -> Response:
            self.asked.append(body["lora_name"])
            if body["lora_name"] in self.loaded:
                told = f"The lora adapter '{body['lora_name']}' has already been loaded."
                return JSONResponse({"error": {"message": told, "code": 400}}, status_code=400)
            if self.loads:
                self.loaded[body["lora_name"]] = body["lora_path"]
            return PlainTextResponse(f"Success: LoRA adapter '{body['lora_name']}' added successfully.")

        @app.post("/v1/unload_lora_adapter")
        def unload(body: dict[str, str]) -> Response:
            if self.loaded.pop(body["lora_name"], None) is None:
                return JSONResponse({"error": {"message": "cannot be found", "code": 404}}, status_code=404)
            return PlainTextResponse(f"Success: LoRA adapter '{body['lora_name']}' removed successfully.")

        @app.post("/v1/chat/completions")
        def chat(body: dict[str, Any]) -> Response:
            spoken = self._speak(body["model"])
            self.when_spoken()
            if spoken is None:
                return JSONResponse({"error": {"message": "The model does not exist."}}, status_code=404)
            drawn = list(zip(*spoken, strict=True))[: body.get("max_tokens")]
            self.spoken.append(len(drawn))
            content = [{"token": token, "logprob": logprob} for token, logprob in drawn]
            message = {"role": "assistant", "content": "".join(token for token, _ in drawn)}
            choice = {"index": 0, "message": message, "logprobs": {"content": content}, "finish_reason": "stop"}
            answer = {"id": "chatcmpl-1", "object": "chat.completion", "choices": [choice]}
            return Response(json.dumps(answer), media_type="application/json")  # unlike JSONResponse it can say NaN

        return app
