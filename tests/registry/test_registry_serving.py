"""What a policy server must say to prove what it serves."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from matrix.digests import digest_files
from matrix.errors import ServingNotProven
from matrix.messages.run import Probe
from registry.serving import Artifact, HttpPolicyServer, NamedServer, load, prove
from tests.fakes.evaluations import PROBE
from tests.fakes.lora_server import FakeLoraServer
from tests.fakes.serving import served

FILES = {"adapter_config.json": b"{}", "adapter_model.safetensors": b"weights"}
OF_CHAMPION = (-0.6, -0.7, -0.8)


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
