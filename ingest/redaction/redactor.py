"""A text without what names people: each finding gives way to a placeholder, and nothing can bring it back.

A text is gone over until nothing more is found in it, so redacting twice is redacting once whatever the rules are.
Every pass that finds something leaves fewer characters of the original, so it ends; a text that needs more passes
than any honest one is withheld whole.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ingest.redaction import rules
from ingest.redaction.findings import KEPT, Finding

MOST_PASSES = 12
WITHHELD = "<REDACTED>"
Find = Callable[[str], Sequence[Finding]]


def redact(text: str, find: Find = rules.find) -> str:
    """Placeholders for what was found; the rest of the text letter by letter."""
    for _ in range(MOST_PASSES):
        redacted = replace(text, find(text))
        if redacted == text:
            return text
        text = redacted
    return WITHHELD


def replace(text: str, findings: Sequence[Finding]) -> str:
    """The text with `<KIND>` in place of every finding that is not kept."""
    parts, at = [], 0
    for one in findings:
        if one.kind not in KEPT:
            parts += [text[at : one.start], f"<{one.kind}>"]
            at = one.end
    return "".join([*parts, text[at:]]) if parts else text
