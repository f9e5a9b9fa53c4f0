"""Laws of pairing: what a candidate leaves unsaid, or says where others say nothing, wins it nothing at the gate."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from matrix.alignment.dimensions import DimensionSpec
from matrix.messages.gate import Verdict
from matrix.messages.run import CellScores
from registry.gate.rules import OPPONENTS, judge_cell, paired_differences
from tests.fakes.evaluations import hard, soft
from trainer.evaluate import ALL, Paired, ScoredPolicy, Values, paired_cells, paired_values

ALPHA = 0.05
UP, DOWN = soft(min_n=5), soft(min_n=5, higher_is_better=False)
SPECS = (UP, DOWN, hard())

scores = st.none() | st.sampled_from([0.0, 1.0])
tables = st.lists(st.tuples(scores, scores, scores), min_size=1, max_size=40)


def cell_of(spec: DimensionSpec, rows: Sequence[Values]) -> CellScores | None:
    names = [f"p{number:03}" for number in range(len(rows))]
    columns = [
        ScoredPolicy("0" * 64, {}, {name: {spec.name: row[column]} for name, row in zip(names, rows, strict=True)})
        for column in range(3)
    ]
    cells = paired_cells(
        [spec], dict.fromkeys(names, ALL), candidate=columns[0], champion=columns[1], anchor=columns[2]
    )
    return cells[0] if cells else None


def oriented(spec: DimensionSpec, paired: Paired) -> tuple[float, float]:
    """How much better than champion and anchor."""
    mine, champion, anchor = (spec.unit(value) for value in paired)
    return mine - champion, mine - anchor


@given(rows=tables, spec=st.sampled_from(SPECS))
def test_credit_comes_only_from_prompts_where_both_have_a_value(rows: list[Values], spec: DimensionSpec) -> None:
    paired = paired_values(spec, {str(number): row for number, row in enumerate(rows)})
    for name, values in paired.items():
        candidate, *opponents = rows[int(name)]
        for gain, opponent in zip(oriented(spec, values), opponents, strict=True):
            if candidate is None or opponent is None:
                assert gain <= 0.0


@given(rows=tables, spec=st.sampled_from(SPECS), left_out=st.sets(st.integers(0, 39)))
def test_leaving_out_claims_that_are_as_good_as_the_opponents_gains_nothing(
    rows: list[Values], spec: DimensionSpec, left_out: set[int]
) -> None:
    equal = [(row[1], row[1], row[1]) if number in left_out else row for number, row in enumerate(rows)]
    silent = [(None, row[1], row[2]) if number in left_out else row for number, row in enumerate(equal)]
    before, after = cell_of(spec, equal), cell_of(spec, silent)
    if after is None:
        return
    assert before is not None
    for opponent in OPPONENTS:
        said, unsaid = (paired_differences(spec, cell, opponent) for cell in (before, after))
        assert unsaid[unsaid != 0].tolist() == said[said != 0].tolist()
        assert len(unsaid) <= len(said)


@given(
    spec=st.sampled_from([soft(min_n=60), soft(min_n=60, higher_is_better=False), hard()]),
    alike=st.integers(0, 400),
    false_share=st.floats(0.05, 1.0),
    silent=st.tuples(st.booleans(), st.booleans()).filter(any),
)
def test_a_candidate_cannot_pass_by_false_claims_where_its_opponents_claim_nothing(
    spec: DimensionSpec, alike: int, false_share: float, silent: tuple[bool, bool]
) -> None:
    best, worst = (1.0, 0.0) if spec.higher_is_better else (0.0, 1.0)
    count = max(1, int(np.ceil((alike + 1) * false_share)))
    told = (None if silent[0] else best, None if silent[1] else best)
    rows: list[Values] = [(best, best, best)] * alike + [(worst, *told)] * count
    verdicts = {one.verdict for one in judge_cell(spec, ALL, cell_of(spec, rows), alpha=ALPHA)}
    assert verdicts != {Verdict.PASS}


@given(own=st.integers(0, 59), silent=st.integers(0, 300))
def test_a_candidate_that_says_too_little_to_be_judged_does_not_pass(own: int, silent: int) -> None:
    for spec in (soft(min_n=60), hard()):
        best = 1.0 if spec.higher_is_better else 0.0
        rows: list[Values] = [(best, best, best)] * own + [(None, best, best)] * silent
        verdicts = {one.verdict for one in judge_cell(spec, ALL, cell_of(spec, rows), alpha=ALPHA)}
        assert Verdict.PASS not in verdicts
