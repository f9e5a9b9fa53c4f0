"""FeedbackQA (McGill-NLP/feedbackqa, arXiv:2204.03025): a question, a passage, and raters' grades with explanations.

Each rater gives a rating (Bad 1, Could be Improved 2, Acceptable 4, Excellent 5) and, in words, a comment. Raters
are not identified across rows, so events carry no user.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from ingest.formats.rows import EPOCH, BadRow, Recorded, Source, each, model_digest, whole_file
from matrix.messages.completion import CompletionServed
from matrix.messages.feedback import FeedbackEvent

GRADES = {"Bad": 1, "Could be Improved": 2, "Acceptable": 4, "Excellent": 5}


def read(source: Source) -> Iterator[Recorded | BadRow]:
    """One row a question."""

    def question(number: int, row: Any) -> Iterator[Recorded | BadRow]:
        return _question(source, number, row)

    return each(iter(enumerate(whole_file(source), 1)), question)


def _question(source: Source, number: int, row: Any) -> Iterator[Recorded | BadRow]:
    completion_id = f"feedbackqa-{source.short_digest}-{number}"
    completion = {
        "completion_id": completion_id,
        "policy": source.policy,
        "adapter_digest": model_digest("feedbackqa", row["passage"]["source"]),
        "prompt": [{"role": "user", "content": row["question"]}],
        "completion": row["passage"]["reference"]["section_content"],
        "served_at": EPOCH + timedelta(seconds=number),
    }
    events: list[dict[str, Any]] = []
    for rater, (grade, words) in enumerate(zip(row["rating"], row["feedback"], strict=True)):
        if grade in GRADES:
            events.append({"event_id": f"{completion_id}-{rater}-rating", "kind": "rating", "value": GRADES[grade]})
        else:
            yield BadRow(number, f"rating.{rater}: {grade!r} is none of {', '.join(GRADES)}")
        if words.strip():
            events.append({"event_id": f"{completion_id}-{rater}-comment", "kind": "comment", "text": words})
    common = {"completion_id": completion_id, "occurred_at": completion["served_at"]}
    said = tuple(FeedbackEvent.model_validate(event | common) for event in events)
    yield Recorded(number, (CompletionServed.model_validate(completion),), said)
