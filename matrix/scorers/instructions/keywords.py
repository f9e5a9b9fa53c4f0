"""Instructions on words and letters: there, so often, not at all. Case never matters.

A keyword is there also inside a longer word, as IFEval counts; a forbidden one is forbidden as a word of its own.
"""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import StringConstraints

from matrix.messages.base import Value
from matrix.scorers.instructions.kind import Count, Kind, Relation, WordList, Words


class Keywords(Value):
    """Words that must occur."""

    keywords: WordList


class KeywordFrequency(Value):
    """How often a word must occur."""

    relation: Relation = Relation.AT_LEAST
    keyword: Words
    frequency: Count


class ForbiddenWords(Value):
    """Words that must not occur."""

    forbidden_words: WordList


class LetterFrequency(Value):
    """How often a letter or sign must occur."""

    let_relation: Relation = Relation.AT_LEAST
    letter: Annotated[str, StringConstraints(min_length=1, max_length=1)]
    let_frequency: Count


def have_keywords(completion: str, wanted: Keywords) -> bool:
    """All of them."""
    said = completion.lower()
    return all(keyword.lower() in said for keyword in wanted.keywords)


def has_keyword_so_often(completion: str, wanted: KeywordFrequency) -> bool:
    """Occurrences that do not overlap."""
    return wanted.relation.holds(completion.lower().count(wanted.keyword.lower()), wanted.frequency)


def has_no_forbidden_word(completion: str, wanted: ForbiddenWords) -> bool:
    """None of them, as a word of its own."""
    words = "|".join(re.escape(word.strip()) for word in wanted.forbidden_words)
    return re.search(rf"(?<!\w)(?:{words})(?!\w)", completion, re.IGNORECASE) is None


def has_letter_so_often(completion: str, wanted: LetterFrequency) -> bool:
    """Small and capital alike."""
    return wanted.let_relation.holds(completion.lower().count(wanted.letter.lower()), wanted.let_frequency)


KINDS: dict[str, Kind[Any]] = {
    "keywords:existence": Kind(Keywords, have_keywords),
    "keywords:frequency": Kind(KeywordFrequency, has_keyword_so_often),
    "keywords:forbidden_words": Kind(ForbiddenWords, has_no_forbidden_word),
    "keywords:letter_frequency": Kind(LetterFrequency, has_letter_so_often),
}
