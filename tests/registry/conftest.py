"""A registry on the real database, with policy servers over real HTTP."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from infra.database import Database
from infra.objects import FolderObjectStore
from registry import service
from registry.service import Registry
from registry.serving import HttpPolicyServer, NamedServer
from tests.fakes.clock import FakeClock
from tests.fakes.lora_server import FakeLoraServer
from tests.fakes.registry import BASE, KNOWLEDGE, MATRIX, POLICY, PROMPTS, VOICES, World
from tests.fakes.serving import served

MakeWorld = Callable[..., World]


@pytest.fixture
def make_world(database: Database, objects: FolderObjectStore, clock: FakeClock) -> Iterator[MakeWorld]:
    with ExitStack() as stack:

        def make(*fakes: FakeLoraServer) -> World:
            found = list(fakes) or [FakeLoraServer(VOICES), FakeLoraServer(VOICES)]
            urls = [stack.enter_context(served(fake.app)) for fake in found]
            servers = tuple(NamedServer(url, HttpPolicyServer(url)) for url in urls)
            registry = Registry(database, objects, MATRIX, clock, KNOWLEDGE, servers, gate_prompts=lambda: PROMPTS)
            service.register_policy(
                registry, policy=POLICY, base_digest=BASE, base_uri="", served_name="base", actor="admin"
            )
            return World(registry, found)

        yield make
