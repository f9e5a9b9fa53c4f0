"""One evaluation from names to an announced result: verify, answer greedily, score, pair, probe, store.

Idempotent on everything that is compared: delivered twice, it is made once and announced twice alike; a policy that
appears twice among candidate, champion and anchor answers once. What fails for good is noted on the candidate's run.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from infra.database import Database
from matrix.alignment.dimensions import Matrix
from matrix.digests import adapter_name, canonical_json, digest_bytes, digest_json
from matrix.errors import ArtifactCorrupt, Permanent, Transient
from matrix.messages.run import CandidateEvaluated, Evaluation
from matrix.ports import Clock, ObjectStore
from matrix.scorers import score_many
from matrix.scorers.knowledge import Knowledge
from matrix.scorers.learned import LearnedScorer
from matrix.scorers.slices import slice_of
from trainer.champions import read_adapter
from trainer.evaluate import (
    GatePrompt,
    ScoredPolicy,
    count_leaked,
    paired_cells,
    parse_gate_prompts,
    score_policy,
    user_turns,
)
from trainer.microbatches import Wanted
from trainer.policies import ServedPolicies
from trainer.probe import make_probe
from trainer.service import (
    announce_evaluation,
    find_evaluation,
    holding_evaluation,
    note_failed_evaluation,
    record_evaluation,
)
from trainer.snapshots import Snapshot, read_snapshot
from trainer.tables import EvaluationRow
from trainer.training import CRASHES

FORM = 2  # of what is stored; what was stored in an earlier one (without knowledge's digest) is no answer today


class EvaluationHeld(Transient):
    """Another worker is making this evaluation; once it is made, asking again announces it."""


class EvaluationCrashed(Permanent):
    """An evaluation that broke: out of memory, or a fault of the program."""

    def __init__(self, *, candidate: str, error: BaseException) -> None:
        self.candidate, self.kind = candidate, type(error).__name__
        said = (str(error).strip().splitlines() or ["no reason given"])[0]
        super().__init__(f"evaluation of {candidate[:12]} crashed: {self.kind}: {said}")


@dataclass(frozen=True, slots=True)
class EvaluationAsked:
    """What is to be compared on which prompts; the base model's uri is empty."""

    policy: str
    candidate_uri: str
    candidate_digest: str
    champion_uri: str
    champion_digest: str
    anchor_uri: str
    anchor_digest: str
    gate_prompts_uri: str
    snapshot_uri: str

    def uris(self) -> dict[str, str]:
        """Digest -> uri, each policy once."""
        return {
            self.anchor_digest: self.anchor_uri,
            self.champion_digest: self.champion_uri,
            self.candidate_digest: self.candidate_uri,
        }


@dataclass(frozen=True, slots=True)
class Evaluator:
    """A process that evaluates, with its base model kept warm."""

    database: Database
    objects: ObjectStore
    clock: Clock
    matrix: Matrix
    knowledge: Knowledge
    base_digest: str
    open_policies: Callable[[], ServedPolicies]  # the base alone
    learned_for: Callable[[Snapshot], Mapping[str, LearnedScorer]]
    batch: int
    max_tokens: int

    def evaluate(self, asked: EvaluationAsked) -> bool:
        """Whether the evaluation is new; one that was made before is announced again.

        Raises SnapshotCorrupt, ArtifactCorrupt, NotFound, InvalidInput or EvaluationCrashed, which the candidate's run
        then tells; EvaluationHeld where another worker makes it.
        """
        try:
            return self._evaluate(asked)
        except Permanent as error:
            note_failed_evaluation(self.database, asked.candidate_digest, str(error))
            raise
        except CRASHES as error:
            crashed = EvaluationCrashed(candidate=asked.candidate_digest, error=error)
            note_failed_evaluation(self.database, asked.candidate_digest, str(crashed))
            raise crashed from error

    def _evaluate(self, asked: EvaluationAsked) -> bool:
        prompts_content = self.objects.read(asked.gate_prompts_uri)
        identity = [FORM, asdict(asked), digest_bytes(prompts_content), self.matrix.digest(), self.knowledge.digest()]
        evaluation_id = digest_json(identity)
        with holding_evaluation(self.database, evaluation_id) as is_mine:
            if not is_mine:
                raise EvaluationHeld(f"evaluation {evaluation_id[:12]} is being made by another worker")
            made = find_evaluation(self.database, evaluation_id)
            if made is not None:
                announce_evaluation(self.database, made)
                return False
            return self._make(asked, evaluation_id, prompts_content)

    def _make(self, asked: EvaluationAsked, evaluation_id: str, prompts_content: bytes) -> bool:
        prompts = parse_gate_prompts(prompts_content, file=asked.gate_prompts_uri)
        evaluation = self._compared(asked, prompts, digest_bytes(prompts_content))
        content = canonical_json(evaluation.model_dump(mode="json"))
        sha256 = digest_bytes(content)
        message = CandidateEvaluated(
            policy=asked.policy,
            candidate=asked.candidate_digest,
            evaluation_uri=self.objects.write(f"evaluations/{sha256}.json", content),
            evaluation_sha256=sha256,
            evaluated_at=self.clock.now(),
        )
        row = {
            "evaluation_id": evaluation_id,
            "champion": asked.champion_digest,
            "anchor": asked.anchor_digest,
            **message.model_dump(include=set(EvaluationRow.model_fields)),
        }
        return record_evaluation(self.database, EvaluationRow.model_validate(row), message)

    def _compared(self, asked: EvaluationAsked, prompts: Sequence[GatePrompt], prompts_sha256: str) -> Evaluation:
        snapshot = read_snapshot(self.objects, asked.snapshot_uri)
        learned = self.learned_for(snapshot)
        policies = self.open_policies()
        scored = {}
        for digest, uri in asked.uris().items():
            name = self._load(policies, asked.policy, digest, uri)
            completions = self._completions(policies, name, prompts)
            scored[digest] = score_policy(
                digest, prompts, completions, lambda pairs: score_many(pairs, self.matrix, self.knowledge, learned)
            )
        candidate = _served_name(asked.policy, asked.candidate_digest, asked.candidate_uri)
        champion = _served_name(asked.policy, asked.champion_digest, asked.champion_uri)
        return Evaluation(
            policy=asked.policy,
            candidate=asked.candidate_digest,
            champion=asked.champion_digest,
            anchor=asked.anchor_digest,
            prompts_sha256=prompts_sha256,
            matrix_sha256=self.matrix.digest(),
            knowledge_sha256=self.knowledge.digest(),
            leaked_prompts=count_leaked(prompts, user_turns(snapshot.samples)),
            cells=paired_cells(
                self.matrix.dimensions,
                {prompt.prompt_id: slice_of(prompt.messages, self.knowledge) for prompt in prompts},
                candidate=scored[asked.candidate_digest],
                champion=scored[asked.champion_digest],
                anchor=scored[asked.anchor_digest],
            ),
            probe=make_probe(policies, candidate, prompts, champion=champion),
            answers_uri=self._store_answers(asked, prompts, scored),
        )

    def _load(self, policies: ServedPolicies, policy: str, digest: str, uri: str) -> str:
        """Name under which the policy answers, once its bytes are those of its digest."""
        name = _served_name(policy, digest, uri)
        if not uri:
            if digest != self.base_digest:
                raise ArtifactCorrupt("base model", expected=digest, found=self.base_digest)
            return name
        read_adapter(self.objects, uri, digest)
        policies.load(name, Path(self.objects.local_path(uri)))
        return name

    def _completions(self, policies: ServedPolicies, name: str, prompts: Sequence[GatePrompt]) -> list[str]:
        """Greedy completions in the order of the prompts; alike lengths go together, so that little is padding."""
        encoded = [policies.encode(name, prompt.messages) for prompt in prompts]
        order = sorted(range(len(prompts)), key=lambda index: (len(encoded[index]), index))
        texts = [""] * len(prompts)
        for start in range(0, len(order), self.batch):
            members = order[start : start + self.batch]
            room = policies.context_tokens - max(len(encoded[index]) for index in members)
            tokens = max(1, min(self.max_tokens, room))
            wanted = [Wanted(name, encoded[index], tokens, temperature=0.0, seed=0) for index in members]
            for index, completion in zip(members, policies.generate(name, wanted), strict=True):
                texts[index] = policies.decode(completion.tokens)
        return texts

    def _store_answers(
        self, asked: EvaluationAsked, prompts: Sequence[GatePrompt], scored: Mapping[str, ScoredPolicy]
    ) -> str:
        """JSON lines for people: what each policy wrote, and how it scored."""
        roles = {
            "candidate": asked.candidate_digest,
            "champion": asked.champion_digest,
            "anchor": asked.anchor_digest,
        }
        lines = []
        for prompt in prompts:
            row = {
                "prompt_id": prompt.prompt_id,
                "slice": slice_of(prompt.messages, self.knowledge),
                "messages": [message.model_dump() for message in prompt.messages],
                "completions": {role: scored[digest].completions[prompt.prompt_id] for role, digest in roles.items()},
                "scores": {role: dict(scored[digest].scores[prompt.prompt_id]) for role, digest in roles.items()},
            }
            lines.append(json.dumps(row, sort_keys=True, ensure_ascii=False))
        content = ("\n".join(lines) + "\n").encode()
        return self.objects.write(f"evaluations/{digest_bytes(content)}-answers.jsonl", content)


def _served_name(policy: str, digest: str, uri: str) -> str:
    return adapter_name(policy, digest) if uri else ServedPolicies.BASE
