"""docs/matrix.md: its row is one that `weigh` reads, its commands and options exist."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner

from matrix.alignment.dimensions import load_matrix
from matrix.scorers import SCORER_NAMES
from scorer.cli import commands as scorer
from scorer.weigh import rewarded
from trainer.cli import commands as trainer

ROOT = Path(__file__).parents[2]
DOCUMENT = (ROOT / "docs" / "matrix.md").read_text()
GROUPS = {"scorer": scorer, "trainer": trainer}
CALLS = sorted(
    {
        call.strip()
        for line in re.findall(r"^plumbline .*$", DOCUMENT, re.MULTILINE)
        for call in line.partition("#")[0].split("|")
    }
)


def test_the_row_is_read_as_it_stands() -> None:
    (block,) = re.findall(r"```json\n(.*?)```", DOCUMENT, re.DOTALL)
    matrix = load_matrix((ROOT / "matrix.toml").read_text(), file="matrix.toml", scorers=SCORER_NAMES)
    row = rewarded(1, json.loads(block), matrix)
    assert (row.prompt_id, row.sample_id, row.violation) == ("p1", "a", 0.0)


@pytest.mark.parametrize("call", CALLS)
def test_every_command_exists_with_its_options(call: str) -> None:
    _, group, command, *rest = shlex.split(call)
    shown = CliRunner().invoke(GROUPS[group], [command, "--help"])
    assert shown.exit_code == 0
    for option in (word for word in rest if word.startswith("--")):
        assert option in shown.output
