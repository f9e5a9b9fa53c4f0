"""What a matrix test starts from: a small knowledge file and the default matrix."""

from __future__ import annotations

from pathlib import Path

import pytest

from matrix.alignment.dimensions import Matrix, load_matrix
from matrix.scorers import SCORER_NAMES
from matrix.scorers.knowledge import Knowledge, load_knowledge

KNOWLEDGE = Path(__file__).parent / "knowledge.toml"
MATRIX = Path(__file__).parents[2] / "matrix.toml"


@pytest.fixture(scope="session")
def knowledge() -> Knowledge:
    return load_knowledge(KNOWLEDGE.read_text(), file=KNOWLEDGE.name)


@pytest.fixture(scope="session")
def knowledge_text() -> str:
    return KNOWLEDGE.read_text()


@pytest.fixture(scope="session")
def default_matrix() -> Matrix:
    return load_matrix(MATRIX.read_text(), file="matrix.toml", scorers=SCORER_NAMES)


@pytest.fixture(scope="session")
def matrix_text() -> str:
    return MATRIX.read_text()
