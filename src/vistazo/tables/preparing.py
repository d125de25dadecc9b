"""From a table's values to what a network takes: scalers for numbers, codes for categories. NumPy only.

Both are fitted on training rows alone and travel with the model as plain JSON.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from vistazo.language import mark
from vistazo.registry import About, Registry

__all__ = ["HUGE", "Categories", "Scaler", "proportional", "scalers"]

Numbers = NDArray[np.float64]

HUGE = 1e307  # from here on the difference of two numbers may be infinite


@dataclass(frozen=True, eq=False)
class Scaler:
    """Numbers moved to `(number - centre) / spread` and back.

    kind: its name in `scalers`.
    centre, spread: one number, or an array that broadcasts against the numbers (one a series or a column); finite,
    spread above 0.
    """

    kind: str
    centre: float | Numbers
    spread: float | Numbers

    def __post_init__(self) -> None:
        if self.kind not in scalers:
            raise ValueError(f"no scaler is called {self.kind!r}")
        if np.shape(self.centre) != np.shape(self.spread):
            raise ValueError(
                f"centre {np.shape(self.centre)} and spread {np.shape(self.spread)} differ in shape"
            )
        if not (np.isfinite(self.centre).all() and np.isfinite(self.spread).all()):
            raise ValueError("a scaler's centre and spread are finite")
        if not (np.asarray(self.spread) > 0).all():
            raise ValueError("a scaler's spread is above 0")

    def transform(self, numbers: NDArray[Any]) -> Numbers:
        """Scaled numbers, of the same shape, float64; NaN stays NaN."""
        values = np.asarray(numbers, dtype=np.float64)
        if np.max(np.abs(self.centre)) > HUGE:  # halves first: no overflow
            return np.asarray((values / 2 - self.centre / 2) / self.spread * 2)
        return np.asarray((values - self.centre) / self.spread)

    def inverse(self, scaled: NDArray[Any]) -> Numbers:
        """The numbers whose `transform` is `scaled`, of the same shape, float64."""
        return np.asarray(np.asarray(scaled, dtype=np.float64) * self.spread + self.centre)

    def to_json(self) -> dict[str, Any]:
        """The scaler as JSON values."""
        return {
            "kind": self.kind,
            "centre": np.asarray(self.centre).tolist(),
            "spread": np.asarray(self.spread).tolist(),
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """The scaler that `to_json` wrote. Raises ValueError where the values are those of none."""
        try:
            centre, spread = (_loaded(values[name]) for name in ("centre", "spread"))
            return cls(str(values["kind"]), centre, spread)
        except (KeyError, TypeError, OverflowError) as error:
            raise ValueError(f"not a scaler: {error!r}") from None


def _loaded(value: Any) -> float | Numbers:
    return np.asarray(value, dtype=np.float64) if isinstance(value, list) else float(value)


# ---------------------------------------------------------------- scalers
scalers: Registry[Callable[[NDArray[Any]], Scaler]] = Registry(mark("scaler"))
"""Each fits numbers, (numbers,), ignoring NaN, and raises ValueError for infinity or another shape."""


@scalers.register(
    "min-max",
    About(
        mark("min-max"),
        "2 (x - min) / (max - min) - 1",
        mark(
            "Numbers with firm ends and no outliers, such as grey levels or shares: they come to lie in -1 to 1."
        ),
        "Han, Kamber, Pei 2011, 3.5.2",
    ),
)
def _min_max(numbers: NDArray[Any]) -> Scaler:
    """The smallest number becomes −1, the largest 1."""
    there = _there(numbers)
    low, high = (float(there.min()) / 2, float(there.max()) / 2) if len(there) else (0.0, 0.0)
    return Scaler("min-max", low + high, _spread(high - low, there))  # halves first: no overflow


@scalers.register(
    "standard",
    About(
        mark("standard, z-score"),
        "(x - mean) / deviation",
        mark("The one to begin with: every column has mean 0 and deviation 1, whatever its unit."),
        "LeCun et al. 1998, Efficient BackProp, 4.3",
    ),
)
def _standard(numbers: NDArray[Any]) -> Scaler:
    """Mean 0, standard deviation 1 (of the population)."""
    there = _there(numbers)
    return Scaler("standard", _measured(np.mean, there), _spread(_measured(np.std, there), there))


@scalers.register(
    "robust",
    About(
        mark("robust, median and quartiles"),
        "(x - median) / (Q3 - Q1)",
        mark("Columns with a few enormous numbers: these change neither the middle nor the width."),
        "Huber 1981; scikit-learn, RobustScaler",
    ),
)
def _robust(numbers: NDArray[Any]) -> Scaler:
    """Median 0, the middle half of the numbers one unit wide: a few enormous numbers change nothing."""
    there = _there(numbers)
    return Scaler("robust", _measured(np.median, there), _quartiles(there))


@scalers.register(
    "robust-q1",
    About(
        mark("robust, from the first quartile"),
        "(x - Q1) / (Q3 - Q1)",
        mark(
            "To repeat a tutorial that writes the robust scaler so: the middle half comes to lie in 0 to 1. Else "
            "choose robust."
        ),
        mark("Keras tutorial on Quick, Draw!"),
    ),
)
def _robust_q1(numbers: NDArray[Any]) -> Scaler:
    """The first quartile 0, the third 1."""
    there = _there(numbers)
    first = _measured(lambda values: np.quantile(values, 0.25), there)
    return Scaler("robust-q1", first, _quartiles(there))


@scalers.register(
    "none",
    About(
        mark("none"),
        "x",
        mark("Numbers that are scaled already. Numbers in the thousands would keep a network from learning."),
        "",
    ),
)
def _none(numbers: NDArray[Any]) -> Scaler:
    """Numbers as they are."""
    _there(numbers)
    return Scaler("none", 0.0, 1.0)


def proportional(numbers: NDArray[Any]) -> Scaler:
    """Numbers from 0 on divided by their mean, so that 0 stays 0: the scaler of counts that a network is to answer.

    It is of the kind "none", because nobody chooses it. Raises ValueError for a number below 0.
    """
    there = _there(numbers)
    if len(there) and there.min() < 0:
        raise ValueError("numbers below 0 are no counts")
    return Scaler("none", 0.0, _spread(_measured(np.mean, there), there))


def _there(numbers: NDArray[Any]) -> Numbers:
    values = np.asarray(numbers, dtype=np.float64)
    if values.ndim != 1:
        raise ValueError(f"a scaler is fitted on (numbers,), not {values.shape}")
    if np.isinf(values).any():
        raise ValueError("a scaler cannot be fitted on infinite numbers")
    return values[~np.isnan(values)]


def _measured(measure: Callable[[Numbers], Any], there: Numbers) -> float:
    """A measure of numbers in their own unit, taken where neither sums nor squares overflow; 0 of none."""
    if not len(there):
        return 0.0
    size = float(np.abs(there).max())
    unit = size if size > 1e150 else 1.0
    return float(measure(there / unit)) * unit


def _middle_half(there: Numbers) -> float:
    low, high = np.quantile(there, [0.25, 0.75])
    return float(high - low)


def _quartiles(there: Numbers) -> float:
    """The spread between the quartiles; the deviation where half of the numbers are the same, so that it is nothing."""
    width, deviation = _measured(_middle_half, there), _measured(np.std, there)
    return _spread(deviation if width < 1e-9 * deviation else width, there)


def _spread(width: float, there: Numbers) -> float:
    """`width`, or 1 where the numbers are all the same: rounding alone may give them a tiny width."""
    constant = not len(there) or there.min() == there.max()
    return width if not constant and width > 0 and math.isfinite(width) else 1.0


# ---------------------------------------------------------------- categories
@dataclass(frozen=True)
class Categories:
    """The categories a model knows, by name.

    Code 0 is any category that is unknown, new or rare; 1 ... len(names) are `names`; the last is a missing cell.
    """

    names: tuple[str, ...]

    def __post_init__(self) -> None:
        if len(set(self.names)) < len(self.names):
            raise ValueError("a category is named twice")

    @classmethod
    def fit(cls, codes: NDArray[Any], categories: Sequence[str], least: int) -> Self:
        """The categories that occur at least `least` times among codes, (rows,), -1 missing."""
        known = codes[codes >= 0]
        counts = np.bincount(known, minlength=len(categories))
        return cls(tuple(name for name, n in zip(categories, counts, strict=True) if n >= max(least, 1)))

    @property
    def size(self) -> int:
        """How many codes there are, with those of the unknown and the missing."""
        return len(self.names) + 2

    @property
    def missing(self) -> int:
        """The code of a missing cell."""
        return len(self.names) + 1

    def encode(self, codes: NDArray[Any], categories: Sequence[str]) -> NDArray[np.int64]:
        """This model's codes, (rows,) int64, of a column's own codes, (rows,), -1 missing; matched by name."""
        code_of = {name: code for code, name in enumerate(self.names, 1)}
        own = np.array([*(code_of.get(name, 0) for name in categories), self.missing], dtype=np.int64)
        return np.asarray(own[codes])  # -1 is the last

    def encode_texts(self, texts: Sequence[str]) -> NDArray[np.int64]:
        """This model's codes, (texts,) int64, of texts; '' is missing."""
        code_of = {name: code for code, name in enumerate(self.names, 1)}
        return np.array([code_of.get(text, 0) if text else self.missing for text in texts], dtype=np.int64)

    def to_json(self) -> dict[str, Any]:
        """The categories as JSON values."""
        return {"names": list(self.names)}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """The categories that `to_json` wrote. Raises ValueError where the values are those of none."""
        names = values.get("names")
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise ValueError("not categories: a list of names is missing")
        return cls(tuple(names))
