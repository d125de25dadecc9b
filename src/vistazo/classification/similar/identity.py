"""Who or what is this, or unknown: functions on arrays of vectors of length 1.

Somebody is known by the vectors of the pictures that were enrolled under a name. A picture's score for a name is the
mean cosine to the nearest few of them; the answer is the name of the best score, or unknown where that lies below a
threshold. The threshold comes from strangers: the score that all but a stated share of them stay below.

Shape suffixes: Q queries, M enrolled vectors, D values, K names, S strangers.
"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["NEAREST", "Threshold", "equal_error_rate", "own_scores", "scores", "strangers_among", "threshold"]

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
# Enrolled pictures of a name that a score is the mean of. Quick, Draw!, each class in turn never seen nor enrolled,
# 2,000 pictures a name, validation, equal error rate: 1 picture 8.7 %, 5 8.1, 10 8.0, 50 8.4; the mean of all as one
# template 10.3; after centring 11.6, after whitening within classes 9.3; the network's largest score 8.8, energy 8.9.
NEAREST = 10
_AT_ONCE = 1_024  # queries


@dataclass(frozen=True)
class Threshold:
    """From which score on somebody is known.

    rate: the share of strangers that it is to accept, as it was asked for. rests_on: the scores of strangers it comes
    from. accepted: how many of those it accepts. kept: whether so many support the rate at all; where not, the
    threshold lies above all of them. least: the smallest rate that so many strangers support.
    """

    score: float
    rate: float
    rests_on: int
    accepted: int
    kept: bool
    least: float


def scores(queries_QD: Floats, enrolled_MD: Floats, name_M: Integers, names: int) -> Doubles:
    """(Q, K) the score of each query for each name: the mean of the NEAREST largest cosines, or of all where fewer.

    name_M: 0 to `names` - 1, each at least once.
    """
    found = np.empty((len(queries_QD), names), np.float64)
    for first in range(0, len(queries_QD), _AT_ONCE):
        cosine_QM = queries_QD[first : first + _AT_ONCE] @ enrolled_MD.T
        for name in range(names):
            found[first : first + _AT_ONCE, name] = _best(cosine_QM[:, name_M == name])
    return found


def own_scores(enrolled_MD: Floats, name_M: Integers) -> Doubles:
    """(M,) the score of each enrolled picture for its own name, itself left out; NaN where it is the only one."""
    found = np.full(len(enrolled_MD), np.nan)
    for name in np.unique(name_M).tolist():
        rows = np.flatnonzero(name_M == name)
        if len(rows) < 2:
            continue
        cosine_RR = enrolled_MD[rows] @ enrolled_MD[rows].T
        np.fill_diagonal(cosine_RR, -np.inf)
        # the smallest of each row is the picture itself
        found[rows] = _best(np.sort(cosine_RR, axis=1)[:, 1:])
    return found


def strangers_among(enrolled_MD: Floats, name_M: Integers) -> Doubles:
    """(M,) the best score of each enrolled picture for any other name: as if its own had never been enrolled."""
    names = int(name_M.max()) + 1
    found = scores(enrolled_MD, enrolled_MD, name_M, names)
    found[np.arange(len(name_M)), name_M] = -np.inf
    return np.asarray(found.max(1))


def _best(cosine_QM: Floats) -> Doubles:
    count = min(NEAREST, cosine_QM.shape[1])
    best = np.partition(cosine_QM, -count, axis=1)[:, -count:]
    return np.asarray(best.astype(np.float64).mean(1))


def threshold(strangers_S: Doubles, rate: float, *, of: int | None = None) -> Threshold:
    """The score that a new stranger reaches with a probability of at most `rate`, if it is drawn as these were.

    It lies just above the (1 - rate) quantile in its conformal form, the ⌈(S + 1)(1 - rate)⌉-th smallest score.
    of: how many names there are, where each of these strangers was compared with all but one of them, as those of
    `strangers_among` are. A new stranger has one name more to be taken for. The best of K scores is among K - 1 of the
    K ways to leave one out, so all K are reached at most K / (K - 1) times as often, and the rate is cut by that.
    Source: Vovk, Gammerman, Shafer 2005; Angelopoulos, Bates 2021, arXiv:2107.07511, section 1.
    Raises ValueError without strangers.
    """
    if not len(strangers_S):
        raise ValueError("a threshold needs the scores of strangers")
    ordered = np.sort(strangers_S)
    # to the precision of the rate itself: 1 - 0.1 is 0.9 and a little more
    more = 1.0 if of is None else of / (of - 1)
    rank = math.ceil((len(ordered) + 1) * (1 - rate / more) - 1e-9)
    kept = rank <= len(ordered)
    score = float(np.nextafter(ordered[min(rank, len(ordered)) - 1], np.inf))
    least = min(1.0, more / (len(ordered) + 1))
    return Threshold(score, rate, len(ordered), int((ordered >= score).sum()), kept, least)


def equal_error_rate(known: Doubles, strangers: Doubles) -> tuple[float, float]:
    """(rate, score): where as many known ones are refused as strangers are accepted, and at which score.

    Between two scores the rates are joined by straight lines. Raises ValueError where either is empty.
    """
    if not len(known) or not len(strangers):
        raise ValueError("an equal error rate needs known ones and strangers")
    at = np.unique(np.concatenate((known, strangers)))
    at = np.append(at, np.nextafter(at[-1], np.inf))
    refused = np.searchsorted(np.sort(known), at, side="left") / len(known)
    accepted = 1 - np.searchsorted(np.sort(strangers), at, side="left") / len(strangers)
    after = int(np.argmax(refused >= accepted))
    if after == 0 or refused[after] == accepted[after]:
        return float((refused[after] + accepted[after]) / 2), float(at[after])
    before = after - 1
    gap_before, gap_after = accepted[before] - refused[before], refused[after] - accepted[after]
    share = gap_before / (gap_before + gap_after)
    rate = refused[before] + share * (refused[after] - refused[before])
    return float(rate), float(at[after])
