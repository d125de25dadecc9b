"""Two models on the same pictures: pure functions on what each got right.

Shape suffix: N pictures.
"""

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from vistazo.classification.evaluating.exact import at_most
from vistazo.engine.figures import check_pair

__all__ = ["Paired", "compare"]

_Z95 = 1.959963984540054  # the 97.5 % point of the normal distribution


@dataclass(frozen=True)
class Paired:
    """What two models got right of the same n pictures.

    both, ours, theirs, neither: pictures that both, only the first, only the second, and neither answered rightly.
    difference: accuracy of the first less that of the second; low to high: its 95 % interval, by pairs.
    p: of McNemar's exact test, two-sided; mid_p: less strict, and nearer to what it claims.
    """

    n: int
    both: int
    ours: int
    theirs: int
    neither: int
    difference: float
    low: float
    high: float
    p: float
    mid_p: float

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def compare(ours_N: npt.NDArray[np.bool_], theirs_N: npt.NDArray[np.bool_]) -> Paired:
    """Which of two models is better, by the pictures that only one of them got right.

    Sources: McNemar 1947, Psychometrika 12:153-157; the mid-p value, Fagerland, Lydersen, Laake 2013, BMC Medical
    Research Methodology 13:91; the interval (a Wald interval after adding one to either count), Bonett, Price 2012,
    British Journal of Mathematical and Statistical Psychology 65:479-488.
    """
    check_pair(ours_N, theirs_N)
    n = len(ours_N)
    first, second = int((ours_N & ~theirs_N).sum()), int((theirs_N & ~ours_N).sum())
    apart, fewer = first + second, min(first, second)
    up_to = at_most(fewer, apart, 0.5) if apart else 1.0
    here = up_to - (at_most(fewer - 1, apart, 0.5) if fewer else 0.0) if apart else 1.0
    mine, other = (first + 1) / (n + 2), (second + 1) / (n + 2)
    half = _Z95 * math.sqrt((mine + other - (mine - other) ** 2) / (n + 2))
    return Paired(
        n=n,
        both=int((ours_N & theirs_N).sum()),
        ours=first,
        theirs=second,
        neither=int((~ours_N & ~theirs_N).sum()),
        difference=(first - second) / n,
        low=max(-1.0, mine - other - half),
        high=min(1.0, mine - other + half),
        p=min(1.0, 2 * up_to),
        mid_p=min(1.0, 2 * up_to - here),
    )
