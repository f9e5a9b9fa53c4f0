"""A registry with a candidate's files, its numbers and people's words: what tests of promotions start from."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from matrix.alignment.dimensions import Matrix
from matrix.digests import adapter_name, digest_bytes, digest_files
from matrix.messages.run import CandidateEvaluated, CandidateTrained, CellScores, Probe
from registry import decisions, promotion, service, views
from registry.promotion import Moved
from registry.service import GatePrompts, Registry
from tests.fakes.evaluations import PROBE, cell, evaluation_of, matrix_of, soft
from tests.fakes.evaluations import hard as hard_spec
from tests.fakes.lora_server import FakeLoraServer, Spoken

POLICY, BASE = "clinic-assistant", "a" * 64
SOFT, HARD = soft(), hard_spec()
MATRIX = matrix_of(SOFT, HARD)


PROMPTS = GatePrompts("object:gate", "f" * 64)
KNOWLEDGE = "9" * 64


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

    def evaluated(
        self, message: CandidateTrained, weights: bytes, *, harms: int = 0, **fields: object
    ) -> CandidateEvaluated:
        """Numbers against today's champion by today's matrix, unless `fields` say otherwise."""
        compared = {
            "candidate": message.adapter_digest,
            "champion": views.aliases(self.registry, POLICY)["champion"]["adapter_digest"],
            "anchor": BASE,
            "prompts_sha256": self.registry.gate_prompts().sha256,
            "knowledge_sha256": self.registry.knowledge_sha256,
            "probe": probe_of(weights),
        }
        evaluation = evaluation_of(self.registry.matrix, *cells(harms), **compared | fields)
        content = evaluation.model_dump_json().encode()
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

    def files_of(self, number: int) -> tuple[str, str]:
        """Name and folder of a version's adapter."""
        version = views.version(self.registry, POLICY, number)
        return version["name"], str(self.registry.objects.local_path(version["adapter_uri"]).resolve())

    def judged_by(self, matrix: Matrix) -> World:
        """The same registry after a restart with another matrix."""
        return World(replace(self.registry, matrix=matrix), self.fakes)

    def judged_on(self, prompts: GatePrompts) -> World:
        """The same registry with other gate prompts."""
        return World(replace(self.registry, gate_prompts=lambda: prompts), self.fakes)

    def judged_with(self, knowledge_sha256: str) -> World:
        """The same registry after a restart with another knowledge file."""
        return World(replace(self.registry, knowledge_sha256=knowledge_sha256), self.fakes)

    def verdict(self, number: int) -> str:
        return str(views.gate_report(self.registry, POLICY, number)["verdict"])

    def last_detail(self, action: str) -> dict[str, Any]:
        entries = views.audit_log(self.registry, limit=None)["entries"]
        detail: dict[str, Any] = next(entry for entry in reversed(entries) if entry["action"] == action)["detail"]
        return detail

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


ONE, TWO, THREE = b"one weights", b"two weights", b"car weights"
OF_BASE = (PROBE.base_own_tokens, PROBE.base_own_logprobs)
VOICES = {b"": OF_BASE, ONE: voice(ONE), TWO: voice(TWO), THREE: voice(THREE)}
