"""Documents say what is there: the README's tree and links, the decisions' form, the wording of the product."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
DOCUMENTS = sorted(ROOT.glob("*.md")) + sorted((ROOT / "docs").rglob("*.md"))


def tracked() -> set[str]:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return set(listed.splitlines())


def tree_of(readme: str) -> list[str]:
    """Paths that the README's tree names, folders with their parents."""
    block = re.search(r"## The tree\n+```\n(.*?)```", readme, re.DOTALL)
    assert block, "README.md has a section 'The tree' with one fenced block"
    paths: list[str] = []
    folders: list[str] = []
    for line in block.group(1).splitlines():
        names = line.strip().split("  ")[0]
        depth = (len(line) - len(line.lstrip())) // 2
        folders = folders[:depth]
        paths += ["/".join([*folders, name.rstrip("/")]) for name in names.split()]
        if names.endswith("/"):
            folders.append(names.rstrip("/"))
    return paths


def test_every_path_in_the_readmes_tree_exists() -> None:
    assert [path for path in tree_of(README) if not (ROOT / path).exists()] == []


def test_every_top_level_entry_is_in_the_readmes_tree() -> None:
    top = {path.split("/")[0] for path in tracked()}
    hidden = {name for name in top if name.startswith(".") and name != ".ci"}
    named = {path.split("/")[0] for path in tree_of(README)}
    assert top - hidden - named == set()


def test_every_stage_file_with_a_role_has_the_same_name_in_every_stage() -> None:
    roles = {"app", "settings", "service", "repository", "tables", "cli"}
    for stage in ("ingest", "scorer", "trainer", "registry"):
        assert roles <= {path.stem for path in (ROOT / stage).glob("*.py")}, stage


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_relative_links_lead_somewhere(document: Path) -> None:
    targets = re.findall(r"\]\((?!https?:|#|mailto:)([^)#\s]+)", document.read_text())
    assert [target for target in targets if not (document.parent / target).exists()] == []


def test_the_checks_that_decisions_name_are_there() -> None:
    named = re.findall(r"`((?:tests|benchmarks)/[^`]*)`", (ROOT / "DECISIONS.md").read_text())
    assert [pattern for pattern in named if not list(ROOT.glob(pattern))] == []


def test_decisions_are_numbered_and_name_their_check() -> None:
    text = (ROOT / "DECISIONS.md").read_text()
    numbers = [int(number) for number in re.findall(r"^## D-(\d+)", text, re.MULTILINE)]
    assert numbers == list(range(1, len(numbers) + 1))
    for section in re.split(r"^## D-\d+", text, flags=re.MULTILINE)[1:]:
        for word in ("Context", "Decision", "Consequence", "Check"):
            assert f"**{word}**" in section, section.splitlines()[0]


def test_locks_name_no_host() -> None:
    for lock in (ROOT / "requirements").glob("*.txt"):
        assert "://" not in lock.read_text(), lock.name
        assert "--index" not in lock.read_text(), lock.name
