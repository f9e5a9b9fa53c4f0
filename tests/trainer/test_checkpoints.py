import random
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from trainer.checkpoints import STATE, TENSORS, latest_checkpoint, save_checkpoint

scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
nested = st.recursive(
    scalars,
    lambda inner: st.lists(inner) | st.tuples(inner, inner) | st.dictionaries(st.integers() | st.text(), inner),
    max_leaves=8,
)


@settings(deadline=None, max_examples=40)
@given(value=nested)
def test_any_nested_state_comes_back_equal(value: Any, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("checkpoints")
    save_checkpoint(folder, 3, {"value": value})
    assert latest_checkpoint(folder) == (3, {"value": value})


def test_optimizer_and_generators_go_on_as_if_never_stopped(tmp_path: Path) -> None:
    torch.manual_seed(7)
    weight = torch.nn.Parameter(torch.randn(4, 3))
    optimizer = torch.optim.AdamW([weight], lr=0.1)

    def step() -> None:
        optimizer.zero_grad()
        (weight * torch.randn(4, 3)).sum().backward()  # type: ignore[no-untyped-call]  # torch has no annotation here
        optimizer.step()

    step()
    picker = random.Random(5)
    state = {
        "weight": weight.detach(),
        "optimizer": optimizer.state_dict(),
        "torch": torch.get_rng_state(),
        "picker": picker.getstate(),
    }
    save_checkpoint(tmp_path, 1, state)
    step()
    undisturbed, drawn = weight.detach().clone(), picker.random()

    found = latest_checkpoint(tmp_path)
    assert found is not None
    with torch.no_grad():
        weight.copy_(found[1]["weight"])
    optimizer.load_state_dict(found[1]["optimizer"])
    torch.set_rng_state(found[1]["torch"])
    picker.setstate(found[1]["picker"])
    step()
    assert torch.equal(weight.detach(), undisturbed)
    assert picker.random() == drawn


def test_a_damaged_checkpoint_is_passed_over_for_the_one_before(tmp_path: Path) -> None:
    save_checkpoint(tmp_path, 1, {"weight": torch.ones(2)})
    damaged = save_checkpoint(tmp_path, 2, {"weight": torch.zeros(2)})
    (damaged / TENSORS).write_bytes(b"half")
    found = latest_checkpoint(tmp_path)
    assert found is not None
    assert found[0] == 1


@pytest.mark.parametrize("part", [TENSORS, STATE])
def test_a_damaged_checkpoint_is_replaced_when_its_step_is_done_again(tmp_path: Path, part: str) -> None:
    saved = save_checkpoint(tmp_path, 2, {"weight": torch.zeros(2)})
    (saved / part).write_bytes(b"half")
    save_checkpoint(tmp_path, 2, {"weight": torch.ones(2)})
    found = latest_checkpoint(tmp_path)
    assert found is not None
    assert torch.equal(found[1]["weight"], torch.ones(2))


def test_a_whole_checkpoint_is_written_once(tmp_path: Path) -> None:
    for value in (1, 2):
        save_checkpoint(tmp_path, 3, {"value": value})
    assert latest_checkpoint(tmp_path) == (3, {"value": 1})


def test_only_the_last_two_are_kept_and_none_is_half_there(tmp_path: Path) -> None:
    for step in range(5):
        save_checkpoint(tmp_path, step, {"step": step})
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["step-00000003", "step-00000004"]


def test_a_run_without_checkpoints_starts_from_the_beginning(tmp_path: Path) -> None:
    assert latest_checkpoint(tmp_path / "none") is None
