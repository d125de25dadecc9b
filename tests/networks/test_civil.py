"""Dates by arithmetic are those of NumPy's calendar."""

import numpy as np
import torch

from vistazo.networks.civil import civil, month_begun, remainder


def by_numpy(days):
    """month from 0, days since its first, days to its last, days since January 1st: as datetime64 tells them."""
    dates = days.astype("datetime64[D]")
    month, year = dates.astype("datetime64[M]"), dates.astype("datetime64[Y]")
    return (
        month.astype(np.int64) % 12,
        (dates - month.astype("datetime64[D]")).astype(np.int64),
        ((month + 1).astype("datetime64[D]") - dates).astype(np.int64) - 1,
        (dates - year.astype("datetime64[D]")).astype(np.int64),
    )


def test_every_day_of_800_years_is_numpys():
    days = np.arange(np.datetime64("1600-01-01"), np.datetime64("2400-01-01")).astype(np.int64)
    for own, real in zip(civil(torch.from_numpy(days).double()), by_numpy(days), strict=True):
        np.testing.assert_array_equal(own.numpy(), real)


def test_days_far_away_are_numpys():
    days = np.random.default_rng(0).integers(-(10**9), 10**9, 20_000)
    for own, real in zip(civil(torch.from_numpy(days).double()), by_numpy(days), strict=True):
        np.testing.assert_array_equal(own.numpy(), real)


def test_the_last_of_february_in_years_by_hand():
    leap, common, century, fourth = (
        float(np.datetime64(day).astype("datetime64[D]").astype(int))
        for day in ("2024-02-29", "2023-02-28", "1900-02-28", "2000-02-29")
    )
    found = civil(torch.tensor([leap, common, century, fourth], dtype=torch.float64))
    assert found.month.tolist() == [1, 1, 1, 1]
    assert found.since.tolist() == [28, 27, 27, 28]
    assert found.until.tolist() == [0, 0, 0, 0]
    assert found.yearday.tolist() == [59, 58, 58, 59]


def test_months_begin_on_their_first():
    months = np.arange(-5000, 5000)
    days = months.astype("datetime64[M]").astype("datetime64[D]").astype(np.int64)
    for own, real in zip(month_begun(torch.from_numpy(months).double()), by_numpy(days), strict=True):
        np.testing.assert_array_equal(own.numpy(), real)


def test_a_remainder_is_never_negative():
    assert remainder(torch.tensor([-8.0, -7.0, -1.0, 0.0, 6.0, 7.0]), 7).tolist() == [6, 0, 6, 0, 6, 0]
