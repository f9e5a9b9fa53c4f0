"""Two operators at once: whoever wins, one champion and one entry."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

from matrix.errors import ApprovalVoid, PlumblineError
from registry.promotion import Moved
from tests.fakes.lora_server import FakeLoraServer
from tests.fakes.registry import ONE, TWO, VOICES, World

MakeWorld = Callable[..., World]


def at_once(world: World, requests: list[str]) -> list[Moved | PlumblineError]:
    """Every attempt has proven its adapter before the first may move the alias."""
    together = Barrier(len(requests))
    world.fakes[-1].when_spoken = lambda: together.wait(30)

    def attempt(request: str) -> Moved | PlumblineError:
        try:
            return world.promote(request)
        except PlumblineError as error:
            return error

    with ThreadPoolExecutor(len(requests)) as pool:
        return list(pool.map(attempt, requests))


def test_one_request_promoted_twice_at_once_is_one_promotion(make_world: MakeWorld) -> None:
    world = make_world(FakeLoraServer(VOICES))
    request = world.approved(world.candidate(ONE))
    first, second = at_once(world, [request, request])
    assert isinstance(first, Moved)
    assert first == second
    assert world.champion() == 1
    assert world.actions().count("version.promoted") == 1


def test_two_requests_promoted_at_once_end_with_one_champion_that_is_loaded(make_world: MakeWorld) -> None:
    world = make_world(FakeLoraServer(VOICES))
    requests = [world.approved(world.candidate(weights)) for weights in (ONE, TWO)]
    outcomes = at_once(world, requests)
    [moved] = [one for one in outcomes if isinstance(one, Moved)]
    assert [type(one) for one in outcomes if not isinstance(one, Moved)] == [ApprovalVoid]
    assert world.champion() == moved.version
    assert moved.name in world.fakes[0].loaded
    assert world.actions().count("version.promoted") == 1


def test_two_requests_of_one_version_at_once_leave_it_loaded(make_world: MakeWorld) -> None:
    world = make_world(FakeLoraServer(VOICES))
    number = world.candidate(ONE)
    outcomes = at_once(world, [world.approved(number), world.approved(number)])
    [moved] = [one for one in outcomes if isinstance(one, Moved)]
    assert world.champion() == number
    assert set(world.fakes[0].loaded) == {moved.name}
