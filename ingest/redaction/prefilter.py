"""Which recognisers could find anything at all, told from single characters: most texts need none of them."""

from __future__ import annotations

import re
from enum import Flag, auto

DIGIT = re.compile(r"\d")


class Signs(Flag):
    """What a text holds that a finding cannot be without."""

    NONE = 0
    DIGIT = auto()
    AT = auto()
    DOTTED = auto()  # a dot inside a word, or a scheme's colon


DOTTED = re.compile(r"[^\W_][.:/][^\W_/]|://")


def signs_of(text: str) -> Signs:
    """Cheap: three searches that stop at their first hit."""
    signs = Signs.NONE
    if DIGIT.search(text):
        signs |= Signs.DIGIT
    if "@" in text:
        signs |= Signs.AT
    if DOTTED.search(text):
        signs |= Signs.DOTTED
    return signs
