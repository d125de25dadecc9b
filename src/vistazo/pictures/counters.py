"""Random numbers by counter: those of a row are a function of (seed, counters, row) and of nothing else.

A generator that hands out numbers in turn gives a picture other numbers in another batch. Here every row has a
SplitMix64 stream of its own (Steele, Lea, Flood 2014, "Fast splittable pseudorandom number generators", figure 17),
whose n-th number is computed directly, for a whole batch at once and on its device.

Shape suffixes: N rows.
"""

import math
from functools import lru_cache

import torch
from torch import Tensor

from vistazo.engine.batches import counter_seed

__all__ = ["betas", "normals", "shorts", "streams", "uniforms", "words"]


def _signed(number: int) -> int:
    """The int64 of the same 64 bits: torch has no uint64 arithmetic, and int64 wraps alike."""
    return number - (1 << 64) if number >> 63 else number


_GOLDEN = _signed(0x9E3779B97F4A7C15)
_FIRST, _SECOND = _signed(0xBF58476D1CE4E5B9), _signed(0x94D049BB133111EB)
_LEVELS = 1 << 16


def streams(rows_N: Tensor, *, seed: int, counters: tuple[int, ...]) -> Tensor:
    """Where the stream of each row begins: (N,) int64, far apart for neighbouring rows, counters and seeds."""
    return _mixed(rows_N * _GOLDEN + _signed(counter_seed(seed, *counters)))


def words(streams_N: Tensor, count: int) -> Tensor:
    """The first `count` numbers of each stream, all 64 bits random: (N, count) int64."""
    steps = torch.arange(1, count + 1, device=streams_N.device) * _GOLDEN
    return _mixed(streams_N[:, None] + steps)


def uniforms(streams_N: Tensor, count: int) -> Tensor:
    """The first `count` numbers of each stream, evenly spread in [0, 1): (N, count) float64."""
    return ((words(streams_N, count) >> 11) & ((1 << 53) - 1)).double() * 2.0**-53


def shorts(streams_N: Tensor, count: int) -> Tensor:
    """Whole numbers evenly spread in -32768..32767: (N, count) int16, four from each 64-bit number."""
    return words(streams_N, -(-count // 4)).view(torch.int16)[:, :count]


def normals(streams_N: Tensor, count: int) -> Tensor:
    """Gaussian numbers of mean 0 and deviation 1, cut at 4.3: (N, count) float32.

    From 16 bits each through a table of quantiles: for noise on pixels, which are whole numbers of 8 bits.
    """
    places = (shorts(streams_N, count).int() + _LEVELS // 2).reshape(-1)
    return _quantiles(streams_N.device).index_select(0, places).reshape(-1, count)


def _mixed(state: Tensor) -> Tensor:
    """SplitMix64's finaliser, in place: `>>` keeps the sign in torch, so the bits it brings in are masked off."""
    for shift, factor in ((30, _FIRST), (27, _SECOND)):
        state ^= (state >> shift).bitwise_and_((1 << (64 - shift)) - 1)
        state *= factor
    state ^= (state >> 31).bitwise_and_((1 << 33) - 1)
    return state


@lru_cache(maxsize=4)
def _quantiles(device: torch.device) -> Tensor:
    middles = (torch.arange(_LEVELS, dtype=torch.float64) + 0.5) / _LEVELS
    quantiles = torch.special.ndtri(middles)
    # Cut tails take 0.03 % of the deviation; it is given back, so that a strength means what it says.
    scaled: Tensor = quantiles / math.sqrt(float((quantiles**2).mean()))
    return scaled.float().to(device)


def betas(uniforms_N: Tensor, alpha: float) -> Tensor:
    """Numbers of the distribution Beta(alpha, alpha) from even ones in [0, 1): (N,) float64, by its quantiles.

    Sums of trapezia over the lower half, in y = x^alpha where alpha is below 1, so that the density has no pole at 0;
    the upper half is its mirror image. Within 2e-6 for alpha from 0.05 to 10.
    """
    power = min(alpha, 1.0)
    y = torch.linspace(0, 1, 8193, dtype=torch.float64) ** 2 * 0.5**power  # closer where x changes fastest
    x = y ** (1 / power)
    density = x ** (alpha - power) * (1 - x) ** (alpha - 1)
    areas = torch.cat([y.new_zeros(1), (density[1:] + density[:-1]).mul(y.diff() / 2).cumsum(0)])
    wanted = torch.minimum(uniforms_N, 1 - uniforms_N) * 2 * areas[-1]
    at = torch.searchsorted(areas, wanted).clamp(1, len(y) - 1)
    share = (wanted - areas[at - 1]) / (areas[at] - areas[at - 1]).clamp_min(1e-300)
    lower = (y[at - 1] + share * (y[at] - y[at - 1])) ** (1 / power)
    return torch.where(uniforms_N < 0.5, lower, 1 - lower)
