from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from sqlmodel import select

from infra.database import Database
from infra.tables import OutboxRow
from matrix.errors import IllegalTransition
from matrix.messages.run import CandidateEvaluated, CandidateTrained, RunStatus
from tests.fakes.clock import FakeClock
from trainer.service import RunAsked, Runs, record_evaluation, show_run
from trainer.tables import EvaluationRow

LEASE = timedelta(seconds=60)
ASKED = RunAsked(
    policy="clinic-assistant",
    snapshot_uri="object:snapshots/aa",
    snapshot_sha256="a" * 64,
    recipe_uri="object:recipes/bb.toml",
    recipe_sha256="b" * 64,
    recipe_name="grpo",
    author="ada",
)


@pytest.fixture
def worker_named(database: Database, clock: FakeClock) -> Callable[[str], Runs]:
    return lambda name: Runs(database, clock, worker=name, lease=LEASE, wake=lambda: None)


def trained(clock: FakeClock) -> CandidateTrained:
    return CandidateTrained(
        run_id=ASKED.run_id,
        policy=ASKED.policy,
        adapter_name="clinic-assistant-cccccccccccc",
        adapter_digest="c" * 64,
        adapter_uri="object:adapters/clinic-assistant-cccccccccccc",
        base_digest="d" * 64,
        snapshot_uri=ASKED.snapshot_uri,
        snapshot_sha256=ASKED.snapshot_sha256,
        recipe_name=ASKED.recipe_name,
        recipe_sha256=ASKED.recipe_sha256,
        author=ASKED.author,
        figures={"reward": 0.5},
        trained_at=clock.now(),
    )


def outbox(database: Database) -> list[tuple[str, str]]:
    with database.unit_of_work() as session:
        return [(row.kind, row.destination) for row in session.exec(select(OutboxRow)).all()]


Named = Callable[[str], Runs]


def test_asking_twice_is_asking_once(database: Database, worker_named: Named) -> None:
    first = worker_named("one").ask(ASKED)
    second = worker_named("two").ask(ASKED)
    assert first == second
    assert first.run_id == ASKED.run_id
    assert first.status == RunStatus.QUEUED


def test_of_many_claims_at_once_one_gets_the_run(worker_named: Named) -> None:
    worker_named("any").ask(ASKED)
    with ThreadPoolExecutor(4) as pool:
        claims = list(pool.map(lambda number: worker_named(f"w{number}").claim(ASKED.run_id), range(8)))
    assert sum(claim is not None for claim in claims) == 1


def test_a_second_delivery_finds_the_lease(worker_named: Named, clock: FakeClock) -> None:
    runs = worker_named("one")
    runs.ask(ASKED)
    assert runs.claim(ASKED.run_id) is not None
    clock.advance(LEASE)
    assert worker_named("two").claim(ASKED.run_id) is None


def test_a_renewed_lease_holds_and_a_lapsed_one_is_taken_over(worker_named: Named, clock: FakeClock) -> None:
    one, two = worker_named("one"), worker_named("two")
    one.ask(ASKED)
    one.claim(ASKED.run_id)
    clock.advance(LEASE)
    one.renew(ASKED.run_id, step=3, steps=10, figures={"loss": 0.1})
    clock.advance(LEASE)
    assert two.claim(ASKED.run_id) is None
    clock.advance(timedelta(seconds=1))
    taken = two.claim(ASKED.run_id)
    assert taken is not None
    assert (taken.attempt, taken.step) == (2, 3)
    with pytest.raises(IllegalTransition):
        one.renew(ASKED.run_id, step=4, steps=10, figures={})


def test_a_trained_run_is_announced_once(database: Database, worker_named: Named, clock: FakeClock) -> None:
    runs = worker_named("one")
    runs.ask(ASKED)
    runs.claim(ASKED.run_id)
    runs.end_trained(trained(clock))
    clock.advance(LEASE * 2)
    assert runs.claim(ASKED.run_id) is None
    with pytest.raises(IllegalTransition):
        runs.end_trained(trained(clock))
    assert outbox(database) == [("message", "candidate.trained.v1")]
    assert show_run(database, ASKED.run_id).status == RunStatus.TRAINED


def test_who_lost_the_run_cannot_end_it(database: Database, worker_named: Named, clock: FakeClock) -> None:
    one, two = worker_named("one"), worker_named("two")
    one.ask(ASKED)
    one.claim(ASKED.run_id)
    clock.advance(LEASE * 2)
    two.claim(ASKED.run_id)
    with pytest.raises(IllegalTransition):
        one.end_trained(trained(clock))
    assert outbox(database) == []


def test_an_abandoned_run_is_sent_again_once_per_lease(
    database: Database, worker_named: Named, clock: FakeClock
) -> None:
    one, two = worker_named("one"), worker_named("two")
    one.ask(ASKED)
    one.claim(ASKED.run_id)
    assert two.resend_abandoned() == 0
    clock.advance(LEASE * 2)
    assert (two.resend_abandoned(), two.resend_abandoned()) == (1, 0)
    assert outbox(database) == [("command", "trainer.train_adapter")]
    assert two.claim(ASKED.run_id) is not None


def test_a_released_run_is_found_at_the_next_look(worker_named: Named, clock: FakeClock) -> None:
    one = worker_named("one")
    one.ask(ASKED)
    one.claim(ASKED.run_id)
    one.release(ASKED.run_id)
    clock.advance(timedelta(milliseconds=1))
    assert worker_named("two").resend_abandoned() == 1


def test_a_queued_run_that_nobody_took_is_sent_again_once_per_lease(
    database: Database, worker_named: Named, clock: FakeClock
) -> None:
    two = worker_named("two")
    worker_named("one").ask(ASKED)
    assert two.resend_abandoned() == 0
    clock.advance(LEASE * 2)
    assert (two.resend_abandoned(), two.resend_abandoned()) == (1, 0)
    assert show_run(database, ASKED.run_id).status == RunStatus.QUEUED
    assert two.claim(ASKED.run_id) is not None


def test_a_failed_run_stays_failed_and_says_why(database: Database, worker_named: Named, clock: FakeClock) -> None:
    runs = worker_named("one")
    runs.ask(ASKED)
    runs.claim(ASKED.run_id)
    runs.end_failed(ASKED.run_id, "diverged")
    clock.advance(LEASE * 2)
    assert runs.claim(ASKED.run_id) is None
    assert (show_run(database, ASKED.run_id).status, show_run(database, ASKED.run_id).error) == ("failed", "diverged")


def test_an_evaluation_is_announced_once(database: Database, clock: FakeClock) -> None:
    row = {
        "evaluation_id": "e" * 64,
        "policy": "clinic-assistant",
        "candidate": "a" * 64,
        "champion": "b" * 64,
        "anchor": "b" * 64,
        "evaluation_uri": "object:evaluations/x.json",
        "evaluation_sha256": "c" * 64,
        "evaluated_at": clock.now(),
    }
    message = CandidateEvaluated(
        policy="clinic-assistant",
        candidate="a" * 64,
        evaluation_uri="object:evaluations/x.json",
        evaluation_sha256="c" * 64,
        evaluated_at=clock.now(),
    )
    made = [record_evaluation(database, EvaluationRow.model_validate(row), message) for _ in range(2)]
    assert made == [True, False]
    assert outbox(database) == [("message", "candidate.evaluated.v1")]
