"""Redaction against 1,500 labelled texts (presidio-research), and the evaluation's arithmetic on a case by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from infra.rows import read_rows
from ingest.redact_files import Fields, Row, text_row
from ingest.redaction import rules
from ingest.redaction.evaluation import Evaluation, Span
from ingest.redaction.findings import Finding, Kind
from ingest.redaction.redactor import traced

LABELLED = Path(__file__).parents[3] / "shared" / "data" / "presidio-research" / "synth_dataset_v2.json"
STRUCTURED = ("EMAIL", "PHONE", "CARD", "IBAN", "NATIONAL_ID", "IP", "URL", "DATE")
LEAST_RECALL, LEAST_PRECISION, LEAST_F = 0.95, 0.90, 0.62


@pytest.fixture(scope="module")
def answer() -> dict[str, Any]:
    if not LABELLED.exists():
        pytest.skip(f"{LABELLED.name} is not here")
    evaluation = Evaluation()
    for row in read_rows(str(LABELLED), lambda line, value: text_row(line, value, Fields())):
        assert isinstance(row, Row)
        assert row.labelled is not None
        evaluation.add(row.text, row.labelled, traced(row.text, rules.find)[1])
    return evaluation.answer()


@pytest.mark.parametrize("kind", STRUCTURED)
def test_structured_kinds_reach_their_targets(kind: str, answer: dict[str, Any]) -> None:
    (row,) = [row for row in answer["kinds"] if row["kind"] == kind]
    for how in ("strict", "lenient"):
        assert row[how]["recall"] >= LEAST_RECALL
        assert row[how]["precision"] >= LEAST_PRECISION


def test_tokens_of_all_kinds_reach_the_target(answer: dict[str, Any]) -> None:
    tokens = answer["tokens"]
    assert min(tokens[name][f] for name in ("same", "any") for f in ("f1", "f2")) >= LEAST_F


def test_a_case_worked_by_hand() -> None:
    """Five tokens; "b c" and "e" are labelled, "c" (right kind) and "d e" (wrong kind) are found."""
    evaluation = Evaluation()
    labelled = [Span(2, 5, Kind.PERSON), Span(8, 9, Kind.DATE)]
    evaluation.add("a b c d e", labelled, [Finding(4, 5, Kind.PERSON), Finding(6, 9, Kind.PHONE)])
    told = evaluation.answer()
    person = next(row for row in told["kinds"] if row["kind"] == "PERSON")
    assert person["strict"] == {"precision": 0.0, "recall": 0.0}
    assert person["lenient"] == {"precision": 1.0, "recall": 1.0}
    assert told["tokens"]["any"] == {"precision": 0.6667, "recall": 0.6667, "f1": 0.6667, "f2": 0.6667}
    assert told["tokens"]["same"] == {"precision": 0.3333, "recall": 0.3333, "f1": 0.3333, "f2": 0.3333}


def test_where_nothing_is_labelled_or_found_there_is_no_rate() -> None:
    evaluation = Evaluation()
    evaluation.add("a", [], [])
    assert evaluation.answer()["tokens"]["any"] == {"precision": None, "recall": None, "f1": None, "f2": None}
