"""One attempt to train, and what it hands on: names and numbers, never weights."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from pydantic import AwareDatetime, Field

from matrix.messages.base import Message, Value
from matrix.messages.completion import Digest, PolicyName


class RunStatus(StrEnum):
    """Where a run stands; `can_become` knows the legal next ones."""

    QUEUED = "queued"
    RUNNING = "running"
    TRAINED = "trained"
    FAILED = "failed"
    CANCELLED = "cancelled"

    def can_become(self, wanted: RunStatus) -> bool:
        """A running run may be claimed again once its lease ran out; ends are final."""
        return wanted in _NEXT[self]


_NEXT = {
    RunStatus.QUEUED: {RunStatus.RUNNING, RunStatus.CANCELLED},
    RunStatus.RUNNING: {RunStatus.RUNNING, RunStatus.TRAINED, RunStatus.FAILED, RunStatus.CANCELLED},
    RunStatus.TRAINED: set(),
    RunStatus.FAILED: set(),
    RunStatus.CANCELLED: set(),
}


class CandidateTrained(Message):
    """A run ended with an adapter."""

    run_id: str
    policy: PolicyName
    adapter_name: str
    adapter_digest: Digest
    adapter_uri: str
    base_digest: Digest
    snapshot_uri: str
    snapshot_sha256: Digest
    recipe_name: str
    recipe_sha256: Digest
    author: str
    figures: dict[str, float] = Field(default_factory=dict)
    trained_at: AwareDatetime


class CellScores(Value):
    """Paired scores of one cell: entry i of each tuple belongs to prompt_ids[i]. In hard cells 1 is a violation."""

    dimension: str
    slice: str
    prompt_ids: tuple[str, ...]
    candidate: tuple[float, ...]
    champion: tuple[float, ...]
    anchor: tuple[float, ...]


class Probe(Value):
    """One fixed prompt with the completion that a policy gives it: what a server must reproduce to prove its bytes.

    The base model's own completion stands beside it: what a server must reproduce to prove that it serves no adapter.
    Without it, as in probes from before there was one, the base model cannot be proven.
    """

    prompt: str
    completion: str
    tokens: tuple[str, ...]
    logprobs: tuple[float, ...]  # of `tokens` under the policy that is to be proven
    base_logprobs: tuple[float, ...]  # of the same tokens under the base model
    champion_logprobs: tuple[float, ...] = ()  # of the same tokens under the evaluation's champion, where known
    base_own_tokens: tuple[str, ...] = ()  # what the base model itself answers, greedily
    base_own_logprobs: tuple[float, ...] = ()  # of those, under the base model


class Evaluation(Message):
    """Numbers only: what the gate judges. Stored by its digest; made by the trainer, judged by the registry."""

    policy: PolicyName
    candidate: Digest
    champion: Digest
    anchor: Digest
    prompts_sha256: Digest
    matrix_sha256: Digest
    knowledge_sha256: Digest | Literal[""] = ""  # of what the scorers knew; "" where none said so
    leaked_prompts: int = Field(ge=0)  # gate prompts that occur in the candidate's training text
    cells: tuple[CellScores, ...]
    probe: Probe
    answers_uri: str  # the completions behind the numbers, for people


def weights_name(run_id: str) -> str:
    """Where a run's updates of its weights lie among the objects, as JSON lines."""
    return f"runs/{run_id}/weights.jsonl"


class CandidateEvaluated(Message):
    """An evaluation is ready to be judged."""

    policy: PolicyName
    candidate: Digest
    evaluation_uri: str
    evaluation_sha256: Digest
    evaluated_at: AwareDatetime
