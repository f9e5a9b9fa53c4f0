"""Texts redacted a second on one core, rules only, where one text in twenty holds a finding.

Texts are made here from a seed: what people ask and say about answers, a tenth of them with doses and times. The peer
is Presidio's AnalyzerEngine with a blank spaCy pipeline and its predefined recognisers, where presidio-analyzer is
installed; it finds no names, ours does. It is given fewer texts, being slower.
"""

from __future__ import annotations

import contextlib
import logging
import random
import time
from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Any

from infra.bench import Figure, Profile, Target
from ingest.redaction import redactor, rules

TEXTS, PEER_TEXTS, QUICK_TEXTS = 40_000, 500, 400
ROUNDS = 5  # the best one counts: others share the machine
FINDING_EVERY = 20
LEAST = 10_000.0
PEER = "presidio-analyzer, blank pipeline"
SUBJECTS = (
    "The answer",
    "Your reply about side effects",
    "What it said on sleep",
    "This explanation",
    "The second part",
)
VERDICTS = (
    "was clear and helped me a lot, thank you.",
    "did not say what to do when the pain comes back at night.",
    "is wrong: my pharmacist told me the opposite yesterday.",
    "was far too long, I only wanted to know whether it is safe.",
    "should mention pregnancy and kidney disease.",
)
DOSES = ("I take 400 mg every 6 hours.", "Is 2 tablets in 24 hours too much?", "It began at 7 pm, 3 days ago.")
FINDINGS = (
    "Please write to {name}.{number}@example.org about it.",
    "Call me on 020 7946 {number}, my name is {Name} Miller.",
    "My record is MRN {number}77 and I was born on 3 May 19{short}.",
    "I live at {short} Harbour Street, ask for {Name}.",
    "I paid with 4111 1111 1111 1111 from 192.0.2.{short}.",
)
NAMES = ("anna", "peter", "maria", "john", "fatima", "lucas")


def measure(profile: Profile) -> list[Figure]:
    """Texts a second, beside the peer's on a part of the same texts."""
    texts = list(made(profile.seed, QUICK_TEXTS if profile.quick else TEXTS))
    shared = texts[: QUICK_TEXTS if profile.quick else PEER_TEXTS]
    holding = sum(1 for text in texts if rules.find(text)) / len(texts)
    peer = _peer()
    return [
        Figure(
            name="texts redacted on one core",
            unit="texts/s",
            value=_rate(redactor.redact, texts),
            peer=_rate(peer, shared) if peer else None,
            peer_name=PEER if peer else None,
            target=Target(at_least=LEAST),
        ),
        Figure(name="texts that hold a finding", unit="share", value=holding),
    ]


def made(seed: int, count: int) -> Iterator[str]:
    """Texts of one to three sentences; every twentieth holds a finding."""
    draw = random.Random(f"redaction {seed}")
    for number in range(count):
        parts = [f"{draw.choice(SUBJECTS)} {draw.choice(VERDICTS)}"]
        if draw.random() < 0.1:
            parts.append(draw.choice(DOSES))
        if draw.random() < 0.5:
            parts.append(f"{draw.choice(SUBJECTS)} {draw.choice(VERDICTS)}")
        if number % FINDING_EVERY == 0:
            name, digits, short = draw.choice(NAMES), draw.randint(1000, 9999), draw.randint(10, 99)
            parts.append(draw.choice(FINDINGS).format(name=name, Name=name.capitalize(), number=digits, short=short))
        yield " ".join(parts)


def _rate(redact: Callable[[str], Any], texts: list[str]) -> float:
    """Of processor time, so that neighbours on the machine cost nothing."""
    best = float("inf")
    for _ in range(ROUNDS):
        began = time.process_time()
        for text in texts:
            redact(text)
        best = min(best, time.process_time() - began)
    return len(texts) / best


def _peer() -> Callable[[str], Any] | None:
    """Without a model and without the network: the suffix list that comes with tldextract."""
    with contextlib.suppress(ModuleNotFoundError):
        logging.getLogger("presidio-analyzer").setLevel(logging.ERROR)
        presidio, nlp = import_module("presidio_analyzer"), import_module("presidio_analyzer.nlp_engine")
        import_module("tldextract").tldextract.TLD_EXTRACTOR = import_module("tldextract").TLDExtract(
            suffix_list_urls=()
        )
        engine = nlp.SpacyNlpEngine(models=[{"lang_code": "en", "model_name": "blank"}])
        engine.nlp = {"en": import_module("spacy").blank("en")}
        analyzer = presidio.AnalyzerEngine(nlp_engine=engine, supported_languages=["en"])
        return lambda text: analyzer.analyze(text, language="en")
    return None
