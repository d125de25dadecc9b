"""Why it answers so: sections of a report that the network itself is asked for.

What it looks at (Grad-CAM++), what it goes by that stands beside the thing (co-occurrence), and how the pictures lie to
one another in what it sees. Of many pictures a sample is asked about.

Shape suffixes: N pictures, T classes asked for, H height, W width, K classes.
"""

import contextlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from vistazo.classification.evaluating.answers import Answers
from vistazo.classification.explaining import bias_report
from vistazo.classification.explaining.bias import Bias, find_bias
from vistazo.classification.explaining.maps import shown_scale
from vistazo.classification.explaining.methods import DEFAULT, picture_maps, settle
from vistazo.classification.explaining.overlay import laid_over, side_by_side
from vistazo.classification.metrics import most_confident_mistakes
from vistazo.classification.similar import maps
from vistazo.classification.similar.features import look, unit
from vistazo.engine.batches import counter_seed
from vistazo.engine.reports import Picture, Pictures, Section, Text, number, percent
from vistazo.errors import ConfigError, TooFewExamples
from vistazo.language import tr
from vistazo.pictures import drawing

if TYPE_CHECKING:
    from vistazo.classification.classifier import Classifier

__all__ = ["MOST", "Why", "ask"]

MOST = 1000  # pictures that are asked about
LOOKED = 6  # right answers, and as many wrong ones, whose maps are drawn
_BYTES, _FEWEST = 256 << 20, 100  # of the pictures that are asked about together; and so many at least
LEAST = 3  # pictures that a map of them is drawn of
_SHORTEST, _WIDE = 96, 640  # pixels of a drawn picture, and of the drawing of all together

Pixels = npt.NDArray[np.uint8]
Rows = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Why:
    """What the network told. bias: None where it was not asked for, or nothing could be put in place of another.

    failed: what is said in place of what could not be computed.
    """

    looked: Section | None
    bias: Bias | None
    lie: Section | None
    failed: Section | None = None

    def sections(self) -> list[Section]:
        """For a report."""
        beside = None if self.bias is None else bias_report.section(self.bias)
        return [one for one in (self.looked, beside, self.lie, self.failed) if one is not None]

    def to_json(self) -> dict[str, Any] | None:
        """The co-occurrence, for programs."""
        return None if self.bias is None else self.bias.to_json()


def ask(model: "Classifier", answers: Answers, *, seed: int, whole: bool = True) -> Why:
    """Ask about at most MOST of the pictures that were answered. The network stays as it was, to the bit.

    whole: False for the maps of a few pictures alone, which take a moment, where time was given for the training.
    A network that somebody registered may compute anything, and memory may be short. This is asked before the model's
    file is written: what cannot be computed is told in its place, and costs nobody the model.
    """
    looked = bias = lie = None
    try:
        looked = _looked_at(model, answers)
        if not whole:
            return Why(looked and Section(looked.title, [*looked.blocks, Text(_left())]), None, None)
        rows = _drawn(answers.pixels.shape, seed)
        pixels = answers.pixels[rows]
        if not answers.several:
            # no layer that says where, or one answer for all
            with contextlib.suppress(ConfigError, TooFewExamples):
                bias = find_bias(model, pixels, answers.labels[rows], seed=seed)
        lie = _lie(model, answers, rows, pixels)
    except (RuntimeError, MemoryError) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        text = tr("This could not be computed for this network: {reason}", reason=reason)
        return Why(looked, bias, lie, Section(tr("Why it answers so"), [Text(text)]))
    return Why(looked, bias, lie)


def _left() -> str:
    return tr(
        "What stands beside the thing, and how the pictures lie to one another, was left out: it would have taken of "
        "the time that was given. It is shown by vistazo evaluate MODEL SOURCE --out FOLDER"
    )


def _drawn(shape: tuple[int, ...], seed: int) -> Rows:
    """At most MOST pictures, and of large ones fewer: maps and changed copies take ten times their bytes."""
    count, most = shape[0], min(MOST, max(_FEWEST, _BYTES // math.prod(shape[1:])))
    if count <= most:
        return np.arange(count)
    return np.sort(np.random.default_rng(counter_seed(seed, 1)).permutation(count)[:most])


# ---------------------------------------------------------------- what it looks at
def _looked_at(model: "Classifier", answers: Answers) -> Section | None:
    """Where the answers to some wrong and some right pictures come from."""
    try:
        way = settle(model, method=DEFAULT, layer=None)
    except ConfigError:  # a network without a layer that says where
        return None
    rows = _worth_looking_at(answers)
    if not len(rows):
        return None
    order = np.argsort(-answers.probabilities_NK[rows], axis=1, kind="stable")[:, :2]
    if not answers.several:  # the answer, and what would have been right
        order[:, 1] = np.where(answers.labels[rows] != order[:, 0], answers.labels[rows], order[:, 1])
    pixels = answers.pixels[rows]
    found = picture_maps(model, pixels, order, way)
    pictures = [
        _overlay(answers, row, one, shown, of)
        for row, one, shown, of in zip(rows.tolist(), pixels, order.tolist(), found, strict=True)
    ]
    about = tr(
        "Each picture, and what in it speaks for two classes: for the answer, and for the right class or, where the "
        "answer is right, the next one. Yellow speaks most. Grad-CAM++ at the layer {layer}, whose map has {height} × "
        "{width} places. More: vistazo explain MODEL FILE",
        layer=way.told()["layer"],
        height=way.told()["map"][0],
        width=way.told()["map"][1],
    )
    return Section(tr("What it looks at"), [Text(about), Pictures(pictures, large=True)])


def _worth_looking_at(answers: Answers) -> Rows:
    """The surest wrong answers, and the surest right one of each of the first classes."""
    if answers.several:
        return np.argsort(-answers.confidence, kind="stable")[:LOOKED]
    wrong = most_confident_mistakes(answers.probabilities_NK, answers.labels, LOOKED)
    right: list[int] = []
    for label in range(len(answers.classes)):
        own = np.flatnonzero(answers.right & (answers.labels == label))
        if len(own) and len(right) < LOOKED:
            right.append(int(own[answers.confidence[own].argmax()]))
    return np.concatenate([wrong, np.array(right, dtype=np.int64)])


def _overlay(
    answers: Answers, row: int, pixels: Pixels, shown: Sequence[int], maps_THW: npt.NDArray[np.float32]
) -> Picture:
    plain = drawing.enlarge(np.broadcast_to(pixels, (*pixels.shape[:2], 3)), _SHORTEST)
    height, width = plain.shape[:2]
    laid = [laid_over(plain, shown_scale(one, noisy=False), (0, 0, width, height)) for one in maps_THW]
    names = [f"{answers.classes[at]} {percent(float(answers.probabilities_NK[row, at]))}" for at in shown]
    caption = [" · ".join(names), tr("is labelled {label}", label=answers.named(row) or tr("no label"))]
    return Picture(drawing.png(side_by_side([plain, *laid])), [*caption, answers.where[row]])


# ---------------------------------------------------------------- how they lie to one another
def _lie(model: "Classifier", answers: Answers, rows: Rows, pixels: Pixels) -> Section | None:
    """The pictures as the network sees them, on the plane in which they differ most."""
    if len(rows) < LEAST or answers.several:
        return None
    try:
        seen = look(model, pixels)
    except ValueError:  # no linear layer, so no features
        return None
    places, share = maps.pca(unit(seen.features_ND), 2)
    labels = np.asarray(answers.labels[rows], dtype=np.int64)
    detail = tr("two directions hold {share} of all differences", share=percent(float(share.sum()), 0))
    drawn = maps.draw(
        maps.Map("", places, detail),
        labels,
        answers.classes,
        tr("{n} pictures as the network sees them", n=number(len(rows))),
    )
    about = tr(
        "What the last layer is given of each picture, on the plane in which the pictures differ most; a colour a "
        "class. Classes that lie apart are easily told apart. With the pictures, and by t-SNE: "
        "vistazo embed MODEL SOURCE"
    )
    title = tr("How the pictures lie to one another")
    return Section(title, [Text(about), Pictures([Picture(_smaller(drawn), [detail])], large=True)])


def _smaller(png: bytes) -> bytes:
    """The drawing at the size of a page, in few colours: a fifth of the bytes."""
    import io

    from PIL import Image

    with Image.open(io.BytesIO(png)) as image:
        scale = 2 * _WIDE / image.width
        small = image.resize(
            (round(image.width * scale), round(image.height * scale)), Image.Resampling.LANCZOS
        )
    file = io.BytesIO()
    small.quantize(64).save(file, "PNG", optimize=True)
    return file.getvalue()
