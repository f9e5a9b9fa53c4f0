"""`plumbline registry`: the registry's processes, people's commands over HTTP, and the gate on a file."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import click
from rich.table import Table

from infra import base_model
from infra.console import echo_json, people
from infra.http import ApiClient
from matrix.errors import InvalidInput, Transient
from matrix.messages.gate import GateReport, Verdict
from registry import app
from registry.gate.report import COLUMNS, EXIT_CODES, rows
from registry.gate.rules import judge
from registry.service import parse_evaluation
from registry.settings import RegistrySettings

TIMEOUT_S = 300.0  # a promotion loads and proves on every policy server

as_json_option = click.option("--json", "as_json", is_flag=True, help="Answer with one JSON object.")
policy_option = click.option("--policy", default=None, help="Default: PLUMBLINE_POLICY.")
reason_option = click.option("--reason", required=True, help="Why; it is kept in the audit log.")


@click.group(name="registry", context_settings={"help_option_names": ["-h", "--help"]})
def commands() -> None:
    """From a candidate to what people are served, with people in between."""


@commands.command()
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", default=8081, show_default=True, type=click.IntRange(1, 65535))
def serve(*, host: str, port: int) -> None:
    """Run the HTTP side."""
    app.serve(RegistrySettings.load(), host=host, port=port)


@commands.command()
def work() -> None:
    """Run the worker that takes candidates and judges evaluations."""
    app.work(RegistrySettings.load())


@commands.command()
@policy_option
@click.option("--base-digest", default=None, help="Default: that of the folder in PLUMBLINE_BASE_MODEL.")
@click.option("--served-name", default=base_model.SERVED_NAME, show_default=True, help="Its name at policy servers.")
@as_json_option
def register(*, policy: str | None, base_digest: str | None, served_name: str, as_json: bool) -> None:
    """Make the base model a policy's version 0, champion and anchor; again changes nothing."""
    settings = RegistrySettings.load()
    name, digest = policy or settings.policy, base_digest or _digest_of(settings.base_model)
    found = _call(
        settings, lambda client: base_model.register(client, policy=name, digest=digest, served_name=served_name)
    )
    _answer(found, f"version 0 of {name} is the base model {digest[:12]}", as_json=as_json)


def _digest_of(folder: Path | None) -> str:
    if folder is None:
        raise InvalidInput(
            field="--base-digest", value=None, remedy="give it, or set PLUMBLINE_BASE_MODEL to the model's folder"
        )
    return base_model.base_digest(folder)


@commands.command()
@policy_option
@as_json_option
def versions(*, policy: str | None, as_json: bool) -> None:
    """List versions with their verdicts, and where the aliases point."""
    settings = RegistrySettings.load()
    found = _call(settings, lambda client: client.get(f"/v1/policies/{policy or settings.policy}/versions"))
    if as_json:
        echo_json(found)
        return
    named: dict[int, list[str]] = {}
    for alias, number in found["aliases"].items():
        named.setdefault(number, []).append(alias)
    _table(
        ("version", "name", "status", "aliases", "author", "failed cells"),
        (
            (
                str(one["version"]),
                one["name"],
                one["status"],
                ", ".join(named.get(one["version"], ())),
                one["author"],
                ", ".join(one["gate"]["failed_cells"]) if one["gate"] else "",
            )
            for one in found["versions"]
        ),
    )


@commands.command()
@click.argument("version", type=int)
@policy_option
@as_json_option
def show(version: int, *, policy: str | None, as_json: bool) -> None:
    """Show one version: where it comes from and how it was judged."""
    settings = RegistrySettings.load()
    found = _call(settings, lambda client: client.get(f"/v1/policies/{policy or settings.policy}/versions/{version}"))
    if as_json:
        echo_json(found)
        return
    report = found.pop("gate_report")
    for name, value in found.items():
        click.echo(f"{name:16}{value}", err=True)
    if report:
        _show_report(GateReport.model_validate(report))


@commands.command()
@click.argument("version", type=int)
@policy_option
@as_json_option
def gate(version: int, *, policy: str | None, as_json: bool) -> int:
    """Show a version's gate report cell by cell; exit 0 passed, 1 not passed, 2 invalid."""
    settings = RegistrySettings.load()
    path = f"/v1/policies/{policy or settings.policy}/versions/{version}/gate-report"
    found = _call(settings, lambda client: client.get(path))
    report = GateReport.model_validate({name: found[name] for name in GateReport.model_fields if name in found})
    if as_json:
        echo_json(found)
    else:
        _show_report(report)
    return EXIT_CODES[report.verdict]


@commands.command(name="gate-file")
@click.argument("evaluation", type=click.Path(allow_dash=True))
@click.option("--matrix", "matrix_file", type=click.Path(path_type=Path), default=None, help="Default: matrix.toml.")
@as_json_option
def gate_file(evaluation: str, *, matrix_file: Path | None, as_json: bool) -> int:
    """Judge an evaluation file without any server; '-' reads standard input. Exit 0 passed, 1 not passed, 2 invalid."""
    matrix = app.read_matrix(matrix_file or RegistrySettings.load().matrix_file)
    report = judge(parse_evaluation(_read(evaluation), source=evaluation), matrix)
    if as_json:
        shown = {"failed_cells": list(report.failed_cells()), "report_digest": report.digest()}
        echo_json(report.model_dump(mode="json") | shown)
    else:
        _show_report(report)
    return EXIT_CODES[report.verdict]


@commands.command()
@click.argument("version", type=int)
@policy_option
@reason_option
@as_json_option
def request(version: int, *, policy: str | None, reason: str, as_json: bool) -> None:
    """Ask for a version to be promoted; refused unless its gate passed."""
    settings = RegistrySettings.load()
    body = {"policy": policy or settings.policy, "version": version, "reason": reason}
    found = _call(settings, lambda client: client.post("/v1/promotions", body))
    _answer(found, f"request {found['request_id']} needs {found['approvals_needed']} approvals", as_json=as_json)


@commands.command()
@policy_option
@as_json_option
def requests(*, policy: str | None, as_json: bool) -> None:
    """List promotion requests, newest first."""
    settings = RegistrySettings.load()
    found = _call(settings, lambda client: client.get("/v1/promotions", policy=policy or settings.policy))
    if as_json:
        echo_json(found)
        return
    _table(
        ("request", "version", "status", "by", "approved by", "needs", "reason"),
        (
            (
                one["request_id"],
                str(one["version"]),
                one["status"],
                one["requester"],
                ", ".join(one["approvers"]),
                str(one["approvals_needed"]),
                one["reason"],
            )
            for one in found["requests"]
        ),
    )


@commands.command()
@click.argument("request_id")
@reason_option
@as_json_option
def approve(request_id: str, *, reason: str, as_json: bool) -> None:
    """Approve a request; not for its requester, nor for the version's author."""
    _decide(request_id, "approve", reason, as_json=as_json)


@commands.command()
@click.argument("request_id")
@reason_option
@as_json_option
def reject(request_id: str, *, reason: str, as_json: bool) -> None:
    """Reject a request for good."""
    _decide(request_id, "reject", reason, as_json=as_json)


def _decide(request_id: str, decision: str, reason: str, *, as_json: bool) -> None:
    body = {"decision": decision, "reason": reason}
    path = f"/v1/promotions/{request_id}/decisions"
    found = _call(RegistrySettings.load(), lambda client: client.post(path, body))
    _answer(found, f"request {request_id} is {found['status']}", as_json=as_json)


@commands.command()
@click.argument("request_id")
@as_json_option
def promote(request_id: str, *, as_json: bool) -> None:
    """Serve what was approved: load, prove on every policy server, then move the alias."""
    found = _call(RegistrySettings.load(), lambda client: client.post(f"/v1/promotions/{request_id}/promote"))
    _answer(found, _moved(found), as_json=as_json)


@commands.command()
@policy_option
@reason_option
@click.option("--from-version", type=click.IntRange(min=0), default=None, help="What must go (default: the champion).")
@as_json_option
def rollback(*, policy: str | None, reason: str, from_version: int | None, as_json: bool) -> None:
    """Serve again what was served before; refused where another version than the named one is served."""
    settings = RegistrySettings.load()
    path = f"/v1/policies/{policy or settings.policy}"
    leaving = from_version
    if leaving is None:
        leaving = int(_call(settings, lambda client: client.get(f"{path}/aliases"))["champion"]["version"])
    body = {"reason": reason, "from_version": leaving}
    try:
        found = _call(settings, lambda client: client.post(f"{path}/rollback", body))
    except Transient as error:
        remedy = f"whether it was done is not known: repeat it with --from-version {leaving}"
        raise Transient(f"{error} ({remedy})") from error
    _answer(found, _moved(found), as_json=as_json)


@commands.command()
@click.option("--limit", type=click.IntRange(1, 100_000), default=None, help="The newest entries only.")
@as_json_option
def audit(*, limit: int | None, as_json: bool) -> int:
    """Show who did what; exit 1 where the hash chain does not hold."""
    query = {} if limit is None else {"limit": str(limit)}
    found = _call(RegistrySettings.load(), lambda client: client.get("/v1/audit", **query))
    if as_json:
        echo_json(found)
    else:
        _table(
            ("entry", "at", "who", "what", "on", "hash"),
            (
                (str(one["number"]), one["at"], one["actor"], one["action"], one["subject"], one["hash"][:12])
                for one in found["entries"]
            ),
        )
        click.echo(f"{found['count']} entries; the chain is {found['chain']}", err=True)
    return 0 if found["chain"] == "intact" else 1


def _moved(found: dict[str, Any]) -> str:
    proven = len(found["proof"]["servers"])
    where = f"proven on {proven} policy server{'s' if proven != 1 else ''}"
    return (
        f"{found['policy']}@champion is version {found['version']} ({found['name']}), {where}, {found['seconds']:.2f} s"
    )


def _call(settings: RegistrySettings, ask: Callable[[ApiClient], Any]) -> Any:
    key = settings.api_key.get_secret_value() if settings.api_key else None
    client = ApiClient(settings.registry_url, key, timeout_s=TIMEOUT_S)
    try:
        return ask(client)
    finally:
        client.close()


def _answer(found: dict[str, Any], told: str, *, as_json: bool) -> None:
    if as_json:
        echo_json(found)
    else:
        click.echo(told, err=True)


def _read(file: str) -> bytes:
    try:
        return sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
    except OSError as error:
        raise InvalidInput(field="evaluation", value=file, remedy=f"a readable file ({error.strerror})") from error


def _show_report(report: GateReport) -> None:
    _table(COLUMNS, rows(report))
    colour = "green" if report.verdict is Verdict.PASS else "red"
    people().print(f"[bold {colour}]{report.verdict.value.upper()}[/]  report {report.digest()[:12]}")
    for reason in report.reasons:
        people().print(f"  {reason}", markup=False)


def _table(columns: Iterable[str], cells: Iterable[tuple[str, ...]]) -> None:
    table = Table(*columns, box=None, header_style="bold")
    for row in cells:
        table.add_row(*(cell.replace("[", r"\[") for cell in row))
    people().print(table)
