"""The probe: one prompt by whose completion a server proves which bytes it serves.

An adapter may never reach the sampler, and the base model answers under its name; so the prompt is chosen where the
candidate's own completion has logprobs that the base model and the champion least agree with. Prompts of one
user message are tried in order of their id: a server is asked over the chat interface with one message. The base
model's own completion of the chosen prompt goes along, for a rollback to it is proven as well.
"""

from __future__ import annotations

from collections.abc import Sequence

from matrix.messages.completion import ChatMessage
from matrix.messages.run import Probe
from trainer.evaluate import GatePrompt
from trainer.microbatches import Generated, Wanted
from trainer.policies import ServedPolicies

TRIED = 16
TOKENS = 32  # enough to tell two policies apart; a server's longer completion agrees as far as this goes
FALLBACK = "What should I know before I take this medicine?"


def make_probe(
    policies: ServedPolicies, candidate: str, prompts: Sequence[GatePrompt], *, champion: str = ServedPolicies.BASE
) -> Probe:
    """The most telling of the first prompts, with the candidate's greedy completion and its logprobs under all."""
    texts = [prompt.messages[0].content for prompt in prompts if _is_one_question(prompt)][:TRIED] or [FALLBACK]
    probes = [_probe(policies, candidate, text, champion) for text in texts]
    return _with_base_completion(policies, max(probes, key=_distance))


def _probe(policies: ServedPolicies, candidate: str, text: str, champion: str) -> Probe:
    prompt, completion = _greedy(policies, candidate, text)
    return Probe(
        prompt=text,
        completion=policies.decode(completion.tokens),
        tokens=tuple(policies.token_text(token) for token in completion.tokens),
        logprobs=completion.logprobs,
        base_logprobs=policies.logprobs(ServedPolicies.BASE, prompt, completion.tokens),
        champion_logprobs=()
        if champion == ServedPolicies.BASE
        else policies.logprobs(champion, prompt, completion.tokens),
    )


def _with_base_completion(policies: ServedPolicies, probe: Probe) -> Probe:
    _, completion = _greedy(policies, ServedPolicies.BASE, probe.prompt)
    own = {
        "base_own_tokens": tuple(policies.token_text(token) for token in completion.tokens),
        "base_own_logprobs": completion.logprobs,
    }
    return probe.model_copy(update=own)


def _greedy(policies: ServedPolicies, model: str, text: str) -> tuple[tuple[int, ...], Generated]:
    """The prompt's token ids, and the model's completion."""
    prompt = policies.encode(model, [ChatMessage(role="user", content=text)])
    room = max(1, min(TOKENS, policies.context_tokens - len(prompt)))
    [completion] = policies.generate(model, [Wanted(model, prompt, room, temperature=0.0, seed=0)])
    return prompt, completion


def _is_one_question(prompt: GatePrompt) -> bool:
    return len(prompt.messages) == 1 and prompt.messages[0].role == "user"


def _distance(probe: Probe) -> tuple[float, float]:
    """How far it tells the candidate from the nearer of the two; a candidate that is the champion: from the base."""
    base = _apart(probe.logprobs, probe.base_logprobs)
    nearer = min(base, _apart(probe.logprobs, probe.champion_logprobs)) if probe.champion_logprobs else base
    return nearer, base


def _apart(one: Sequence[float], other: Sequence[float]) -> float:
    return max(abs(left - right) for left, right in zip(one, other, strict=True))
