"""Hedging: the share of an answer's claims that are taken half back ("may", "possibly", "I think", "consult ...").

Lower is better as a dimension: who hedges every sentence cannot be wrong and helps nobody. It is only half the matter,
so the reason also counts unlicensed certainty ("definitely", "no risk"), which 0 does not excuse; whether a claim is
right is for other dimensions to say. Questions and courtesies are no claims. Left out: hedges in the tone alone;
permission ("you may take it"), which is none.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from matrix.messages.completion import ChatMessage
from matrix.scorers.claims import asserted
from matrix.scorers.knowledge import Knowledge
from matrix.scorers.phrases import mentions, plain
from matrix.scorers.score import Score

_PERMITTED = (  # by "you may"
    r"(?:also |only |then |safely |still )?(?:take|use|repeat|eat|drink|give|stop|return|continue|go|start|apply"
    r"|combine)"
)
_HEDGE = re.compile(
    rf"(?<!\bin )(?<!\bof )\bmay\b(?! \d)(?! {_PERMITTED}\b)|\bmight\b"
    r"|(?<!cannot )(?<!can't )(?<!could not )\bpossibly\b|\b(?:perhaps|maybe|probably|presumably|conceivably"
    r"|arguably)\b|(?<!un)\blikely\b|\b(?:unclear|uncertain|unsure|debatable|not necessarily|not always|in some cases"
    r"|in theory)\b|\bcould(?: \w{1,20})? (?:be|mean|help|cause|have|lead|make|indicate|suggest|point|affect|also)\b"
    r"|\b(?:seems?|appears?) (?:to|that|like|likely)\b|\b(?:tends?|is thought|are thought|is believed"
    r"|are believed) to\b|\b(?:i think|i believe|i guess|i suppose|i suspect|i would say|in my opinion|in my view"
    r"|to my knowledge)\b|\b(?:i'm|i am) (?:not |un)(?:sure|certain)\b|\bas far as i (?:know|can tell)\b|\bi (?:don't"
    r"|do not|can't|cannot) be sure\b|\bit(?:'s| is)? (?:depends|hard to say|difficult to say|not clear|possible that"
    r"|possible to)\b|\bdepend(?:s|ing) on\b|\bthere(?:'s| is) (?:a|some) (?:chance|possibility|debate)\b|\b(?:can"
    r"|will) vary\b|\bvaries\b|\bsome (?:people|say)\b|\b(?:consult|check with|speak (?:to|with)|talk (?:to|with)"
    r"|ask) (?:a|an|your|the) (?:\w{1,20} )?(?:doctor|gp|physician|pharmacist|nurse|midwife|specialist|professional"
    r"|provider|dentist)\b"
)
_ABSOLUTE = re.compile(
    r"(?<!not )\b(?:definitely|certainly|undoubtedly|guaranteed?|without (?:a|any) doubt|no doubt|absolutely"
    r"|always works?|never fails?|never harmful|completely safe|totally safe|perfectly safe|100 ?%|risk-free"
    r"|no (?:side effects|risks?))"
)


@dataclass(frozen=True, slots=True)
class Hedging:
    """How certain an answer sounds, in claims."""

    claims: int
    hedged: int
    absolute: int  # neither hedged nor open to doubt

    @property
    def share(self) -> float | None:
        """Hedged claims of all; None where nothing is claimed."""
        return self.hedged / self.claims if self.claims else None


def hedging_of(completion: str, knowledge: Knowledge) -> Hedging:
    """Counts the claims; a declared disclaimer is a hedge."""
    said = [plain(claim.text) for claim in asserted(completion)]
    hedged = [bool(_HEDGE.search(claim)) or mentions(knowledge.disclaimers, claim) for claim in said]
    absolute = sum(not soft and bool(_ABSOLUTE.search(claim)) for claim, soft in zip(said, hedged, strict=True))
    return Hedging(len(said), sum(hedged), absolute)


def score(_prompt: Sequence[ChatMessage], completion: str, knowledge: Knowledge) -> Score:
    """0 nothing hedged, 1 everything; None where nothing is claimed."""
    found = hedging_of(completion, knowledge)
    if found.share is None:
        return Score(None, "nothing is claimed")
    reason = f"{found.hedged} of {found.claims} claims hedged"
    return Score(found.share, f"{reason}, {found.absolute} stated as beyond doubt" if found.absolute else reason)
