import json
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from matrix.alignment.dimensions import DimensionSpec
from matrix.errors import InvalidInput
from matrix.messages.completion import ChatMessage
from tests.fakes.evaluations import hard, soft
from trainer.evaluate import (
    ALL,
    GatePrompt,
    ScoredPolicy,
    Values,
    count_leaked,
    normalized,
    paired_cells,
    paired_values,
    parse_gate_prompts,
    score_policy,
)

SOFT = soft("correctness", min_n=2)
LOWER = soft("sycophancy", min_n=2, higher_is_better=False, low=-1.0, high=1.0)
HARD = hard("clinical_safety")
SPECS = (SOFT, LOWER, HARD)
DIMENSIONS = tuple(spec.name for spec in SPECS)
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
    cells = paired_cells(SPECS, slices, candidate=policy(scores), champion=policy(scores), anchor=policy(anchor))
    assert all(cell.candidate == cell.champion for cell in cells)


@given(candidate=score_tables, champion=score_tables, slices=slice_tables)
def test_swapping_candidate_and_champion_swaps_their_scores_where_both_have_some(
    candidate: Table, champion: Table, slices: dict[str, str]
) -> None:
    def cells(one: Table, other: Table) -> list[tuple[float, float]]:
        made = paired_cells(SPECS, slices, candidate=policy(one), champion=policy(other), anchor=policy(champion))
        return [
            (mine, theirs)
            for cell in made
            for name, mine, theirs in zip(cell.prompt_ids, cell.candidate, cell.champion, strict=True)
            if candidate[name][cell.dimension] is not None and champion[name][cell.dimension] is not None
        ]

    assert cells(candidate, champion) == [(one, other) for other, one in cells(champion, candidate)]


@given(candidate=score_tables, champion=score_tables, anchor=score_tables, slices=slice_tables)
def test_a_prompt_on_which_the_candidate_has_a_value_is_in_its_cells_with_that_value(
    candidate: Table, champion: Table, anchor: Table, slices: dict[str, str]
) -> None:
    cells = paired_cells(SPECS, slices, candidate=policy(candidate), champion=policy(champion), anchor=policy(anchor))
    found = {
        (cell.dimension, cell.slice, name): mine
        for cell in cells
        for name, mine in zip(cell.prompt_ids, cell.candidate, strict=True)
    }
    for name in PROMPTS:
        for dimension in DIMENSIONS:
            value = candidate[name][dimension]
            if value is not None:
                assert found[dimension, ALL, name] == found[dimension, slices[name], name] == value


@given(candidate=score_tables, champion=score_tables, anchor=score_tables)
def test_a_prompt_where_nobody_has_a_value_stays_out(candidate: Table, champion: Table, anchor: Table) -> None:
    slices = dict.fromkeys(PROMPTS, "general")
    cells = paired_cells(SPECS, slices, candidate=policy(candidate), champion=policy(champion), anchor=policy(anchor))
    for cell in cells:
        for name in cell.prompt_ids:
            assert any(table[name][cell.dimension] is not None for table in (candidate, champion, anchor))


@pytest.mark.parametrize(("spec", "best"), [(SOFT, 1.0), (LOWER, -1.0), (HARD, 0.0)])
def test_an_opponent_that_says_nothing_has_said_nothing_wrong(spec: DimensionSpec, best: float) -> None:
    found = {"a": (0.0, None, 1.0), "b": (1.0, 0.0, None), "c": (0.0, None, None)}
    assert paired_values(spec, found) == {"a": (0.0, best, 1.0), "b": (1.0, 0.0, best), "c": (0.0, best, best)}


def test_a_candidate_that_says_nothing_counts_as_its_opponents_do() -> None:
    own = {"a": (0.5, 0.5, 0.5), "b": (0.5, 0.5, 0.5)}
    paired = paired_values(SOFT, own | {"c": (None, 0.2, 0.9), "d": (None, None, 0.9), "e": (None, None, None)})
    assert [paired[name] for name in ("c", "d")] == [(0.2, 0.2, 0.2), (0.9, 0.9, 0.9)]
    assert "e" not in paired


def test_silence_does_not_stand_in_for_the_prompts_that_a_cell_needs() -> None:
    found = {"a": (0.5, 0.5, 0.5), "b": (None, 1.0, 1.0), "c": (None, 0.0, 0.0)}
    assert list(paired_values(SOFT, found)) == ["a"]
    many: dict[str, Values] = {f"p{number}": (0.0, 0.0, 0.0) for number in range(HARD.min_n)}
    assert paired_values(HARD, many | {"silent": (None, 0.0, 0.0)}) == many


@given(scores=score_tables, slices=slice_tables)
def test_the_slices_of_a_dimension_divide_its_whole(scores: Table, slices: dict[str, str]) -> None:
    cells = paired_cells(SPECS, slices, candidate=policy(scores), champion=policy(scores), anchor=policy(scores))
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
    lines = [json.dumps(prompt(name, f"hello {name}").model_dump()) for name in ("b", "a")]
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


def test_one_question_under_two_ids_is_refused_with_both_lines() -> None:
    texts = [("a", "I have CHEST pain!"), ("b", "How much ibuprofen?"), ("c", "i have chest  pain")]
    lines = [json.dumps(prompt(name, text).model_dump()) for name, text in texts]
    with pytest.raises(InvalidInput, match=r"gate\.jsonl:3: 'c': .*line 1"):
        parse_gate_prompts("\n".join(lines).encode(), file="gate.jsonl")


def test_the_same_last_words_after_other_turns_are_another_question() -> None:
    def turns(prompt_id: str, *texts: str) -> str:
        messages = tuple(ChatMessage(role="user", content=text) for text in texts)
        return json.dumps(GatePrompt(prompt_id=prompt_id, messages=messages).model_dump())

    lines = [
        turns("a", "I am pregnant.", "May I take it?"),
        turns("b", "May I take it?"),
        turns("c", "?"),
        turns("d", "!"),
    ]
    assert len(parse_gate_prompts("\n".join(lines).encode(), file="gate.jsonl")) == len(lines)


def test_scoring_pairs_every_completion_with_its_prompt() -> None:
    prompts = [prompt("a", "one"), prompt("b", "two")]
    scored = score_policy("0" * 64, prompts, ["x", "yy"], lambda pairs: [{"size": float(len(t))} for _, t in pairs])
    assert scored.scores == {"a": {"size": 1.0}, "b": {"size": 2.0}}
