import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from sqlmodel import select

from infra.base_model import base_digest
from infra.database import Database
from infra.objects import FolderObjectStore
from infra.tables import OutboxRow
from matrix.alignment.dimensions import load_matrix
from matrix.digests import digest_bytes, digest_json
from matrix.errors import ArtifactCorrupt, NotFound
from matrix.messages.completion import ChatMessage
from matrix.messages.run import CandidateEvaluated, Evaluation, RunStatus
from matrix.scorers import SCORER_NAMES
from matrix.scorers.knowledge import load_knowledge
from matrix.scorers.learned import LearnedScorer, NgramModel
from tests.fakes.clock import FakeClock
from tests.fakes.snapshots import write_snapshot
from tests.fakes.tiny_qwen import save_tiny_adapter, save_tiny_base
from trainer.base_model import load_base
from trainer.evaluation import EvaluationAsked, EvaluationCrashed, EvaluationHeld, Evaluator
from trainer.policies import ServedPolicies
from trainer.service import RunAsked, record_evaluation, show_run
from trainer.snapshots import Snapshot
from trainer.tables import EvaluationRow, RunRow

PROJECT = Path(__file__).parents[2]
QUESTIONS = ("I have chest pain, what now?", "May I take ibuprofen?", "question 1", "Is it a cold?")


def learned(snapshot: Snapshot) -> Mapping[str, LearnedScorer]:
    return {"satisfaction": NgramModel(0.1, {"doctor": 1.0}), "report_risk": NgramModel(-1.0, {})}


@pytest.fixture(scope="module")
def base_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_base(tmp_path_factory.mktemp("base"))


@pytest.fixture
def evaluator(database: Database, objects: FolderObjectStore, clock: FakeClock, base_folder: Path) -> Evaluator:
    def open_policies() -> ServedPolicies:
        base = load_base(base_folder)
        return ServedPolicies(base.model, base.tokenizer, root=str(base_folder))

    return Evaluator(
        database=database,
        objects=objects,
        clock=clock,
        matrix=load_matrix((PROJECT / "matrix.toml").read_text(), file="matrix.toml", scorers=SCORER_NAMES),
        knowledge=load_knowledge((PROJECT / "infra/demo/clinic.toml").read_text(), file="clinic.toml"),
        base_digest=base_digest(base_folder),
        open_policies=open_policies,
        learned_for=learned,
        batch=3,
        max_tokens=8,
    )


@pytest.fixture
def asked(objects: FolderObjectStore, tmp_path: Path, evaluator: Evaluator) -> EvaluationAsked:
    """The candidate is the champion; the anchor is the base."""
    name, folder, digest = save_tiny_adapter(tmp_path, 1)
    for path in folder.iterdir():
        objects.write(f"adapters/{name}/{path.name}", path.read_bytes())
    rows = [
        {"prompt_id": f"p{number}", "messages": [{"role": "user", "content": text}]}
        for number, text in enumerate(QUESTIONS)
    ]
    prompts = objects.write("gates/g.jsonl", "\n".join(json.dumps(row) for row in rows).encode())
    uri = f"object:adapters/{name}"
    return EvaluationAsked(
        policy="clinic",
        candidate_uri=uri,
        candidate_digest=digest,
        champion_uri=uri,
        champion_digest=digest,
        anchor_uri="",
        anchor_digest=evaluator.base_digest,
        gate_prompts_uri=prompts,
        snapshot_uri=write_snapshot(objects),
    )


def announced(database: Database) -> list[CandidateEvaluated]:
    with database.unit_of_work() as session:
        rows = session.exec(select(OutboxRow)).all()
    return [CandidateEvaluated.model_validate_json(row.payload) for row in rows]


def test_an_evaluation_of_the_champion_itself_differs_nowhere_and_is_announced_each_time_alike(
    evaluator: Evaluator, asked: EvaluationAsked, database: Database, objects: FolderObjectStore
) -> None:
    assert [evaluator.evaluate(asked), evaluator.evaluate(asked)] == [True, False]
    message, again = announced(database)
    assert message == again
    evaluation = Evaluation.model_validate_json(objects.read(message.evaluation_uri))
    assert evaluation.cells
    assert all(cell.candidate == cell.champion for cell in evaluation.cells)
    assert evaluation.leaked_prompts == 1
    assert evaluation.knowledge_sha256 == evaluator.knowledge.digest()
    assert evaluation.probe.logprobs != evaluation.probe.base_logprobs
    assert len(objects.read(evaluation.answers_uri).splitlines()) == len(QUESTIONS)


def test_an_evaluation_that_was_stored_in_an_earlier_form_is_made_anew(
    evaluator: Evaluator, asked: EvaluationAsked, database: Database, objects: FolderObjectStore, clock: FakeClock
) -> None:
    prompts = digest_bytes(objects.read(asked.gate_prompts_uri))
    earlier = digest_json([asdict(asked), prompts, evaluator.matrix.digest(), evaluator.knowledge.digest()])
    message = CandidateEvaluated(
        policy=asked.policy,
        candidate=asked.candidate_digest,
        evaluation_uri="object:evaluations/earlier.json",
        evaluation_sha256="0" * 64,
        evaluated_at=clock.now(),
    )
    row = {"evaluation_id": earlier, "champion": asked.champion_digest, "anchor": asked.anchor_digest}
    stored = row | message.model_dump(include=set(EvaluationRow.model_fields))
    record_evaluation(database, EvaluationRow.model_validate(stored), message)
    assert evaluator.evaluate(asked)


def test_wrong_bytes_are_refused_before_anything_is_answered(
    evaluator: Evaluator, asked: EvaluationAsked, database: Database
) -> None:
    for wrong in (replace(asked, candidate_digest="0" * 64), replace(asked, anchor_digest="0" * 64)):
        with pytest.raises(ArtifactCorrupt):
            evaluator.evaluate(wrong)
    assert announced(database) == []


def test_an_early_turn_of_a_training_prompt_is_training_text(
    evaluator: Evaluator, asked: EvaluationAsked, database: Database, objects: FolderObjectStore
) -> None:
    said = (ChatMessage(role="user", content=QUESTIONS[0]), ChatMessage(role="assistant", content=QUESTIONS[3]))
    evaluator.evaluate(replace(asked, snapshot_uri=write_snapshot(objects, earlier=said)))
    [message] = announced(database)
    assert Evaluation.model_validate_json(objects.read(message.evaluation_uri)).leaked_prompts == 2


def test_the_same_evaluation_is_made_by_one_worker_at_a_time(
    evaluator: Evaluator, asked: EvaluationAsked, database: Database
) -> None:
    def while_another_asks() -> ServedPolicies:
        with pytest.raises(EvaluationHeld):
            evaluator.evaluate(asked)
        return evaluator.open_policies()

    assert replace(evaluator, open_policies=while_another_asks).evaluate(asked)
    assert len(announced(database)) == 1


def trained(database: Database, clock: FakeClock, adapter_digest: str) -> RunRow:
    asked = RunAsked("clinic", "object:snapshots/aa", "a" * 64, "object:recipes/bb.toml", "b" * 64, "grpo", "ada")
    row = {name: getattr(asked, name) for name in RunAsked.__dataclass_fields__} | {"run_id": asked.run_id}
    ended = {"status": RunStatus.TRAINED.value, "adapter_digest": adapter_digest, "created_at": clock.now()}
    with database.unit_of_work() as session:
        session.add(RunRow.model_validate(row | ended))
    return show_run(database, asked.run_id)


def test_an_evaluation_that_failed_for_good_is_noted_on_its_run_until_one_is_made(
    evaluator: Evaluator, asked: EvaluationAsked, database: Database, clock: FakeClock
) -> None:
    run_id = trained(database, clock, asked.candidate_digest).run_id
    with pytest.raises(NotFound):
        evaluator.evaluate(replace(asked, snapshot_uri="object:snapshots/absent"))
    noted = show_run(database, run_id)
    assert (noted.status, (noted.error or "")[:14]) == ("trained", "not evaluated:")
    assert "absent" in (noted.error or "")
    evaluator.evaluate(asked)
    assert show_run(database, run_id).error is None


def test_an_evaluation_that_crashed_says_so_in_one_line(
    evaluator: Evaluator, asked: EvaluationAsked, database: Database, clock: FakeClock
) -> None:
    def crash() -> ServedPolicies:
        raise RuntimeError("out of memory\nsee above")

    run_id = trained(database, clock, asked.candidate_digest).run_id
    with pytest.raises(EvaluationCrashed):
        replace(evaluator, open_policies=crash).evaluate(asked)
    noted = show_run(database, run_id).error or ""
    assert "RuntimeError: out of memory" in noted
    assert "\n" not in noted


def test_the_probe_knows_the_champion(
    evaluator: Evaluator, asked: EvaluationAsked, database: Database, objects: FolderObjectStore, tmp_path: Path
) -> None:
    name, folder, digest = save_tiny_adapter(tmp_path, 2)
    for path in folder.iterdir():
        objects.write(f"adapters/{name}/{path.name}", path.read_bytes())
    evaluator.evaluate(replace(asked, champion_uri=f"object:adapters/{name}", champion_digest=digest))
    [message] = announced(database)
    probe = Evaluation.model_validate_json(objects.read(message.evaluation_uri)).probe
    assert len(probe.champion_logprobs) == len(probe.tokens)
    assert probe.champion_logprobs not in (probe.logprobs, probe.base_logprobs)
