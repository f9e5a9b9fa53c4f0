"""Every table of the ablations once for the session; `pytest -m ablation -s` shows them."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from benchmarks.ablation_claims import Claim, Found, claims, run
from benchmarks.ablation_report import told

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All of this folder is slow, and an ablation."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker("slow")
            item.add_marker("ablation")


@pytest.fixture(scope="session")
def found() -> Found:
    found = run()
    sys.stdout.write(f"\n{told(found)}\n")
    return found


@pytest.fixture(scope="session")
def claimed(found: Found) -> Mapping[str, Claim]:
    return {claim.name: claim for claim in claims(found)}
