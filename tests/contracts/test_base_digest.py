"""The digest that the registry is told and the one that the trainer finds are the same."""

from __future__ import annotations

from pathlib import Path

import pytest

from infra import base_model
from trainer.base_model import DIGESTED, base_digest


@pytest.mark.slow
@pytest.mark.parametrize("left_out", [None, *DIGESTED[1:]])
def test_a_base_model_has_one_digest(tmp_path: Path, left_out: str | None) -> None:
    for name in ("README.md", *DIGESTED):
        if name != left_out:
            (tmp_path / name).write_text(f"content of {name}")
    assert base_model.base_digest(tmp_path) == base_digest(tmp_path)
