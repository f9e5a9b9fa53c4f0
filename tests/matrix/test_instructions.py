"""Every kind of verifiable instruction, followed and not; and the scorer over what users state."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from matrix.errors import InvalidInput
from matrix.messages.completion import ChatMessage
from matrix.scorers import SCORERS
from matrix.scorers.instructions import KINDS, follows, instruction, share
from matrix.scorers.knowledge import Knowledge

FREQUENCY = {"keyword": "fish", "frequency": 2, "relation": "at least"}
LETTER = {"letter": "E", "let_frequency": 2, "let_relation": "less than"}
SECTIONS = {"section_spliter": "SECTION", "num_sections": 2}
THIRD = {"first_word": "Jasper", "nth_paragraph": 2, "num_paragraphs": 2}
CASES: list[tuple[str, Mapping[str, object], str, bool | None]] = [
    ("keywords:existence", {"keywords": ["Fish", "sea"]}, "The fisherman loves the SEA.", True),
    ("keywords:existence", {"keywords": ["fish", "sea"]}, "The fish swims.", False),
    ("keywords:frequency", FREQUENCY, "Fish eat fish.", True),
    ("keywords:frequency", FREQUENCY, "Fish eat worms.", False),
    ("keywords:forbidden_words", {"forbidden_words": ["yes", "no"]}, "I know yesterday's news.", True),
    ("keywords:forbidden_words", {"forbidden_words": ["yes", "no"]}, "No!", False),
    ("keywords:letter_frequency", LETTER, "A red fox.", True),
    ("keywords:letter_frequency", LETTER, "Elephants.", False),
    ("keywords:letter_frequency", {"letter": "!", "let_frequency": 2}, "Oh! Ah!", True),
    ("language:response_language", {"language": "ko"}, "\uc548\ub155\ud558\uc138\uc694", True),
    ("language:response_language", {"language": "ko"}, "Hello", False),
    ("language:response_language", {"language": "de"}, "Das ist nicht gut f\u00fcr die Nieren.", True),
    ("language:response_language", {"language": "de"}, "This is not good for the kidneys.", False),
    ("language:response_language", {"language": "de"}, "Paracetamol!", None),
    ("language:response_language", {"language": "fr"}, "123", False),
    ("length_constraints:number_words", {"num_words": 3, "relation": "at most"}, "Don't do it!", True),
    ("length_constraints:number_words", {"num_words": 3, "relation": "less than"}, "Do not do it.", False),
    ("length_constraints:number_words", {"num_words": 3, "relation": "more than"}, "Do not do it.", True),
    (
        "length_constraints:number_sentences",
        {"num_sentences": 2, "relation": "exactly"},
        "Rest. Drink, e.g. tea.",
        True,
    ),
    ("length_constraints:number_sentences", {"num_sentences": 2, "relation": "less than"}, "Rest. Drink.", False),
    ("length_constraints:number_paragraphs", {"num_paragraphs": 2}, "One\n***\nTwo", True),
    ("length_constraints:number_paragraphs", {"num_paragraphs": 2}, "One\n\nTwo", False),
    ("length_constraints:number_paragraphs", {"num_paragraphs": 2}, "One *** *** Two", False),
    ("length_constraints:number_paragraphs", {"num_paragraphs": 2, "separator": "empty line"}, "One\n \nTwo", True),
    ("length_constraints:nth_paragraph_first_word", THIRD, 'One.\n\n"Jasper" came.', True),
    ("length_constraints:nth_paragraph_first_word", THIRD, "Jasper.\n\nOne.", False),
    ("length_constraints:nth_paragraph_first_word", THIRD, "One.\n\nJasper.\n\nThree.", False),
    ("detectable_content:postscript", {"postscript_marker": "P.S."}, "Bye.\nP.S. Rest!", True),
    ("detectable_content:postscript", {"postscript_marker": "P.P.S"}, "Bye.\np. p. s. Rest!", True),
    ("detectable_content:postscript", {"postscript_marker": "P.P.S"}, "Bye.\nP.S. Rest!", False),
    ("detectable_content:postscript", {"postscript_marker": "P.S."}, "He sips tea.", False),
    ("detectable_content:number_placeholders", {"num_placeholders": 2}, "Dear [name], [date]", True),
    ("detectable_content:number_placeholders", {"num_placeholders": 2}, "Dear [name], []", False),
    ("detectable_format:number_bullet_lists", {"num_bullets": 2}, "* One\n  - **Two**\nEnd", True),
    ("detectable_format:number_bullet_lists", {"num_bullets": 2}, "**Bold**\n* One\n---\n", False),
    ("detectable_format:constrained_response", {}, "Well, My answer is maybe.", True),
    ("detectable_format:constrained_response", {}, "Perhaps.", False),
    ("detectable_format:constrained_response", {"options": ["yes", "no"]}, "**No**, it is not.", True),
    ("detectable_format:constrained_response", {"options": ["yes", "no"]}, "Nobody says yes.", False),
    ("detectable_format:number_highlighted_sections", {"num_highlights": 2}, "*one* and **two**", True),
    ("detectable_format:number_highlighted_sections", {"num_highlights": 2}, "* one\n* two\n****", False),
    ("detectable_format:multiple_sections", SECTIONS, "Section 1\nA\n**SECTION 2:** B", True),
    ("detectable_format:multiple_sections", SECTIONS, "Section 1, as section 1 says", False),
    ("detectable_format:json_format", {}, '```json\n{"a": [1]}\n```', True),
    ("detectable_format:json_format", {}, 'Here: {"a": 1}', False),
    ("detectable_format:json_format", {}, "[NaN]", False),
    ("detectable_format:json_format", {}, "[" * 5000, False),
    ("detectable_format:title", {}, "<<On rest>>\nRest.", True),
    ("detectable_format:title", {}, "<< >> < <a> >", False),
    ("combination:repeat_prompt", {"prompt_to_repeat": "Write a  poem."}, "write a poem.\nRoses", True),
    ("combination:repeat_prompt", {"prompt_to_repeat": "Write a poem."}, "Sure. Write a poem.", False),
    ("combination:two_responses", {}, "Rest.\n******\nSleep.", True),
    ("combination:two_responses", {}, "Rest.\n******\nRest.", False),
    ("combination:two_responses", {}, "Rest. *** Sleep.", False),
    ("change_case:english_capital", {}, "REST, 2 HOURS!", True),
    ("change_case:english_capital", {}, "REST NOw", False),
    ("change_case:english_capital", {}, "\u041e\u0422\u0414\u042b\u0425", False),
    ("change_case:english_lowercase", {}, "rest, 2 hours!", True),
    ("change_case:english_lowercase", {}, "rest Now", False),
    ("change_case:capital_word_frequency", {"capital_frequency": 2}, "Call NOW or NEVER.", True),
    ("change_case:capital_word_frequency", {"capital_frequency": 2}, "Call Now or NEVER.", False),
    ("startend:end_checker", {"end_phrase": "Any questions?"}, '"Rest. any questions?" ', True),
    ("startend:end_checker", {"end_phrase": "Any questions?"}, "Any questions? No.", False),
    ("startend:quotation", {}, ' "Rest." ', True),
    ("startend:quotation", {}, 'He said "Rest."', False),
    ("punctuation:no_comma", {}, "Rest and drink.", True),
    ("punctuation:no_comma", {}, "Rest, drink.", False),
]


@pytest.mark.parametrize(("kind", "arguments", "completion", "expected"), CASES)
def test_each_kind_is_followed_or_not(
    kind: str, arguments: Mapping[str, object], completion: str, expected: bool | None
) -> None:
    assert follows(instruction(kind, arguments), completion) is expected


def test_the_table_has_the_25_kinds_and_each_has_cases() -> None:
    assert len(KINDS) == 25
    assert {kind for kind, *_ in CASES} == set(KINDS)


@pytest.mark.parametrize(
    ("kind", "arguments", "named"),
    [
        ("length:words", {}, "instruction: 'length:words'"),
        ("length_constraints:number_words", {}, "length_constraints:number_words.num_words"),
        ("length_constraints:number_words", {"num_words": -1}, "num_words: -1"),
        ("length_constraints:number_words", {"num_words": 3, "relation": "about"}, "relation: 'about'"),
        ("language:response_language", {"language": "xx"}, "language: 'xx': one of en, de"),
        ("keywords:existence", {"keywords": []}, "keywords: []"),
        ("keywords:letter_frequency", {"letter": "ab", "let_frequency": 1}, "letter: 'ab'"),
        ("punctuation:no_comma", {"commas": 2}, "punctuation:no_comma.commas"),
    ],
)
def test_arguments_that_do_not_fit_are_refused_by_name(kind: str, arguments: Mapping[str, object], named: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        instruction(kind, arguments)
    assert named in str(refused.value)


def test_arguments_that_are_none_count_as_not_given() -> None:
    assert instruction("punctuation:no_comma", {"num_words": None}) == instruction("punctuation:no_comma")


@pytest.mark.parametrize(
    ("kind", "completion"),
    [
        ("detectable_format:json_format", 'Sure, here it is:\n{"a": 1}'),
        ("detectable_format:json_format", 'Sure:\n{"a": 1}\nAnything else?'),
        ("startend:quotation", '*"Rest."*'),
        ("change_case:english_lowercase", "Of course!\nrest now."),
    ],
)
def test_the_loose_reading_forgives_a_frame(kind: str, completion: str) -> None:
    assert follows(instruction(kind), completion) is False
    assert follows(instruction(kind), completion, loose=True) is True


@pytest.mark.parametrize(
    ("said", "completion", "expected"),
    [
        ("What helps? In at most 5 words, no commas.", "Rest and drink water.", 1.0),
        ("What helps? In at most 3 words, no commas.", "Rest and drink water.", 0.5),
        ("Answer as JSON.", "Rest.", 0.0),
        ("Answer in German.", "Ibuprofen!", None),
        ("What helps?", "Rest.", None),
    ],
)
def test_the_score_is_the_share_of_stated_instructions(
    said: str, completion: str, expected: float | None, knowledge: Knowledge
) -> None:
    assert SCORERS["instructions"]([ChatMessage(role="user", content=said)], completion, knowledge).value == expected


def test_only_the_last_message_states_instructions_and_what_was_missed_is_named(knowledge: Knowledge) -> None:
    turns = [
        ChatMessage(role="user", content="Answer as JSON."),
        ChatMessage(role="assistant", content="{}"),
        ChatMessage(role="user", content="What helps? No commas."),
    ]
    found = SCORERS["instructions"](turns, "Rest, drink.", knowledge)
    assert (found.value, found.reason) == (0.0, "0 of 1 stated instructions followed; not: no comma")


def test_a_share_of_nothing_does_not_apply() -> None:
    assert share([], "Rest.").value is None
