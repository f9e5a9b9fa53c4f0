"""docs/client.md does what it says: every example runs against a gateway, and prints what stands beside it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from infra.database import Database
from ingest.client import Counts, Options, Plumbline
from matrix.messages.feedback import FeedbackEvent, FeedbackKind
from tests.fakes.feedback_door import FeedbackDoor, feedback_door

DOCUMENT = (Path(__file__).parents[2] / "docs" / "client.md").read_text()
EXAMPLES = re.findall(r"```python\n(.*?)```", DOCUMENT, re.DOTALL)


@pytest.fixture
def door(database: Database) -> Iterator[FeedbackDoor]:
    with feedback_door(database) as made:
        yield made


@pytest.fixture
def ran(
    door: FeedbackDoor,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> str:
    """What the examples print, run one after the other as one reads them."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PLUMBLINE_GATEWAY_URL", door.url)
    monkeypatch.setenv("PLUMBLINE_API_KEY", door.key)
    known: dict[str, Any] = {}
    for example in EXAMPLES:
        exec(example, known)
    return capsys.readouterr().out


def test_every_example_runs_and_prints_what_it_says(ran: str) -> None:
    printed = re.findall(r"print\(.*?\)  # (.*)", DOCUMENT)
    assert ran.splitlines() == printed


def test_every_verb_arrives_as_an_event_of_its_kind(ran: str, door: FeedbackDoor) -> None:
    kinds = Counter(event.kind for event in door.events())
    assert set(kinds) == set(FeedbackKind)
    assert kinds[FeedbackKind.THUMB] == 3
    assert [one.completion_id for one in door.completions()] == ["chatcmpl-8f0c"]


def test_every_field_of_every_event_is_named() -> None:
    for name in ("user_id", "occurred_at", "tags", "consent"):
        assert f"`{name}`" in DOCUMENT
        assert name in FeedbackEvent.model_fields


def test_the_figures_are_the_codes() -> None:
    options = Options()
    assert f"({options.capacity:,} events)" in DOCUMENT
    assert f"(`linger_s`, {options.linger_s:g} s" in DOCUMENT
    assert f"{options.spill_most_bytes // (1 << 20)} MB at most" in DOCUMENT
    assert all(f"`{name}`" in DOCUMENT for name in Counts.__dataclass_fields__)
    assert all(hasattr(Plumbline, name) for name in re.findall(r"`(\w+)\(", DOCUMENT) if name in ("flush", "close"))
