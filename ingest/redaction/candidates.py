"""Runs of capitalised words that could name somebody or something, with what stands around them.

Everyday words are cut off a run's ends and split it. A text that is written in capitals, or in none, has no runs.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from ingest.redaction.everyday_words import is_everyday

CAPITALS = "".join(
    chr(code) for start, end in ((0x41, 0x250), (0x370, 0x530)) for code in range(start, end) if chr(code).isupper()
)
CAPITAL = f"[{CAPITALS}]"
WORD = rf"(?:{CAPITAL}\.(?!\w)|{CAPITAL}[^\W\d_]*+(?:[-'’](?!s\b)[^\W\d_]++)*+)"
SHORT_WORD = (  # where more must follow: a run without a bound would be gone over from each of its parts
    rf"(?:{CAPITAL}\.(?!\w)|{CAPITAL}[^\W\d_]{{0,60}}+(?:[-'’](?!s\b)[^\W\d_]{{1,60}}+){{0,6}}+)"
)
PARTICLE = (
    r"(?:van der|van den|van de|van|von|de la|de los|del|della|de|da|dos|das|do|di|du|der|den|ter|la|le|el|al|bin"
    r"|ibn|af"
    r"|av|zu)"
)
RUN = re.compile(rf"(?<![\w@#/&.]){WORD}(?:[ \t](?:{PARTICLE}[ \t])?{WORD})*+")
ONE = re.compile(WORD)
REACH = 48  # characters around a run that its recognisers look at
SENTENCE_END = re.compile(rf"(?:^|[.!?:…\n\"“(>•*-])[\s\"'“‘(>*-]{{0,{REACH}}}$")


@dataclass(frozen=True, slots=True)
class Candidate:
    """A run of words, none of them everyday, at [start, end)."""

    start: int
    end: int
    words: tuple[str, ...]
    before: str  # up to REACH characters
    after: str
    begins: bool  # a sentence, a line or a quotation

    @property
    def text(self) -> str:
        """As one string in lower case."""
        return " ".join(self.words).lower()


def candidates(text: str) -> Iterator[Candidate]:
    """In order; none in a text that shouts."""
    if is_shouted(text):
        return
    for run in RUN.finditer(text):
        yield from _pieces(text, run)


def _pieces(text: str, run: re.Match[str]) -> Iterator[Candidate]:
    held: list[re.Match[str]] = []
    for word in ONE.finditer(text, run.start(), run.end()):
        initial = held and len(word.group().rstrip(".")) == 1
        if not initial and is_everyday(word.group()):
            yield from _candidate(text, held)
            held = []
        else:
            held.append(word)
    yield from _candidate(text, held)


def _candidate(text: str, words: list[re.Match[str]]) -> Iterator[Candidate]:
    while words and len(words[-1].group().rstrip(".")) == 1:
        words.pop()
    if not words:
        return
    start, end = words[0].start(), words[-1].end()
    before = text[max(0, start - REACH) : start]
    yield Candidate(
        start,
        end,
        tuple(word.group() for word in words),
        before,
        text[end : end + REACH],
        begins=start == 0 or SENTENCE_END.search(before) is not None,
    )


def is_shouted(text: str) -> bool:
    """Most of the letters are capitals."""
    letters = sum(map(str.isalpha, text))
    return letters > 12 and sum(map(str.isupper, text)) > letters * 0.6
