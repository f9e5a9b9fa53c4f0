"""`plumbline scorer weigh|diagnose|explain`: the matrix' method on files, without any server."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
import numpy as np
from rich.table import Table

from infra.console import echo_json, people
from infra.matrix_pictures import FACTORS, Weighing, covariance_map, factor_stacks, risk_map
from infra.pictures import PLAIN, drawing, save
from infra.rows import read_rows, readable
from matrix.alignment.aggregators import AGGREGATORS
from matrix.alignment.dimensions import Matrix, load_matrix
from matrix.alignment.method import MethodConfig, Peril
from matrix.alignment.normalization import RefStats
from matrix.alignment.spreads import FORMS
from matrix.alignment.weights import COMBINATIONS, WeightConfig
from matrix.errors import InvalidInput
from matrix.scorers import SCORER_NAMES
from scorer.diagnose import changes, sliced
from scorer.weigh import (
    Batch,
    Rewarded,
    answer,
    batches,
    combine,
    combined_answer,
    combined_rows,
    reference,
    rewarded,
    rewarded_names,
    sample_rows,
    weigh,
)

OURS = "ours"
matrix_option = click.option(
    "--matrix", "matrix_file", default="matrix.toml", show_default=True, help="Its dimensions."
)
json_option = click.option("--json", "as_json", is_flag=True, help="JSON lines for machines.")
strict_option = click.option("--strict", is_flag=True, help="End at the first row that cannot be read.")


@click.command(name="weigh")
@click.argument("file")
@matrix_option
@click.option("--reference", "reference_file", help="Rewards of the reference policy.  [default: the first batch]")
@click.option(
    "--risk", "risks", multiple=True, metavar="DIMENSION=X", help="Risk from 0 to 1; above `enter` it escalates."
)
@click.option("--method", type=click.Choice(sorted(AGGREGATORS)), default=OURS, show_default=True)
@click.option(
    "--form", type=click.Choice(sorted(FORMS)), default="within", show_default=True, help="Of the statistics."
)
@click.option("--combine", type=click.Choice(sorted(COMBINATIONS)), default="product", show_default=True)
@click.option("--no-guard", is_flag=True, help="Leave weights that work against a hard dimension.")
@strict_option
@json_option
def weigh_command(**asked: Any) -> None:
    """Weights, their three factors and advantages from the rewards in FILE (`-`: standard input).

    A row is {"prompt_id", "sample_id", "rewards": {dimension: number or null}, "violation": 0 to 1, "step"}; rows of
    one prompt are a group, rows of one step a batch. The weights' answer comes first, then one for each completion.
    Another --method answers with its advantages and κ, what following them raises and lowers, to be compared with ours.
    """
    declared = _matrix(asked["matrix_file"])
    peril_of = _risks(asked["risks"], declared)
    rows = _rewards(asked["file"], declared, strict=asked["strict"])
    before = _rewards(asked["reference_file"], declared, strict=asked["strict"]) if asked["reference_file"] else []
    matrix = declared.only(rewarded_names(rows))
    found = batches(rows, matrix)
    if not found or not matrix.dimensions:
        raise InvalidInput(field="FILE", value=asked["file"], remedy="at least one row with a reward")
    first = next(iter(batches([_at_once(row) for row in before], matrix)), found[0])
    stats, peril = reference(first, matrix, asked["form"]), _peril(peril_of, matrix)
    if asked["method"] != OURS:
        if asked["no_guard"] or asked["combine"] != WeightConfig().combine:
            raise InvalidInput(field="--method", value=asked["method"], remedy="ours, with --combine or --no-guard")
        _combine(found, matrix, stats, peril, method=asked["method"], as_json=asked["as_json"])
        return
    config = MethodConfig(weights=WeightConfig(combine=asked["combine"]), guards=not asked["no_guard"])
    for one in weigh(found, matrix, stats, peril, config):
        told = answer(one, matrix, peril)
        told["reference"] = asked["reference_file"] or "the first batch itself"
        told["left_out"] = [name for name in declared.names() if name not in matrix.names()]
        if not asked["as_json"]:
            _show(told)
            continue
        echo_json(told)
        for row in sample_rows(one, matrix):
            echo_json(row)


@click.command(name="diagnose")
@click.argument("before")
@click.argument("after")
@matrix_option
@strict_option
@json_option
def diagnose_command(*, before: str, after: str, matrix_file: str, strict: bool, as_json: bool) -> int:
    """What changed between the rewards in BEFORE and AFTER, where, and whether it is the model or the traffic.

    Rows as for `weigh`, with "slice" and "scorer" (its version). Exits with 1 where a change within slices is shown.
    """
    matrix = _matrix(matrix_file)
    old, new = (
        list(readable(read_rows(file, lambda line, value: sliced(line, value, matrix)), strict=strict))
        for file in (before, after)
    )
    found = changes(old, new, matrix)
    if not found:
        raise InvalidInput(field="FILE", value=f"{before} and {after}", remedy="values of one dimension in both")
    if as_json:
        echo_json({"changes": found})
    else:
        _show_changes(found)
    return int(any(row["cause"] in ("capability", "knowledge", "policy") for row in found))


@click.command(name="explain")
@click.argument("file")
@click.option("-o", "--output", "folder", default="matrix-pictures", show_default=True, help="Folder of the pictures.")
@click.option("--format", "ending", type=click.Choice(["svg", "png"]), default="svg", show_default=True)
@json_option
def explain_command(*, file: str, folder: str, ending: str, as_json: bool) -> None:
    """Draw what the weights followed: FILE holds the answers of `weigh --json`, or a run's weights.

    Pictures: the factors of each dimension over the steps, correlations within groups, and risk by dimension and slice;
    those that FILE has no numbers for are left out.
    """
    told = [row for row in readable(read_rows(file, _weighing), strict=False) if row]
    if not told:
        raise InvalidInput(field="FILE", value=file, remedy="answers of `plumbline scorer weigh --json`")
    last, drawn = told[-1], {}
    with drawing("matrix", PLAIN):
        steps = [
            Weighing(int(row.get("step", number)), row["weights"], row["factors"]) for number, row in enumerate(told)
        ]
        drawn["factors"] = factor_stacks(steps, PLAIN)
        if last.get("covariance"):
            drawn["covariance"] = covariance_map(last["dimensions"], np.array(last["covariance"]), PLAIN)
        if last.get("risks"):
            drawn["risk"] = risk_map(last["risks"], PLAIN)
        paths = {name: str(save(figure, Path(folder) / f"{name}.{ending}")) for name, figure in drawn.items()}
    if as_json:
        echo_json({"pictures": paths})
    else:
        for path in paths.values():
            click.echo(path)


def _matrix(file: str) -> Matrix:
    try:
        text = Path(file).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8"
        raise InvalidInput(field="--matrix", value=file, remedy=f"cannot be read: {reason}") from None
    return load_matrix(text, file=file, scorers=SCORER_NAMES)


def _rewards(file: str, matrix: Matrix, *, strict: bool) -> list[Rewarded]:
    return list(readable(read_rows(file, lambda line, value: rewarded(line, value, matrix)), strict=strict))


def _at_once(row: Rewarded) -> Rewarded:
    """All of a reference is one batch."""
    return Rewarded(row.prompt_id, row.sample_id, row.rewards, row.violation, step=0)


def _combine(found: list[Batch], matrix: Matrix, stats: RefStats, peril: Peril, *, method: str, as_json: bool) -> None:
    for batch, advantages in combine(found, matrix, stats, peril, method):
        told = combined_answer(batch, advantages, matrix, stats, method)
        if as_json:
            echo_json(told)
            for row in combined_rows(batch, advantages):
                echo_json(row)
            continue
        table = Table("dimension", "κ", title=f"{method}, step {batch.step}: what following it raises, and lowers")
        for name, served in sorted(told["kappa"].items(), key=lambda one: -one[1]):
            table.add_row(name, f"{served:+.2f}")
        people().print(table)


def _risks(asked: tuple[str, ...], matrix: Matrix) -> dict[str, float]:
    names, risks = matrix.names(), dict[str, float]()
    for one in asked:
        name, _, number = one.partition("=")
        try:
            value = float(number)
        except ValueError:
            value = -1.0
        if name not in names or not 0.0 <= value <= 1.0:
            raise InvalidInput(field="--risk", value=one, remedy=f"one of {', '.join(names)}, =, and 0 to 1")
        risks[name] = value
    return risks


def _peril(risks: Mapping[str, float], matrix: Matrix) -> Peril:
    risk = np.array([risks.get(name, 0.0) for name in matrix.names()])
    return Peril(risk, risk > matrix.risk.enter)


def _weighing(_: int, value: Any) -> dict[str, Any]:
    """An answer of `weigh`; rows of completions between them say nothing here."""
    if not isinstance(value, Mapping):
        raise InvalidInput(field="row", value="", remedy="expected an object")
    if "sample_id" in value:
        return {}
    if not isinstance(value.get("weights"), Mapping) or not isinstance(value.get("factors"), Mapping):
        raise InvalidInput(field="weights", value="", remedy="expected `weights` and `factors`")
    return dict(value)


def _show(told: Mapping[str, Any]) -> None:
    heads = ("dimension", "weight", "weakness", "risk", "redundancy", "share", "κ")
    table, console = Table(*heads, title=f"step {told['step']}"), people()
    for name, weight in told["weights"].items():
        factors = [told["factors"].get(factor, {}).get(name) for factor in FACTORS]
        numbers = [weight, *factors, told["shares"][name], told["kappa"][name]]
        table.add_row(name, *("-" if number is None else f"{number:.2f}" for number in numbers))
    console.print(table)
    for name, why in told["reasons"].items():
        console.print(f"{name}: {why}", markup=False)
    for name in told["given_up"]:
        console.print(f"! {name}: no weighting serves it together with what is held", markup=False)
    for alarm in told["alarms"]:
        console.print(f"! {alarm}", markup=False)
    console.print(f"reference: {told['reference']}", markup=False)
    if told["left_out"]:
        console.print(f"without a value, left out: {', '.join(told['left_out'])}", markup=False)


def _show_changes(found: list[dict[str, Any]]) -> None:
    table = Table("dimension", "change", "within", "95 %", "mix", "interaction", "most in", "cause", "because")
    for row in found:
        within = row["within"]
        interval = f"{within['low']:+.3f} to {within['high']:+.3f}"
        parts = [f"{row[name]['value']:+.3f}" for name in ("mix", "interaction")]
        most = row["slices"][0]["name"]
        change = f"{row['delta']['value']:+.3f}"
        table.add_row(
            row["dimension"], change, f"{within['value']:+.3f}", interval, *parts, most, row["cause"], row["reason"]
        )
    people().print(table)


COMMANDS = {"weigh": weigh_command, "diagnose": diagnose_command, "explain": explain_command}
