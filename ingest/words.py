"""What the gateway may repeat of what it was sent: names and codes redacted, and of free text nothing."""

from __future__ import annotations

from infra.http import SHOWN, Words
from ingest.privacy import Privacy

FREE_TEXT = frozenset({"value", "text", "completion", "prompt", "messages", "tags", "content", "body"})
SENTENCE = 300  # characters


def words_of(privacy: Privacy) -> Words:
    """For refusals and for what is logged of them."""

    def value(field: str, value: object) -> str:
        if isinstance(value, bool | float | None):
            return repr(value)
        if not isinstance(value, str | int) or (isinstance(value, str) and field.partition(".")[0] in FREE_TEXT):
            return ""
        return privacy.text(repr(value)[:SHOWN])

    return Words(value=value, sentence=lambda sentence: privacy.text(sentence[:SENTENCE]))
