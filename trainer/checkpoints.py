"""Checkpoints: everything a run needs to go on as if it had never stopped, without pickle.

A checkpoint is a folder `step-<n>` with `tensors.safetensors` (weights, optimizer moments, generator states) and
`state.json` (everything else, and the digest of the tensors). It is written aside, flushed and renamed, so a folder of
that name is whole; one whose digest does not hold is passed over for the one before, and replaced once its step is done
again. The last `KEEP` are kept.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors

from matrix.digests import digest_bytes
from matrix.errors import ObjectStoreUnavailable

KEEP = 2
TENSORS, STATE = "tensors.safetensors", "state.json"


def save_checkpoint(folder: Path, step: int, state: Mapping[str, Any]) -> Path:
    """Keep the state after `step` steps; raises ObjectStoreUnavailable where the disk does not take it.

    `state` may nest dicts, lists, tuples, tensors and JSON values; it comes back equal from `latest_checkpoint`.
    """
    tensors: dict[str, torch.Tensor] = {}
    skeleton = _split(dict(state), "state", tensors)
    content = save_tensors(tensors)
    described = json.dumps({"step": step, "tensors_sha256": digest_bytes(content), "state": skeleton})
    wanted = folder / f"step-{step:08d}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if _read(wanted) is None:
            if wanted.exists():
                shutil.rmtree(wanted)
            _write_aside_then_rename(wanted, {TENSORS: content, STATE: described.encode()})
        _forget_all_but_last(folder)
    except OSError as error:
        raise ObjectStoreUnavailable(f"{wanted}: {error.strerror}; free space or check the folder's rights") from error
    return wanted


def latest_checkpoint(folder: Path) -> tuple[int, dict[str, Any]] | None:
    """(step, state) of the newest whole checkpoint, or None where there is none."""
    for candidate in reversed(_listed(folder)):
        found = _read(candidate)
        if found is not None:
            return found
    return None


def _read(path: Path) -> tuple[int, dict[str, Any]] | None:
    try:
        described = json.loads((path / STATE).read_bytes())
        content = (path / TENSORS).read_bytes()
    except (OSError, ValueError):
        return None
    if digest_bytes(content) != described.get("tensors_sha256"):
        return None
    return described["step"], _join(described["state"], load_tensors(content))


def _listed(folder: Path) -> list[Path]:
    return sorted(folder.glob("step-*"))


def _forget_all_but_last(folder: Path) -> None:
    for old in _listed(folder)[:-KEEP]:
        shutil.rmtree(old, ignore_errors=True)


def _write_aside_then_rename(wanted: Path, files: Mapping[str, bytes]) -> None:
    aside = Path(tempfile.mkdtemp(dir=wanted.parent, prefix=".aside-"))
    try:
        for name, content in files.items():
            with (aside / name).open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
        aside.rename(wanted)
    except BaseException:
        shutil.rmtree(aside, ignore_errors=True)
        raise


def _split(value: Any, name: str, tensors: dict[str, torch.Tensor]) -> Any:
    """The value with every tensor replaced by its name; dicts become lists of pairs, since JSON has only text keys."""
    if isinstance(value, torch.Tensor):
        tensors[name] = value.detach().cpu().clone().contiguous()
        return {"tensor": name}
    if isinstance(value, Mapping):
        return {"pairs": [[key, _split(item, f"{name}.{key}", tensors)] for key, item in value.items()]}
    if isinstance(value, list | tuple):
        kind = "tuple" if isinstance(value, tuple) else "list"
        return {kind: [_split(item, f"{name}.{index}", tensors) for index, item in enumerate(value)]}
    return value


def _join(value: Any, tensors: Mapping[str, torch.Tensor]) -> Any:
    if not isinstance(value, dict):
        return value
    [(kind, content)] = value.items()
    match kind:
        case "tensor":
            return tensors[content]
        case "pairs":
            return {key: _join(item, tensors) for key, item in content}
        case "tuple":
            return tuple(_join(item, tensors) for item in content)
    return [_join(item, tensors) for item in content]
