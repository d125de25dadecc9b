"""Intervals of figures that are no plain share, by drawing the pictures anew: pure functions on numpy arrays.

Shape suffixes: N pictures, K classes. Pictures are drawn with replacement from (seed, counters), so an interval is the
same every time. Of the calibration error there is none: drawing anew biases it upwards. Source: Efron 1979, Annals of
Statistics 7:1-26 (percentiles).
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from vistazo.engine.batches import counter_seed
from vistazo.engine.figures import macro_f1

__all__ = ["bootstrap"]

DRAWN = 400  # times; percentiles of 400 wobble by a tenth of the interval
_MOST = 400_000_000  # drawn pictures: beyond, fewer times
_COUNTER = 61


def bootstrap(
    probabilities_NK: npt.NDArray[Any], labels_N: npt.NDArray[Any]
) -> dict[str, tuple[float, float]]:
    """The 95 % intervals of `loss` (nats), `brier` and `macro_f1`; none with fewer than two pictures.

    None either of a figure that is the same however the pictures are drawn, such as the macro F1 where no answer is
    wrong: drawing anew knows no mistake that it was not given, and a width of 0 would claim certainty.
    """
    n, classes = probabilities_NK.shape
    if n < 2:
        return {}
    smallest = np.finfo(np.float32).eps
    own_N = probabilities_NK[np.arange(n), labels_N].astype(np.float64)
    loss_N = -np.log(own_N.clip(smallest, 1))
    brier_N = (probabilities_NK.astype(np.float64) ** 2).sum(1) - 2 * own_N + 1
    cell_N = labels_N.astype(np.int64) * classes + probabilities_NK.argmax(1)
    cells, place_N = np.unique(
        cell_N, return_inverse=True
    )  # of 1,000 classes few of a million cells are there
    found: dict[str, list[float]] = {"loss": [], "brier": [], "macro_f1": []}
    for at in range(max(50, min(DRAWN, _MOST // n))):
        drawn = np.random.default_rng(counter_seed(0, _COUNTER, at)).integers(n, size=n)
        count_N = np.bincount(drawn, minlength=n)
        found["loss"].append(float(count_N @ loss_N) / n)
        found["brier"].append(float(count_N @ brier_N) / n)
        counts = np.bincount(place_N, weights=count_N, minlength=len(cells))
        confusion = np.zeros(classes * classes, dtype=np.int64)
        confusion[cells] = counts.astype(np.int64)
        found["macro_f1"].append(macro_f1(confusion.reshape(classes, classes)))
    ends = {name: np.quantile(values, (0.025, 0.975)) for name, values in found.items()}
    return {name: (float(low), float(high)) for name, (low, high) in ends.items() if low < high}
