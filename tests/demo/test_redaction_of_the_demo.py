"""The demo's questions and answers name nobody: redaction leaves every one of them as it is."""

from __future__ import annotations

import pytest

from infra.demo import corpus
from ingest.redaction.redactor import redact


@pytest.mark.parametrize("seed", [0, 1, 7, 42])
def test_prompts_and_completions_come_out_unchanged(seed: int) -> None:
    dialogues = corpus.dialogues(seed, 1500)
    texts = {message.content for dialogue in dialogues for message in dialogue.messages()}
    texts |= {prompt[-1].content for prompt in [*corpus.traffic_prompts(seed, 500), *corpus.gate_prompts(seed)]}
    assert [text for text in texts if redact(text) != text] == []
