"""Tests are shared out among processes: what shares servers stays together, what shares nothing does not."""

from __future__ import annotations

import pytest

from tests.conftest import REPOSITORY, TOGETHER, handed_out_with


@pytest.mark.parametrize("folder", sorted(TOGETHER))
def test_a_folder_that_shares_something_is_handed_out_whole(folder: str) -> None:
    assert (REPOSITORY / "tests" / folder).is_dir()
    scopes = {handed_out_with(f"tests/{folder}/test_{name}.py::test_x") for name in ("a", "b")}
    assert scopes == {folder}


@pytest.mark.parametrize("test", ["tests/matrix/test_a.py::test_x[b/c/d]", "tests/test_a.py::test_x", "test_a.py::x"])
def test_any_other_test_goes_by_itself(test: str) -> None:
    assert handed_out_with(test) == test


def test_the_suite_asks_for_processes() -> None:
    assert "--numprocesses=2" in (REPOSITORY / "Makefile").read_text()
