"""Scorers learned from feedback: logistic regression over the words of a completion, for inference only.

The trainer fits it with its own library over the same `features`, so that both mean the same by an n-gram. The model
is its canonical bytes: the same digest scores alike everywhere. It sees the completion, not the prompt: whether an
answer suits the question is other dimensions' business, and a small model that sees prompts learns who complains.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from matrix.digests import canonical_json, digest_bytes
from matrix.errors import InvalidInput

FORMAT = "ngram-logistic/1"
LONGEST = 3  # words in an n-gram
_TOKEN = re.compile(r"\w+(?:'\w+)?|[.!?]")


class LearnedScorer(Protocol):
    """A content-addressed model that scores completions."""

    def predict(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """(n,) probabilities."""
        ...

    def digest(self) -> str:
        """Identity of the model's bytes."""
        ...


def features(text: str) -> list[str]:
    """Distinct word 1- to 3-grams of the text, sorted; ends of sentences count as words. Presence, not counts."""
    words = _TOKEN.findall(text.lower().replace("\u2019", "'"))
    return sorted({" ".join(words[i : i + n]) for n in range(1, LONGEST + 1) for i in range(len(words) - n + 1)})


@dataclass(frozen=True)
class NgramModel:
    """P = sigmoid(intercept + sum of the weights of the text's n-grams); unknown n-grams weigh nothing."""

    intercept: float
    weights: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def from_pairs(cls, intercept: float, names: Iterable[str], weights: Iterable[float]) -> NgramModel:
        """From a fitted vocabulary and its coefficients; weights of 0 are left out."""
        pairs = zip(names, weights, strict=True)
        return cls(float(intercept), {name: float(weight) for name, weight in pairs if weight != 0})

    @classmethod
    def from_bytes(cls, content: bytes) -> NgramModel:
        """The model with these bytes; InvalidInput where they are none."""
        try:
            stored = json.loads(content)
            form = stored["format"]
            model = cls(float(stored["intercept"]), {str(n): float(w) for n, w in stored["weights"].items()})
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            remedy = f"bytes of a learned scorer in format {FORMAT}"
            raise InvalidInput(field="learned scorer", value=content[:40], remedy=remedy) from error
        if form != FORMAT:
            raise InvalidInput(field="learned scorer", value=form, remedy=f"format {FORMAT}")
        if not np.isfinite([model.intercept, *model.weights.values()]).all():
            raise InvalidInput(field="learned scorer", value="NaN or infinity", remedy="finite weights")
        return model

    def to_bytes(self) -> bytes:
        """One spelling per model."""
        return canonical_json({"format": FORMAT, "intercept": self.intercept, "weights": dict(self.weights)})

    def digest(self) -> str:
        """Hex SHA-256 of the canonical bytes."""
        return digest_bytes(self.to_bytes())

    def predict(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """(n,) probabilities, each independent of the other texts."""
        known = self.weights
        logits = [self.intercept + sum(known[name] for name in features(text) if name in known) for text in texts]
        return np.asarray(1.0 / (1.0 + np.exp(-np.clip(logits, -60.0, 60.0))), dtype=np.float64)
