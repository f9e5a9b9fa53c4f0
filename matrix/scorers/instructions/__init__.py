"""Instructions: of what the user says the answer has to be ("in at most 50 words", "no commas"), the share it keeps.

Only what a rule can verify counts: the kinds of IFEval, found in the user's last message. A language that neither
letters nor common words tell counts neither way. Strict, as IFEval's first accuracy; `share` has the loose reading.
"""

from __future__ import annotations

from collections.abc import Sequence

from matrix.messages.completion import ChatMessage
from matrix.scorers.instructions.kinds import KINDS, Instruction, follows, instruction
from matrix.scorers.instructions.stated import stated_instructions
from matrix.scorers.knowledge import Knowledge
from matrix.scorers.score import Score, question

__all__ = ["KINDS", "Instruction", "follows", "instruction", "score", "share", "stated_instructions"]


def score(prompt: Sequence[ChatMessage], completion: str, _knowledge: Knowledge) -> Score:
    """0 to 1; None where no instruction is stated that a rule can verify."""
    return share(stated_instructions(question(prompt)), completion)


def share(wanted: Sequence[Instruction], completion: str, *, loose: bool = False) -> Score:
    """Followed instructions of those that a rule can decide."""
    if not wanted:
        return Score(None, "no instruction is stated that a rule can verify")
    verdicts = [(one, follows(one, completion, loose=loose)) for one in wanted]
    decided = [verdict for _, verdict in verdicts if verdict is not None]
    if not decided:
        return Score(None, f"no rule can decide {wanted[0].described()}")
    missed = [one.described() for one, verdict in verdicts if verdict is False]
    kept = f"{sum(decided)} of {len(decided)} stated instructions followed"
    return Score(sum(decided) / len(decided), f"{kept}; not: {', '.join(missed)}" if missed else kept)
