"""The probe: one prompt by whose completion a server proves which bytes it serves.

An adapter may never reach the sampler, and the base model answers under its name; so the prompt is chosen where the
candidate's own completion has logprobs that the base model least agrees with. Prompts of one user message are tried in
order of their id: a server is asked over the chat interface with one message.
"""

from __future__ import annotations

from collections.abc import Sequence

from matrix.messages.completion import ChatMessage
from matrix.messages.run import Probe
from trainer.evaluate import GatePrompt
from trainer.microbatches import Wanted
from trainer.policies import ServedPolicies

TRIED = 16
TOKENS = 32  # enough to tell two policies apart; a server's longer completion agrees as far as this goes
FALLBACK = "What should I know before I take this medicine?"


def make_probe(policies: ServedPolicies, candidate: str, prompts: Sequence[GatePrompt]) -> Probe:
    """The most telling of the first prompts, with the candidate's greedy completion and its logprobs under both."""
    texts = [prompt.messages[0].content for prompt in prompts if _is_one_question(prompt)][:TRIED] or [FALLBACK]
    probes = [_probe(policies, candidate, text) for text in texts]
    return max(probes, key=_distance)


def _probe(policies: ServedPolicies, candidate: str, text: str) -> Probe:
    prompt = policies.encode(candidate, [ChatMessage(role="user", content=text)])
    room = max(1, min(TOKENS, policies.context_tokens - len(prompt)))
    [completion] = policies.generate(candidate, [Wanted(candidate, prompt, room, temperature=0.0, seed=0)])
    return Probe(
        prompt=text,
        completion=policies.decode(completion.tokens),
        tokens=tuple(policies.token_text(token) for token in completion.tokens),
        logprobs=completion.logprobs,
        base_logprobs=policies.logprobs(ServedPolicies.BASE, prompt, completion.tokens),
    )


def _is_one_question(prompt: GatePrompt) -> bool:
    return len(prompt.messages) == 1 and prompt.messages[0].role == "user"


def _distance(probe: Probe) -> float:
    return max(abs(one - other) for one, other in zip(probe.logprobs, probe.base_logprobs, strict=True))
