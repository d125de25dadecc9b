"""Explanations add up, are exact where every combination is tried, and find what a function goes by."""

import numpy as np
import pytest

from vistazo.tabular import explaining
from vistazo.tabular.inputs import Encoded

RANDOM = np.random.default_rng(0)


def rows(count, numbers, codes=0):
    return Encoded(
        RANDOM.normal(0, 1, (count, numbers)).astype(np.float32), RANDOM.integers(0, 3, (count, codes))
    )


def places(numbers, codes=0):
    return [(slice(at, at + 1), slice(0, 0)) for at in range(numbers)] + [
        (slice(numbers, numbers), slice(at, at + 1)) for at in range(codes)
    ]


def crooked(encoded):
    """Two answers in which columns work together."""
    x = encoded.numbers.astype(float)
    one = x[:, 0] * x[:, 1] + np.sin(x[:, 2]) + (encoded.codes.sum(1) if encoded.codes.size else 0)
    return np.stack([one, x.sum(1)], axis=1)


@pytest.mark.parametrize("numbers", [3, 6, 12])
def test_the_shares_add_up_to_answer_minus_base(numbers):
    background, row = rows(40, numbers, 2), rows(1, numbers, 2)
    base, answer, told = explaining.shares(crooked, row, background, places(numbers, 2), walks=80, seed=0)
    np.testing.assert_allclose(told.sum(0), answer - base, atol=1e-9)
    np.testing.assert_allclose(answer, crooked(row)[0])
    np.testing.assert_allclose(base, crooked(background).mean(0))


def test_in_a_sum_each_share_is_the_difference_from_the_mean():
    weights = np.array([3.0, -2.0, 0.0, 1.0])
    background, row = rows(30, 4), rows(1, 4)

    def answers(encoded):
        return (encoded.numbers @ weights)[:, None]

    expected = weights * (row.numbers[0] - background.numbers.mean(0))
    _, _, exact = explaining.shares(answers, row, background, places(4), walks=10, seed=0)
    np.testing.assert_allclose(exact[:, 0], expected, atol=1e-5)
    sampled = explaining._sampled(answers, row, background, places(4), walks=60, seed=0)
    np.testing.assert_allclose(sampled[:, 0], expected, atol=1e-5)


def test_two_columns_that_only_count_together_share_alike():
    # Shapley's symmetry: x0 AND x1 against a background of zeros
    background = Encoded(np.zeros((5, 3), np.float32), np.zeros((5, 0), np.int64))
    row = Encoded(np.ones((1, 3), np.float32), np.zeros((1, 0), np.int64))
    _, _, told = explaining.shares(
        lambda one: (one.numbers[:, :1] * one.numbers[:, 1:2]).astype(float),
        row,
        background,
        places(3),
        walks=10,
        seed=0,
    )
    np.testing.assert_allclose(told[:, 0], [0.5, 0.5, 0])


def test_sampled_shares_come_near_the_exact_ones_and_repeat_with_the_seed():
    background, row = rows(20, 6), rows(1, 6)
    exact = explaining._exact(crooked, row, background, places(6))
    sampled = explaining._sampled(crooked, row, background, places(6), walks=2000, seed=0)
    np.testing.assert_allclose(sampled, exact, atol=0.05)
    again = explaining._sampled(crooked, row, background, places(6), walks=2000, seed=0)
    assert (again == sampled).all()


def test_shuffling_a_column_that_counts_makes_answers_worse_and_another_changes_nothing():
    encoded = rows(200, 3, 1)
    truth = crooked(encoded)[:, 0]
    found = explaining.importance(
        crooked, encoded, lambda answers: float(np.abs(answers[:, 0] - truth).mean()), places(3, 1),
        repeats=3, seed=0,
    )  # fmt: skip
    assert all(one.mean > 0.3 for one in found)
    idle = explaining.importance(
        lambda one: one.numbers[:, :1].astype(float), encoded, lambda answers: float((answers**2).mean()),
        places(3, 1), repeats=3, seed=0,
    )  # fmt: skip
    assert [(one.mean, one.deviation) for one in idle[1:]] == [(0, 0)] * 3


def test_dependence_is_the_mean_answer_with_one_value_for_all():
    encoded, grid = rows(50, 3), rows(4, 3)
    found = explaining.dependence(crooked, encoded, grid, places(3)[2])
    inner = (encoded.numbers[:, 0] * encoded.numbers[:, 1]).astype(float).mean()
    np.testing.assert_allclose(found[:, 0], inner + np.sin(grid.numbers[:, 2].astype(float)), atol=1e-6)
