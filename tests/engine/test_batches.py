import pytest
import torch

from vistazo.engine.batches import Batch, counter_seed, epoch_order, near_order, weighted_order


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
    seeds = [*steps, *others, counter_seed(0, 4), counter_seed(0, 21)]
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


# ---------------------------------------------------------------- some more often
def drawn_times(shares, epochs, seed=0):
    """(epochs, N) how often each example came up in each epoch."""
    orders = [weighted_order(shares, seed=seed, epoch=epoch) for epoch in range(epochs)]
    return torch.stack([torch.bincount(order, minlength=len(shares)) for order in orders])


@pytest.mark.parametrize("count", [1, 2, 17, 1000])
@pytest.mark.parametrize("share", [1.0, 0.1, 7e5])
def test_equal_shares_give_every_example_once_an_epoch(count, share):
    order = weighted_order(torch.full((count,), share), seed=0, epoch=3)
    assert order.sort().values.tolist() == list(range(count))


def test_an_example_comes_up_as_often_as_its_share_says_rounded_down_or_up():
    shares = torch.tensor([0.2] * 40 + [1.0] * 20 + [3.7] * 10)
    expected = shares / shares.mean()
    times = drawn_times(shares, 60)
    assert (times.sum(1) == 70).all()
    assert (times >= expected.floor()).all() and (times <= expected.ceil()).all()
    torch.testing.assert_close(times.float().mean(0), expected, atol=0.05, rtol=0)


def test_what_an_epoch_leaves_out_comes_soon_after():
    shares = torch.tensor(
        [0.5] * 100 + [5.0] * 10
    )  # a picture of the large class comes up every other epoch, or so
    times = drawn_times(shares, 12)[:, :100]
    for first in range(8):
        assert times[first : first + 5].sum(0).min() >= 1


def test_a_weighted_order_is_a_function_of_its_seed_and_epoch_alone():
    shares = torch.rand(50, generator=torch.Generator().manual_seed(0)) + 0.1
    torch.manual_seed(1)
    first = weighted_order(shares, seed=3, epoch=2)
    torch.manual_seed(2)
    assert torch.equal(weighted_order(shares, seed=3, epoch=2), first)
    others = {
        tuple(weighted_order(shares, seed=seed, epoch=epoch).tolist())
        for seed in (3, 4)
        for epoch in range(9)
    }
    assert len(others) == 18


def test_draws_of_one_example_are_not_side_by_side():
    order = weighted_order(torch.tensor([1.0] * 90 + [30.0] * 3), seed=0, epoch=0)
    assert (order.diff() == 0).sum() < 30


@pytest.mark.parametrize(
    ("count", "run", "window"), [(1000, 8, 128), (1001, 8, 100), (5, 8, 2), (64, 1, 64), (1, 1, 1)]
)
def test_an_order_that_stays_near_is_whole_and_its_windows_hold_whole_runs(count, run, window):
    order = near_order(count, seed=1, epoch=2, run=run, window=window)
    assert sorted(order.tolist()) == list(range(count))
    assert torch.equal(order, near_order(count, seed=1, epoch=2, run=run, window=window))
    if count > 10:
        assert not torch.equal(order, near_order(count, seed=1, epoch=3, run=run, window=window))
        assert not torch.equal(order, near_order(count, seed=2, epoch=2, run=run, window=window))
    for first in range(0, count, window):
        runs = {at // run for at in order[first : first + window].tolist()}
        assert len(runs) <= window // run + 2  # one cut at either end


def test_near_orders_mix_a_file_that_is_sorted_by_class():
    labels = torch.arange(100_000) // 10_000
    order = near_order(100_000, seed=0, epoch=0, run=20, window=40_000)
    for first in range(0, 100_000, 500):
        counts = torch.bincount(labels[order[first : first + 500]], minlength=10)
        assert counts.min() > 15, first  # of 50 expected
