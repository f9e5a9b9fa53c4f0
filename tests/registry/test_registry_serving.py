"""What a policy server must say to prove what it serves."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from matrix.digests import digest_files
from matrix.errors import ServingNotProven
from matrix.messages.run import Probe
from registry.serving import Artifact, HttpPolicyServer, NamedServer, Proof, load, prove
from tests.fakes.evaluations import PROBE
from tests.fakes.lora_server import FakeLoraServer, Spoken
from tests.fakes.serving import served

FILES = {"adapter_config.json": b"{}", "adapter_model.safetensors": b"weights"}
OF_CHAMPION = (-0.6, -0.7, -0.8)
OWN = (PROBE.base_own_tokens, PROBE.base_own_logprobs)
TOLERANCE = 0.02


def proven(folder: Path, said: tuple[float, ...], probe: Probe) -> None:
    for name, content in FILES.items():
        (folder / name).write_bytes(content)
    voices = {b"": (PROBE.tokens, PROBE.base_logprobs), b"weights": (PROBE.tokens, said)}
    with served(FakeLoraServer(voices).app) as url:
        server, artifact = NamedServer(url, HttpPolicyServer(url)), Artifact("a", digest_files(FILES), folder)
        load([server], artifact, [])
        prove(server, artifact, probe, tolerance=0.02)


def test_the_candidates_own_words_are_a_proof(tmp_path: Path) -> None:
    proven(tmp_path, PROBE.logprobs, PROBE.model_copy(update={"champion_logprobs": OF_CHAMPION}))


def test_a_server_is_asked_for_as_many_tokens_as_the_probe_holds(tmp_path: Path) -> None:
    for name, content in FILES.items():
        (tmp_path / name).write_bytes(content)
    endless = (" and",) * 50, (-1.0,) * 50
    voices = {
        b"": (OWN[0] + endless[0], OWN[1] + endless[1]),
        b"weights": (PROBE.tokens + endless[0], PROBE.logprobs + endless[1]),
    }
    fake = FakeLoraServer(voices)
    probe = PROBE.model_copy(update={"base_own_tokens": OWN[0][:2], "base_own_logprobs": OWN[1][:2]})
    with served(fake.app) as url:
        server, artifact = NamedServer(url, HttpPolicyServer(url)), Artifact("a", digest_files(FILES), tmp_path)
        load([server], artifact, [])
        prove(server, artifact, probe, tolerance=TOLERANCE)
        prove(server, Artifact("base", "a" * 64, None), probe, tolerance=TOLERANCE)
    assert fake.spoken == [3, 2]


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_an_answer_with_a_logprob_that_is_no_number_proves_nothing(tmp_path: Path, bad: float) -> None:
    with pytest.raises(ServingNotProven, match="no number"):
        proven(tmp_path, (PROBE.logprobs[0], bad, PROBE.logprobs[2]), PROBE)


@pytest.mark.parametrize("column", ["logprobs", "base_logprobs", "champion_logprobs"])
def test_a_probe_with_a_logprob_that_is_no_number_or_is_missing_proves_nothing(tmp_path: Path, column: str) -> None:
    for broken in ((-0.1, math.nan, -0.3), (-0.1, -0.2)):
        with pytest.raises(ServingNotProven, match="probe"):
            proven(tmp_path, PROBE.logprobs, PROBE.model_copy(update={column: broken}))


@pytest.mark.parametrize("said", [PROBE.base_logprobs, OF_CHAMPION, (-0.1, -0.2, -0.35)])
def test_words_of_the_base_of_the_champion_or_a_little_off_are_refused(tmp_path: Path, said: tuple[float, ...]) -> None:
    with pytest.raises(ServingNotProven, match="differ by"):
        proven(tmp_path, said, PROBE.model_copy(update={"champion_logprobs": OF_CHAMPION}))


def test_a_probe_on_which_candidate_and_champion_agree_proves_nothing(tmp_path: Path) -> None:
    near = tuple(value + 0.03 for value in PROBE.logprobs)
    with pytest.raises(ServingNotProven, match="champion"):
        proven(tmp_path, PROBE.logprobs, PROBE.model_copy(update={"champion_logprobs": near}))


class SaysOnly:
    """A policy server that has one answer, whoever is asked for."""

    def __init__(self, said: Spoken) -> None:
        self._said = said

    def load_adapter(self, name: str, path: Path) -> None:
        raise AssertionError("the base model is never loaded")

    def unload_adapter(self, name: str) -> None:
        raise AssertionError("the base model is never unloaded")

    def served_models(self) -> dict[str, str]:
        return {"base": "/models/base"}

    def completion_logprobs(self, model: str, prompt: str, *, max_tokens: int) -> Spoken:
        return self._said


def proven_base(said: Spoken, probe: Probe = PROBE) -> Proof:
    return prove(NamedServer("here", SaysOnly(said)), Artifact("base", "a" * 64, None), probe, tolerance=TOLERANCE)


def test_the_base_models_own_words_are_a_proof_of_it_with_or_without_their_end() -> None:
    assert proven_base(OWN).tokens == 3
    assert proven_base((OWN[0][:2], OWN[1][:2])).tokens == 2


@pytest.mark.parametrize(
    "said",
    [
        (("zzz", "garbage"), (-0.01, -5.0)),
        ((), ()),
        (OWN[0][:1], OWN[1][:1]),
        (OWN[0], (-0.4, -0.5, -0.65)),
        (PROBE.tokens, PROBE.logprobs),
    ],
)
def test_other_words_than_the_base_models_own_are_no_proof_of_it(said: Spoken) -> None:
    with pytest.raises(ServingNotProven):
        proven_base(said)


def test_the_base_model_is_not_proven_where_the_adapter_says_the_same() -> None:
    same = PROBE.model_copy(update={"base_own_tokens": PROBE.tokens, "base_own_logprobs": PROBE.logprobs})
    with pytest.raises(ServingNotProven, match="adapter's"):
        proven_base((PROBE.tokens, PROBE.logprobs), same)


def test_a_probe_without_the_base_models_words_proves_no_base_model() -> None:
    with pytest.raises(ServingNotProven, match="no completion of the base model"):
        proven_base(OWN, PROBE.model_copy(update={"base_own_tokens": (), "base_own_logprobs": ()}))


words = st.lists(st.sampled_from([*PROBE.base_own_tokens, *PROBE.tokens, "zzz"]), max_size=5)


@given(tokens=words, shift=st.floats(-0.05, 0.05))
def test_a_proof_of_the_base_model_rests_on_its_own_tokens_and_on_all_but_the_last(
    tokens: list[str], shift: float
) -> None:
    said = tuple(tokens), tuple(value + shift for value in (*PROBE.base_own_logprobs, -0.7, -0.8)[: len(tokens)])
    try:
        proof = proven_base(said)
    except ServingNotProven:
        return
    assert proof.tokens >= len(OWN[0]) - 1
    assert tuple(tokens[: proof.tokens]) == OWN[0][: proof.tokens]
    assert proof.difference <= TOLERANCE
