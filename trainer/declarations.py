"""The files that a deployment names in its settings; a missing or unreadable one is told by its variable."""

from __future__ import annotations

from pathlib import Path

from matrix.alignment.dimensions import Matrix, load_matrix
from matrix.errors import InvalidInput
from matrix.scorers import SCORER_NAMES
from matrix.scorers.knowledge import Knowledge, load_knowledge
from trainer.settings import TrainerSettings


def read_matrix(settings: TrainerSettings) -> Matrix:
    """Today's matrix."""
    file = settings.matrix_file
    return load_matrix(read_text(file, field="PLUMBLINE_MATRIX_FILE"), file=str(file), scorers=SCORER_NAMES)


def read_knowledge(settings: TrainerSettings) -> Knowledge:
    """What the scorers know of this deployment's field."""
    file = settings.knowledge_file
    return load_knowledge(read_text(file, field="PLUMBLINE_KNOWLEDGE_FILE"), file=str(file))


def base_folder(settings: TrainerSettings) -> Path:
    """Where the base model lies."""
    folder = settings.base_model
    if folder is None or not (folder / "config.json").is_file():
        remedy = "the folder of a base model; make one with `plumbline trainer fit-base`"
        raise InvalidInput(field="PLUMBLINE_BASE_MODEL", value=folder and str(folder), remedy=remedy)
    return folder


def read_text(file: Path, *, field: str) -> str:
    """The file's text; InvalidInput naming `field` where there is none in UTF-8."""
    try:
        content = file.read_bytes()
    except OSError as error:
        raise InvalidInput(field=field, value=str(file), remedy=f"a readable file: {error.strerror}") from error
    return as_text(content, file=str(file), field=field)


def as_text(content: bytes, *, file: str, field: str) -> str:
    """The bytes as UTF-8; InvalidInput naming the place of the first that is not."""
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        remedy = f"text in UTF-8, which byte {error.start} is not; save the file as UTF-8"
        raise InvalidInput(field=field, value=file, remedy=remedy) from error
