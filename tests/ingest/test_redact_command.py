"""`plumbline ingest redact`: forms of files, bad rows by their line, exit codes, and no word of a text in an error."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from ingest.redact_cli import redact_command
from ingest.redaction.entities import SpacyEntities, beside_rules
from ingest.redaction.findings import Finding, Kind
from ingest.redaction.redactor import redact
from matrix.errors import InvalidInput

SAID = "I am 45, jane.doe@example.org"


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLUMBLINE_HOME", str(tmp_path))


def run(*words: str, given: str | bytes | None = None) -> Result:
    return CliRunner().invoke(redact_command, list(words), input=given)


def answers(outcome: Result) -> list[dict[str, object]]:
    return [json.loads(line) for line in outcome.stdout.splitlines()]


def test_a_row_answers_with_its_text_and_spans_of_the_original() -> None:
    (answer,) = answers(run("-", "--json", given=json.dumps({"id": "a", "text": SAID})))
    assert answer["id"] == "a"
    assert answer["text"] == "I am 45, <EMAIL>"
    assert answer["spans"] == [{"start": 9, "end": 29, "kind": "EMAIL"}]
    assert SAID[9:29] == "jane.doe@example.org"


def test_people_get_the_texts_alone() -> None:
    assert run("-", given=json.dumps({"text": SAID})).stdout == "I am 45, <EMAIL>\n"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("rows.jsonl", '{"key": 7, "said": "a@b.org"}\n\n{"key": 8, "said": "ok"}\n'),
        ("rows.csv", 'key,said\n7,a@b.org\n8,"ok"\n'),
        ("rows.json", '[{"key": 7, "said": "a@b.org"}, {"key": 8, "said": "ok"}]'),
    ],
)
def test_every_form_of_file_is_read_with_columns_of_other_names(name: str, content: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(content)
    told = answers(run(str(tmp_path / name), "--json", "--text-field", "said", "--id-field", "key"))
    assert [(str(one["id"]), one["text"]) for one in told] == [("7", "<EMAIL>"), ("8", "ok")]


def test_a_bad_row_is_named_by_its_line_and_costs_itself_alone() -> None:
    outcome = run("-", "--json", given=f'{{"text": "ok"}}\n{{"text": 7}}\n{SAID}\n{{"id": [1], "text": "ok"}}\n')
    assert outcome.exit_code == 0
    assert [one["text"] for one in answers(outcome)] == ["ok"]
    assert "line 2: text: expected text, not int" in outcome.stderr
    assert "line 3: not JSON" in outcome.stderr
    assert "line 4: id: expected text or a whole number" in outcome.stderr
    assert "jane" not in outcome.stderr


@pytest.mark.parametrize(
    ("given", "words", "told"),
    [
        ('{"text": "ok"}\nnope', ("--strict",), "line 2"),
        ("[1", (), "expected a JSON list"),
        (b"\xff\xfe\x00", (), "expected UTF-8"),
        ('{"a": 1}\n', (), "none of them can be read"),
        ('{"text": "ok"}\n', ("--evaluate",), "labelled spans"),
    ],
)
def test_a_file_that_cannot_be_read_is_one_named_error(given: str | bytes, words: tuple[str, ...], told: str) -> None:
    outcome = run("-", "--json", *words, given=given)
    assert isinstance(outcome.exception, InvalidInput)
    assert told in str(outcome.exception)


PARQUET = b"PAR1\x15\x04\x15\x10PAR1"


@pytest.mark.parametrize(
    ("name", "content"), [("a.parquet", b'{"text": "ok"}'), ("A.PARQUET", PARQUET), ("a", PARQUET)]
)
def test_parquet_is_refused_with_what_to_do(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    for outcome in (run(str(tmp_path / name)), run("-", given=PARQUET)):
        assert isinstance(outcome.exception, InvalidInput)
        assert "convert it to JSON lines or CSV" in str(outcome.exception)
    assert "Parquet is not read" in run("--help").stdout


@pytest.mark.parametrize("file", ["/nowhere/at-all", "a\x00b", "."])
def test_a_file_that_is_not_there_is_one_named_error(file: str) -> None:
    assert isinstance(run(file).exception, InvalidInput)


def test_evaluation_reads_both_forms_of_spans() -> None:
    ours = {"text": SAID, "spans": [{"start": 9, "end": 29, "kind": "EMAIL"}]}
    theirs = {"full_text": SAID, "spans": [{"start_position": 9, "end_position": 29, "entity_type": "EMAIL_ADDRESS"}]}
    outcome = run("-", "--evaluate", "--json", given=json.dumps([ours, theirs]))
    (answer,) = answers(outcome)
    assert answer["texts"] == 2
    assert answer["kinds"] == [
        {
            "kind": "EMAIL",
            "labelled": 2,
            "found": 2,
            "strict": {"precision": 1.0, "recall": 1.0},
            "lenient": {"precision": 1.0, "recall": 1.0},
        }
    ]
    assert "EMAIL" in run("-", "--evaluate", given=json.dumps([ours])).stdout


@pytest.mark.parametrize(
    "span",
    [
        {"start": 5, "end": 5, "kind": "EMAIL"},
        {"start": 0, "end": 99, "kind": "EMAIL"},
        {"start": 0, "end": 1, "kind": "?"},
        7,
    ],
)
def test_a_span_that_cannot_be_is_a_bad_row(span: object) -> None:
    rows = [{"text": SAID, "spans": []}, {"text": SAID, "spans": [span]}]
    outcome = run("-", "--evaluate", "--json", given=json.dumps(rows))
    assert "line 2: spans:" in outcome.stderr
    assert "jane" not in outcome.stderr


class Knows:
    """A model that knows one name."""

    def find(self, text: str) -> Iterator[Finding]:
        if "Oumuamua" in text:
            yield Finding(text.index("Oumuamua"), text.index("Oumuamua") + 8, Kind.PERSON)


def test_a_model_adds_to_the_rules_and_takes_nothing_away() -> None:
    find = beside_rules(Knows())
    assert redact("ask Oumuamua or a@b.org", find) == "ask <PERSON> or <EMAIL>"
    assert redact("mail Oumuamua@b.org", find) == "mail <EMAIL>"


def test_a_model_that_is_not_there_is_one_named_error(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="PLUMBLINE_ENTITY_MODEL"):
        SpacyEntities(tmp_path / "model")
