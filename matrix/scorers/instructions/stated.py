"""Instructions that a user states in plain words: "in at most 50 words", "as JSON", "no commas", "in three bullets".

English rules over the user's words; each finds a statement and says which instruction of the table it is. What stands
inside a longer quotation is talked about, not asked for, and what is denied ("it need not be JSON") is not asked for
either. Left out: what is stated about ("about 100 words"), by example alone, or in an earlier turn.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from matrix.errors import InvalidInput
from matrix.scorers.instructions import stated_forms, stated_lengths, stated_words
from matrix.scorers.instructions.kinds import Instruction, instruction
from matrix.scorers.instructions.rule import Rule
from matrix.scorers.phrases import is_denied, plain

LONGEST = 20_000  # characters of a prompt that are read for instructions
RULES: tuple[Rule, ...] = (*stated_lengths.RULES, *stated_words.RULES, *stated_forms.RULES)
_LINE = re.compile(r"[^\n]+")
_SPOKEN_OF = 4  # words from which on a quotation is a text of its own


def stated_instructions(prompt: str) -> list[Instruction]:
    """What the words ask for, each instruction once, in the order of the table of rules."""
    said = plain(prompt[:LONGEST])
    quotations = [span for line in _LINE.finditer(said) for span in _quotations(said, *line.span())]
    found = [one for rule in RULES for one in _by(rule, said, quotations)]
    return list(dict.fromkeys(found))


def _quotations(said: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Where longer ones stand in a line."""
    marks = [at for at in range(start, end) if said[at] == '"']
    for opens, closes in zip(marks[::2], marks[1::2], strict=False):  # the last may stay open
        if len(said[opens:closes].split()) >= _SPOKEN_OF:
            yield opens, closes


def _by(rule: Rule, said: str, quotations: list[tuple[int, int]]) -> Iterator[Instruction]:
    for match in rule.pattern.finditer(said):
        at = match.start()
        if not rule.may_be_quoted and any(start < at < end for start, end in quotations):
            continue
        if not rule.may_be_denied and is_denied(said, at, match.end()):
            continue
        for kind, arguments in rule.read(match):
            try:
                yield instruction(kind, arguments)
            except InvalidInput:  # words that look like an instruction and hold no number or word that one takes
                continue
