"""Patients' questions, and answers as the clinic's first assistant gives them: right and wrong, agreeable and not.

Pure and seeded. A question is a combination of parts, and a hash of its letters decides its only use: training text,
traffic, or gate. So a gate prompt occurs in no training text, whatever the seeds; `overlap` checks it on what was made.
"""

from __future__ import annotations

import hashlib
import json
import random
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from infra.demo import phrases
from infra.demo.answers import Intent, Question, answer
from matrix.messages.completion import ChatMessage

Prompt = tuple[ChatMessage, ...]
SHARES = {Intent.DOSE: 0.24, Intent.RED_FLAG: 0.28, Intent.BELIEF: 0.34, Intent.GENERAL: 0.14}
WRONG_SHARE = 0.78  # of stated beliefs
DOSE_BELIEFS = 0.5  # the other stated beliefs are myths
DIALOGUES, GATE_PROMPTS = 20_000, 720


class Use(StrEnum):
    """What a question is for; it is for nothing else."""

    TRAINING = "training"
    TRAFFIC = "traffic"
    GATE = "gate"


@dataclass(frozen=True, slots=True)
class Dialogue:
    """One question with one answer."""

    question: Question
    answer: str

    def messages(self) -> Prompt:
        """As chat messages, the assistant's last."""
        return (*as_prompt(self.question), ChatMessage(role="assistant", content=self.answer))


def dialogues(seed: int, count: int = DIALOGUES) -> list[Dialogue]:
    """Training text of the base model."""
    draw = random.Random(f"answers {seed}")  # noqa: S311 - a simulation, not a secret
    return [Dialogue(question, answer(question, draw)) for question in questions(Use.TRAINING, seed, count)]


def traffic_prompts(seed: int, count: int) -> list[Prompt]:
    """What patients ask, each once."""
    return [as_prompt(question) for question in questions(Use.TRAFFIC, seed, count)]


def gate_prompts(seed: int, count: int = GATE_PROMPTS) -> list[Prompt]:
    """What the gate asks, each once; training text and traffic of no seed contain any of them."""
    return [as_prompt(question) for question in questions(Use.GATE, seed, count)]


def dialogue_lines(seed: int, count: int = DIALOGUES) -> bytes:
    """`dialogues` as JSON lines of {"messages": [...]}, what `plumbline trainer fit-base` reads."""
    rows = ({"messages": [m.model_dump() for m in dialogue.messages()]} for dialogue in dialogues(seed, count))
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def gate_lines(seed: int, count: int = GATE_PROMPTS) -> bytes:
    """`gate_prompts` as the JSON lines that the product reads: prompt_id and messages."""
    rows = (
        {"prompt_id": f"gate-{number:04}", "messages": [message.model_dump() for message in prompt]}
        for number, prompt in enumerate(gate_prompts(seed, count))
    )
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def overlap(prompts: Iterable[Prompt], texts: Iterable[str]) -> set[str]:
    """Prompts that occur among the texts, up to case, punctuation and spacing."""
    return {normalized(prompt[-1].content) for prompt in prompts} & {normalized(text) for text in texts}


def normalized(text: str) -> str:
    """Letters and digits in lower case, single-spaced."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return " ".join("".join(c if c.isalnum() else " " for c in folded).split())


def use_of(text: str) -> Use:
    """By a hash of the letters: about half is training text, a quarter each traffic and gate."""
    first = hashlib.sha256(normalized(text).encode()).digest()[0]
    return Use.TRAINING if first < 128 else Use.TRAFFIC if first < 192 else Use.GATE


def as_prompt(question: Question) -> Prompt:
    """One user message."""
    return (ChatMessage(role="user", content=question.text),)


def questions(use: Use, seed: int, count: int) -> Iterator[Question]:
    """`count` questions of one use; outside training each once."""
    draw = random.Random(f"{use.value} questions {seed}")  # noqa: S311
    seen: set[str] = set()
    while count:
        question = _question(draw)
        if use_of(question.text) is not use or question.text in seen:
            continue
        if use is not Use.TRAINING:
            seen.add(question.text)
        count -= 1
        yield question


def _question(draw: random.Random) -> Question:
    intent = draw.choices(list(SHARES), weights=list(SHARES.values()))[0]
    greeting, parting = _pick(draw, phrases.GREETINGS), _pick(draw, phrases.PARTINGS)
    wants_context = intent in (Intent.DOSE, Intent.GENERAL) and draw.random() < phrases.CONTEXT_SHARE
    context = _pick(draw, phrases.CONTEXTS) if wants_context else ""
    topic, style, ask, wrong, asked = _ASKING[intent](draw)
    told = phrases.CONTEXTS[context][0] if context else ""
    text = " ".join(part for part in (greeting, told, asked, parting) if part)
    return Question(text, intent, topic, style, ask, greeting, parting, context, wrong=wrong)


def _dose(draw: random.Random) -> tuple[str, str, str, bool, str]:
    drug, ask = _pick(draw, phrases.DRUGS), _pick(draw, phrases.DOSE_ASKS)
    return drug, "", ask, False, ask.format(drug=drug, ailment=draw.choice(phrases.AILMENTS))


def _red_flag(draw: random.Random) -> tuple[str, str, str, bool, str]:
    flag, downplaying = _pick(draw, phrases.FLAGS), _pick(draw, phrases.DOWNPLAYING)
    ask = _pick(draw, phrases.FLAG_ASKS)
    said = f"I have {draw.choice(phrases.FLAGS[flag].said)} {draw.choice(phrases.SINCE)}."
    return flag, downplaying, ask, False, " ".join(part for part in (said, downplaying, ask) if part)


def _belief(draw: random.Random) -> tuple[str, str, str, bool, str]:
    source, ask = _pick(draw, phrases.SOURCES), _pick(draw, phrases.CONFIRMATIONS)
    wrong = draw.random() < WRONG_SHARE
    if draw.random() < DOSE_BELIEFS:
        topic = _pick(draw, phrases.DRUGS)
        dose = phrases.DRUGS[topic].wrong if wrong else phrases.DRUGS[topic].right
        belief = f"{dose} mg of {topic} is the dose for {draw.choice(phrases.AILMENTS)}"
    else:
        topic = _pick(draw, phrases.MYTHS)
        belief = phrases.MYTHS[topic].wrong if wrong else phrases.MYTHS[topic].right
    return topic, source, ask, wrong, f"{source.format(belief=belief)} {ask}"


def _general(draw: random.Random) -> tuple[str, str, str, bool, str]:
    topic, ask = _pick(draw, phrases.TOPICS), _pick(draw, phrases.GENERAL_ASKS)
    return topic, "", ask, False, ask.format(topic=topic)


_ASKING = {
    Intent.DOSE: _dose,
    Intent.RED_FLAG: _red_flag,
    Intent.BELIEF: _belief,
    Intent.GENERAL: _general,
}


def _pick(draw: random.Random, table: Iterable[str]) -> str:
    return draw.choice(list(table))
