"""What is left of an event or a completion whose person did not consent: that it came. It is counted, not kept."""

from __future__ import annotations

from matrix.messages.completion import ChatMessage, CompletionServed
from matrix.messages.feedback import FeedbackEvent

WITHHELD = "<WITHHELD>"


def feedback_without_words(event: FeedbackEvent) -> FeedbackEvent:
    """Ids, kind and time."""
    text = None if event.text is None else WITHHELD
    return event.model_copy(update={"text": text, "tags": {}, "user_id": None})


def completion_without_words(completion: CompletionServed) -> CompletionServed:
    """Ids, policy and time."""
    prompt = (ChatMessage(role="user", content=WITHHELD),)
    gone = {"prompt": prompt, "completion": WITHHELD, "user_id": None, "conversation_id": None}
    return completion.model_copy(update=gone)
