"""Rules of size and place that no linter of ours covers: functions of at most 60 lines, files of at most 400."""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("matrix", "ingest", "scorer", "trainer", "registry", "infra", "benchmarks", "tests")
FUNCTION_LINES, FILE_LINES = 60, 400
FORBIDDEN_NAMES = {"utils", "helpers", "common", "manager", "handler", "data", "info", "process", "misc"}
STAGES = ("ingest", "scorer", "trainer", "registry")
SOURCES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))


def long_functions(source: str, limit: int) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            if lines > limit:
                yield f"{node.name} at line {node.lineno} has {lines} lines"


def called(source: str, names: set[str]) -> list[str]:
    return [f"{name} at line {line}" for name, line in calls(source) if name in names]


@functools.cache  # several checks look at each file
def calls(source: str) -> tuple[tuple[str, int], ...]:
    found = (node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call))
    return tuple((_name(node.func), node.lineno) for node in found)


def _name(function: ast.expr) -> str:
    return function.attr if isinstance(function, ast.Attribute) else str(getattr(function, "id", ""))


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_functions_and_files_stay_readable(path: Path) -> None:
    source = path.read_text()
    assert not list(long_functions(source, FUNCTION_LINES))
    assert source.count("\n") <= FILE_LINES
    assert path.stem not in FORBIDDEN_NAMES


@pytest.mark.parametrize("path", [path for path in SOURCES if path.parts[-2] in STAGES], ids=name_of)
def test_only_the_unit_of_work_commits(path: Path) -> None:
    assert not called(path.read_text(), {"commit"})


@pytest.mark.parametrize(
    "path",
    [p for p in SOURCES if p.relative_to(ROOT).parts[0] in STAGES and "repository" not in p.stem],
    ids=name_of,
)
def test_only_repositories_write_queries(path: Path) -> None:
    imported = {
        alias.name
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ImportFrom)
        and node.module in {"sqlmodel", "sqlalchemy", "sqlalchemy.dialects.postgresql"}
        for alias in node.names
    }
    assert not imported & {"select", "insert", "update", "delete", "text"}


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_no_table_is_made_outside_migrations(path: Path) -> None:
    if "migrations" not in path.parts:
        assert not called(path.read_text(), {"create_all"})


def test_the_checks_see_what_they_are_for() -> None:
    long = "def f():\n" + "    x = 1\n" * FUNCTION_LINES
    assert list(long_functions(long, FUNCTION_LINES))
    assert called("session.commit()", {"commit"})
