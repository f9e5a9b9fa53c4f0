"""From completions to advantages: scored on the matrix, in units of the reference policy, weighted, safety held.

All mathematics is matrix.alignment's; this file keeps what lasts over a run: the frozen reference statistics and the
method's memory. With one dimension and without the safety rule it is plain GRPO on one reward. A snapshot tells risks,
not escalations: a dimension is escalated where its risk is above the level at which the monitor would escalate it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from matrix.alignment.advantages import Advantages, safety_pressure, violations
from matrix.alignment.dimensions import Matrix
from matrix.alignment.method import METHODS, Judged, Memory, Method, Peril, named, told_of
from matrix.alignment.normalization import RefStats, fit_ref, unit_rewards
from matrix.alignment.weights import initial_weights
from matrix.errors import InvalidInput
from matrix.messages.completion import ChatMessage
from matrix.scorers import score_many
from matrix.scorers.knowledge import Knowledge
from matrix.scorers.learned import LearnedScorer
from trainer.config import RewardConfig

Array = NDArray[np.float64]
Prompt = Sequence[ChatMessage]


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
        risk = np.array([_risk_of(name, scoring.risks) for name in self._matrix.names()])
        self._peril = Peril(risk, risk > scoring.matrix.risk.enter)
        self._method: Method | None = None
        self._memory: Memory | None = None
        self._weighings: list[dict[str, Any]] = []

    def calibrate(self, prompts: Sequence[Prompt], texts: Sequence[Sequence[str]]) -> None:
        """Freeze the statistics of the reference policy's completions."""
        self._method = self._with(fit_ref(self._unit(self._matrix, prompts, texts), self._matrix.names()))
        self._memory = self._method.reweighed(self._method.begin(), self._peril, first=True)
        self._note(step=0)

    def judge(
        self, prompts: Sequence[Prompt], texts: Sequence[Sequence[str]], *, step: int
    ) -> tuple[Advantages, dict[str, float]]:
        """Advantages of (P, G) completions and the step's figures; raises InvalidInput before `calibrate`."""
        method, memory = self._frozen()
        unit = self._unit(self._matrix, prompts, texts)
        memory = method.observed(memory, unit)
        is_due = step > 0 and step % (self._config.update_every or method.config.period) == 0
        self._memory = memory = method.reweighed(memory, self._peril) if is_due else memory
        violation = self._violation(unit, prompts, texts) if self._config.hard_safety else None
        risks = [_risk_of(spec.name, self._scoring.risks) for spec in self._scoring.matrix.hard()]
        pressure = safety_pressure(risks, slope=method.config.pressure)
        judged = method.judged(memory, unit, violation=violation, pressure=pressure + self._config.pressure)
        if is_due:
            self._note(step=step, judged=judged)
        return judged.advantages, self._figures(unit, judged, violation)

    def state(self) -> dict[str, Any]:
        """What a resumed run needs: JSON values."""
        method, memory = self._frozen()
        stats = method.stats
        return {
            "memory": memory.as_json(),
            "mean": stats.mean.tolist(),
            "sd": stats.sd.tolist(),
            "covariance": stats.covariance.tolist(),
            "n": stats.n,
            "weighings": self._weighings,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from `state`."""
        mean, sd, covariance = (np.array(state[name]) for name in ("mean", "sd", "covariance"))
        self._method = self._with(RefStats(self._matrix.names(), mean, sd, covariance, int(state["n"])))
        self._memory = Memory.of_json(state["memory"])
        self._weighings = list(state["weighings"])

    def weights(self) -> dict[str, float]:
        """Present weight of every dimension; the declared ones before anything was calibrated."""
        used = initial_weights(self._matrix) if self._memory is None else self._memory.guarded.values
        return named(self._matrix.names(), used)

    def weighings(self) -> list[dict[str, Any]]:
        """Every update of the weights with what led to it, for people who ask why."""
        return list(self._weighings)

    def _with(self, stats: RefStats) -> Method:
        method = METHODS[self._config.method]
        switched = replace(
            method,
            follows=self._config.weights == "adaptive",
            prerequisites=self._config.prerequisites,
            # Caps are the deployment's word. Danger has λ: as a weight without a cap it would starve all else.
            weights=replace(method.weights, escalation_lifts_caps=False),
            level_decay=self._config.level_decay,
            level_belief=self._config.level_belief,
            redundancy_of=self._config.redundancy_of,
        )
        return Method(self._matrix, stats, switched)

    def _frozen(self) -> tuple[Method, Memory]:
        if self._method is None or self._memory is None:
            raise InvalidInput(field="rewards", value=None, remedy="reference statistics first")
        return self._method, self._memory

    def _note(self, *, step: int, judged: Judged | None = None) -> None:
        _, memory = self._frozen()
        names = self._matrix.names()
        told = told_of(memory, names) | {"step": step, "risks": dict(self._scoring.risks)}
        if judged is not None:
            told |= {"shares": named(names, judged.shares), "kappa": named(names, judged.alignment)}
        self._weighings.append(told)

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

    def _figures(self, unit: Array, judged: Judged, violation: Array | None) -> dict[str, float]:
        known = ~np.isnan(unit)
        total, count = np.where(known, unit, 0.0).sum((0, 1)), known.sum((0, 1))
        means = {
            f"reward_{name}": float(total[column] / count[column])
            for column, name in enumerate(self._matrix.names())
            if count[column]
        }
        unsafe = {} if violation is None else {"unsafe_share": float((violation > 0).mean())}
        return means | unsafe | {"zero_signal_share": float(judged.advantages.zero_signal.mean())}


def _chosen(matrix: Matrix, names: Sequence[str]) -> Matrix:
    """The rows that count; none named: all."""
    known = matrix.names()
    for name in names:
        if name not in known:
            raise InvalidInput(field="rewards.dimensions", value=name, remedy=f"one of {', '.join(known)}")
    return matrix.only(names or known)


def _risk_of(dimension: str, risks: Mapping[str, float]) -> float:
    """The highest risk of its cells."""
    return max((risk for cell, risk in risks.items() if cell.split("×", maxsplit=1)[0] == dimension), default=0.0)
