"""Random numbers by counter: the published stream, even, independent, and of the row alone."""

import numpy as np
import pytest
import torch
from scipy import stats

from vistazo.pictures.counters import betas, normals, shorts, streams, uniforms, words

ROWS = torch.arange(2000)


def even(values, *, low=0.0, high=1.0):
    """p-value of the hypothesis that the values are spread evenly."""
    return stats.kstest(values, stats.uniform(low, high - low).cdf).pvalue


def test_the_numbers_are_those_of_splitmix64():
    """The first five of the published generator from the state 1234567."""
    found = words(torch.tensor([1234567]), 5)[0]
    assert [int(one) % (1 << 64) for one in found] == [
        6457827717110365317,
        3203168211198807973,
        9817491932198370423,
        4593380528125082431,
        16408922859458223821,
    ]


def test_the_streams_of_a_row_are_its_own_in_any_company():
    whole = streams(ROWS, seed=3, counters=(9, 1))
    order = torch.randperm(len(ROWS), generator=torch.Generator().manual_seed(0))
    assert torch.equal(streams(ROWS[order], seed=3, counters=(9, 1)), whole[order])
    assert torch.equal(streams(ROWS[7:8], seed=3, counters=(9, 1)), whole[7:8])
    assert torch.equal(uniforms(whole, 8)[:, :3], uniforms(whole, 3))
    assert torch.equal(normals(whole, 50)[11:13], normals(whole[11:13], 50))
    assert len(whole.unique()) == len(whole)


def test_other_seeds_and_counters_give_other_streams():
    several = [streams(ROWS, seed=seed, counters=(9, at)) for seed in (0, 1) for at in (0, 1, 2)]
    assert len(torch.cat(several).unique()) == 6 * len(ROWS)


def test_the_rows_that_are_asked_for_stay_as_they_were():
    rows = ROWS.clone()
    begun = streams(rows, seed=0, counters=(1,))
    kept = begun.clone()
    words(begun, 3)
    assert torch.equal(rows, ROWS)
    assert torch.equal(begun, kept)


@pytest.mark.parametrize("counters", [(0,), (9, 12345, 1)])
def test_uniform_numbers_are_even_along_a_stream_and_across_rows(counters):
    found = uniforms(streams(ROWS, seed=0, counters=counters), 200).numpy()
    assert found.min() >= 0
    assert found.max() < 1
    assert even(found[:100].ravel()) > 1e-3
    for at in (0, 1, 199):
        assert even(found[:, at]) > 1e-3


def test_every_bit_of_a_number_is_even():
    found = words(streams(ROWS, seed=0, counters=(1,)), 100).numpy().view(np.uint64)
    for bit in range(64):
        share = ((found >> np.uint64(bit)) & np.uint64(1)).mean()
        assert abs(share - 0.5) < 5 * 0.5 / np.sqrt(found.size), bit


def test_neighbouring_rows_epochs_seeds_and_numbers_are_not_correlated():
    def drawn(seed=0, epoch=0):
        return uniforms(streams(ROWS, seed=seed, counters=(9, 7, epoch)), 50).numpy()

    one = drawn()
    pairs = {
        "rows": (one[1:], one[:-1]),
        "numbers": (one[:, 1:], one[:, :-1]),
        "epochs": (one, drawn(epoch=1)),
        "seeds": (one, drawn(seed=1)),
    }
    for name, (first, second) in pairs.items():
        found = np.corrcoef(first.ravel(), second.ravel())[0, 1]
        assert abs(found) < 5 / np.sqrt(first.size), name


def test_pairs_of_neighbours_fill_the_square_evenly():
    found = (uniforms(streams(ROWS, seed=2, counters=(5,)), 100).numpy() * 16).astype(int)
    counts = np.bincount((found[:, :-1] * 16 + found[:, 1:]).ravel(), minlength=256)
    assert stats.chisquare(counts).pvalue > 1e-3


@pytest.mark.parametrize("count", [1, 3, 4, 5, 1023])
def test_short_numbers_are_even_and_as_many_as_asked(count):
    found = shorts(streams(ROWS, seed=0, counters=(1,)), count)
    assert (found.shape, found.dtype) == ((2000, count), torch.int16)
    counts = np.bincount((found.numpy().astype(int) + 32768).ravel() // 256, minlength=256)
    assert stats.chisquare(counts).pvalue > 1e-3


def test_normal_numbers_are_normal():
    found = normals(streams(ROWS, seed=0, counters=(4,)), 100).numpy()
    assert found.dtype == np.float32
    assert stats.kstest(found.ravel(), "norm").pvalue > 1e-3
    assert found.mean() == pytest.approx(0, abs=0.01)
    assert found.std() == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize("alpha", [0.05, 0.2, 0.5, 1.0, 1.5, 4.0, 10.0])
def test_beta_numbers_are_the_quantiles_that_scipy_gives(alpha):
    given = np.linspace(0, 1, 5001, endpoint=False)
    found = betas(torch.from_numpy(given), alpha).numpy()
    np.testing.assert_allclose(found, stats.beta(alpha, alpha).ppf(given), atol=1e-5)
