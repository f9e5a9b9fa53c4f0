"""The client for services that run in threads: a call hands its event to the background and returns."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Self

from ingest.client.sender import Sender
from ingest.client.types import Counts, Entry, Options, Place, QueueFull, Refusal, Refused
from ingest.client.verbs import Verbs

FLUSH_LIMIT_S = 10.0
OnRefused = Callable[[Refusal], None]
DEFAULTS = Options()


def tell_nobody(refusal: Refusal) -> None:
    """The log has it, without what was said."""


class Plumbline(Verbs[str]):
    """Feedback of one chat service to one gateway. Thread-safe; make one and keep it.

    No call raises for what is sent, unless `raise_on_error`: what will not be counted is told to `on_refused`, in the
    caller's thread or the background's. Only a `base_url` that is none raises InvalidInput, here.
    """

    def __init__(
        self,
        base_url: str,
        api_key: str,
        *,
        spill: Path | str | None = None,
        raise_on_error: bool = False,
        on_refused: Callable[[Refusal], None] = tell_nobody,
        options: Options = DEFAULTS,
    ) -> None:
        place = Place(base_url, api_key, Path(spill) if spill is not None else None)
        self._sender, self._raises = Sender(place, options, on_refused), raise_on_error

    def flush(self, limit_s: float = FLUSH_LIMIT_S) -> bool:
        """Whether the gateway has decided on everything given so far, within the limit."""
        return self._sender.flush(limit_s)

    def close(self, limit_s: float = FLUSH_LIMIT_S) -> bool:
        """Flush and end; what the gateway did not take lies in the spill file, or is told as refused."""
        return self._sender.close(limit_s)

    def counts(self) -> Counts:
        """What became of this process's calls."""
        return self._sender.counts()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _give(self, made: Entry | Refusal) -> str:
        return settle(self._sender, made, raises=self._raises)


def settle(sender: Sender, made: Entry | Refusal, *, raises: bool) -> str:
    """Hand on an entry; the id, unless it is refused and somebody asked for an exception."""
    refusal = sender.refuse(made) if isinstance(made, Refusal) else sender.give(made)
    if refusal is not None and raises:
        raise (QueueFull if refusal.error == "QueueFull" else Refused)(refusal)
    if refusal is not None:
        sender.tell(refusal)
    return made.event_id
