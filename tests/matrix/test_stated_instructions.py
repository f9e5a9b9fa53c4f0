"""Instructions found in what users say, and what only looks like one."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from matrix.scorers.instructions import instruction, stated_instructions

WORDS, SENTENCES = "length_constraints:number_words", "length_constraints:number_sentences"
BULLETS, PARAGRAPHS = "detectable_format:number_bullet_lists", "length_constraints:number_paragraphs"
LESS, LEAST, JUST = "less than", "at least", "exactly"
Stated = list[tuple[str, Mapping[str, object]]]

CASES: list[tuple[str, Stated]] = [
    # words
    ("Explain it in at most 50 words.", [(WORDS, {"relation": LESS, "num_words": 51})]),
    ("Use no more than 50 words.", [(WORDS, {"relation": LESS, "num_words": 51})]),
    ("Do not use more than 50 words.", [(WORDS, {"relation": LESS, "num_words": 51})]),
    ("Don't use more than 50 words.", [(WORDS, {"relation": LESS, "num_words": 51})]),
    ("Explain in under 50 words", [(WORDS, {"relation": LESS, "num_words": 50})]),
    ("In 50 words or less, please.", [(WORDS, {"relation": LESS, "num_words": 51})]),
    ("Write a 300+ word summary.", [(WORDS, {"relation": LEAST, "num_words": 300})]),
    ("Answer with more than 800 words.", [(WORDS, {"relation": LEAST, "num_words": 801})]),
    (
        "Write 600 to 700 words.",
        [(WORDS, {"relation": LEAST, "num_words": 600}), (WORDS, {"relation": LESS, "num_words": 701})],
    ),
    ("Word limit: 80", [(WORDS, {"relation": LESS, "num_words": 81})]),
    # sentences, paragraphs, bullets
    ("Explain in two sentences.", [(SENTENCES, {"relation": JUST, "num_sentences": 2})]),
    ("Use less than 7 sentences and no semicolons.", [(SENTENCES, {"relation": LESS, "num_sentences": 7})]),
    ("Give me one sentence.", [(SENTENCES, {"relation": JUST, "num_sentences": 1})]),
    ("In three paragraphs.", [(PARAGRAPHS, {"num_paragraphs": 3, "separator": "empty line"})]),
    ("Write exactly 3 paragraphs separated by ***.", [(PARAGRAPHS, {"num_paragraphs": 3})]),
    ("Tell me in three bullet points.", [(BULLETS, {"num_bullets": 3})]),
    ("Include at least 2 bullet points.", [(BULLETS, {"relation": LEAST, "num_bullets": 2})]),
    ("Answer as a bulleted list.", [(BULLETS, {"relation": LEAST, "num_bullets": 1})]),
    (
        "Write 2 paragraphs. The second paragraph must start with the word jasper.",
        [
            (PARAGRAPHS, {"num_paragraphs": 2, "separator": "empty line"}),
            (
                "length_constraints:nth_paragraph_first_word",
                {"first_word": "jasper", "nth_paragraph": 2, "num_paragraphs": 2},
            ),
        ],
    ),
    (
        "Include at least six placeholders like [name].",
        [("detectable_content:number_placeholders", {"num_placeholders": 6})],
    ),
    (
        "Highlight at least 3 sections with markdown.",
        [("detectable_format:number_highlighted_sections", {"num_highlights": 3})],
    ),
    (
        "Have 4 sections. Mark the beginning of each section with SECTION X.",
        [("detectable_format:multiple_sections", {"section_spliter": "section", "num_sections": 4})],
    ),
    # words and letters
    ('Include the keywords "rest" and "sleep".', [("keywords:existence", {"keywords": ["rest", "sleep"]})]),
    ("Please mention the word hydration.", [("keywords:existence", {"keywords": ["hydration"]})]),
    (
        "Do not use the words rest, sleep or tea.",
        [("keywords:forbidden_words", {"forbidden_words": ["rest", "sleep", "tea"]})],
    ),
    ("Explain it without using the word 'drug'.", [("keywords:forbidden_words", {"forbidden_words": ["drug"]})]),
    ("Do not say 'yes' or 'no'.", [("keywords:forbidden_words", {"forbidden_words": ["yes", "no"]})]),
    (
        "The word rest should appear at least 3 times.",
        [("keywords:frequency", {"relation": LEAST, "keyword": "rest", "frequency": 3})],
    ),
    (
        'Use the word "rest" at least twice.',
        [("keywords:frequency", {"relation": LEAST, "keyword": "rest", "frequency": 2})],
    ),
    (
        "The letter q should appear less than 4 times.",
        [("keywords:letter_frequency", {"let_relation": LESS, "letter": "q", "let_frequency": 4})],
    ),
    (
        "Words with all capital letters should appear at least 2 times.",
        [("change_case:capital_word_frequency", {"capital_relation": LEAST, "capital_frequency": 2})],
    ),
    ('End your answer with the phrase "Get well soon."', [("startend:end_checker", {"end_phrase": "get well soon."})]),
    ("Add a postscript starting with P.P.S.", [("detectable_content:postscript", {"postscript_marker": "p.p.s."})]),
    # form
    ("Answer as JSON.", [("detectable_format:json_format", {})]),
    ("Wrap the entire output in JSON format.", [("detectable_format:json_format", {})]),
    ("No commas, please.", [("punctuation:no_comma", {})]),
    ("Do not use any commas.", [("punctuation:no_comma", {})]),
    ("Answer in all caps.", [("change_case:english_capital", {})]),
    ("Write in lowercase letters only.", [("change_case:english_lowercase", {})]),
    ("No capital letters are allowed.", [("change_case:english_lowercase", {})]),
    ("Wrap your entire response with double quotation marks.", [("startend:quotation", {})]),
    ("Give it a title wrapped in double angular brackets.", [("detectable_format:title", {})]),
    ("Please answer in French.", [("language:response_language", {"language": "fr"})]),
    ("Respond only in the Hindi language.", [("language:response_language", {"language": "hi"})]),
    ("Answer with yes or no.", [("detectable_format:constrained_response", {"options": ["yes", "no"]})]),
    (
        "Choose one of 'good', 'fair' or 'poor'.",
        [("detectable_format:constrained_response", {"options": ["good", "fair", "poor"]})],
    ),
    ("Give two different responses separated by 6 asterisk symbols: ******.", [("combination:two_responses", {})]),
    (
        "Write a poem.\nFirst repeat the request above word for word, then answer.",
        [("combination:repeat_prompt", {"prompt_to_repeat": "write a poem."})],
    ),
]


@pytest.mark.parametrize(("prompt", "expected"), CASES)
def test_what_is_stated_is_found(prompt: str, expected: Stated) -> None:
    assert stated_instructions(prompt) == [instruction(kind, arguments) for kind, arguments in expected]


@pytest.mark.parametrize(
    "prompt",
    [
        "How much paracetamol may I take for a headache?",
        "I wrote 500 words about it.",
        "Write a 500-word essay.",
        'What does "answer in three bullet points" mean?',
        "The judge sentenced him to 3 years.",
        "It need not be JSON, and you don't have to answer in French.",
        "How do I parse a JSON file?",
        "I am in a French class and my son has a lower case of fever.",
        "Use it in a sentence about ibuprofen: what does that mean?",
        "I read two paragraphs about ibuprofen.",
        "What is the word count of this text?",
        "My doctor said no.",
        "Is a comma needed here?",
        "I have taken at least 3 tablets.",
        "",
    ],
)
def test_what_is_no_instruction_states_none(prompt: str) -> None:
    assert stated_instructions(prompt) == []
