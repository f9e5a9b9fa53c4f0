from collections.abc import Iterator, Sequence
from threading import Event

import pytest

from matrix.errors import NotFound, SamplerUnavailable
from trainer.microbatches import Generated, MicroBatcher, Wanted


class Recorded:
    """Stands for a model: answers with the seed, and holds the first batch until told."""

    def __init__(self) -> None:
        self.batches: list[tuple[str, list[int]]] = []
        self.started, self.go_on = Event(), Event()

    def generate(self, model: str, wanted: Sequence[Wanted]) -> list[Generated]:
        self.batches.append((model, [one.seed for one in wanted]))
        self.started.set()
        assert self.go_on.wait(10)
        if model == "unloaded":
            raise NotFound(what="model", name=model)
        if model == "broken":
            raise RuntimeError("out of memory")
        return [Generated((one.seed,), (0.0,), ended=True) for one in wanted]


def wanted(model: str, seed: int) -> Wanted:
    return Wanted(model, (1,), 1, 0.0, seed)


@pytest.fixture
def recorded() -> Recorded:
    return Recorded()


@pytest.fixture
def batcher(recorded: Recorded) -> Iterator[MicroBatcher]:
    made = MicroBatcher(recorded.generate, max_batch=3, max_waiting=8)
    made.start()
    yield made
    recorded.go_on.set()
    made.close()


def test_what_waits_for_one_model_is_one_batch_in_order_of_arrival(batcher: MicroBatcher, recorded: Recorded) -> None:
    first = batcher.submit([wanted("a", 0)])
    recorded.started.wait(10)
    rest = [
        future for model, seed in [("b", 1), ("a", 2), ("b", 3)] for future in batcher.submit([wanted(model, seed)])
    ]
    recorded.go_on.set()
    assert [future.result(10).tokens for future in first + rest] == [(0,), (1,), (2,), (3,)]
    assert recorded.batches == [("a", [0]), ("b", [1, 3]), ("a", [2])]


def test_no_batch_is_larger_than_the_limit(batcher: MicroBatcher, recorded: Recorded) -> None:
    recorded.go_on.set()
    futures = batcher.submit([wanted("a", seed) for seed in range(8)])
    assert [future.result(10).tokens for future in futures] == [(seed,) for seed in range(8)]
    assert max(len(seeds) for _, seeds in recorded.batches) <= 3


def test_too_many_waiting_are_told_to_come_back(batcher: MicroBatcher, recorded: Recorded) -> None:
    with pytest.raises(SamplerUnavailable):
        batcher.submit([wanted("a", seed) for seed in range(9)])


@pytest.mark.parametrize(("model", "error"), [("unloaded", NotFound), ("broken", SamplerUnavailable)])
def test_a_batch_that_fails_fails_alone(
    batcher: MicroBatcher, recorded: Recorded, model: str, error: type[Exception]
) -> None:
    recorded.go_on.set()
    with pytest.raises(error):
        batcher.submit([wanted(model, 1)])[0].result(10)
    assert batcher.submit([wanted("a", 2)])[0].result(10).tokens == (2,)


def test_who_waits_at_the_end_is_told(recorded: Recorded) -> None:
    batcher = MicroBatcher(recorded.generate, max_batch=1, max_waiting=8)
    futures = batcher.submit([wanted("a", 1)])
    batcher.start()
    recorded.go_on.set()
    batcher.close()
    outcomes = [future.exception(10) for future in futures]
    assert all(outcome is None or isinstance(outcome, SamplerUnavailable) for outcome in outcomes)
    with pytest.raises(SamplerUnavailable):
        batcher.submit([wanted("a", 2)])
