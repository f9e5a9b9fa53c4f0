"""A policy server that was restarted has forgotten its adapters: what people are served comes back by itself."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from matrix.errors import ArtifactCorrupt, SamplerUnavailable, ServingNotProven
from registry import promotion
from registry.serving import HttpPolicyServer, NamedServer
from registry.upkeep import Upkeep, ensure_served
from tests.fakes.lora_server import FakeLoraServer
from tests.fakes.registry import ONE, POLICY, TWO, VOICES, World
from tests.fakes.waiting import until

MakeWorld = Callable[..., World]


def promoted(world: World, *weights: bytes) -> World:
    for one in weights:
        world.promote(world.approved(world.candidate(one)))
    return world


def test_a_server_that_forgot_its_adapters_has_champion_and_previous_again(make_world: MakeWorld) -> None:
    world = promoted(make_world(), ONE, TWO)
    before = dict(world.fakes[0].loaded)
    world.fakes[0].restart()
    assert ensure_served(world.registry) == ()
    assert set(before) == {world.files_of(1)[0], world.files_of(2)[0]}
    assert [fake.loaded for fake in world.fakes] == [before, before]


def test_what_every_server_lists_is_not_loaded_again(make_world: MakeWorld) -> None:
    world = promoted(make_world(), ONE)
    asked = [list(fake.asked) for fake in world.fakes]
    assert ensure_served(world.registry) == ()
    assert [fake.asked for fake in world.fakes] == asked


def test_a_champion_that_is_not_proven_after_a_restart_does_not_stay_loaded(make_world: MakeWorld) -> None:
    world = promoted(make_world(FakeLoraServer(VOICES)), ONE)
    [fake] = world.fakes
    fake.restart()
    fake.serves_base_always = True
    [failure] = ensure_served(world.registry)
    assert isinstance(failure, ServingNotProven)
    assert fake.loaded == {}


def test_bytes_that_are_no_longer_the_champions_are_not_loaded(make_world: MakeWorld) -> None:
    world = promoted(make_world(FakeLoraServer(VOICES)), ONE)
    [fake] = world.fakes
    fake.restart()
    (Path(world.files_of(1)[1]) / "adapter_model.safetensors").write_bytes(TWO)
    [failure] = ensure_served(world.registry)
    assert isinstance(failure, ArtifactCorrupt)
    assert fake.loaded == {}


def test_a_server_that_is_away_does_not_keep_others_from_theirs(make_world: MakeWorld) -> None:
    world = promoted(make_world(), ONE)
    away = NamedServer("http://127.0.0.1:9", HttpPolicyServer("http://127.0.0.1:9"))
    world.fakes[1].restart()
    [failure] = ensure_served(replace(world.registry, servers=(away, *world.registry.servers)))
    assert isinstance(failure, SamplerUnavailable)
    assert list(world.fakes[1].loaded) == [world.files_of(1)[0]]


def test_what_is_rolled_back_while_it_is_loaded_again_does_not_stay(make_world: MakeWorld) -> None:
    world = promoted(make_world(FakeLoraServer(VOICES)), ONE)
    [fake] = world.fakes
    fake.restart()

    def meanwhile() -> None:
        fake.when_spoken = lambda: None
        promotion.roll_back(world.registry, policy=POLICY, reason="harm", actor="olga")

    fake.when_spoken = meanwhile
    assert ensure_served(world.registry) == ()
    assert world.champion() == 0
    assert fake.loaded == {}


def test_promoting_the_champion_again_loads_and_proves_it_where_it_was_forgotten(make_world: MakeWorld) -> None:
    world = make_world()
    request = world.approved(world.candidate(ONE))
    moved = world.promote(request)
    world.fakes[0].restart()
    again = world.promote(request)
    assert again == moved
    assert [list(fake.loaded) for fake in world.fakes] == [[moved.name], [moved.name]]
    assert world.actions().count("version.promoted") == 1


def test_promoting_again_what_is_no_longer_the_champion_loads_nothing(make_world: MakeWorld) -> None:
    world = make_world(FakeLoraServer(VOICES))
    request = world.approved(world.candidate(ONE))
    moved = world.promote(request)
    promotion.roll_back(world.registry, policy=POLICY, reason="harm", actor="olga")
    world.fakes[0].restart()
    assert world.promote(request) == moved
    assert world.fakes[0].loaded == {}


def test_the_thread_looks_at_once_and_again(make_world: MakeWorld) -> None:
    world = promoted(make_world(FakeLoraServer(VOICES)), ONE)
    [fake] = world.fakes
    upkeep = Upkeep(world.registry, every_s=0.01)
    upkeep.start()
    try:
        for _ in range(2):
            fake.restart()
            until(lambda: fake.loaded, "the adapter on the restarted server")
    finally:
        upkeep.stop()


@pytest.mark.slow
def test_the_registrys_process_loads_again_what_a_restarted_server_forgot(make_world: MakeWorld) -> None:
    world = promoted(make_world(FakeLoraServer(VOICES)), ONE)
    [fake], [server] = world.fakes, world.registry.servers
    fake.restart()
    told = {
        "PLUMBLINE_DATABASE_URL": world.registry.database.engine.url.render_as_string(hide_password=False),
        "PLUMBLINE_OBJECTS_DIR": str(Path(world.files_of(1)[1]).parents[1]),
        "PLUMBLINE_POLICY_SERVER_URLS": server.address,
        "PLUMBLINE_KAFKA": "127.0.0.1:9",
        "PLUMBLINE_UPKEEP_EVERY_S": "0.1",
    }
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    command = [sys.executable, "-m", "infra.cli", "registry", "serve", "--port", port]
    process = subprocess.Popen(command, env=os.environ | told)
    try:
        until(lambda: fake.loaded, "the adapter, at the start of the process")
        fake.restart()
        until(lambda: fake.loaded, "the adapter, while the process runs")
    finally:
        process.kill()
        process.wait(60)
