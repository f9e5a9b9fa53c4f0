"""Foreign recordings as our messages: a file's text in, rows or named bad rows out. A format is a file and a line here.

Ids come from the file's content, so that the same file sent twice is the same events twice. What a format does not
record is left out, never invented, except for the order in time where a format has none: one row a second from EPOCH.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial

from ingest.connectors import CONNECTORS
from ingest.formats import convai2, feedbackqa, foreign, jsonl, qa_from_hf
from ingest.formats.rows import BadRow, Recorded, Source


@dataclass(frozen=True, slots=True)
class Format:
    """How a recording is read, and whether it says when things happened."""

    read: Callable[[Source], Iterator[Recorded | BadRow]]
    has_times: bool


FORMATS: Mapping[str, Format] = {
    "convai2": Format(convai2.read, has_times=True),
    "qa-from-hf": Format(qa_from_hf.read, has_times=False),
    "feedbackqa": Format(feedbackqa.read, has_times=False),
    "jsonl": Format(jsonl.read, has_times=True),
    "langfuse": Format(partial(foreign.read, CONNECTORS["langfuse"]), has_times=False),
    "openai": Format(partial(foreign.read, CONNECTORS["openai"]), has_times=True),
    "librechat": Format(partial(foreign.read, CONNECTORS["librechat"]), has_times=False),
    "open-webui": Format(partial(foreign.read, CONNECTORS["open-webui"]), has_times=True),
    "tensorzero": Format(partial(foreign.read, CONNECTORS["tensorzero"]), has_times=False),
    "adaptive": Format(partial(foreign.read, CONNECTORS["adaptive"]), has_times=False),
}
