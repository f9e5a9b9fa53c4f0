"""What may be sent as one event: what fits, what nearly fits, any JSON, and bytes that are none."""

from __future__ import annotations

import json
import string
from typing import Any

from hypothesis import strategies as st

GOOD = {"metric_name": "thumbs", "inference_id": "c1", "value": True}
NAMES = ["metric_name", "inference_id", "episode_id", "value", "tags", "dryrun", "id", "user_id", "occurred_at", "text"]
METRICS = ["thumbs", "rating", "demonstration", "comment", "regenerate", "report", "preference", "follow_up", "wink"]

words = st.text(st.characters(codec=None) | st.sampled_from(string.printable), max_size=12)
words |= st.sampled_from(["well", "half \ud83d", "\udc8a", "nul \x00"])  # of which stores hold the first
numbers = st.integers() | st.floats() | st.sampled_from([10**400, -(10**30), 1e308, 2**63])
values = st.recursive(
    st.none() | st.booleans() | numbers | words | st.sampled_from(METRICS),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3),
    max_leaves=8,
)
spoiled = st.dictionaries(st.sampled_from(NAMES) | words, values, max_size=5).map(lambda changes: GOOD | changes)
worded = st.fixed_dictionaries(  # which nearly all fit, but for what a store cannot hold
    {"metric_name": st.sampled_from(["comment", "follow_up"]), "inference_id": st.just("c1"), "value": words},
    optional={"tags": st.dictionaries(words, words, max_size=2)},
)
shapes = spoiled | worded | values | st.dictionaries(st.sampled_from(NAMES), values, max_size=6)


def spelt(value: Any) -> bytes:
    return json.dumps(value).encode()


@st.composite
def torn(draw: st.DrawFn) -> bytes:
    """A body with bytes lost, changed or put in."""
    raw = bytearray(spelt(draw(shapes)))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(raw)))
        raw[at : at + draw(st.integers(0, 4))] = draw(st.binary(max_size=4))
    return bytes(raw)


bodies = shapes.map(spelt) | torn() | st.binary(max_size=40) | st.integers(1, 60_000).map(lambda depth: b"[" * depth)
