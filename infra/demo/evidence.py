"""What the report shows beside the verdicts: completions side by side, satisfaction, risk over time, the audit log.

Read from the object store and the registry as any reader could. It explains; it decides nothing.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from statistics import mean
from typing import Any

from infra.demo import preferences
from infra.demo.driver import Product
from infra.demo.facts import AuditRow, Judged, RiskPoint, SatisfactionRow, SideBySide, Trial
from infra.demo.people import Cast
from infra.objects import FolderObjectStore
from matrix.alignment.dimensions import Matrix, load_matrix
from matrix.messages.completion import ChatMessage
from matrix.messages.run import Evaluation, weights_name
from matrix.scorers import SCORER_NAMES

SHOWN = {"emergency": 3, "medication": 3, "general": 3}  # gate prompts side by side, by slice
OBJECTS_BELOW = 0.5  # on the unit scale, where 1 is best


@dataclass(frozen=True, slots=True)
class Answered:
    """One gate prompt with what a policy wrote for it, and its scores per dimension."""

    prompt_id: str
    slice: str
    messages: tuple[ChatMessage, ...]
    completion: str
    scores: Mapping[str, float | None]

    @property
    def question(self) -> str:
        """What the patient said last."""
        return self.messages[-1].content


@dataclass(frozen=True, slots=True)
class Answers:
    """The completions behind one evaluation, by policy and prompt id."""

    candidate: Mapping[str, Answered]
    champion: Mapping[str, Answered]


@dataclass(frozen=True, slots=True)
class Shown:
    """What is shown of the policies beside the verdicts."""

    rows: tuple[SideBySide, ...]
    satisfaction: tuple[SatisfactionRow, ...]


def compare(product: Product, run_a: Trial, run_b: Trial) -> Shown:
    """Completions side by side, and satisfaction as learned beside the simulator's truth."""
    a, b = read_answers(product, run_a), read_answers(product, run_b)
    policies = {"base": b.champion, "run A": a.candidate, "run B": b.candidate}
    satisfaction = tuple(_satisfaction(name, list(answers.values())) for name, answers in policies.items())
    return Shown(side_by_side(a, b, read_matrix(product)), satisfaction)


def _satisfaction(policy: str, answers: Sequence[Answered]) -> SatisfactionRow:
    learned = [score for one in answers if (score := one.scores.get("satisfaction")) is not None]
    truth = [preferences.satisfaction_probability(one.messages, one.completion) for one in answers]
    return SatisfactionRow(policy, len(answers), mean(learned) if learned else 0.0, mean(truth) if truth else 0.0)


def read_matrix(product: Product) -> Matrix:
    """The matrix that the product was started with."""
    file = product.settings.matrix_file
    return load_matrix(file.read_text(), file=str(file), scorers=SCORER_NAMES)


def read_answers(product: Product, trial: Trial) -> Answers:
    """The completions that the trial's gate report rests on."""
    objects = FolderObjectStore(product.settings.objects_dir)
    evaluation = Evaluation.model_validate_json(objects.read(trial.evaluation_uri))
    rows = [json.loads(line) for line in objects.read(evaluation.answers_uri).splitlines()]
    return Answers(
        **{role: {row["prompt_id"]: _answered(row, role) for row in rows} for role in ("candidate", "champion")}
    )


def _answered(row: Mapping[str, Any], role: str) -> Answered:
    return Answered(
        prompt_id=row["prompt_id"],
        slice=row["slice"],
        messages=tuple(ChatMessage.model_validate(message) for message in row["messages"]),
        completion=row["completions"][role],
        scores=row["scores"][role],
    )


def read_weighings(product: Product, trial: Trial) -> tuple[dict[str, Any], ...]:
    """What a run's rewards weighed, update by update."""
    objects = FolderObjectStore(product.settings.objects_dir)
    return tuple(json.loads(line) for line in objects.read(f"object:{weights_name(trial.run_id)}").splitlines())


def objections(answered: Answered, matrix: Matrix) -> tuple[str, ...]:
    """Dimensions on which a completion scores in the worse half of the range; violations among them."""
    scored = [(spec, answered.scores.get(spec.name)) for spec in matrix.dimensions]
    return tuple(spec.name for spec, score in scored if score is not None and spec.unit(score) < OBJECTS_BELOW)


def side_by_side(run_a: Answers, run_b: Answers, matrix: Matrix) -> tuple[SideBySide, ...]:
    """Of each slice the gate prompts on which the refused run did worst and the passed one best, red flags first."""
    rows = [_row(prompt_id, run_a, run_b, matrix) for prompt_id in sorted(run_a.candidate.keys() & run_b.candidate)]
    return tuple(row for slice_, count in SHOWN.items() for row in _most_telling(rows, slice_, matrix)[:count])


def _most_telling(rows: Sequence[SideBySide], slice_: str, matrix: Matrix) -> list[SideBySide]:
    """Where run B mends what the base model did and run A did worse, in weight of the dimensions objected to."""

    def weight(judged: Judged) -> float:
        return sum(matrix.dimension(name).prior * matrix.dimension(name).severity for name in judged.objections)

    return sorted(
        (row for row in rows if row.slice == slice_),
        key=lambda row: (2 * weight(row.run_b) - weight(row.base) - weight(row.run_a), len(row.prompt)),
    )


def _row(prompt_id: str, run_a: Answers, run_b: Answers, matrix: Matrix) -> SideBySide:
    base, a, b = run_b.champion[prompt_id], run_a.candidate[prompt_id], run_b.candidate[prompt_id]
    judged = [Judged(one.completion, objections(one, matrix)) for one in (base, a, b)]
    return SideBySide(base.question, base.slice, *judged)


def telling_question(rows: Sequence[SideBySide]) -> str:
    """A question on which the promoted adapter says something else than what was served before, and better."""
    better = [row for row in rows if len(row.run_b.objections) < len(row.base.objections)]
    other = [row for row in rows if row.run_b.completion != row.base.completion]
    return (better or other or list(rows))[0].prompt


def read_risks(product: Product, cast: Cast) -> tuple[RiskPoint, ...]:
    """Every recorded risk, oldest first."""
    answer = product.command("scorer", "risk", "--json", by=cast.engineer)
    return tuple(
        RiskPoint(
            cell=f"{row['dimension']}×{row['slice']}",
            at=datetime.fromisoformat(row["at"]),
            risk=row["risk"],
            upper_bound=row["upper_bound"],
        )
        for row in answer["history"]
    )


def read_audit(product: Product, cast: Cast) -> tuple[tuple[AuditRow, ...], str]:
    """The registry's audit log, oldest first, and whether its hash chain holds."""
    answer = product.registry(cast.operator).get("/v1/audit")
    rows = tuple(
        AuditRow(
            at=str(entry["at"])[11:19],
            actor=entry["actor"],
            action=entry["action"],
            subject=entry["subject"],
            detail=", ".join(f"{name} {_short(value)}" for name, value in sorted(entry["detail"].items())),
        )
        for entry in sorted(answer["entries"], key=lambda entry: int(entry["number"]))
    )
    return rows, str(answer["chain"])


def _short(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 24 else f"{text[:12]}…"
