"""What a network in words comes to for pictures of a size: each layer's shape and counts. Free of torch.

The whole is checked here before anything is built, so that words from a stranger's model file take no memory.
"""

from dataclasses import dataclass
from math import prod
from typing import Any

from vistazo.language import tr
from vistazo.networks.word_grammar import Layer, WordsError, parse
from vistazo.networks.words import resolve

__all__ = ["LARGEST", "LAST", "Row", "objective", "padding_of", "table", "tell"]

LARGEST = 100_000_000  # parameters: 400 MB, and three times that again while Adam trains them
MOST_NEURONS = 100_000_000  # of all layers for one picture: 400 MB
LARGEST_SIDE, MOST_CLASSES = 10_000, 100_000
# What the last layer may have, and the loss that reads its scores. The softmax is a matter of the loss.
LAST = {"softmax": "cross_entropy", "linear": "cross_entropy", "sigmoid": "squashed_cross_entropy"}
Shape = tuple[int, ...]  # (height, width, channels) or (numbers,)


@dataclass(frozen=True)
class Row:
    """A layer in its place. number: of its line, 0 for a flatten that was put in. last: whether it gives the scores.

    given, shape: what it gets and gives. statistics: running figures of batch normalisation.
    """

    number: int
    name: str
    words: str
    layer: Layer
    given: Shape
    shape: Shape
    trainable: int = 0
    statistics: int = 0
    last: bool = False

    @property
    def parameters(self) -> int:
        """All numbers that it holds."""
        return self.trainable + self.statistics

    @property
    def neurons(self) -> int:
        """The numbers that it gives for a picture."""
        return prod(self.shape)


def table(words: Any, height: int, width: int, channels: int, classes: int) -> tuple[Row, ...]:
    """The layers for pictures of that size: shapes, parameters, neurons. What comes before a dense layer is flattened.

    Raises WordsError, which names the first layer at fault: one that is not understood, whose input is too small, that
    gives other than `classes` scores, or with which the network becomes too large.
    """
    sides: dict[str, Any] = {"height": height, "width": width, "channels": channels, "classes": classes}
    for name, value in sides.items():
        most = MOST_CLASSES if name == "classes" else LARGEST_SIDE
        if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
            raise WordsError(
                tr(
                    "'{name}' is a whole number from 1 to {most}, not {value!r}.",
                    name=name,
                    most=most,
                    value=value,
                )
            )
    layers = parse(resolve(words))
    scores = _scores_at(layers)
    shape: Shape = (height, width, channels)
    rows: list[Row] = []
    for at, layer in enumerate(layers):
        if layer.kind == "dense" and len(shape) == 3:
            put_in = Layer(0, "flatten", "flatten", f"flatten_{layer.name}")
            rows.append(Row(0, put_in.name, "flatten", put_in, shape, (prod(shape),)))
            shape = rows[-1].shape
        row = _row(layer, shape, classes, at >= scores)
        rows.append(row)
        shape = row.shape
        _require_size(rows)
    _require_scores(layers[scores], rows[-1].shape, classes)
    return tuple(rows)


def objective(words: Any) -> str:
    """The loss that reads the scores: by the activation of the last layer."""
    return LAST[parse(resolve(words))[-1].activation]


def tell(rows: tuple[Row, ...], name: str) -> dict[str, Any]:
    """The table as plain numbers and words, as `vistazo.classification.inside.layers.tell_layers` tells a network's."""
    layers = [
        {
            "number": row.number or None,
            "name": row.name if row.number else "",
            "about": row.words,
            "shape": list(row.shape),
            "parameters": row.parameters,
            "trainable": row.trainable,
            "statistics": row.statistics,
            "frozen": 0,
            "neurons": row.neurons,
        }  # a flatten that was put in has no number
        for row in rows
    ]
    sums = {one: sum(getattr(row, one) for row in rows) for one in ("parameters", "trainable", "statistics")}
    return {"network": name, "input": list(rows[0].given), "layers": layers, **sums, "frozen": 0}


def padding_of(side: int, kernel: int, stride: int) -> tuple[int, int]:
    """Pixels before and after a side for the border 'same': as many places as strides begin, the odd pixel after.

    Source: tensorflow.org/api_docs/python/tf/nn, 'Notes on padding'; Keras pads so.
    """
    missing = max((-(-side // stride) - 1) * stride + kernel - side, 0)
    return missing // 2, missing - missing // 2


# ---------------------------------------------------------------- one layer
def _scores_at(layers: tuple[Layer, ...]) -> int:
    """The place of the dense layer that gives the scores: the last, or before an activation of its own."""
    last = len(layers) - 1
    if layers[last].kind == "activation" and last and layers[last - 1].kind == "dense":
        last -= layers[last - 1].activation == "linear"
    if layers[last].kind != "dense":
        raise layers[last].fault(
            tr("the last layer has to be `dense classes softmax`, one score for each class")
        )
    if layers[-1].activation not in LAST:
        raise layers[-1].fault(
            tr(
                "the last layer takes softmax, sigmoid or no activation, not {name}",
                name=layers[-1].activation,
            )
        )
    return last


def _row(layer: Layer, given: Shape, classes: int, last: bool) -> Row:
    shape, trainable, statistics = given, 0, 0
    if layer.kind in ("conv", "depthwise", "pool", "globalpool") and len(given) == 1:
        raise layer.fault(
            tr(
                "the picture is {n} numbers by then, without places: put this layer before `flatten` and `dense`",
                n=given[0],
            )
        )
    if layer.kind in ("conv", "depthwise"):
        shape, trainable = _convolution(layer, given)
    elif layer.kind == "pool":
        shape = (*_places(layer, given), given[2])
    elif layer.kind == "globalpool":
        shape = (given[2],)
    elif layer.kind == "batchnorm":
        trainable = statistics = 2 * given[-1]
    elif layer.kind == "flatten":
        shape = (prod(given),)
    elif layer.kind == "dense":
        units = int(layer.numbers.get("units", classes))
        shape, trainable = (units,), (given[0] + 1) * units
    if layer.activation == "prelu":
        trainable += shape[-1]
    return Row(layer.number, layer.name, layer.words, layer, given, shape, trainable, statistics, last)


def _convolution(layer: Layer, given: Shape) -> tuple[Shape, int]:
    filters = int(layer.numbers.get("filters", given[2]))
    groups = int(layer.numbers.get("groups", given[2]))
    if given[2] % groups or filters % groups:
        raise layer.fault(
            tr(
                "the {inputs} channels it gets and its {filters} filters cannot both be divided into {groups} groups",
                groups=groups,
                inputs=given[2],
                filters=filters,
            )
        )
    trainable = filters * (prod(layer.kernel) * given[2] // groups + 1)
    return (*_places(layer, given), filters), trainable


def _places(layer: Layer, given: Shape) -> tuple[int, int]:
    """(height, width) of what a window that slides over the picture gives."""
    found = []
    for side, kernel in zip(given[:2], layer.kernel, strict=True):
        stride = int(layer.numbers.get("stride", kernel))
        if layer.padding == "same":
            found.append(-(-side // stride))
        elif side >= kernel:
            found.append((side - kernel) // stride + 1)
        else:
            values = {
                "height": given[0],
                "width": given[1],
                "down": layer.kernel[0],
                "across": layer.kernel[1],
            }
            reason = tr(
                "it meets {height} x {width} places, too few for {down} x {across}. Write `same`, leave out a pool "
                "before it, or give larger pictures with --size",
                **values,
            )
            raise layer.fault(reason)
    return found[0], found[1]


# ---------------------------------------------------------------- the whole
def _require_size(rows: list[Row]) -> None:
    """Raise WordsError at the layer that makes the network larger than memory bears."""
    total, neurons = sum(row.parameters for row in rows), sum(row.neurons for row in rows)
    if total > LARGEST:
        raise rows[-1].layer.fault(
            tr(
                "it brings the network to {n:,} parameters, and {most:,} are the most that are trained here. Put a "
                "`pool` before it, or give it less",
                n=total,
                most=LARGEST,
            )
        )
    if neurons > MOST_NEURONS:
        raise rows[-1].layer.fault(
            tr(
                "it brings the network to {n:,} neurons for each picture, and {most:,} are the most that memory bears. "
                "Put a `pool` before it, or give smaller pictures with --size",
                n=neurons,
                most=MOST_NEURONS,
            )
        )


def _require_scores(layer: Layer, shape: Shape, classes: int) -> None:
    if shape != (classes,):
        raise layer.fault(
            tr(
                "it gives {n} scores, and there are {classes} classes: write `dense classes softmax`",
                n=shape[0],
                classes=classes,
            )
        )
