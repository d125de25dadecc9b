"""The calendar as arithmetic on tensors, so that an exported graph holds it: from days to years, months and days.

Every number is a float64 that holds a whole one, because what runs exported graphs divides whole numbers towards
zero, and days before 1970 are negative. Source: H. Hinnant, "chrono-compatible low-level date algorithms",
civil_from_days.
"""

from typing import NamedTuple

import torch
from torch import Tensor

__all__ = ["Civil", "civil", "month_begun", "remainder"]

_ERA = 146_097  # days of 400 years
_EPOCH = 719_468  # days from 0000-03-01 to 1970-01-01
_BEFORE = (0.0, 31.0, 59.0, 90.0, 120.0, 151.0, 181.0, 212.0, 243.0, 273.0, 304.0, 334.0)
_LENGTHS = (31.0, 28.0, 31.0, 30.0, 31.0, 30.0, 31.0, 31.0, 30.0, 31.0, 30.0, 31.0)


class Civil(NamedTuple):
    """Dates, each part float64 of the days' shape.

    month: from 0. since: days since the month's first. until: days to its last. yearday: days since January 1st.
    """

    month: Tensor
    since: Tensor
    until: Tensor
    yearday: Tensor


def civil(days: Tensor) -> Civil:
    """The dates of whole days since 1970-01-01, float64 of any shape, before or after."""
    shifted = days + _EPOCH
    era = torch.floor(shifted / _ERA)
    of_era = shifted - era * _ERA
    year = torch.floor(
        (of_era - torch.floor(of_era / 1460) + torch.floor(of_era / 36_524) - torch.floor(of_era / 146_096))
        / 365
    )
    of_year = of_era - (365 * year + torch.floor(year / 4) - torch.floor(year / 100))  # from March 1st
    marched = torch.floor((5 * of_year + 2) / 153)  # March is 0
    since = of_year - torch.floor((153 * marched + 2) / 5)
    month = torch.where(marched < 10, marched + 2, marched - 10)
    return _dated(month, since, year + 400 * era + (month < 2).double())


def month_begun(months: Tensor) -> Civil:
    """The first days of whole months since January 1970, float64 of any shape."""
    year = torch.floor(months / 12)
    return _dated(months - 12 * year, torch.zeros_like(months), year + 1970)


def _dated(month: Tensor, since: Tensor, year: Tensor) -> Civil:
    leap = ((remainder(year, 4) == 0) & (remainder(year, 100) != 0)) | (remainder(year, 400) == 0)
    whole = month.long()
    long = torch.tensor(_LENGTHS, dtype=torch.float64)[whole] + (leap & (month == 1)).double()
    before = torch.tensor(_BEFORE, dtype=torch.float64)[whole] + (leap & (month > 1)).double()
    return Civil(month, since, long - 1 - since, before + since)


def remainder(numbers: Tensor, divisor: int) -> Tensor:
    """What is left of whole float64 numbers, 0 to divisor - 1, of the numbers' shape."""
    return numbers - divisor * torch.floor(numbers / divisor)
