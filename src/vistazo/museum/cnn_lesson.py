"""The lesson on convolutional networks: a picture walks from 28 × 28 pixels to ten answers, every number counted."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from vistazo.engine.reports import Block, Pictures, Report, Section, Table, Text, number, percent
from vistazo.language import tr
from vistazo.museum import walk
from vistazo.museum.kernels import kernels
from vistazo.museum.photo import Photo, read_photo
from vistazo.museum.squares import PAGE, shown_number, squares
from vistazo.museum.walk import Step
from vistazo.pictures import decoding
from vistazo.pictures.pages import Folder, grey, signed, tiles

__all__ = ["visit"]

Numbers = npt.NDArray[Any]


def visit(file: str | Path | None, out: Path) -> dict[str, Any]:
    """Write the lesson's page and pictures to a folder, and tell the layers with their neurons and weights.

    Raises SourceError, DiskError.
    """
    photo = read_photo(file)
    small = decoding.decode(photo.pixels_HW, height=walk.SIDE, width=walk.SIDE, channels=1)[:, :, 0]
    layers = walk.steps()
    given, shares = walk.forward(small / 255)
    folder = Folder(out, PAGE)
    page = folder.page(_report(photo, small, layers, given, shares, folder))
    return {
        "name": "cnn",
        "file": photo.name,
        "size": list(photo.pixels_HW.shape),
        "shrunk_from": photo.shrunk_from and list(photo.shrunk_from),
        "layers": [
            {
                "layer": one.kind,
                "shape": list(one.shape),
                "neurons": one.neurons,
                "weights": one.weights,
                "biases": one.biases,
                "parameters": one.weights + one.biases,
            }
            for one in layers
        ],
        "parameters": sum(one.weights + one.biases for one in layers),
        "page": str(page),
        "files": folder.told(),
        "lines": [*photo.notes, *_lines(layers)],
    }


def _shape(step: Step) -> str:
    return " × ".join(map(str, step.shape))


def _named(step: Step) -> str:
    if step.kind == "input":
        return tr("input")
    if step.kind == "convolution":
        return tr("convolution, {n} filters of 3 × 3", n=step.shape[-1])
    if step.kind == "pooling":
        return tr("max pooling 2 × 2")
    if step.kind == "flatten":
        return tr("flatten")
    if step.shape[0] == walk.CLASSES:
        return tr("dense, softmax")
    return tr("dense")


def _lines(layers: list[Step]) -> list[str]:
    wide = max(len(_named(one)) for one in layers)
    heading = f"{tr('layer'):<{wide}}  {tr('output'):>14} {tr('neurons'):>9} {tr('parameters'):>11}"
    rows = [
        f"{_named(one):<{wide}}  {_shape(one):>14} {number(one.neurons):>9} {number(one.weights + one.biases):>11}"
        for one in layers
    ]
    total = number(sum(one.weights + one.biases for one in layers))
    return [heading, *rows, f"{tr('total'):<{wide}}  {'':>14} {'':>9} {total:>11}"]


# ---------------------------------------------------------------- the page
def _report(
    photo: Photo, small: Numbers, layers: list[Step], given: list[Numbers], shares: Numbers, folder: Folder
) -> Report:
    sections = [
        Section("", _start(small, folder)),
        Section(tr("The walk, counted"), _table(layers)),
        Section(tr("One neuron, worked out"), _neuron(small, given, folder)),
    ]
    for at, (kind, title) in enumerate(
        zip(
            (2, 4, 6),
            (tr("After the first pair"), tr("After the second pair"), tr("After the third pair")),
            strict=True,
        )
    ):
        sections.append(Section(title, _maps(layers[kind - 1], layers[kind], given[kind], at, folder)))
    sections.append(Section(tr("Ten answers"), _answers(layers, shares)))
    notes = [tr("{name}, shrunk to 28 × 28 pixels in grey.", name=photo.name), *photo.notes]
    return Report(tr("How a convolutional network sees"), sections, " ".join(notes))


def _start(small: Numbers, folder: Folder) -> list[Block]:
    return [
        Text(
            tr(
                "The picture enters as 28 × 28 = 784 numbers, one for each pixel, divided by 255 so that they lie "
                "between 0 and 1. A neuron is one number that a layer gives; a weight is one number that the network "
                "learns."
            )
        ),
        Pictures([folder.picture("input", small, tr("what the network gets"), "28 × 28 × 1")], large=True),
        Text(
            tr(
                "This network has not been trained: its first six filters are kernels with a name ({names}), all other "
                "weights are drawn by chance. Training changes these numbers until the answers are right; their count "
                "and the arithmetic stay the same.",
                names=", ".join(tr(name) for name in walk.FIRST),
            )
        ),
    ]


def _table(layers: list[Step]) -> list[Block]:
    rows: list[list[Any]] = [
        [_named(one), _shape(one), one.neurons, one.counted or "–", one.weights + one.biases]
        for one in layers
    ]
    total = sum(one.weights + one.biases for one in layers)
    first, dense = layers[1], layers[0].neurons * layers[1].neurons
    return [
        Table(
            [tr("layer"), tr("output"), tr("neurons"), tr("weights + biases"), tr("parameters")],
            [*rows, [tr("total"), "", None, "", total]],
            "llrlr",
        ),
        Text(
            tr(
                "Why convolutions: the {neurons} neurons of the first one share {weights} weights, because each filter "
                "keeps its nine numbers wherever it lies. If each neuron had a weight of its own for each pixel, there "
                "would be {dense}.",
                neurons=number(first.neurons),
                weights=number(first.weights),
                dense=number(dense),
            )
        ),
    ]


def _neuron(small: Numbers, given: list[Numbers], folder: Folder) -> list[Block]:
    """The strongest neuron of the first map inside the picture, from pixels to what the pooling keeps."""
    name = walk.FIRST[0]
    kernel = kernels[name].numbers_KL
    inner = given[1][1:-1, 1:-1, 0]
    row, column = (int(one) + 1 for one in np.unravel_index(int(inner.argmax()), inner.shape))
    pixels = small[row - 1 : row + 2, column - 1 : column + 2].astype(np.int64)
    total = int((pixels * kernel).sum())
    parts = (
        ("pixels", pixels, grey(pixels), tr("pixels of the picture")),
        ("kernel", kernel, signed(kernel), tr("the filter '{name}'", name=tr(name))),
        ("products", pixels * kernel, signed(pixels * kernel), tr("pixel times number")),
    )
    pictures = [
        folder.picture(f"neuron-{kind}", drawn, words, enlarged=False)
        for kind, values, shades, words in parts
        if (drawn := squares(values, shades)) is not None
    ]
    pool = given[2][row // 2, column // 2, 0]
    told = tr(
        "Row {row}, column {column} of the first of 32 maps: the nine products sum to {sum}; pixels count in 255ths, "
        "so the neuron holds {sum} / 255 = {value}. ReLU keeps what is above 0 and makes the rest 0: {kept}. Max "
        "pooling then keeps the largest of this neuron and its three neighbours: {pooled}.",
        row=row + 1,
        column=column + 1,
        sum=number(total),
        value=shown_number(total / 255),
        kept=shown_number(max(total, 0) / 255),
        pooled=shown_number(float(pool)),
    )
    turned = tr(
        "The filter is laid on as it is written (a correlation): networks do not turn it as scipy's convolution does."
    )
    return [Pictures(pictures, large=True), Text(told), Text(turned)]


def _maps(convolution: Step, pooling: Step, maps: Numbers, at: int, folder: Folder) -> list[Block]:
    height, width, channels = pooling.shape
    if convolution.inputs == 1:
        looks = tr("{n} filters look at the picture.", n=channels)
    else:
        looks = tr(
            "{n} filters look at the {inputs} maps before them, each at all of them at once.",
            n=channels,
            inputs=convolution.inputs,
        )
    told = tr(
        "{counted} = {parameters} parameters, {neurons} neurons. Max pooling leaves {height} × {width} of each map: "
        "{left} neurons.",
        counted=convolution.counted,
        parameters=number(convolution.weights + convolution.biases),
        neurons=number(convolution.neurons),
        height=height,
        width=width,
        left=number(pooling.neurons),
    )
    sheet = tiles(maps.transpose(2, 0, 1))
    caption = tr("all {n} maps; bright is a large number", n=channels)
    picture = folder.picture(f"maps-{at + 1}", sheet, caption, _shape(pooling), enlarged=False)
    return [Text(f"{looks} {told}"), Pictures([picture], large=True)]


def _answers(layers: list[Step], shares: Numbers) -> list[Block]:
    flat, hidden = layers[-3], layers[-2]
    told = tr(
        "The {flat} numbers of the last maps stand in one row (flatten). A dense layer of {hidden} neurons looks at "
        "all of them ({counted} parameters), a last one of 10 at those. Softmax turns the ten sums into shares that "
        "add up to 100 %: one for each class.",
        flat=number(flat.neurons),
        hidden=hidden.neurons,
        counted=hidden.counted,
    )
    rows: list[list[Any]] = [[str(at), percent(float(share))] for at, share in enumerate(shares.tolist())]
    return [
        Text(told),
        Table([tr("class"), tr("share")], rows, "lr"),
        Text(
            tr(
                "As nothing was learnt, these shares mean nothing yet. Train such a network on your own pictures and "
                "look inside it: vistazo train SOURCE --recipe tutorial-mnist, then vistazo inside MODEL FILE "
                "--out inside"
            )
        ),
    ]
