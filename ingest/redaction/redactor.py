"""A text without what names people: each finding gives way to a placeholder, and nothing can bring it back.

A text is gone over until nothing more is found in it, so redacting twice is redacting once whatever the rules are.
Every pass that finds something leaves fewer characters of the original, so it ends; a text that needs more passes
than any honest one is withheld whole.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ingest.redaction import rules
from ingest.redaction.findings import KEPT, Finding, Kind

MOST_PASSES = 12
WITHHELD = f"<{Kind.WITHHELD}>"
Find = Callable[[str], Sequence[Finding]]


def redact(text: str, find: Find = rules.find) -> str:
    """Placeholders for what was found; the rest of the text letter by letter."""
    for _ in range(MOST_PASSES):
        redacted = replace(text, find(text))
        if redacted == text:
            return text
        text = redacted
    return WITHHELD


def traced(text: str, find: Find = rules.find) -> tuple[str, list[Finding]]:
    """The same text, and every finding, kept or replaced, where it stands in the original."""
    origin: Sequence[int] = range(len(text))  # of every character of `now`
    now, placed = text, set[Finding]()
    for _ in range(MOST_PASSES):
        findings = find(now)
        placed |= {one._replace(start=origin[one.start], end=origin[one.end - 1] + 1) for one in findings}
        gone = [one for one in findings if one.kind not in KEPT]
        if not gone:
            return now, _without_overlaps(placed, len(text))
        now, origin = replace(now, findings), _origins(origin, gone)
    return WITHHELD, [Finding(0, len(text), Kind.WITHHELD)]


def replace(text: str, findings: Sequence[Finding]) -> str:
    """The text with `<KIND>` in place of every finding that is not kept."""
    parts, at = [], 0
    for one in findings:
        if one.kind not in KEPT:
            parts += [text[at : one.start], f"<{one.kind}>"]
            at = one.end
    return "".join([*parts, text[at:]]) if parts else text


def _origins(origin: Sequence[int], gone: Sequence[Finding]) -> list[int]:
    """A placeholder's characters all come from where its finding began."""
    moved: list[int] = []
    at = 0
    for one in gone:
        moved += origin[at : one.start]
        moved += [origin[one.start]] * (len(one.kind) + 2)
        at = one.end
    return [*moved, *origin[at:]]


def _without_overlaps(placed: set[Finding], length: int) -> list[Finding]:
    """What was kept in one pass may lie in what a later one replaced."""
    replaced = [one for one in placed if one.kind not in KEPT]
    gone = bytearray(length)
    for one in replaced:
        gone[one.start : one.end] = b"\1" * (one.end - one.start)
    kept = [one for one in placed if one.kind in KEPT and not any(gone[one.start : one.end])]
    return sorted({(one.start, one.end): one for one in [*kept, *replaced]}.values())
