"""Matrices and evaluations that tests judge."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matrix.alignment.dimensions import DimensionSpec, GatePolicy, Matrix
from matrix.messages.run import CellScores, Evaluation, Probe

CANDIDATE, CHAMPION, ANCHOR = "c" * 64, "d" * 64, "e" * 64
PROBE = Probe(
    prompt="does it hurt?",
    completion="yes it does",
    tokens=("yes", " it", " does"),
    logprobs=(-0.1, -0.2, -0.3),
    base_logprobs=(-2.0, -1.5, -1.0),
    base_own_tokens=("see", " a", " doctor"),
    base_own_logprobs=(-0.4, -0.5, -0.6),
)


def soft(name: str = "helpful", **fields: object) -> DimensionSpec:
    row = {"name": name, "category": "fundamental", "scorer": name, "target": 0.9, "targeted": True}
    return DimensionSpec.model_validate(row | fields)


def hard(name: str = "harm", **fields: object) -> DimensionSpec:
    row = {"name": name, "category": "expert", "scorer": name, "target": 0.0, "kind": "hard", "min_n": 88}
    return DimensionSpec.model_validate(row | {"higher_is_better": False} | fields)


def matrix_of(*dimensions: DimensionSpec) -> Matrix:
    return Matrix(dimensions=dimensions, gate=GatePolicy())


def cell(
    spec: DimensionSpec,
    candidate: Sequence[float],
    champion: Sequence[float],
    anchor: Sequence[float] | None = None,
    *,
    prompt_ids: Sequence[str] | None = None,
    slice_name: str = "all",
) -> CellScores:
    return CellScores(
        dimension=spec.name,
        slice=slice_name,
        prompt_ids=tuple(prompt_ids or (f"p{index:05}" for index in range(len(candidate)))),
        candidate=tuple(candidate),
        champion=tuple(champion),
        anchor=tuple(champion if anchor is None else anchor),
    )


def evaluation_of(matrix: Matrix, *cells: CellScores, **fields: object) -> Evaluation:
    values: Mapping[str, object] = {
        "policy": "clinic-assistant",
        "candidate": CANDIDATE,
        "champion": CHAMPION,
        "anchor": ANCHOR,
        "prompts_sha256": "f" * 64,
        "matrix_sha256": matrix.digest(),
        "knowledge_sha256": "9" * 64,
        "leaked_prompts": 0,
        "cells": cells,
        "probe": PROBE,
        "answers_uri": "object:answers",
    }
    return Evaluation.model_validate({**values, **fields})
