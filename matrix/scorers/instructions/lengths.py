"""Instructions on length: words, sentences, paragraphs, and the word that a paragraph begins with.

"Don't" is one word. Sentences end as in `claims`; a model that counts them otherwise may differ by a few. Paragraphs
are parted by three asterisks, as IFEval asks for them, or by an empty line.
"""

from __future__ import annotations

import re
from typing import Any, Literal

from matrix.messages.base import Value
from matrix.scorers.claims import sentence_spans
from matrix.scorers.instructions.kind import Count, Kind, Ordinal, Relation, Words

_WORD = re.compile(r"\w+(?:['\u2019]\w+)*")
_ASTERISKS = re.compile(r"(?<!\*)\*{3}(?!\*)")
_EMPTY_LINE = re.compile(r"\n(?=[ \t\r]{0,20}\n)")


class WordCount(Value):
    """How many words."""

    relation: Relation = Relation.AT_LEAST
    num_words: Count


class SentenceCount(Value):
    """How many sentences."""

    relation: Relation = Relation.AT_LEAST
    num_sentences: Count


class ParagraphCount(Value):
    """How many paragraphs, and what parts them."""

    relation: Relation = Relation.EXACTLY
    num_paragraphs: Count
    separator: Literal["***", "empty line"] = "***"


class FirstWord(Value):
    """The word that a paragraph begins with, of so many parted by empty lines; None: of however many."""

    first_word: Words
    nth_paragraph: Ordinal
    num_paragraphs: Count | None = None


def has_so_many_words(completion: str, wanted: WordCount) -> bool:
    """Numbers count as words."""
    return wanted.relation.holds(sum(1 for _ in _WORD.finditer(completion)), wanted.num_words)


def has_so_many_sentences(completion: str, wanted: SentenceCount) -> bool:
    """Items of a list count as sentences."""
    return wanted.relation.holds(len(sentence_spans(completion)), wanted.num_sentences)


def has_so_many_paragraphs(completion: str, wanted: ParagraphCount) -> bool:
    """An empty paragraph between two separators is a fault, one at the beginning or end is not."""
    if wanted.separator == "empty line":
        return wanted.relation.holds(len(_paragraphs(completion)), wanted.num_paragraphs)
    parts = [part.strip() for part in _ASTERISKS.split(completion)]
    inner = parts[1:-1]
    return all(inner) and wanted.relation.holds(sum(map(bool, parts)), wanted.num_paragraphs)


def begins_paragraph_with_word(completion: str, wanted: FirstWord) -> bool:
    """Case and marks around the word do not matter; the number of paragraphs must be right too."""
    paragraphs = _paragraphs(completion)
    if wanted.num_paragraphs not in (None, len(paragraphs)) or wanted.nth_paragraph > len(paragraphs):
        return False
    first = paragraphs[wanted.nth_paragraph - 1].split(maxsplit=1)[0]
    return _bare(first) == _bare(wanted.first_word)


def _paragraphs(completion: str) -> list[str]:
    return [part.strip() for part in _EMPTY_LINE.split(completion) if part.strip()]


def _bare(word: str) -> str:
    """Without marks around it and what follows an apostrophe or mark inside it."""
    found = re.search(r"\w+", word)
    return found.group().lower() if found else word.lower()


KINDS: dict[str, Kind[Any]] = {
    "length_constraints:number_words": Kind(WordCount, has_so_many_words),
    "length_constraints:number_sentences": Kind(SentenceCount, has_so_many_sentences),
    "length_constraints:number_paragraphs": Kind(ParagraphCount, has_so_many_paragraphs),
    "length_constraints:nth_paragraph_first_word": Kind(FirstWord, begins_paragraph_with_word),
}
