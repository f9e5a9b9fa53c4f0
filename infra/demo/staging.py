"""The demo's own stack: a home folder that is wiped before the story and ended after it, whatever happens.

Only a folder that is empty or that an earlier demo made is wiped; anything else is refused.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from infra.demo.base import Ground
from infra.demo.driver import Product
from infra.local.settling import Wishes
from infra.local.stack import Stack
from matrix.errors import InvalidInput

MARKER = "made-by-plumbline-demo"


LABELLED_SHARE = 0.54  # of visits whose feedback makes a snapshot due; patients say something after about six of ten
EARLY_PATIENCE_S = 60  # feedback on completions that nobody logs is set aside after this


def demo_settings(ground: Ground, *, visits: int) -> dict[str, str]:
    """The product's settings for a story of this size: what takes days in a clinic takes seconds here."""
    due = str(int(visits * LABELLED_SHARE))
    return {
        "PLUMBLINE_GATE_PROMPTS_FILE": str(ground.gate_prompts),
        "PLUMBLINE_PENDING_TTL_S": str(EARLY_PATIENCE_S),
        "PLUMBLINE_SWEEP_EVERY_S": "2",
        "PLUMBLINE_SNAPSHOT_MIN_SAMPLES": due,
        "PLUMBLINE_SNAPSHOT_RISK_MIN_SAMPLES": due,
        "PLUMBLINE_SNAPSHOT_MAX_AGE_S": "240",
    }


@contextmanager
def staged(home: Path, *, cache: Path, base_model: Path, settings: Mapping[str, str], keep: bool) -> Iterator[Product]:
    """The running product; ended on the way out, also on failure and interruption, unless it is kept."""
    prepare_home(home, cache=cache)
    stack = Stack(home, cache=cache)
    try:
        stack.up(Wishes(base_model=base_model, settings=settings))
        yield Product(stack.home)
    finally:
        if not keep:
            stack.down()


def prepare_home(home: Path, *, cache: Path) -> None:
    """End what an earlier demo left running there, and leave an empty folder with the demo's marker."""
    if home.exists() and any(home.iterdir()):
        if not (home / MARKER).exists():
            raise InvalidInput(
                field="home", value=str(home), remedy="an empty folder, or one that an earlier demo made"
            )
        Stack(home, cache=cache).down()
        _empty(home)
    home.mkdir(parents=True, exist_ok=True)
    (home / MARKER).touch()


def _empty(home: Path) -> None:
    """All but the marker: a wipe that is interrupted leaves a folder that the next demo knows as its own."""
    for path in home.iterdir():
        if path.name == MARKER:
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
