"""Proof that a policy server serves the bytes it was told to load.

A load that answers "success" proves nothing: an adapter may never reach the sampler and the base model answers under
its name (verl#7495, verl#3821), and of several replicas one may be left out. So the artifact's bytes are hashed again,
the server must list the immutable name with that path, and its greedy completion of a probe prompt must have the
tokens and logprobs that the trainer computed from the same bytes, which the base model's must not have, nor the
champion's where the probe holds them. A logprob that is no number proves nothing.
For the base model itself there is nothing to load; its completion must be the base model's own, as the trainer
computed it, where the adapter's is another or has other logprobs.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from matrix.digests import digest_files
from matrix.errors import ArtifactCorrupt, NotFound, PlumblineError, SamplerUnavailable, ServingNotProven
from matrix.messages.base import Value
from matrix.messages.run import Probe
from matrix.ports import PolicyServer

ARTIFACT_FILES = ("adapter_config.json", "adapter_model.safetensors")


class Proof(Value):
    """What one server showed."""

    server: str
    model: str
    root: str
    artifact_sha256: str
    tokens: int  # of the probe's completion that were compared
    difference: float  # largest |logprob served - logprob expected|
    distance: float  # largest |logprob served - logprob of the policy that must not answer|; inf as 1e9


@dataclass(frozen=True, slots=True)
class NamedServer:
    """A replica and what people call it."""

    address: str
    server: PolicyServer


@dataclass(frozen=True, slots=True)
class Artifact:
    """What is to be served; `path` is None for the base model."""

    name: str
    digest: str
    path: Path | None


def load(servers: Sequence[NamedServer], artifact: Artifact, loaded: list[NamedServer]) -> None:
    """Load on every server; those that did not have it are added to `loaded`, also where a later one fails.

    Raises ServingNotProven, ArtifactCorrupt or SamplerUnavailable.
    """
    if not servers:
        raise ServingNotProven(server="(none)", model=artifact.name, reason="no policy server is configured")
    if artifact.path is None:
        return
    ensure_bytes(artifact.path, artifact.digest)
    for one in servers:
        if artifact.name not in one.server.served_models():
            loaded.append(one)
        one.server.load_adapter(artifact.name, artifact.path)


def unload(one: NamedServer, names: Collection[str]) -> list[str]:
    """Which of these it had and has no more; a server that fails here keeps what it has."""
    gone: list[str] = []
    with suppress(PlumblineError):
        for name in sorted(one.server.served_models().keys() & set(names)):
            one.server.unload_adapter(name)
            gone.append(name)
    return gone


def ensure_bytes(path: Path, digest: str) -> None:
    """Raises ArtifactCorrupt unless the folder's files have this digest."""
    try:
        found = digest_files({name: (path / name).read_bytes() for name in ARTIFACT_FILES})
    except OSError as error:
        raise NotFound(what="adapter file", name=error.filename) from error
    if found != digest:
        raise ArtifactCorrupt(str(path), expected=digest, found=found)


def prove(one: NamedServer, artifact: Artifact, probe: Probe, *, tolerance: float) -> Proof:
    """Whether this server's answers are those of the artifact's bytes."""
    if artifact.path is not None:
        ensure_bytes(artifact.path, artifact.digest)  # again: the server may have loaded them since
    root = listed_root(one, artifact.name)
    if artifact.path is not None and Path(root).resolve() != artifact.path.resolve():
        raise ServingNotProven(server=one.address, model=artifact.name, reason=f"it was loaded from {root}")
    if unusable := _unusable(probe, of_base=artifact.path is None):
        raise ServingNotProven(server=one.address, model=artifact.name, reason=unusable)
    # No more than is compared: a server without a limit of its own would go on to the end of its context.
    length = len(probe.base_own_tokens if artifact.path is None else probe.tokens)
    tokens, logprobs = one.server.completion_logprobs(artifact.name, probe.prompt, max_tokens=length)
    if len(tokens) != len(logprobs) or not all(map(math.isfinite, logprobs)):
        raise ServingNotProven(server=one.address, model=artifact.name, reason="a logprob of its answer is no number")
    compare = _compare_base if artifact.path is None else _compare_adapter
    refused, compared, difference, distance = compare(tokens, logprobs, probe, tolerance)
    if refused:
        raise ServingNotProven(server=one.address, model=artifact.name, reason=refused)
    return Proof(
        server=one.address,
        model=artifact.name,
        root=root,
        artifact_sha256=artifact.digest,
        tokens=compared,
        difference=difference,
        distance=distance,
    )


def listed_root(one: NamedServer, name: str) -> str:
    """Where the server says that it has this model from; ServingNotProven where it does not list it."""
    models = one.server.served_models()
    if name not in models:
        raise ServingNotProven(server=one.address, model=name, reason="it is not among the served models")
    return models[name]


def _unusable(probe: Probe, *, of_base: bool) -> str | None:
    """Every comparison is 'within' or 'beyond', and NaN is neither: `max` passes over it."""
    if of_base and not probe.base_own_tokens:
        return "the probe has no completion of the base model; it was made before probes had one"
    columns = [(probe.tokens, probe.logprobs), (probe.tokens, probe.base_logprobs)]
    if probe.champion_logprobs:
        columns.append((probe.tokens, probe.champion_logprobs))
    if of_base:
        columns.append((probe.base_own_tokens, probe.base_own_logprobs))
    if not probe.tokens or any(len(logprobs) != len(tokens) for tokens, logprobs in columns):
        return "the probe has not one logprob for each token"
    if not all(math.isfinite(value) for _, logprobs in columns for value in logprobs):
        return "a logprob of the probe is no number"
    return None


Compared = tuple[str | None, int, float, float]  # why refused, tokens compared, difference, distance


def _compare_adapter(tokens: Sequence[str], logprobs: Sequence[float], probe: Probe, tolerance: float) -> Compared:
    """The same tokens with the same logprobs, which neither the base model nor the champion gives to them."""
    others = {"base model": probe.base_logprobs}
    if probe.champion_logprobs:
        others["champion"] = probe.champion_logprobs
    for other, theirs in others.items():
        told_apart = _largest(probe.logprobs, theirs)
        if told_apart <= 2 * tolerance:
            return f"the probe cannot tell it from the {other} ({told_apart:.4f})", 0, 0.0, told_apart
    shared = _shared(tokens, probe.tokens)
    if _leaves(shared, probe.tokens):
        return f"its completion of the probe leaves the expected one at token {shared}", shared, 0.0, 0.0
    difference = _largest(logprobs[:shared], probe.logprobs[:shared])
    distances = {other: _largest(logprobs[:shared], theirs[:shared]) for other, theirs in others.items()}
    nearest = min(distances, key=lambda other: distances[other])
    distance = distances[nearest]
    if not difference <= tolerance:
        return f"logprobs differ by {difference:.4f} from the artifact's", shared, difference, distance
    if not distance > tolerance:
        return f"logprobs are the {nearest}'s", shared, difference, distance
    return None, shared, difference, distance


def _compare_base(tokens: Sequence[str], logprobs: Sequence[float], probe: Probe, tolerance: float) -> Compared:
    """The base model's own tokens with their logprobs, where the adapter writes others or gives them others."""
    own = probe.base_own_tokens
    shared = _shared(tokens, own)
    if _leaves(shared, own):
        return f"its completion of the probe leaves the base model's at token {shared}", shared, 0.0, 0.0
    difference = _largest(logprobs[:shared], probe.base_own_logprobs[:shared])
    if not difference <= tolerance:
        return f"logprobs differ by {difference:.4f} from the base model's", shared, difference, 0.0
    alike = _shared(tokens[:shared], probe.tokens)  # the adapter, greedy too, writes something else from there on
    parted = alike < min(shared, len(probe.tokens))
    distance = 1e9 if parted else _largest(logprobs[:alike], probe.logprobs[:alike])
    if not distance > tolerance:
        return "its completion of the probe is the adapter's", shared, difference, distance
    return None, shared, difference, distance


def _leaves(shared: int, expected: Sequence[str]) -> bool:
    """Whether a completion is another; one server writes the end of text as a token and another does not."""
    return shared < max(1, len(expected) - 1)


def _shared(one: Sequence[str], other: Sequence[str]) -> int:
    pairs = zip(one, other, strict=False)
    return next((index for index, (a, b) in enumerate(pairs) if a != b), min(len(one), len(other)))


def _largest(one: Sequence[float], other: Sequence[float]) -> float:
    return max((abs(a - b) for a, b in zip(one, other, strict=True)), default=0.0)


class HttpPolicyServer:
    """vLLM's LoRA surface over HTTP; implements matrix.ports.PolicyServer."""

    def __init__(self, base_url: str, *, timeout_s: float = 60.0) -> None:
        self._client = httpx.Client(base_url=base_url, timeout=timeout_s)
        self._base_url = base_url

    def close(self) -> None:
        """Give back connections."""
        self._client.close()

    def load_adapter(self, name: str, path: Path) -> None:
        """Loading what is loaded is not an error: names are immutable."""
        answer = self._call("POST", "/v1/load_lora_adapter", {"lora_name": name, "lora_path": str(path.resolve())})
        if answer.is_error and "already been loaded" not in answer.text:
            raise ServingNotProven(server=self._base_url, model=name, reason=f"loading failed: {_told(answer)}")

    def unload_adapter(self, name: str) -> None:
        """One that is not loaded is not an error."""
        answer = self._call("POST", "/v1/unload_lora_adapter", {"lora_name": name})
        if answer.is_error and answer.status_code != httpx.codes.NOT_FOUND:
            raise ServingNotProven(server=self._base_url, model=name, reason=f"unloading failed: {_told(answer)}")

    def served_models(self) -> dict[str, str]:
        """Model name -> root."""
        listed = self._json(self._call("GET", "/v1/models"), model="(list)")
        try:
            return {str(card["id"]): str(card.get("root") or "") for card in listed["data"]}
        except (KeyError, TypeError, AttributeError) as error:
            raise ServingNotProven(server=self._base_url, model="(list)", reason="no list of models") from error

    def completion_logprobs(
        self, model: str, prompt: str, *, max_tokens: int
    ) -> tuple[tuple[str, ...], tuple[float, ...]]:
        """Greedy completion of one user message, cut off at the limit: tokens and their logprobs."""
        asked = {"model": model, "messages": [{"role": "user", "content": prompt}], "max_tokens": max_tokens}
        body = asked | {"temperature": 0, "logprobs": True}
        answered = self._json(self._call("POST", "/v1/chat/completions", body), model=model)
        try:
            content = answered["choices"][0]["logprobs"]["content"]
            return tuple(str(one["token"]) for one in content), tuple(float(one["logprob"]) for one in content)
        except (KeyError, IndexError, TypeError, ValueError) as error:
            raise ServingNotProven(server=self._base_url, model=model, reason="it gave no logprobs") from error

    def _call(self, method: str, path: str, body: Any = None) -> httpx.Response:
        try:
            answer = self._client.request(method, path, json=body)
        except httpx.HTTPError as error:
            raise SamplerUnavailable(f"{self._base_url}: {error or type(error).__name__}") from error
        if answer.status_code in (httpx.codes.SERVICE_UNAVAILABLE, httpx.codes.BAD_GATEWAY):
            raise SamplerUnavailable(f"{self._base_url}: {_told(answer)}")
        return answer

    def _json(self, answer: httpx.Response, *, model: str) -> Any:
        if answer.is_error:
            raise ServingNotProven(server=self._base_url, model=model, reason=_told(answer))
        try:
            return answer.json()
        except ValueError as error:
            raise ServingNotProven(server=self._base_url, model=model, reason="its answer is not JSON") from error


def _told(answer: httpx.Response) -> str:
    return f"{answer.status_code} {' '.join(answer.text.split())[:160]}"
