"""What several stages need from outside, as Protocols; infra/ and tests bring the adapters."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import NamedTuple, Protocol

from matrix.errors import MessageTooLarge, Transient


class Clock(Protocol):
    """Time comes in from outside."""

    def now(self) -> datetime:
        """The time, in UTC, aware."""
        ...


class OutgoingMessage(NamedTuple):
    """One record on its way to a topic."""

    topic: str
    key: str
    payload: bytes


Outcome = Transient | MessageTooLarge | None  # of one message: why it is not acknowledged
Settled = Callable[[Sequence[int], Outcome], None]  # what became of the messages at these places; raises nothing


class Publisher(Protocol):
    """Durable publishing: returns when the broker has acknowledged all, else raises BrokerUnavailable."""

    def publish(self, messages: Sequence[OutgoingMessage]) -> None:
        """Publish in order per key."""
        ...


class ObjectStore(Protocol):
    """Immutable objects by name; a uri is `object:<name>`."""

    def write(self, name: str, content: bytes) -> str:
        """Durable and atomic; returns the uri. The same name with other bytes raises ArtifactCorrupt."""
        ...

    def read(self, uri: str) -> bytes:
        """The bytes; NotFound where there are none."""
        ...

    def exists(self, uri: str) -> bool:
        """Whether the object is there."""
        ...

    def names(self, prefix: str) -> tuple[str, ...]:
        """Names below a prefix, sorted."""
        ...

    def local_path(self, uri: str) -> Path:
        """Where a process on this machine finds the object or the folder of objects."""
        ...


class PolicyServer(Protocol):
    """vLLM's LoRA surface, as the registry and the trainer use it."""

    def load_adapter(self, name: str, path: Path) -> None:
        """Load under an immutable name; loading what is loaded is not an error."""
        ...

    def unload_adapter(self, name: str) -> None:
        """Forget an adapter; one that is not loaded is not an error."""
        ...

    def served_models(self) -> dict[str, str]:
        """Model name -> root (path of its bytes)."""
        ...

    def completion_logprobs(
        self, model: str, prompt: str, *, max_tokens: int
    ) -> tuple[tuple[str, ...], tuple[float, ...]]:
        """Greedy completion of one user message, cut off at the limit: tokens and their logprobs."""
        ...
