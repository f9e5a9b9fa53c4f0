"""Rounds of a deployed extractive model (lil-lab/qa-from-hf; Gao et al., EMNLP 2023), each answer judged by a person.

`feedback` has three grades, which become a rating: Wrong 1, Partially Correct 3, Correct 5. The file's name stands for
the round's model. The model's log-probability of its answer is kept as a tag: it is not the probability with which
a route chose the model, which is what `propensity` means here.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import PurePath
from typing import Any

from ingest.formats.rows import EPOCH, BadRow, Recorded, Source, each, lines, model_digest
from matrix.messages.completion import CompletionServed
from matrix.messages.feedback import FeedbackEvent

GRADES = {"Wrong": 1, "Partially Correct": 3, "Correct": 5}


def read(source: Source) -> Iterator[Recorded | BadRow]:
    """One row an answer."""
    digest = model_digest("qa-from-hf", PurePath(source.name).name)

    def answer(number: int, row: Any) -> Iterator[Recorded | BadRow]:
        yield _answer(source, number, row, digest)

    return each(lines(source), answer)


def _answer(source: Source, number: int, row: Any, digest: str) -> Recorded | BadRow:
    if row["feedback"] not in GRADES:
        return BadRow(number, f"feedback: {row['feedback']!r} is none of {', '.join(GRADES)}")
    at = EPOCH + timedelta(seconds=number)
    completion_id = f"qa-{source.short_digest}-{number}"
    completion = {
        "completion_id": completion_id,
        "policy": source.policy,
        "adapter_digest": digest,
        "user_id": row["workerId"],
        "prompt": [{"role": "user", "content": f"{row['context']}\n\n{row['question']}"}],
        "completion": row["pred"],
        "served_at": at,
    }
    event = {
        "event_id": f"{completion_id}-rating",
        "completion_id": completion_id,
        "kind": "rating",
        "value": GRADES[row["feedback"]],
        "user_id": row["workerId"],
        "occurred_at": at,
        "tags": {"log_prob": str(row["log_prob"])},
    }
    return Recorded(number, (CompletionServed.model_validate(completion),), (FeedbackEvent.model_validate(event),))
