"""What stands near a number or a word: the context that tells a phone number from an amount."""

from __future__ import annotations

import re


def before(text: str, start: int, words: re.Pattern[str], reach: int) -> re.Match[str] | None:
    """The first of these words among the `reach` characters before."""
    return words.search(text, max(0, start - reach), start)


def after(text: str, end: int, words: re.Pattern[str], reach: int) -> re.Match[str] | None:
    """The first of these words among the `reach` characters after."""
    return words.search(text, end, min(len(text), end + reach))
