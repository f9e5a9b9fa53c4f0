"""Satisfaction and report risk learned from a snapshot's labels: logistic regression over a completion's n-grams.

Nobody can ask patients about rollouts, so training and the gate's satisfaction cell use this model. Labels are
probabilities, fitted as two weighted rows each. Ridge penalty, one strength, chosen for some hundred labels; a rare
n-gram says nothing. What is fitted comes out as matrix.scorers.learned.NgramModel, which needs no library to predict.
Left out: who answers at all (propensity), delay, calibration curves.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression

from matrix.errors import InvalidInput
from matrix.messages.sample import ScoredSample
from matrix.scorers.learned import NgramModel, features

SATISFACTION, REPORT_RISK = "satisfaction", "report_risk"
STRENGTH = 1.0  # inverse of the ridge penalty
LEAST_SEEN = 4  # completions in which an n-gram must occur
LEAST_LABELS = 20  # below it a model would be chance
LEAST_REPORTS = 10  # below it the rate is all that can be told


def fit_learned(samples: Sequence[ScoredSample]) -> dict[str, NgramModel]:
    """The learned scorers by name; the same samples give the same models. InvalidInput with too few labels."""
    told = [(sample.completion, sample.satisfaction) for sample in samples if sample.satisfaction is not None]
    if len(told) < LEAST_LABELS:
        remedy = f"at least {LEAST_LABELS} completions with feedback"
        raise InvalidInput(field="snapshot", value=f"{len(told)} labels", remedy=remedy)
    reports = [(sample.completion, float(sample.reported)) for sample in samples]
    enough = sum(reported for _, reported in reports) >= LEAST_REPORTS
    return {SATISFACTION: _fit(told), REPORT_RISK: _fit(reports) if enough else _constant(reports)}


def _fit(labelled: Sequence[tuple[str, float]]) -> NgramModel:
    texts = [text for text, _ in labelled]
    shares = np.array([share for _, share in labelled])
    vectorizer = CountVectorizer(analyzer=features, min_df=min(LEAST_SEEN, len(texts)), binary=True)
    try:
        counts = vectorizer.fit_transform(texts)
    except ValueError:  # no n-gram is frequent enough
        return _constant(labelled)
    rows = np.concatenate([np.arange(len(texts))] * 2)
    classes = np.repeat([1, 0], len(texts))
    weights = np.concatenate([shares, 1.0 - shares])
    model = LogisticRegression(C=STRENGTH, max_iter=1000, tol=1e-6)
    model.fit(counts[rows], classes, sample_weight=weights)
    return NgramModel.from_pairs(model.intercept_[0], vectorizer.get_feature_names_out(), model.coef_[0])


def _constant(labelled: Sequence[tuple[str, float]]) -> NgramModel:
    """The rate alone, shrunk by one label of each kind."""
    rate = (sum(share for _, share in labelled) + 1.0) / (len(labelled) + 2.0)
    return NgramModel(math.log(rate / (1.0 - rate)))
