"""From a candidate to what is served and back, on a real PostgreSQL and policy servers over real HTTP."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import pytest
from sqlmodel import select

from infra.database import Database
from infra.objects import FolderObjectStore
from infra.tables import OutboxRow
from matrix.digests import adapter_name, digest_bytes, digest_files
from matrix.errors import ApprovalRefused, ApprovalVoid, GateNotPassed, IllegalTransition, ServingNotProven
from matrix.messages.run import CandidateEvaluated, CandidateTrained, CellScores, Probe
from registry import decisions, promotion, service, views
from registry.promotion import Moved
from registry.service import Registry
from registry.serving import HttpPolicyServer, NamedServer
from tests.fakes.clock import FakeClock
from tests.fakes.evaluations import PROBE, cell, evaluation_of, matrix_of, soft
from tests.fakes.evaluations import hard as hard_spec
from tests.fakes.lora_server import FakeLoraServer, Spoken
from tests.fakes.serving import served

POLICY, BASE = "clinic-assistant", "a" * 64
SOFT, HARD = soft(), hard_spec()
MATRIX = matrix_of(SOFT, HARD)


@dataclass
class World:
    registry: Registry
    fakes: list[FakeLoraServer]

    def champion(self) -> int:
        version = views.aliases(self.registry, POLICY)["champion"]["version"]
        assert isinstance(version, int)
        return version

    def trained(self, weights: bytes, author: str = "ann") -> CandidateTrained:
        files = {"adapter_config.json": b"{}", "adapter_model.safetensors": weights}
        digest = digest_files(files)
        name = adapter_name(POLICY, digest)
        for file, content in files.items():
            self.registry.objects.write(f"adapters/{name}/{file}", content)
        return CandidateTrained.model_validate(
            {
                "run_id": "r" * 32,
                "policy": POLICY,
                "adapter_name": name,
                "adapter_digest": digest,
                "adapter_uri": f"object:adapters/{name}",
                "base_digest": BASE,
                "snapshot_uri": "object:snapshots/1",
                "snapshot_sha256": "1" * 64,
                "recipe_name": "grpo",
                "recipe_sha256": "2" * 64,
                "author": author,
                "trained_at": self.registry.clock.now(),
            }
        )

    def candidate(self, weights: bytes, *, harms: int = 0) -> int:
        """A version that was evaluated; its number."""
        message = self.trained(weights)
        service.take_candidate(self.registry, message)
        service.take_evaluation(self.registry, self.evaluated(message, weights, harms=harms))
        listed = views.versions(self.registry, POLICY)["versions"]
        return next(int(one["version"]) for one in listed if one["adapter_digest"] == message.adapter_digest)

    def evaluated(self, message: CandidateTrained, weights: bytes, *, harms: int = 0) -> CandidateEvaluated:
        champion = views.aliases(self.registry, POLICY)["champion"]["adapter_digest"]
        fields = {"candidate": message.adapter_digest, "champion": champion, "anchor": BASE, "probe": probe_of(weights)}
        content = evaluation_of(MATRIX, *cells(harms), **fields).model_dump_json().encode()
        uri = self.registry.objects.write(f"evaluations/{digest_bytes(content)}.json", content)
        return CandidateEvaluated(
            policy=POLICY,
            candidate=message.adapter_digest,
            evaluation_uri=uri,
            evaluation_sha256=digest_bytes(content),
            evaluated_at=self.registry.clock.now(),
        )

    def approved(self, number: int) -> str:
        request = decisions.request_promotion(self.registry, policy=POLICY, number=number, reason="r", actor="rob")
        for actor in ("bea", "cas"):
            decisions.decide(self.registry, request_id=request, word="approve", reason="seen", actor=actor)
        return request

    def promote(self, request_id: str) -> Moved:
        return promotion.promote(self.registry, request_id=request_id, actor="olga")

    def actions(self) -> list[str]:
        log = views.audit_log(self.registry, limit=None)
        assert log["chain"] == "intact"
        return [entry["action"] for entry in log["entries"]]


def cells(harms: int) -> tuple[CellScores, CellScores]:
    violated = [float(index < harms) for index in range(200)]
    return cell(SOFT, [0.6, 0.5] * 100, [0.5, 0.4] * 100), cell(HARD, violated, [0.0] * 200)


def voice(weights: bytes) -> Spoken:
    return PROBE.tokens, tuple(-0.1 - 0.1 * (byte % 7) for byte in weights[:3])


def probe_of(weights: bytes) -> Probe:
    return PROBE.model_copy(update={"logprobs": voice(weights)[1]})


ONE, TWO = b"one weights", b"two weights"
VOICES = {b"": (PROBE.tokens, PROBE.base_logprobs), ONE: voice(ONE), TWO: voice(TWO)}

MakeWorld = Callable[..., World]


@pytest.fixture
def make_world(database: Database, objects: FolderObjectStore, clock: FakeClock) -> Iterator[MakeWorld]:
    with ExitStack() as stack:

        def make(*fakes: FakeLoraServer) -> World:
            found = list(fakes) or [FakeLoraServer(VOICES), FakeLoraServer(VOICES)]
            urls = [stack.enter_context(served(fake.app)) for fake in found]
            servers = tuple(NamedServer(url, HttpPolicyServer(url)) for url in urls)
            registry = Registry(database, objects, MATRIX, clock, servers, gate_prompts=lambda: "object:gate")
            service.register_policy(
                registry, policy=POLICY, base_digest=BASE, base_uri="", served_name="base", actor="admin"
            )
            return World(registry, found)

        yield make


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


def test_rolling_back_restores_the_previous_adapter_then_the_base(make_world: MakeWorld) -> None:
    world = make_world()
    world.promote(world.approved(world.candidate(ONE)))
    world.promote(world.approved(world.candidate(TWO)))
    restored = [promotion.roll_back(world.registry, policy=POLICY, reason="harm", actor="olga") for _ in range(2)]
    assert [moved.version for moved in restored] == [1, 0]
    with pytest.raises(IllegalTransition):
        promotion.roll_back(world.registry, policy=POLICY, reason="harm", actor="olga")
