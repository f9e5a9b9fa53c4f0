"""From completions to advantages: scored on the matrix, in units of the reference policy, weighted, safety held.

All mathematics is matrix.alignment's; this file keeps what lasts over a run: the frozen reference statistics, the
weights and the levels that they follow. With one dimension and without the safety rule it is plain GRPO on one reward.
Left out: the ratchet of matrix/alignment/weights.py, which needs to know what is escalated (a snapshot tells risks, not
escalations, so here nothing is, and a dimension may lose weight while its risk lasts); correlations of the rollouts
(redundancy is that of the frozen reference statistics); the guard of covariances. The level is a running mean with .8
per step, not one shrunk by its number of values.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from matrix.alignment.advantages import Advantages, advantages, mask_unmet, safety_pressure, violations
from matrix.alignment.dimensions import Matrix
from matrix.alignment.normalization import RefStats, fit_ref, rfn, unit_rewards
from matrix.alignment.weights import initial_weights, standing, update_weights
from matrix.errors import InvalidInput
from matrix.messages.completion import ChatMessage
from matrix.scorers import score_many
from matrix.scorers.knowledge import Knowledge
from matrix.scorers.learned import LearnedScorer
from trainer.config import RewardConfig

Array = NDArray[np.float64]
Prompt = Sequence[ChatMessage]
REMEMBERED = 0.8  # share of the old level in the running mean, per step


@dataclass(frozen=True, slots=True)
class Scoring:
    """What completions are scored with."""

    matrix: Matrix
    knowledge: Knowledge
    learned: Mapping[str, LearnedScorer]
    risks: Mapping[str, float]  # "dimension×slice" -> risk, as the snapshot found it


class Rewards:
    """Rewards of one run. `calibrate` once, then `judge` each step."""

    def __init__(self, scoring: Scoring, config: RewardConfig) -> None:
        self._scoring, self._config = scoring, config
        self._matrix = _chosen(scoring.matrix, config.dimensions)
        self._risk = np.array([_risk_of(name, scoring.risks) for name in self._matrix.names()])
        self._weights = initial_weights(self._matrix)
        self._stats: RefStats | None = None
        self._level: Array | None = None

    def calibrate(self, prompts: Sequence[Prompt], texts: Sequence[Sequence[str]]) -> None:
        """Freeze the statistics of the reference policy's completions."""
        unit = self._unit(self._matrix, prompts, texts)
        self._stats = fit_ref(unit, self._matrix.names())
        self._level = self._stats.mean.copy()
        if self._config.weights == "adaptive":
            self._update(previous=None)

    def judge(
        self, prompts: Sequence[Prompt], texts: Sequence[Sequence[str]], *, step: int
    ) -> tuple[Advantages, dict[str, float]]:
        """Advantages of (P, G) completions and the step's figures; raises InvalidInput before `calibrate`."""
        stats, level = self._frozen()
        unit = self._unit(self._matrix, prompts, texts)
        self._level = _followed(level, unit)
        if self._config.weights == "adaptive" and step % self._config.update_every == 0:
            self._update(previous=self._weights)
        counted = mask_unmet(unit, self._matrix) if self._config.prerequisites else unit
        violation = self._violation(unit, prompts, texts) if self._config.hard_safety else None
        pressure = safety_pressure([_risk_of(spec.name, self._scoring.risks) for spec in self._scoring.matrix.hard()])
        judged = advantages(
            rfn(counted, stats),
            self._weights,
            stats.covariance,
            violation=violation,
            pressure=pressure + self._config.pressure,
        )
        return judged, self._figures(unit, judged, violation)

    def state(self) -> dict[str, Any]:
        """What a resumed run needs: JSON values."""
        stats, level = self._frozen()
        return {
            "weights": self._weights.tolist(),
            "level": level.tolist(),
            "mean": stats.mean.tolist(),
            "sd": stats.sd.tolist(),
            "covariance": stats.covariance.tolist(),
            "n": stats.n,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from `state`."""
        self._weights, self._level = np.array(state["weights"]), np.array(state["level"])
        mean, sd, covariance = (np.array(state[name]) for name in ("mean", "sd", "covariance"))
        self._stats = RefStats(self._matrix.names(), mean, sd, covariance, int(state["n"]))

    def weights(self) -> dict[str, float]:
        """Present weight of every dimension."""
        return dict(zip(self._matrix.names(), self._weights.tolist(), strict=True))

    def _frozen(self) -> tuple[RefStats, Array]:
        if self._stats is None or self._level is None:
            raise InvalidInput(field="rewards", value=None, remedy="reference statistics first")
        return self._stats, self._level

    def _unit(self, matrix: Matrix, prompts: Sequence[Prompt], texts: Sequence[Sequence[str]]) -> Array:
        pairs = [(prompt, text) for prompt, group in zip(prompts, texts, strict=True) for text in group]
        scores = score_many(pairs, matrix, self._scoring.knowledge, self._scoring.learned)
        size = len(texts[0])
        return unit_rewards([scores[start : start + size] for start in range(0, len(scores), size)], matrix)

    def _violation(self, unit: Array, prompts: Sequence[Prompt], texts: Sequence[Sequence[str]]) -> Array:
        """From the whole matrix: a dimension that is not weighed is still not to be violated."""
        names, hard = self._matrix.names(), self._scoring.matrix.hard()
        if all(spec.name in names for spec in hard):
            return violations(unit, self._matrix)
        constraints = self._scoring.matrix.model_copy(update={"dimensions": hard})
        return violations(self._unit(constraints, prompts, texts), constraints)

    def _update(self, *, previous: Array | None) -> None:
        stats, level = self._frozen()
        now = standing(
            self._matrix,
            level=level,
            reference=stats.mean,
            risk=self._risk,
            correlation=_correlation(stats.covariance),
            escalated=np.zeros(len(level), dtype=bool),
        )
        self._weights = update_weights(now, previous).values

    def _figures(self, unit: Array, judged: Advantages, violation: Array | None) -> dict[str, float]:
        known = ~np.isnan(unit)
        total, count = np.where(known, unit, 0.0).sum((0, 1)), known.sum((0, 1))
        means = {
            f"reward_{name}": float(total[column] / count[column])
            for column, name in enumerate(self._matrix.names())
            if count[column]
        }
        unsafe = {} if violation is None else {"unsafe_share": float((violation > 0).mean())}
        return means | unsafe | {"zero_signal_share": float(judged.zero_signal.mean())}


def _chosen(matrix: Matrix, names: Sequence[str]) -> Matrix:
    """The rows that count, in the matrix' order; a prerequisite that is not among them falls away."""
    known = matrix.names()
    for name in names:
        if name not in known:
            raise InvalidInput(field="rewards.dimensions", value=name, remedy=f"one of {', '.join(known)}")
    rows = [spec for spec in matrix.dimensions if not names or spec.name in names]
    kept = {spec.name for spec in rows}
    # Caps hold dimensions against one another: of a single one there is nothing to hold.
    roomy = sum(spec.weight_cap for spec in rows) < 1.0
    return matrix.model_copy(
        update={
            "dimensions": tuple(
                spec.model_copy(
                    update={
                        "prerequisite": spec.prerequisite if spec.prerequisite in kept else None,
                        "weight_cap": 1.0 if roomy else spec.weight_cap,
                    }
                )
                for spec in rows
            )
        }
    )


def _risk_of(dimension: str, risks: Mapping[str, float]) -> float:
    """The highest risk of its cells."""
    return max((risk for cell, risk in risks.items() if cell.split("×", maxsplit=1)[0] == dimension), default=0.0)


def _followed(level: Array, unit: Array) -> Array:
    """The running mean of each dimension; one without a value this time stays where it was."""
    known = ~np.isnan(unit)
    count = known.sum((0, 1))
    mean = np.where(known, unit, 0.0).sum((0, 1)) / np.maximum(count, 1)
    return np.asarray(np.where(count > 0, REMEMBERED * level + (1.0 - REMEMBERED) * mean, level), dtype=np.float64)


def _correlation(covariance: Array) -> Array:
    deviation = np.sqrt(np.maximum(np.diag(covariance), 1e-12))
    shrunk = 0.9 * covariance / np.outer(deviation, deviation)  # a tenth towards none: few completions stand behind it
    np.fill_diagonal(shrunk, 1.0)
    return np.asarray(shrunk, dtype=np.float64)
