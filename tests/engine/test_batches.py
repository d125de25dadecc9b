import pytest
import torch

from vistazo.engine.batches import Batch, counter_seed, epoch_order


def batch(n, *, weights=None):
    return Batch(
        {"x": torch.arange(n * 2).reshape(n, 2), "sets": [torch.full((at,), at) for at in range(n)]},
        {"y": torch.arange(n)},
        torch.arange(n) + 100,
        weights,
    )


@pytest.mark.parametrize(("n", "count"), [(7, 3), (10, 4), (5, 5), (3, 8), (1, 2), (12, 1)])
def test_parts_are_slices_of_nearly_equal_length_that_together_are_the_batch(n, count):
    whole = batch(n, weights=torch.linspace(0, 1, n))
    parts = whole.parts(count)
    lengths = [len(part) for part in parts]
    assert len(parts) == min(n, count)
    assert max(lengths) - min(lengths) <= 1
    for get in (lambda b: b.inputs["x"], lambda b: b.targets["y"], lambda b: b.rows, lambda b: b.weights):
        assert torch.equal(torch.cat([get(part) for part in parts]), get(whole))
    assert [len(one) for part in parts for one in part.inputs["sets"]] == list(range(n))


@pytest.mark.parametrize(
    ("inputs", "targets", "weights", "told"),
    [
        ({"x": torch.zeros(3)}, {}, None, "x has 3 entries for 2 rows"),
        ({"x": [torch.zeros(3)]}, {}, None, "x has 1 entries for 2 rows"),
        ({}, {"y": torch.zeros(0)}, None, "y has 0 entries for 2 rows"),
        ({}, {}, torch.ones(5), "5 weights for 2 rows"),
    ],
)
def test_a_batch_whose_parts_differ_in_length_cannot_be_made(inputs, targets, weights, told):
    with pytest.raises(ValueError, match=told):
        Batch(inputs, targets, torch.arange(2), weights)


def test_a_hundred_thousand_neighbouring_counters_have_seeds_of_their_own():
    seeds = {
        counter_seed(seed, purpose, epoch, step)
        for seed in range(2)
        for purpose in (2, 3)
        for epoch in range(50)
        for step in range(500)
    }
    assert len(seeds) == 2 * 2 * 50 * 500 == 100_000
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_the_uses_a_run_makes_of_counters_never_share_a_seed():
    steps = [counter_seed(0, 2, epoch, step) for epoch in range(40) for step in range(40)]
    others = [counter_seed(0, purpose, epoch) for purpose in (1, 3, 5) for epoch in range(500)]
    seeds = [*steps, *others, counter_seed(0, 4)]
    assert len(set(seeds)) == len(seeds)


def test_a_seed_depends_on_its_counters_alone():
    assert counter_seed(3, 1, 4) == counter_seed(3, 1, 4) != counter_seed(3, 4, 1)
    torch.manual_seed(1)
    first = epoch_order(50, seed=3, epoch=2)
    torch.manual_seed(2)
    assert torch.equal(epoch_order(50, seed=3, epoch=2), first)


@pytest.mark.parametrize("count", [0, 1, 2, 17, 1000])
def test_the_order_of_an_epoch_is_a_permutation(count):
    assert epoch_order(count, seed=0, epoch=3).sort().values.tolist() == list(range(count))


def test_epochs_and_seeds_have_orders_of_their_own():
    orders = {
        tuple(epoch_order(20, seed=seed, epoch=epoch).tolist()) for seed in range(5) for epoch in range(20)
    }
    assert len(orders) == 100
