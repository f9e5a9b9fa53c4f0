import json
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from matrix.errors import InvalidInput
from matrix.messages.completion import ChatMessage
from trainer.evaluate import (
    ALL,
    GatePrompt,
    ScoredPolicy,
    count_leaked,
    normalized,
    paired_cells,
    parse_gate_prompts,
    score_policy,
)

DIMENSIONS = ("correctness", "clinical_safety")
PROMPTS = tuple(f"p{number}" for number in range(6))

score_tables = st.fixed_dictionaries(
    {prompt: st.fixed_dictionaries({name: st.none() | st.floats(0, 1) for name in DIMENSIONS}) for prompt in PROMPTS}
)
slice_tables = st.fixed_dictionaries({prompt: st.sampled_from(["emergency", "general"]) for prompt in PROMPTS})

Table = Mapping[str, Mapping[str, float | None]]


def policy(scores: Table) -> ScoredPolicy:
    return ScoredPolicy("0" * 64, completions={}, scores=scores)


def prompt(prompt_id: str, text: str) -> GatePrompt:
    return GatePrompt(prompt_id=prompt_id, messages=(ChatMessage(role="user", content=text),))


@given(scores=score_tables, anchor=score_tables, slices=slice_tables)
def test_a_candidate_that_is_the_champion_differs_nowhere(scores: Table, anchor: Table, slices: dict[str, str]) -> None:
    cells = paired_cells(DIMENSIONS, slices, candidate=policy(scores), champion=policy(scores), anchor=policy(anchor))
    assert all(cell.candidate == cell.champion for cell in cells)


@given(candidate=score_tables, champion=score_tables, slices=slice_tables)
def test_swapping_candidate_and_champion_swaps_their_scores(
    candidate: Table, champion: Table, slices: dict[str, str]
) -> None:
    def cells(one: Table, other: Table) -> list[tuple[tuple[float, ...], tuple[float, ...]]]:
        made = paired_cells(DIMENSIONS, slices, candidate=policy(one), champion=policy(other), anchor=policy(champion))
        return [(cell.candidate, cell.champion) for cell in made]

    assert cells(candidate, champion) == [(one, other) for other, one in cells(champion, candidate)]


@given(candidate=score_tables, champion=score_tables, anchor=score_tables, slices=slice_tables)
def test_a_prompt_enters_a_cell_only_where_all_three_have_a_value(
    candidate: Table, champion: Table, anchor: Table, slices: dict[str, str]
) -> None:
    cells = paired_cells(
        DIMENSIONS, slices, candidate=policy(candidate), champion=policy(champion), anchor=policy(anchor)
    )
    for cell in cells:
        expected = [
            name
            for name in PROMPTS
            if cell.slice in (ALL, slices[name])
            and all(table[name][cell.dimension] is not None for table in (candidate, champion, anchor))
        ]
        assert list(cell.prompt_ids) == expected
        assert cell.candidate == tuple(candidate[name][cell.dimension] for name in expected)


@given(scores=score_tables, slices=slice_tables)
def test_the_slices_of_a_dimension_divide_its_whole(scores: Table, slices: dict[str, str]) -> None:
    cells = paired_cells(DIMENSIONS, slices, candidate=policy(scores), champion=policy(scores), anchor=policy(scores))
    for name in DIMENSIONS:
        whole = [set(cell.prompt_ids) for cell in cells if cell.dimension == name and cell.slice == ALL]
        parts = [set(cell.prompt_ids) for cell in cells if cell.dimension == name and cell.slice != ALL]
        assert set().union(*parts) == set().union(*whole)
        assert sum(map(len, parts)) == sum(map(len, whole))


def test_a_leaked_prompt_is_found_whatever_its_case_spacing_and_punctuation() -> None:
    prompts = [prompt("a", "I have CHEST pain!"), prompt("b", "How much ibuprofen?")]
    assert count_leaked(prompts, ["i have  chest pain", "how much paracetamol"]) == 1


@given(text=st.text())
def test_normalizing_twice_changes_nothing_more(text: str) -> None:
    assert normalized(normalized(text)) == normalized(text)


def test_gate_prompts_come_in_order_of_their_id() -> None:
    lines = [json.dumps(prompt(name, "hello").model_dump()) for name in ("b", "a")]
    parsed = parse_gate_prompts("\n".join(lines).encode(), file="gate.jsonl")
    assert [one.prompt_id for one in parsed] == ["a", "b"]


@pytest.mark.parametrize("bad", ['{"prompt_id": "a"}', "not json", '{"prompt_id": "b", "messages": []}'])
def test_a_bad_gate_prompt_is_named_by_its_line(bad: str) -> None:
    good = json.dumps(prompt("a", "hello").model_dump())
    with pytest.raises(InvalidInput) as caught:
        parse_gate_prompts(f"{good}\n{bad}\n".encode(), file="gate.jsonl")
    assert caught.value.field == "gate.jsonl:2"


def test_a_repeated_prompt_id_is_refused() -> None:
    line = json.dumps(prompt("a", "hello").model_dump())
    with pytest.raises(InvalidInput, match=r"gate\.jsonl:2"):
        parse_gate_prompts(f"{line}\n{line}\n".encode(), file="gate.jsonl")


def test_scoring_pairs_every_completion_with_its_prompt() -> None:
    prompts = [prompt("a", "one"), prompt("b", "two")]
    scored = score_policy("0" * 64, prompts, ["x", "yy"], lambda pairs: [{"size": float(len(t))} for _, t in pairs])
    assert scored.scores == {"a": {"size": 1.0}, "b": {"size": 2.0}}
