"""From a candidate to what is served and back, on a real PostgreSQL and policy servers over real HTTP."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from sqlmodel import select

from infra.database import Database
from infra.tables import OutboxRow
from matrix.errors import ApprovalRefused, ApprovalVoid, GateNotPassed, IllegalTransition, ServingNotProven
from registry import decisions, promotion, service
from tests.fakes.lora_server import FakeLoraServer
from tests.fakes.registry import ONE, POLICY, THREE, TWO, VOICES, World

MakeWorld = Callable[..., World]


def test_a_passed_and_approved_version_is_served_on_every_server_once(make_world: MakeWorld) -> None:
    world = make_world()
    request = world.approved(world.candidate(ONE))
    first, second = world.promote(request), world.promote(request)
    assert first == second
    assert world.champion() == 1
    assert [len(fake.loaded) for fake in world.fakes] == [1, 1]
    assert world.actions().count("version.promoted") == 1


def test_a_second_delivery_changes_nothing(make_world: MakeWorld, database: Database) -> None:
    world = make_world()
    message = world.trained(ONE)
    for _ in range(2):
        service.take_candidate(world.registry, message)
    evaluated = world.evaluated(message, ONE)
    for _ in range(2):
        service.take_evaluation(world.registry, evaluated)
    assert world.actions() == ["policy.registered", "version.registered", "gate.judged"]
    with database.unit_of_work() as session:
        assert [row.kind for row in session.exec(select(OutboxRow)).all()].count("command") == 1


def test_what_the_gate_refused_cannot_be_asked_for(make_world: MakeWorld) -> None:
    world = make_world()
    number = world.candidate(ONE, harms=30)
    with pytest.raises(GateNotPassed, match="harm"):
        decisions.request_promotion(world.registry, policy=POLICY, number=number, reason="please", actor="rob")
    assert world.actions()[-1] == "promotion.request.refused"


def test_author_requester_and_a_second_word_are_refused_and_one_approval_is_not_enough(make_world: MakeWorld) -> None:
    world = make_world()
    number = world.candidate(ONE)
    request = decisions.request_promotion(world.registry, policy=POLICY, number=number, reason="r", actor="rob")
    decisions.decide(world.registry, request_id=request, word="approve", reason="seen", actor="bea")
    for actor in ("ann", "rob", "bea"):
        with pytest.raises(ApprovalRefused):
            decisions.decide(world.registry, request_id=request, word="approve", reason="seen", actor=actor)
    with pytest.raises(IllegalTransition):
        world.promote(request)
    assert world.champion() == 0


def test_one_rejection_is_final(make_world: MakeWorld) -> None:
    world = make_world()
    number = world.candidate(ONE)
    request = decisions.request_promotion(world.registry, policy=POLICY, number=number, reason="r", actor="rob")
    decisions.decide(world.registry, request_id=request, word="reject", reason="no", actor="bea")
    with pytest.raises(IllegalTransition):
        decisions.decide(world.registry, request_id=request, word="approve", reason="yes", actor="cas")


def rejected(world: World, number: int) -> None:
    request = decisions.request_promotion(world.registry, policy=POLICY, number=number, reason="r", actor="rob")
    decisions.decide(world.registry, request_id=request, word="reject", reason="no", actor="bea")


def test_what_was_rejected_cannot_be_asked_for_again_on_the_same_report(make_world: MakeWorld) -> None:
    world = make_world()
    number = world.candidate(ONE)
    rejected(world, number)
    with pytest.raises(IllegalTransition, match="rejected and cannot become asked for again"):
        decisions.request_promotion(world.registry, policy=POLICY, number=number, reason="please", actor="sue")
    assert world.actions()[-1] == "promotion.request.refused"


def test_a_rejection_closes_other_requests_for_the_same(make_world: MakeWorld) -> None:
    world = make_world()
    number, other = world.candidate(ONE), world.candidate(TWO)
    approved, unlike = world.approved(number), world.approved(other)
    rejected(world, number)
    assert world.last_detail("promotion.rejected")["rejected_requests"] == [approved]
    with pytest.raises(IllegalTransition, match="rejected"):
        world.promote(approved)
    assert world.promote(unlike).version == other


def test_a_new_report_opens_the_question_again(make_world: MakeWorld) -> None:
    world = make_world()
    number = world.candidate(ONE)
    rejected(world, number)
    service.evaluate_again(world.registry, policy=POLICY, number=number, actor="olga")
    better = world.evaluated(world.trained(ONE), ONE, answers_uri="object:other-answers")
    service.take_evaluation(world.registry, better)
    assert world.promote(world.approved(number)).version == number


def test_a_champion_that_moved_voids_what_was_approved(make_world: MakeWorld) -> None:
    world = make_world()
    first, second = world.approved(world.candidate(ONE)), world.approved(world.candidate(TWO))
    world.promote(first)
    with pytest.raises(ApprovalVoid):
        world.promote(second)
    assert world.champion() == 1


@pytest.mark.parametrize("lie", [{"serves_base_always": True}, {"loads": False}])
def test_a_server_that_lies_is_found_out_and_nothing_moves(make_world: MakeWorld, lie: dict[str, bool]) -> None:
    world = make_world(FakeLoraServer(VOICES), FakeLoraServer(VOICES, **lie))
    request = world.approved(world.candidate(ONE))
    with pytest.raises(ServingNotProven):
        world.promote(request)
    assert world.champion() == 0
    assert world.actions()[-1] == "promotion.promote.refused"
    honest = world.fakes[0]
    assert len(honest.asked) == 1  # it was told to load
    assert honest.loaded == {}


def test_a_failed_proof_leaves_what_was_loaded_before_it(make_world: MakeWorld) -> None:
    world = make_world(FakeLoraServer(VOICES), FakeLoraServer(VOICES, loads=False))
    request = world.approved(world.candidate(ONE))
    honest = world.fakes[0]
    name, path = world.files_of(1)
    honest.loaded[name] = path
    with pytest.raises(ServingNotProven):
        world.promote(request)
    assert honest.loaded == {name: path}


def test_a_promotion_unloads_what_no_alias_names_and_says_so(make_world: MakeWorld) -> None:
    world = make_world()
    for weights in (ONE, TWO, THREE):
        world.promote(world.approved(world.candidate(weights)))
    gone, kept = world.files_of(1)[0], {world.files_of(2)[0], world.files_of(3)[0]}
    assert [set(fake.loaded) for fake in world.fakes] == [kept, kept]
    assert list(world.last_detail("adapters.unloaded").values()) == [[gone], [gone]]


def test_requests_that_a_promotion_closes_are_named_in_its_entry(make_world: MakeWorld) -> None:
    world = make_world()
    first, second = world.approved(world.candidate(ONE)), world.approved(world.candidate(TWO))
    world.promote(first)
    assert world.last_detail("version.promoted")["voided_requests"] == [second]
    third = world.approved(world.candidate(THREE))
    promotion.roll_back(world.registry, policy=POLICY, reason="harm", actor="olga")
    assert world.last_detail("version.rolled_back")["voided_requests"] == [third]


def test_rolling_back_restores_the_previous_adapter_then_the_base(make_world: MakeWorld) -> None:
    world = make_world()
    world.promote(world.approved(world.candidate(ONE)))
    world.promote(world.approved(world.candidate(TWO)))
    restored = [promotion.roll_back(world.registry, policy=POLICY, reason="harm", actor="olga") for _ in range(2)]
    assert [moved.version for moved in restored] == [1, 0]
    with pytest.raises(IllegalTransition):
        promotion.roll_back(world.registry, policy=POLICY, reason="harm", actor="olga")


def test_a_rollback_that_names_what_must_go_is_done_once_however_often_it_is_asked_for(make_world: MakeWorld) -> None:
    world = make_world()
    for weights in (ONE, TWO):
        world.promote(world.approved(world.candidate(weights)))
    moved, again = (
        promotion.roll_back(world.registry, policy=POLICY, reason="harm", actor="olga", from_version=2)
        for _ in range(2)
    )
    assert again == moved
    assert world.champion() == 1
    assert world.actions().count("version.rolled_back") == 1


@pytest.mark.parametrize("named", [0, 2, 7])
def test_a_rollback_from_a_version_that_is_not_served_is_refused(make_world: MakeWorld, named: int) -> None:
    world = make_world()
    world.promote(world.approved(world.candidate(ONE)))
    with pytest.raises(IllegalTransition, match=f"on version 1 and cannot become rolled back from version {named}"):
        promotion.roll_back(world.registry, policy=POLICY, reason="harm", actor="olga", from_version=named)
    assert world.champion() == 1
    assert world.actions()[-1] == "rollback.refused"


def test_a_version_that_was_promoted_again_can_be_rolled_back_from_again(make_world: MakeWorld) -> None:
    world = make_world()
    number = world.candidate(ONE)
    for _ in range(2):
        world.promote(world.approved(number))
        promotion.roll_back(world.registry, policy=POLICY, reason="harm", actor="olga", from_version=number)
    assert world.champion() == 0
    assert world.actions().count("version.rolled_back") == 2
