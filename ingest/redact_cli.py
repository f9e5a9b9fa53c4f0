"""`plumbline ingest redact`: what the gateway would do to the texts of a file, and how well on labelled ones."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import click

from infra.console import echo_json
from infra.rows import BadRow, read_rows, readable, report
from ingest.redact_files import Fields, Row, text_row
from ingest.redaction.entities import finder
from ingest.redaction.evaluation import Evaluation
from ingest.redaction.findings import KEPT, Finding
from ingest.redaction.redactor import Find, traced
from ingest.settings import IngestSettings
from matrix.errors import InvalidInput


@click.command(name="redact")
@click.argument("file")
@click.option("--json", "as_json", is_flag=True, help="Answer with one JSON object a row, or one of the evaluation.")
@click.option("--evaluate", is_flag=True, help="Compare with the file's labelled spans.")
@click.option("--text-field", help="Column of the text.  [default: text, else full_text]")
@click.option("--id-field", help="Column of the id.  [default: id, else the row's number]")
@click.option("--strict", is_flag=True, help="End at the first row that cannot be read.")
def redact_command(
    *, file: str, as_json: bool, evaluate: bool, text_field: str | None, id_field: str | None, strict: bool
) -> None:
    """Replace what names people in the texts of FILE: JSON lines, a JSON list, CSV, or - for standard input.

    Parquet is not read: convert it to JSON lines or CSV first.
    """
    find = finder(IngestSettings.load().entity_model)
    fields = Fields(text=text_field, id=id_field)
    rows = readable(read_rows(file, lambda line, value: text_row(line, value, fields)), strict=strict)
    if evaluate:
        _tell_evaluation(_evaluated(rows, find, strict=strict), as_json=as_json)
        return
    for row in rows:
        text, findings = traced(row.text, find)
        if as_json:
            echo_json({"id": row.id, "text": text} | _listed(findings))
        else:
            click.echo(text)


def _listed(findings: list[Finding]) -> dict[str, Any]:
    """Replaced and kept, where they stand in the original."""
    told = [({"start": one.start, "end": one.end, "kind": one.kind}, one.kind in KEPT) for one in findings]
    return {"spans": [one for one, kept in told if not kept], "kept": [one for one, kept in told if kept]}


def _evaluated(rows: Iterator[Row], find: Find, *, strict: bool) -> Evaluation:
    evaluation = Evaluation()
    for row in rows:
        if row.labelled is None:
            report(BadRow(row.line, "spans: missing"), strict=strict)
        else:
            evaluation.add(row.text, row.labelled, traced(row.text, find)[1])
    if not evaluation.texts:
        raise InvalidInput(field="FILE", value="no row", remedy="has labelled spans: {start, end, kind}")
    return evaluation


def _tell_evaluation(evaluation: Evaluation, *, as_json: bool) -> None:
    answer = evaluation.answer()
    if as_json:
        echo_json(answer)
        return
    click.echo(" " * 36 + "strict" + " " * 15 + "lenient")
    click.echo(f"{'kind':14}{'labelled':>9}{'found':>7}" + f"{'precision':>12}{'recall':>9}" * 2)
    for row in answer["kinds"]:
        rates = [row[how][rate] for how in ("strict", "lenient") for rate in ("precision", "recall")]
        shown = "".join(f"{_shown(rate):>{width}}" for rate, width in zip(rates, (12, 9, 12, 9), strict=True))
        click.echo(f"{row['kind']:14}{row['labelled']:>9}{row['found']:>7}{shown}")
    for name, about in (("same", "tokens of the same kind"), ("any", "tokens of any kind")):
        told = "  ".join(f"{rate} {_shown(value)}" for rate, value in answer["tokens"][name].items())
        click.echo(f"{about:25}{told}")


def _shown(rate: float | None) -> str:
    return "-" if rate is None else f"{rate:.3f}"
