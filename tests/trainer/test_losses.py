"""The loss by hand, and what must not matter to it."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from trainer.losses import clipped_policy_loss, on_policy_rows, reference_kl

CLIP = (0.2, 0.28)


def one(value: float) -> torch.Tensor:
    return torch.tensor([[value]])


def loss_at(ratio: float, advantage: float) -> float:
    term = clipped_policy_loss(
        one(math.log(ratio)), one(0.0), torch.tensor([advantage]), one(1.0), clip=CLIP, token_budget=1.0
    )
    return float(term.loss)


@pytest.mark.parametrize(
    ("ratio", "advantage", "expected"),
    [
        (1.0, 1.0, -1.0),
        (1.5, 1.0, -1.28),  # gains are clipped above
        (0.5, 1.0, -0.5),  # losses are not
        (0.5, -1.0, 0.8),  # what is bad is not pushed below the lower clip
        (1.5, -1.0, 1.5),
    ],
)
def test_the_loss_is_clipped_on_the_side_of_the_gain(ratio: float, advantage: float, expected: float) -> None:
    assert loss_at(ratio, advantage) == pytest.approx(expected, abs=1e-6)


def test_clipped_tokens_are_counted_among_those_that_count() -> None:
    term = clipped_policy_loss(
        torch.tensor([[math.log(1.5), 0.0, math.log(9.0)]]),
        torch.zeros(1, 3),
        torch.tensor([1.0]),
        torch.tensor([[1, 1, 0]]),
        clip=CLIP,
        token_budget=3.0,
    )
    assert term.clipped_share == pytest.approx(0.5)


def test_a_long_completion_weighs_as_much_per_token_as_a_short_one() -> None:
    mask = torch.tensor([[1, 1, 1, 1], [1, 0, 0, 0]])
    logprobs = torch.zeros(2, 4, requires_grad=True)
    term = clipped_policy_loss(logprobs, torch.zeros(2, 4), torch.tensor([1.0, 1.0]), mask, clip=CLIP, token_budget=8.0)
    [gradient] = torch.autograd.grad(term.loss, [logprobs])
    torch.testing.assert_close(gradient, -mask / 8.0)


@given(st.lists(st.floats(-3, 0), min_size=2, max_size=6), st.floats(-2, 2))
def test_what_is_padded_changes_nothing(values: list[float], noise: float) -> None:
    mask = torch.tensor([[1] * (len(values) - 1) + [0]])
    changed = [*values[:-1], values[-1] + noise]
    losses = [
        clipped_policy_loss(
            torch.tensor([row]), torch.zeros(1, len(row)), torch.tensor([0.7]), mask, clip=CLIP, token_budget=5.0
        ).loss
        for row in (values, changed)
    ]
    assert losses[0] == losses[1]


@given(st.floats(-4, 4), st.floats(-4, 4))
def test_the_pull_to_a_reference_is_never_negative(logprob: float, reference: float) -> None:
    assert float(reference_kl(one(logprob), one(reference), one(1.0), token_budget=1.0)) >= -1e-6


def test_the_pull_by_hand_and_none_at_the_reference() -> None:
    assert float(reference_kl(one(0.0), one(math.log(2)), one(1.0), token_budget=1.0)) == pytest.approx(
        0.30685, abs=1e-4
    )
    assert float(reference_kl(one(-1.0), one(-1.0), one(1.0), token_budget=1.0)) == 0.0


def test_only_bad_completions_that_were_left_behind_are_dropped() -> None:
    old, now = torch.zeros(4, 2), torch.tensor([[-1.0, -1.0], [-1.0, -1.0], [-0.1, -0.1], [-9.0, -0.1]])
    mask = torch.tensor([[1, 1], [1, 1], [1, 1], [0, 1]])
    kept = on_policy_rows(now, old, torch.tensor([-1.0, 1.0, -1.0, -1.0]), mask, limit=0.5)
    assert kept.tolist() == [0, 1, 1, 1]
