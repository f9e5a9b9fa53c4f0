"""Laws of the scorers that read a completion's words: on any text, and on what people write."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from matrix.messages.completion import ChatMessage
from matrix.scorers import SCORERS
from matrix.scorers.assertions import precision
from matrix.scorers.checkers import Verdict
from matrix.scorers.claims import split
from matrix.scorers.hedging import hedging_of
from matrix.scorers.instructions import KINDS, follows, instruction, share, stated_instructions
from matrix.scorers.knowledge import load_knowledge
from matrix.scorers.refusal import RefusalKind, refusal_of

LAW = settings(deadline=None)
ROOT = Path(__file__).parents[2]
KNOWLEDGE = load_knowledge((ROOT / "tests/matrix/knowledge.toml").read_text(), file="knowledge.toml")
NAMES = ("citation", "instructions", "agreement_flip", "hedging", "assertion_precision", "refusal")
PIECES = (
    *("I", "can't", "help", "with", "that", "but", "and", "it", "is", "may", "the", "dose", "500 mg", "2000 mg", "of"),
    *("paracetamol", "antibiotics cure colds", "are you sure?", "no", "you are right", "[1]", "(NICE, 2023)", "sorry"),
    *("at most", "exactly", "three", "10", "words", "bullet points", "as JSON", "no commas", "in French", "include"),
    *("the word", '"fish"', "'", "P.S.", "***", "<<a>>", "*b*", "- c", "\n", "\n\n", ".", "!", "?", ",", ";", "(", ")"),
    *("e.g.", "https://a.b", "Source:", "twice", "repeat the request word for word", "two", "paragraphs", "THE END"),
)
texts = st.one_of(st.text(max_size=80), st.lists(st.sampled_from(PIECES), max_size=30).map(" ".join))
turns = st.lists(st.tuples(st.sampled_from(["system", "user", "assistant"]), texts), min_size=1, max_size=4)
WORD = re.compile(r"[^\W\d_]+")
ARGUMENTS: dict[str, dict[str, object]] = {
    "keywords:existence": {"keywords": ["fish", "dose"]},
    "keywords:frequency": {"keyword": "dose", "frequency": 2},
    "keywords:forbidden_words": {"forbidden_words": ["fish"]},
    "keywords:letter_frequency": {"letter": "e", "let_frequency": 3, "let_relation": "less than"},
    "language:response_language": {"language": "fr"},
    "length_constraints:number_paragraphs": {"num_paragraphs": 2},
    "length_constraints:number_words": {"num_words": 5, "relation": "at most"},
    "length_constraints:number_sentences": {"num_sentences": 2},
    "length_constraints:nth_paragraph_first_word": {"first_word": "the", "nth_paragraph": 1},
    "detectable_content:postscript": {"postscript_marker": "P.S."},
    "detectable_content:number_placeholders": {"num_placeholders": 1},
    "detectable_format:number_bullet_lists": {"num_bullets": 2},
    "detectable_format:number_highlighted_sections": {"num_highlights": 1},
    "detectable_format:multiple_sections": {"section_spliter": "Section", "num_sections": 2},
    "combination:repeat_prompt": {"prompt_to_repeat": "the dose"},
    "change_case:capital_word_frequency": {"capital_frequency": 2},
    "startend:end_checker": {"end_phrase": "the end"},
}
EVERY = [instruction(kind, ARGUMENTS.get(kind)) for kind in KINDS]


def conversation(said: list[tuple[str, str]]) -> list[ChatMessage]:
    return [ChatMessage.model_validate({"role": role, "content": content}) for role, content in said]


class Table:
    """Judges by what a claim's number of letters leaves over by three."""

    def judge(self, prompt: Sequence[ChatMessage], claims: Sequence[str]) -> list[Verdict]:
        return [list(Verdict)[len(claim) % 3] for claim in claims]


@pytest.mark.parametrize("scorer", NAMES)
@LAW
@given(said=turns, completion=texts)
def test_scores_are_between_0_and_1_or_none_and_say_why(
    scorer: str, said: list[tuple[str, str]], completion: str
) -> None:
    found = SCORERS[scorer](conversation(said), completion, KNOWLEDGE)
    assert found.value is None or 0.0 <= found.value <= 1.0
    assert found.reason
    assert found == SCORERS[scorer](conversation(said), completion, KNOWLEDGE)


@LAW
@given(text=texts)
def test_splitting_loses_no_word_but_the_words_that_join_claims(text: str) -> None:
    claims = split(text)
    assert all(text[claim.start : claim.end] == claim.text for claim in claims)
    assert all(one.end <= other.start for one, other in pairwise(claims))
    ends = [0, *(claim.end for claim in claims)]
    starts = [*(claim.start for claim in claims), len(text)]
    between = [text[end:start] for end, start in zip(ends, starts, strict=True)]
    words = {word.lower() for gap in between for word in WORD.findall(gap)}
    assert words <= {"and", "but", "so", "yet", "while", "whereas"}


@LAW
@given(text=texts)
def test_hedged_and_absolute_claims_are_claims(text: str) -> None:
    found = hedging_of(text, KNOWLEDGE)
    assert 0 <= found.hedged + found.absolute <= found.claims


@LAW
@given(text=texts)
def test_a_refusal_is_as_likely_as_its_kind_says(text: str) -> None:
    found = refusal_of(text)
    assert 0.0 <= found.p <= 1.0
    assert (found.p >= 0.5) == (found.kind is not RefusalKind.NONE)


@LAW
@given(text=texts)
def test_what_the_checker_cannot_decide_changes_no_precision(text: str) -> None:
    undecided = "See it too."
    assert Table().judge([], [undecided]) == [Verdict.UNKNOWN]
    assert precision([], f"{text}\n\n{undecided}", Table()).value == precision([], text, Table()).value


@LAW
@given(prompt=texts)
def test_words_about_nothing_state_no_instruction(prompt: str) -> None:
    repeat = "combination:repeat_prompt"  # what is to be repeated is the rest of the prompt
    alone, before, after = (
        [one for one in stated_instructions(said) if one.kind != repeat]
        for said in (prompt, f"My knee hurts.\n\n{prompt}", f"{prompt}\n\nMy knee hurts.")
    )
    assert before == after == alone


@LAW
@given(prompt=texts)
def test_stated_instructions_are_of_the_table_and_each_once(prompt: str) -> None:
    found = stated_instructions(prompt)
    assert len(set(found)) == len(found)
    assert all(instruction(one.kind, one.arguments.model_dump()) == one for one in found)


@LAW
@given(completion=texts)
def test_what_is_followed_strictly_is_followed_loosely(completion: str) -> None:
    for one in EVERY:
        strict, loose = follows(one, completion), follows(one, completion, loose=True)
        assert loose is True or loose is strict
    assert share(EVERY, completion, loose=True).value >= share(EVERY, completion).value  # type: ignore[operator]


@LAW
@given(completion=texts)
def test_an_instruction_that_is_added_changes_no_other(completion: str) -> None:
    for one in EVERY:
        alone = share([one], completion).value
        assert alone in (None, 0.0, 1.0)
    verdicts = [value for one in EVERY if (value := share([one], completion).value) is not None]
    assert share(EVERY, completion).value == pytest.approx(sum(verdicts) / len(verdicts))


@LAW
@given(completion=texts)
def test_an_empty_completion_follows_nothing_and_an_order_reversed_fails(completion: str) -> None:
    fewer = instruction("length_constraints:number_words", {"relation": "less than", "num_words": 4})
    more = instruction("length_constraints:number_words", {"relation": "at least", "num_words": 4})
    assert not any(follows(one, " \n ") for one in EVERY)
    if completion.strip():
        assert follows(fewer, completion) is not follows(more, completion)


@LAW
@given(said=turns, completion=texts)
def test_nothing_flips_in_a_conversation_without_an_assistant(said: list[tuple[str, str]], completion: str) -> None:
    alone = [(role, content) for role, content in said if role != "assistant"]
    if alone:
        assert SCORERS["agreement_flip"](conversation(alone), completion, KNOWLEDGE).value is None
