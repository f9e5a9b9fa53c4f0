"""Commands on names load no model library; bad files are told in one line."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from matrix.errors import InvalidInput
from trainer.declarations import base_folder, read_knowledge, read_matrix, read_text
from trainer.settings import TrainerSettings

ASK = """
import sys
from click.testing import CliRunner
from trainer.cli import commands
for line in (["runs"], ["train", "object:snapshots/x", "--config", sys.argv[1]]):
    CliRunner().invoke(commands, line)
loaded = {"torch", "transformers", "peft", "sklearn"} & set(sys.modules)
sys.exit(f"loaded {loaded}" if loaded else 0)
"""


def test_commands_on_names_load_no_model_library(tmp_path: Path) -> None:
    recipe = tmp_path / "run.toml"
    recipe.write_text('name = "x"\n')
    done = subprocess.run([sys.executable, "-c", ASK, str(recipe)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_missing_file_is_told_by_its_variable(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    settings = TrainerSettings(matrix_file=gone, knowledge_file=gone, base_model=gone)
    for read, variable in (
        (read_matrix, "PLUMBLINE_MATRIX_FILE"),
        (read_knowledge, "PLUMBLINE_KNOWLEDGE_FILE"),
        (base_folder, "PLUMBLINE_BASE_MODEL"),
    ):
        with pytest.raises(InvalidInput, match=variable):
            read(settings)


def test_text_that_is_not_utf_8_is_told_by_its_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    corpus = Path("corpus.jsonl")  # a long path would be shortened
    corpus.write_bytes(b"\xff\xfe")
    with pytest.raises(InvalidInput, match=r"corpus\.jsonl.*UTF-8"):
        read_text(corpus, field="CORPUS")
