"""What a decision rests on: once matrix, knowledge, gate prompts or question is another, it counts no more."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from matrix.alignment.dimensions import GatePolicy, Matrix
from matrix.errors import ApprovalVoid, GateNotPassed, InvalidInput, NotFound
from registry import app, decisions, service, views
from registry.service import GatePrompts
from tests.fakes.registry import BASE, HARD, MATRIX, ONE, POLICY, SOFT, TWO, World
from trainer.declarations import read_knowledge
from trainer.settings import TrainerSettings

MakeWorld = Callable[..., World]
STRICTER = Matrix(dimensions=(SOFT, HARD), gate=GatePolicy(approvals_hard=3))
OTHER_PROMPTS = GatePrompts("object:other", "0" * 64)


def test_an_edited_matrix_voids_what_was_approved_and_its_own_approvals_are_asked_for(make_world: MakeWorld) -> None:
    world = make_world()
    request = world.approved(world.candidate(ONE))
    edited = world.judged_by(STRICTER)
    with pytest.raises(ApprovalVoid, match="matrix"):
        edited.promote(request)
    assert world.champion() == 0
    with pytest.raises(GateNotPassed, match="another matrix"):
        edited.approved(1)
    service.evaluate_again(edited.registry, policy=POLICY, number=1, actor="olga")
    service.take_evaluation(edited.registry, edited.evaluated(world.trained(ONE), ONE))
    again = decisions.request_promotion(edited.registry, policy=POLICY, number=1, reason="r", actor="rob")
    assert views.request(edited.registry, again)["approvals_needed"] == 3


def test_an_edited_matrix_voids_a_request_before_anybody_decides(make_world: MakeWorld) -> None:
    world = make_world()
    number = world.candidate(ONE)
    request = decisions.request_promotion(world.registry, policy=POLICY, number=number, reason="r", actor="rob")
    edited = world.judged_by(STRICTER).registry
    with pytest.raises(ApprovalVoid, match="matrix"):
        decisions.decide(edited, request_id=request, word="approve", reason="seen", actor="bea")
    assert views.request(world.registry, request)["status"] == "void"


def test_other_gate_prompts_void_what_was_approved(make_world: MakeWorld) -> None:
    world = make_world()
    request = world.approved(world.candidate(ONE))
    changed = world.judged_on(OTHER_PROMPTS)
    with pytest.raises(ApprovalVoid, match="prompts"):
        changed.promote(request)
    with pytest.raises(GateNotPassed, match="other gate prompts"):
        changed.approved(1)


def test_an_edited_knowledge_file_voids_what_was_approved(make_world: MakeWorld) -> None:
    world = make_world()
    request = world.approved(world.candidate(ONE))
    edited = world.judged_with("0" * 64)
    with pytest.raises(ApprovalVoid, match="knowledge"):
        edited.promote(request)
    assert world.champion() == 0
    with pytest.raises(GateNotPassed, match="other knowledge"):
        edited.approved(1)
    service.evaluate_again(edited.registry, policy=POLICY, number=1, actor="olga")
    service.take_evaluation(edited.registry, edited.evaluated(world.trained(ONE), ONE))
    assert edited.promote(edited.approved(1)).version == 1


def test_numbers_that_do_not_say_what_their_scorers_knew_never_pass(make_world: MakeWorld) -> None:
    world = make_world()
    message = world.trained(ONE)
    service.take_candidate(world.registry, message)
    service.take_evaluation(world.registry, world.evaluated(message, ONE, knowledge_sha256=""))
    assert world.verdict(1) == "invalid"


def test_the_registry_names_the_knowledge_that_the_trainers_scorers_read(tmp_path: Path) -> None:
    settings = TrainerSettings()
    assert app.read_knowledge(settings.knowledge_file).digest() == read_knowledge(settings).digest()
    with pytest.raises(InvalidInput, match="PLUMBLINE_KNOWLEDGE_FILE"):
        app.read_knowledge(tmp_path / "gone.toml")


@pytest.mark.parametrize("name", ["champion", "anchor", "prompts_sha256", "knowledge_sha256"])
def test_numbers_that_were_not_asked_for_never_pass_and_the_log_says_why(make_world: MakeWorld, name: str) -> None:
    world = make_world()
    message = world.trained(ONE)
    service.take_candidate(world.registry, message)
    other: dict[str, Any] = {name: "0" * 64}
    service.take_evaluation(world.registry, world.evaluated(message, ONE, **other))
    assert world.verdict(1) == "invalid"
    assert name.removesuffix("_sha256") in world.last_detail("gate.judged")["reasons"][0]
    with pytest.raises(GateNotPassed):
        world.approved(1)


def test_numbers_for_a_version_that_nobody_asked_about_are_refused(make_world: MakeWorld) -> None:
    world = make_world()
    about_base = world.trained(ONE).model_copy(update={"adapter_digest": BASE})
    with pytest.raises(NotFound):
        service.take_evaluation(world.registry, world.evaluated(about_base, ONE))


def test_an_old_message_after_a_matrix_edit_changes_nothing(make_world: MakeWorld) -> None:
    world = make_world()
    message = world.trained(ONE)
    service.take_candidate(world.registry, message)
    old = world.evaluated(message, ONE)
    service.take_evaluation(world.registry, old)
    request = world.approved(1)
    before = world.actions()
    service.take_evaluation(world.judged_by(STRICTER).registry, old)
    assert world.actions() == before
    assert views.version(world.registry, POLICY, 1)["status"] == "gate_passed"
    world.promote(request)
    assert world.champion() == 1


def test_stored_numbers_are_judged_again_when_asked_for(make_world: MakeWorld) -> None:
    """The trainer answers a question once; after a detour by another matrix the first answer stands again."""
    world = make_world()
    number = world.candidate(ONE)
    edited = world.judged_by(STRICTER)
    service.evaluate_again(edited.registry, policy=POLICY, number=number, actor="olga")
    service.take_evaluation(edited.registry, edited.evaluated(world.trained(ONE), ONE, harms=30))
    assert world.verdict(number) == "fail"
    service.evaluate_again(world.registry, policy=POLICY, number=number, actor="olga")
    assert world.verdict(number) == "pass"
    assert views.gate_report(world.registry, POLICY, number)["matrix_sha256"] == MATRIX.digest()
    world.promote(world.approved(number))


def test_a_late_answer_to_an_earlier_question_does_not_stand(make_world: MakeWorld) -> None:
    world = make_world()
    message = world.trained(ONE)
    service.take_candidate(world.registry, message)
    late = world.evaluated(message, ONE, harms=30)
    world.promote(world.approved(world.candidate(TWO)))
    service.evaluate_again(world.registry, policy=POLICY, number=1, actor="olga")
    service.take_evaluation(world.registry, world.evaluated(message, ONE))
    service.take_evaluation(world.registry, late)
    assert world.verdict(1) == "pass"
