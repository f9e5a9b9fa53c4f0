"""The base model of the clinic: fitted once on the generated corpus, kept by the hash of all that it follows from.

What counts is the text, the files of the trainer that fits it and the versions of its libraries; a change of any fits
anew beside the old. A folder appears whole or not at all; one command fits at a time, a fit ends with the command that
asked for it, and what a killed one leaves is removed by the next.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from infra.demo import corpus
from infra.demo.driver import run_command
from infra.local.state import in_turn
from matrix.digests import digest_bytes, digest_json
from matrix.errors import StackFailed

CORPUS_SEED = 0  # the assistant that the clinic has; the story's seed is that of patients and gate prompts
FITTING_PATIENCE_S = 900.0
LIBRARIES = ("torch", "transformers", "tokenizers")
FITTED_BY = Path(__file__).parents[2] / "trainer" / "base_model.py"
DRAFT = ".draft-"  # of a folder in the cache that is not whole yet
DIGEST = "digest.txt"  # beside the model, written last


@dataclass(frozen=True, slots=True)
class Ground:
    """What a stack is started on."""

    base_model: Path
    digest: str
    gate_prompts: Path
    was_cached: bool


def ensure_ground(cache: Path, *, seed: int, tell: Callable[[str], None]) -> Ground:
    """The base model, and this seed's gate prompts."""
    before = set(cache.glob("base-*"))
    entry = _ensure_entry(cache, tell)
    content = corpus.gate_lines(seed)
    prompts = cache / f"gate-{digest_bytes(content)[:16]}.jsonl"
    if not prompts.exists():
        draft = prompts.with_suffix(f".{os.getpid()}")
        draft.write_bytes(content)
        draft.replace(prompts)
    return Ground(entry / "model", (entry / DIGEST).read_text(), prompts, was_cached=entry in before)


def _ensure_entry(cache: Path, tell: Callable[[str], None]) -> Path:
    text = corpus.dialogue_lines(CORPUS_SEED)
    entry = cache / f"base-{_identity(text)[:16]}"
    if entry.exists():
        return entry
    with in_turn(cache / "base.lock", waiting=lambda: tell("another command fits a base model; waiting for it")):
        for left in cache.glob(f"{DRAFT}*"):
            shutil.rmtree(left, ignore_errors=True)
        if not entry.exists():
            tell("fitting the base model on generated text; once, about two minutes")
            with _appearing(entry) as draft:
                (draft / "corpus.jsonl").write_bytes(text)
                (draft / DIGEST).write_text(_fit(draft / "corpus.jsonl", draft / "model"))
    return entry


def _identity(text: bytes) -> str:
    versions = [version(name) for name in LIBRARIES]
    return digest_json([digest_bytes(text), digest_bytes(FITTED_BY.read_bytes()), versions])


def _fit(text: Path, model: Path) -> str:
    """Digest of the model that the trainer fitted."""
    arguments = ("trainer", "fit-base", str(text), "--output", str(model), "--json")
    done = run_command(
        arguments, home=text.parent, patience_s=FITTING_PATIENCE_S, shows_progress=True, ends_with_us=True
    )
    if done.returncode != 0:
        raise StackFailed(
            part="base model",
            reason=f"`plumbline trainer fit-base` ended with {done.returncode}",
            remedy="What it said is above.",
        )
    return str(json.loads(done.stdout)["digest"])


@contextmanager
def _appearing(folder: Path) -> Iterator[Path]:
    """A folder to write into that gets its name once it is whole."""
    draft = Path(tempfile.mkdtemp(dir=folder.parent, prefix=DRAFT))
    try:
        yield draft
        draft.rename(folder)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
