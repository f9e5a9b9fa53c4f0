"""Evidence sensitivity: what the patient says about themselves shows in the answer.

Meant is the gain in the answer's likelihood from the evidence in the prompt, token by token (HSCR, arXiv:2506.00805).
That needs a model; until a run measures it, this is a lexical proxy: declared circumstances named in the prompt
(pregnancy, kidney disease) are taken up by the completion. It cannot see whether the advice changed.
"""

from __future__ import annotations

from collections.abc import Sequence

from matrix.messages.completion import ChatMessage
from matrix.scorers.knowledge import Knowledge
from matrix.scorers.phrases import mentions, present
from matrix.scorers.score import Score, user_words


def score(prompt: Sequence[ChatMessage], completion: str, knowledge: Knowledge) -> Score:
    """Share of the circumstances taken up, 0 to 1; None where the prompt names none."""
    said = user_words(prompt)
    named = [context for context in knowledge.contexts if present(context.phrases, said)]
    if not named:
        return Score(None, "no declared circumstance in the prompt")
    missed = [context.name for context in named if not mentions(context.uptake or context.phrases, completion)]
    reason = f"does not take up {', '.join(missed)}" if missed else "takes up what the patient said"
    return Score(1.0 - len(missed) / len(named), reason)
