"""A run's life: asked for, claimed under a lease, renewed at each step, ended once. One transaction per use case.

Deliveries repeat, get lost, and workers die; what happened is in the row. A second delivery finds the lease and does
nothing. A worker that dies, or a command that nobody took, leaves a lease that runs out; `resend_abandoned` then sends
the command again, and whoever claims the run goes on from its last checkpoint. What a run hands on leaves in the
transaction that ends it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

from infra.database import Database
from infra.outbox import add_command, add_message
from matrix.digests import digest_json
from matrix.errors import IllegalTransition, NotFound
from matrix.messages.run import CandidateEvaluated, CandidateTrained, RunStatus
from matrix.ports import Clock
from matrix.topics import CANDIDATE_EVALUATED, CANDIDATE_TRAINED
from trainer import repository
from trainer.champions import Champion
from trainer.tables import EvaluationRow, RunRow

STAGE = "trainer"
TRAIN_TASK, EVALUATE_TASK = "trainer.train_adapter", "trainer.evaluate_adapter"


@dataclass(frozen=True, slots=True)
class RunAsked:
    """What is to be trained on what, by names."""

    policy: str
    snapshot_uri: str
    snapshot_sha256: str
    recipe_uri: str
    recipe_sha256: str
    recipe_name: str
    author: str

    @property
    def run_id(self) -> str:
        """The same snapshot and recipe are the same run, whoever asks."""
        return digest_json([self.snapshot_sha256, self.recipe_sha256])[:32]


class Runs:
    """The runs as one worker sees them."""

    def __init__(
        self, database: Database, clock: Clock, *, worker: str, lease: timedelta, wake: Callable[[], None]
    ) -> None:
        self._database, self._clock, self._wake = database, clock, wake
        self._worker, self.lease = worker, lease

    def ask(self, asked: RunAsked) -> RunRow:
        """The run, recorded as queued if it is new."""
        now = self._clock.now()
        fields = {name: getattr(asked, name) for name in RunAsked.__dataclass_fields__}
        state = {"status": RunStatus.QUEUED.value, "lease_until": now + self.lease, "created_at": now}
        with self._database.unit_of_work() as session:
            repository.insert_run(session, RunRow.model_validate({"run_id": asked.run_id} | fields | state))
            return _found(repository.run(session, asked.run_id), asked.run_id)

    def claim(self, run_id: str) -> RunRow | None:
        """The run if it was free and is now this worker's; None where another holds it or it has ended."""
        now = self._clock.now()
        with self._database.unit_of_work() as session:
            return repository.claim_run(session, run_id, worker=self._worker, now=now, until=now + self.lease)

    def renew(self, run_id: str, *, step: int, steps: int, figures: Mapping[str, float]) -> None:
        """Hold on after a step; IllegalTransition where another worker took the run over, or it was cancelled."""
        until = self._clock.now() + self.lease
        changes = {"lease_until": until, "step": step, "steps": steps, "figures": dict(figures)}
        self._update(run_id, changes)

    def hold(self, run_id: str) -> None:
        """Hold on between steps; IllegalTransition as for `renew`."""
        self._update(run_id, {"lease_until": self._clock.now() + self.lease})

    def set_champion(self, run_id: str, champion: Champion) -> None:
        """What the run starts from: every later attempt starts from it too."""
        self._update(run_id, {"champion_digest": champion.digest, "champion_uri": champion.uri})

    def release(self, run_id: str) -> None:
        """Give the run back as it stands: the next worker to look finds it abandoned. It counts as no attempt."""
        with self._database.unit_of_work() as session:
            repository.release(session, run_id, self._worker, now=self._clock.now())

    def end_trained(self, message: CandidateTrained) -> None:
        """The run is trained, and its candidate is announced, in one transaction."""
        changes = {
            "status": RunStatus.TRAINED.value,
            "adapter_digest": message.adapter_digest,
            "adapter_uri": message.adapter_uri,
            "figures": dict(message.figures),
            "ended_at": message.trained_at,
        }
        with self._database.unit_of_work() as session:
            if not repository.update_held(session, message.run_id, self._worker, changes):
                raise _lost(repository.run(session, message.run_id), message.run_id, RunStatus.TRAINED)
            add_message(session, STAGE, CANDIDATE_TRAINED, message.policy, message)
        self._wake()

    def announce_again(self, message: CandidateTrained) -> None:
        """Tell of a trained run's candidate once more: who asked again may have missed or refused it."""
        with self._database.unit_of_work() as session:
            add_message(session, STAGE, CANDIDATE_TRAINED, message.policy, message)
        self._wake()

    def end_failed(self, run_id: str, error: str) -> None:
        """The run failed for good; its last checkpoint is kept."""
        changes = {"status": RunStatus.FAILED.value, "error": error, "ended_at": self._clock.now()}
        self._update(run_id, changes)

    def fail_unreadable(self, snapshot_uri: str, recipe_uri: str, error: str) -> None:
        """Fail the run of these names, if it was recorded: what it is to read cannot be read."""
        now = self._clock.now()
        with self._database.unit_of_work() as session:
            repository.fail_unreadable(session, snapshot_uri, recipe_uri, error=error, now=now)

    def resend_abandoned(self) -> int:
        """Send the command of every run that its worker left or none took; returns how many there were."""
        now = self._clock.now()
        with self._database.unit_of_work() as session:
            rows = repository.release_abandoned(session, now=now, until=now + self.lease)
            for row in rows:
                add_command(session, STAGE, TRAIN_TASK, train_arguments(row.snapshot_uri, row.recipe_uri, row.author))
        if rows:
            self._wake()
        return len(rows)

    def _update(self, run_id: str, changes: Mapping[str, object]) -> None:
        with self._database.unit_of_work() as session:
            if not repository.update_held(session, run_id, self._worker, changes):
                raise _lost(repository.run(session, run_id), run_id, RunStatus.RUNNING)


def train_arguments(snapshot_uri: str, config_uri: str, author: str) -> dict[str, str]:
    """Names alone, as every task takes them."""
    return {"snapshot_uri": snapshot_uri, "config_uri": config_uri, "author": author}


def show_run(database: Database, run_id: str) -> RunRow:
    """The run; NotFound where there is none."""
    with database.unit_of_work() as session:
        return _found(repository.run(session, run_id), run_id)


def list_runs(database: Database, limit: int) -> list[RunRow]:
    """The newest runs first."""
    with database.unit_of_work() as session:
        return repository.runs(session, limit)


def find_evaluation(database: Database, evaluation_id: str) -> EvaluationRow | None:
    """The evaluation, if it was made."""
    with database.unit_of_work() as session:
        return repository.evaluation(session, evaluation_id)


def record_evaluation(database: Database, row: EvaluationRow, message: CandidateEvaluated) -> bool:
    """Record and announce an evaluation; False, and nothing announced, where it was made before."""
    with database.unit_of_work() as session:
        is_new = repository.insert_evaluation(session, row)
        repository.note_on_trained(session, message.candidate, None)
        if is_new:
            add_message(session, STAGE, CANDIDATE_EVALUATED, message.policy, message)
    return is_new


def note_failed_evaluation(database: Database, candidate_digest: str, error: str) -> None:
    """Say on the candidate's run why it was not evaluated, until an evaluation is made."""
    with database.unit_of_work() as session:
        repository.note_on_trained(session, candidate_digest, f"not evaluated: {error}")


def announce_evaluation(database: Database, row: EvaluationRow) -> None:
    """Announce an evaluation again, as it was stored: who asked again may have missed it."""
    message = CandidateEvaluated.model_validate(row.model_dump(include=set(CandidateEvaluated.model_fields)))
    with database.unit_of_work() as session:
        repository.note_on_trained(session, message.candidate, None)
        add_message(session, STAGE, CANDIDATE_EVALUATED, row.policy, message)


@contextmanager
def holding_evaluation(database: Database, evaluation_id: str) -> Iterator[bool]:
    """Whether this process may make the evaluation now; another that asks meanwhile is told no."""
    with database.unit_of_work() as session:
        yield repository.try_hold_evaluation(session, evaluation_id)


def _found(row: RunRow | None, run_id: str) -> RunRow:
    if row is None:
        raise NotFound(what="run", name=run_id)
    return row


def _lost(row: RunRow | None, run_id: str, wanted: RunStatus) -> IllegalTransition:
    current = "gone" if row is None else f"{row.status}, held by {row.claimed_by or 'nobody'}"
    return IllegalTransition(what=f"run {run_id}", current=current, wanted=wanted.value)
