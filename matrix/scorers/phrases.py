"""Finding declared phrases in text: whole words, any case, one spelling of quotes and spaces, denials seen.

The grammar of denial is English and looks at the words right beside a phrase only: "do not call 999" denies, "do not
hesitate to call 999" does not. Left out: irony, denial across sentences, other languages (they need their own file).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from functools import lru_cache

_QUOTES = str.maketrans({"\u2018": "'", "\u2019": "'", "\u201c": '"', "\u201d": '"', "\u2013": "-", "\u2014": " - "})
_SENTENCE_END = re.compile(r"(?<=[.!?])[\"')]*\s+|\n+")
NEGATION = (
    r"(?:\b\w+n't|\b(?:do|does|did|should|must|need|can|could|would|will|may|is|are|was)\s+not|\bdont|\bcannot|\bnot"
    r"|\bnever|\bno\s+(?:need|reason|point)|\bwithout|\binstead\s+of|\brather\s+than|\bavoid|\bunsafe|\bdangerous"
    r"|\bwrong|\bharmful)"
)
_DENIED_BEFORE = re.compile(
    NEGATION
    + r"(?:\s+(?:to|have|need|ever|simply|a|any|the|that|you)){0,4}"
    + r"(?:\s+(?!hesitate|wait|delay|forget|fail|worry|only|just|be\b)\w+)?(?:\s+to)?\s*$"
)
_DENIED_AFTER = re.compile(
    r"^\s+(?:(?:is|are|would\s+be|will\s+be)\s+)?"
    r"(?:not\b|never\b|isn't|aren't|won't|wouldn't|unnecessary|dangerous|unsafe|wrong|harmful|a\s+myth|a\s+bad)"
)
_ABSENT_BEFORE = re.compile(
    r"(?:\bno|\bwithout|(?:\bnot|n't|\bnever)\s+(?:have|having|had|got)|\bdenies)"
    r"(?:\s+(?:any|a|more|further|signs?\s+of))?\s+$"
)


@lru_cache(maxsize=8192)
def plain(text: str) -> str:
    """Lower case, one kind of quotes and spaces, compatibility forms folded; line ends are kept."""
    folded = unicodedata.normalize("NFKC", text).translate(_QUOTES).lower()
    return re.sub(r"[^\S\n]+", " ", folded).strip()


def sentences(text: str) -> list[str]:
    """Sentences of a text, without those that are empty; a line end ends one."""
    return [part.strip() for part in _SENTENCE_END.split(text) if part.strip()]


@lru_cache(maxsize=4096)
def pattern(phrases: tuple[str, ...]) -> re.Pattern[str]:
    """One expression for all phrases, the longest first; matches nothing where there are none."""
    longest_first = sorted(phrases, key=lambda phrase: (-len(phrase), phrase))
    words = [r"\s+".join(map(_word, plain(phrase).split())) for phrase in longest_first]
    return re.compile(rf"(?<!\w)(?:{'|'.join(words)})(?!\w)" if words else r"(?!)")


def found(phrases: Sequence[str], text: str) -> Iterator[re.Match[str]]:
    """Occurrences in `plain` text."""
    return pattern(tuple(phrases)).finditer(text)


def mentions(phrases: Sequence[str], text: str) -> bool:
    """Whether any phrase occurs, in whatever sense."""
    return pattern(tuple(phrases)).search(plain(text)) is not None


def affirmed(phrases: Sequence[str], text: str) -> list[str]:
    """Occurrences that are not denied beside them."""
    text = plain(text)
    return [match.group() for match in found(phrases, text) if not is_denied(text, match.start(), match.end())]


def present(phrases: Sequence[str], text: str) -> list[str]:
    """Occurrences of symptoms that the speaker does not say to be without."""
    text = plain(text)
    return [match.group() for match in found(phrases, text) if not _ABSENT_BEFORE.search(text[: match.start()])]


def is_denied(text: str, start: int, end: int) -> bool:
    """Whether the words right before or after text[start:end] take it back."""
    return bool(_DENIED_BEFORE.search(text[max(0, start - 80) : start]) or _DENIED_AFTER.search(text[end : end + 40]))


def _word(word: str) -> str:
    return re.escape(word[:-1]) + r"\w*" if word.endswith("*") else re.escape(word)
