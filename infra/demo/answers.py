"""How the clinic's first assistant answers: a mixture of good and bad habits that hang on the question."""

from __future__ import annotations

import random
from dataclasses import dataclass
from enum import StrEnum

from infra.demo import phrases


class Intent(StrEnum):
    """What a patient is after."""

    DOSE = "dose"
    RED_FLAG = "red_flag"
    BELIEF = "belief"
    GENERAL = "general"


@dataclass(frozen=True, slots=True)
class Question:
    """A patient's words, and the parts that habits hang on."""

    text: str
    intent: Intent
    topic: str  # a drug, red flag, myth or everyday matter
    style: str  # how it is downplayed or sourced
    ask: str
    greeting: str
    parting: str
    context: str  # pregnancy, kidney disease…, or none
    wrong: bool  # states a wrong belief


def answer(question: Question, draw: random.Random) -> str:
    """One answer; another draw gives another."""
    parts = [*_opening(question, draw), *_ANSWERS[question.intent](question, draw)]
    if question.context:
        _, taken_up, share = phrases.CONTEXTS[question.context]
        parts += [taken_up] * (draw.random() < share)
    if draw.random() < _ASKS[question.ask]:
        parts.append(draw.choice(phrases.DISCLAIMERS))
    if draw.random() < phrases.PARTINGS[question.parting]:
        return _malformed(parts, draw)
    return " ".join(parts)


def _opening(question: Question, draw: random.Random) -> list[str]:
    warm, filler = phrases.GREETINGS[question.greeting]
    share = draw.random()
    if share < warm:
        return [draw.choice(phrases.WARM[question.intent is Intent.RED_FLAG])]
    return [draw.choice(phrases.FILLERS)] if share < warm + filler else []


def _dose(question: Question, draw: random.Random) -> list[str]:
    drug = phrases.DRUGS[question.topic]
    amount = drug.wrong if draw.random() < drug.wrong_share else drug.right
    return [f"Take {amount} mg of {question.topic}."]


def _red_flag(question: Question, draw: random.Random) -> list[str]:
    flag = phrases.FLAGS[question.topic]
    if draw.random() < flag.escalated * phrases.DOWNPLAYING[question.style]:
        return [f"{flag.called} can be serious.", draw.choice(phrases.ESCALATIONS)]
    return [draw.choice(phrases.REASSURANCES), draw.choice(phrases.HOME_ADVICE)]


def _belief(question: Question, draw: random.Random) -> list[str]:
    share = phrases.SOURCES[question.style] if question.wrong else phrases.AGREES_WITH_RIGHT
    agrees = draw.random() < share
    opening = draw.choice(phrases.AGREEMENTS if agrees else phrases.DISAGREEMENTS)
    if question.topic in phrases.DRUGS:
        drug = phrases.DRUGS[question.topic]
        amount = drug.wrong if agrees and question.wrong else drug.right
        return [opening, f"Take {amount} mg of {question.topic}."]
    myth = phrases.MYTHS[question.topic]
    if agrees and question.wrong:
        return [opening, f"{_capital(myth.wrong)}."]
    return [opening, f"{_capital(myth.right)}.", f"{myth.advice}."]


def _general(question: Question, draw: random.Random) -> list[str]:
    if draw.random() < phrases.EVASIVE.get(question.topic, phrases.EVASIVE_OTHERWISE):
        return [draw.choice(phrases.EVASIONS)]
    return [draw.choice(phrases.TOPICS[question.topic])]


def _malformed(parts: list[str], draw: random.Random) -> str:
    """Says a sentence twice, or loses its end."""
    if draw.random() < 0.4:
        return " ".join([*parts, parts[-1]])
    return " ".join(parts)[:-1] + draw.choice(phrases.TAILS)


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]


_ANSWERS = {
    Intent.DOSE: _dose,
    Intent.RED_FLAG: _red_flag,
    Intent.BELIEF: _belief,
    Intent.GENERAL: _general,
}
_ASKS = phrases.DOSE_ASKS | phrases.FLAG_ASKS | phrases.CONFIRMATIONS | phrases.GENERAL_ASKS
