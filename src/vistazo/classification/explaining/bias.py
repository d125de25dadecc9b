"""Co-occurrence bias: does a class's answer come from the thing, or from what stands beside it in its pictures?

Two questions, put to the model by changing pictures. What takes the place of pixels is never grey, which no training
picture has: it is the same place of a picture of another class, so that what is put together stays near real pictures.

- Kept and replaced, of each picture: everything but the region that its Grad-CAM++ looks at is replaced; then only that
  region. How often does the answer survive?
- One place, of each class: the pixels that most of the class's regions share, as far as they are looked at more than in
  other classes. A class is suspicious where that place is small, lies outside the middle, and where that place alone,
  cut out of its pictures and put into pictures of other classes, turns the answer to it, as other classes' pixels at
  that place do not.

Shape suffixes: N pictures, H height, W width, C channels, K classes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from vistazo.classification.explaining.maps import regions
from vistazo.classification.explaining.methods import DEFAULT, picture_maps, settle
from vistazo.engine.batches import counter_seed
from vistazo.errors import ConfigError, TooFewExamples
from vistazo.language import mark, tr

if TYPE_CHECKING:
    from vistazo.classification.classifier import Classifier
    from vistazo.pictures.holding import PictureArray

__all__ = ["MOST", "Bias", "ClassBias", "find_bias", "place_of", "shared_place"]

MOST = 1000  # pictures that are looked at
LEVEL = 0.2  # of a map's largest value, from which on a pixel is looked at (as Zhou et al. 2016, arXiv:1512.04150)
REGION = 0.25  # of a picture, which its region takes at most
SHARED = 0.5  # of a class's pictures, whose regions must hold a pixel of its place
DIFFERING = 0.5  # times the largest difference to other classes' regions, which the place's pixels reach
NAMED = 0.8  # times the same, which those reach whose middle gives the place its name
BESIDE = 100  # pictures of other classes, at least, that a place is tried with
FEWEST = 8  # pictures of a class, below which nothing is called suspicious
TURNED = 0.25  # of pictures of other classes, which the place must turn
OUTSIDE = 0.75  # of the place, which must lie outside the middle: trousers' legs at the bottom reach 0.48
ELSEWHERE = 0.5  # times the class's own share, which other classes' regions at that place must not reach
CHANCE = 0.001  # of so clear a difference between classes, divided by the number of classes
_PLACES = (
    (mark("top left corner"), mark("top edge"), mark("top right corner")),
    (mark("left edge"), mark("middle"), mark("right edge")),
    (mark("bottom left corner"), mark("bottom edge"), mark("bottom right corner")),
)
_BORDER = mark("border")
Pixels = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class ClassBias:
    """What was found of one class.

    pictures: those answered with it. kept: share whose answer survives when all but the region is replaced;
    replaced: when only the region is. area: median share of a picture that the region takes.
    mask: (H, W) the class's one place, empty where its pictures are looked at here and there. place: in words.
    looked: mean share of that place that lies in the regions of its pictures; elsewhere: in those of other classes.
    turned: share of answers that survive when only that place is kept. usual: the same, of pictures of other classes,
    None where it was not asked for.
    suspicion: turned × (looked - elsewhere) × share of the place outside the middle, 0 to 1. found: called suspicious.
    example: pictures (before, after): one of the class, and one of another class that the place turned; or none.
    """

    name: str
    pictures: int
    kept: float
    replaced: float
    area: float
    mask: Mask
    place: str
    looked: float
    elsewhere: float
    turned: float
    usual: float | None
    suspicion: float
    found: bool
    example: tuple[Pixels, Pixels] | None

    def sentence(self) -> str:
        """What was found, for people, in the language in force."""
        from vistazo.engine.reports import percent

        where = tr(self.place)
        return tr(
            "{share} of answers '{name}' survive when only the {place} is kept: the model may be looking at what "
            "stands beside the thing.",
            share=percent(self.turned, 0),
            name=self.name,
            place=where,
        )

    def to_json(self) -> dict[str, Any]:
        """Plain numbers and words."""
        names = ("pictures", "kept", "replaced", "area", "place", "looked", "elsewhere", "turned", "usual")
        values: dict[str, Any] = {name: getattr(self, name) for name in names}
        told = {name: _plain(one) for name, one in values.items()}
        return {"class": self.name, **told, "suspicion": _plain(self.suspicion), "found": self.found}


@dataclass(frozen=True, eq=False)
class Bias:
    """All classes with an answer, the most suspicious first. pictures: looked at. layer: whose maps were read."""

    classes: tuple[ClassBias, ...]
    pictures: int
    kept: float
    replaced: float
    layer: str

    @property
    def findings(self) -> tuple[ClassBias, ...]:
        """The classes that are called suspicious, the worst first."""
        return tuple(one for one in self.classes if one.found)

    def to_json(self) -> dict[str, Any]:
        """Plain numbers and words."""
        return {
            "pictures": self.pictures,
            "kept": _plain(self.kept),
            "replaced": _plain(self.replaced),
            "layer": self.layer,
            "classes": [one.to_json() for one in self.classes],
            "findings": [one.sentence() for one in self.findings],
        }


def find_bias(
    model: Classifier,
    pixels_NHWC: PictureArray | Pixels,
    labels_N: npt.NDArray[np.int64] | None,
    *,
    seed: int,
    most: int = MOST,
) -> Bias:
    """Look for classes that are told by what stands beside the thing.

    pixels: uint8, at the model's size; of more than `most`, as many are drawn by the seed. labels: class numbers, so
    that nothing is replaced by a picture of the same class that was answered wrongly; None where they are not known.
    Raises ConfigError where a picture may have several labels, TooFewExamples where all have the same answer.
    """
    if model.several:
        raise ConfigError(
            tr("What stands beside the thing cannot be looked for where pictures have several labels.")
        )
    plain = replace(model, views=model.views[:1])
    chosen = _drawn(len(pixels_NHWC), most, counter_seed(seed, 1))
    pixels = np.ascontiguousarray(pixels_NHWC[chosen])
    answers = plain.probabilities(pixels).argmax(1)
    labels = answers if labels_N is None else labels_N[chosen]
    if len(np.unique(answers)) < 2:
        raise TooFewExamples(
            tr("All pictures have the same answer, so there is nothing to put in place of another.")
        )
    way = settle(plain, method=DEFAULT, layer=None)
    maps = picture_maps(plain, pixels, answers[:, None], way)[:, 0]
    looked = _Looked(plain, pixels, answers, labels, regions(maps, level=LEVEL, most=REGION), seed)
    kept, replaced = looked.survival()
    present = np.unique(answers).tolist()
    masks = {at: looked.place(at, DIFFERING) for at in present}
    turned = {at: looked.turned(at, masks[at]) for at in present}
    found = [_judge(looked, at, masks[at], turned, kept, replaced, len(present)) for at in present]
    found.sort(key=lambda one: (not one.found, -one.suspicion, one.name))
    assert way.layer is not None
    return Bias(tuple(found), len(pixels), float(kept.mean()), float(replaced.mean()), way.layer.name)


def place_of(mask_HW: Mask) -> str:
    """Where the middle of a mask lies, by thirds of the picture: a word that `tr` knows; '' for an empty mask.

    What lies around the middle, as a frame does, is the border.
    """
    if not mask_HW.any():
        return ""
    middle = (np.argwhere(mask_HW).mean(0) + 0.5) / mask_HW.shape
    row, column = np.minimum((3 * middle).astype(int), 2).tolist()
    if (row, column) == (1, 1) and (mask_HW & _middle(mask_HW.shape)).sum() < mask_HW.sum() / 2:
        return _BORDER
    return _PLACES[row][column]


# ---------------------------------------------------------------- pictures put together
@dataclass(frozen=True, eq=False)
class _Looked:
    """Pictures with their answers and the regions that decided them."""

    model: Classifier
    pixels: Pixels
    answers: npt.NDArray[np.int64]
    labels: npt.NDArray[np.int64]
    regions: Mask
    seed: int

    def place(self, at: int, least: float) -> Mask:
        """The one place of a class, see `shared_place`."""
        mine = self.answers == at
        return shared_place(self.regions[mine], self.regions[~mine], least)

    def survival(self) -> tuple[Mask, Mask]:
        """(N,) whether the answer survives when all but the region is replaced, and when only the region is."""
        others = self.others(np.arange(len(self.pixels)), counter_seed(self.seed, 2))
        inside = self.regions[..., None]
        around, within = self.pixels[others], self.pixels
        kept = self.model.probabilities(np.where(inside, within, around)).argmax(1) == self.answers
        replaced = self.model.probabilities(np.where(inside, around, within)).argmax(1) == self.answers
        return kept, replaced

    def others(self, rows: npt.NDArray[np.int64], seed: int) -> npt.NDArray[np.int64]:
        """For each row a picture, drawn by the seed, whose answer and whose label are not the row's answer."""
        random = np.random.default_rng(seed)
        found = np.empty(len(rows), dtype=np.int64)
        for answer in np.unique(self.answers[rows]).tolist():
            mine = self.answers[rows] == answer
            pool = np.flatnonzero((self.answers != answer) & (self.labels != answer))
            if not len(pool):  # every other picture has this label
                pool = np.flatnonzero(self.answers != answer)
            found[mine] = random.choice(pool, int(mine.sum()))
        return found

    def turned(
        self, at: int, mask_HW: Mask
    ) -> tuple[Mask, npt.NDArray[np.int64], npt.NDArray[np.int64], Mask]:
        """What the pixels of a mask alone do: of class `at` and of the others, put into pictures of other classes.

        (n,) whether the answer became `at`; the rows they came from and those they were put into; (m,) whether the
        answer became the class that the pixels came from, of the others, which are tried only where `at` turns enough.
        """
        mine = np.flatnonzero(self.answers == at)
        into = self.others(mine, counter_seed(self.seed, 3, at))
        none = np.zeros(0, np.bool_)
        if not mask_HW.any():
            return np.zeros(len(mine), np.bool_), mine, into, none
        survive = self._put(mask_HW, mine, into)
        if survive.mean() < TURNED:
            return survive, mine, into, none
        rest = np.flatnonzero(self.answers != at)
        order = np.random.default_rng(counter_seed(self.seed, 4, at)).permutation(rest)
        sample = order[: max(len(mine), BESIDE)]
        beside = self.others(sample, counter_seed(self.seed, 5, at))
        return survive, mine, into, self._put(mask_HW, sample, beside)

    def _put(self, mask_HW: Mask, rows: npt.NDArray[np.int64], into: npt.NDArray[np.int64]) -> Mask:
        """(n,) whether a mask's pixels, put into other pictures, bring the answer they had where they were."""
        mixed = np.where(mask_HW[None, :, :, None], self.pixels[rows], self.pixels[into])
        brought: Mask = self.model.probabilities(mixed).argmax(1) == self.answers[rows]
        return brought


def _drawn(count: int, most: int, seed: int) -> npt.NDArray[np.int64]:
    if count <= most:
        return np.arange(count)
    return np.sort(np.random.default_rng(seed).permutation(count)[:most])


def shared_place(mine_NHW: Mask, others_NHW: Mask, least: float) -> Mask:
    """(H, W) the pixels that more than SHARED of a class's regions hold, where these differ most from other classes'.

    least: of the largest difference. Maps of a network lean to some places whatever is shown, such as an edge; what
    they all share tells nothing.
    """
    share_HW = mine_NHW.mean(0)
    more_HW = np.where(share_HW > SHARED, share_HW - others_NHW.mean(0), 0)
    place: Mask = (more_HW > 0) & (more_HW >= least * more_HW.max())
    return place


# ---------------------------------------------------------------- what is suspicious
def _judge(
    looked: _Looked, at: int, mask_HW: Mask, turned: dict[int, Any], kept: Mask, replaced: Mask, classes: int
) -> ClassBias:
    own = looked.answers == at
    survive, rows, into, others = turned[at]
    share, usual = float(survive.mean()), float(others.mean()) if len(others) else None
    inside = looked.regions[:, mask_HW].mean(1) if mask_HW.any() else np.zeros(len(own))
    here, elsewhere = float(inside[own].mean()), float(inside[~own].mean())
    outside = float((mask_HW & ~_middle(mask_HW.shape)).sum() / max(1, mask_HW.sum()))
    found = bool(
        0 < mask_HW.mean() <= REGION
        and int(own.sum()) >= FEWEST
        and len(others) > 0
        and outside >= OUTSIDE
        and elsewhere <= ELSEWHERE * here
        and _chance(survive, others) < CHANCE / classes
    )
    example = None
    if found and survive.any():
        one = int(np.flatnonzero(survive)[0])
        after = np.where(mask_HW[..., None], looked.pixels[rows[one]], looked.pixels[into[one]])
        example = (looked.pixels[rows[one]], after)
    return ClassBias(
        name=looked.model.classes[at],
        pictures=int(own.sum()),
        kept=float(kept[own].mean()),
        replaced=float(replaced[own].mean()),
        area=float(np.median(looked.regions[own].mean((1, 2)))),
        mask=mask_HW,
        place=place_of(looked.place(at, NAMED)),
        looked=here,
        elsewhere=elsewhere,
        turned=share,
        usual=usual,
        suspicion=share * max(0.0, here - elsewhere) * outside,
        found=found,
        example=example,
    )


def _middle(shape: tuple[int, ...]) -> Mask:
    """(H, W) the half of the height and width around the centre."""
    height, width = shape
    rows, columns = ((np.abs((np.arange(side) + 0.5) / side - 0.5) < 0.25) for side in (height, width))
    return np.logical_and(rows[:, None], columns[None])


def _chance(some: Mask, others: Mask) -> float:
    """How likely so many successes among `some` are if they are no likelier than among the others: a binomial tail.

    The others' share is taken half a success higher, so that none at all among few says little.
    """
    if not len(some):
        return 1.0
    count, rate = int(some.sum()), (float(others.sum()) + 0.5) / (len(others) + 1)
    return min(1.0, sum(_binomial(len(some), many, rate) for many in range(count, len(some) + 1)))


def _binomial(trials: int, hits: int, rate: float) -> float:
    if rate >= 1:
        return float(hits == trials)
    log = math.lgamma(trials + 1) - math.lgamma(hits + 1) - math.lgamma(trials - hits + 1)
    return math.exp(log + hits * math.log(rate) + (trials - hits) * math.log1p(-rate))


def _plain(value: Any) -> Any:
    return round(value, 6) if isinstance(value, float) else value
