"""The pages of a look inside a network.

Shape suffixes: C channels, H height, W width, O filters.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from vistazo.classification.inside.layers import Layer
from vistazo.classification.inside.liking import Liked, Likes
from vistazo.classification.inside.telling import shape_text
from vistazo.engine.reports import Block, Picture, Pictures, Report, Section, Table, Text, number
from vistazo.language import tr
from vistazo.pictures import drawing
from vistazo.pictures.pages import Folder, signed, tiles

__all__ = ["of_filters", "of_likes", "of_maps"]

Floats = npt.NDArray[np.float32]
Pixels = npt.NDArray[np.uint8]
_SIDE = 112  # screen pixels of a liked picture's shorter side
_FRAME = (255, 140, 0)


def _name(layer: Layer) -> str:
    return f"{layer.number}. {layer.name}"


# ---------------------------------------------------------------- layers and filters
def of_filters(
    name: str, layers: tuple[Layer, ...], path: str, filters_OCHW: Floats, folder: Folder
) -> Report:
    """The table of the layers, and the filters of the first that has some."""
    count, channels, height, width = filters_OCHW.shape
    if channels == 3:
        told = tr(
            "Each small square is a filter in colour: mid-grey stands for 0, brighter red, green or blue for more "
            "of it."
        )
        drawn = drawing.grid([signed(one.transpose(1, 2, 0)) for one in filters_OCHW], 16)
    else:
        told = tr("Each small square is a filter: mid-grey stands for 0, white for the largest number, black for the "
                  "most negative.")  # fmt: skip
        drawn = drawing.grid([signed(one.mean(0))[:, :, None] for one in filters_OCHW], 16)
    caption = tr("{n} filters of {height} × {width}", n=count, height=height, width=width)
    sheet = folder.add("filters", drawn, tr("layer {name}", name=path), caption)
    about = tr(
        "A filter is a kernel whose numbers were learnt. It answers strongest where the picture looks as it does: "
        "stripes find edges of their direction, patches of colour find that colour."
    )
    return Report(
        tr("Inside {name}", name=name),
        [
            Section(tr("Layers"), [_table(layers), Text(_table_words(layers))]),
            Section(tr("First filters"), [Text(about), Text(told), Pictures([sheet], large=True)]),
            Section(
                tr("Next"),
                [Text(_next())],
            ),
        ],
    )


def _next() -> str:
    return "\n\n".join(
        [
            tr("The feature maps of a picture: vistazo inside MODEL FILE --out inside"),
            tr("What each unit likes most: vistazo inside MODEL SOURCE --out inside"),
        ]
    )


def _table(layers: tuple[Layer, ...]) -> Table:
    rows: list[list[Any]] = [
        [_name(one), one.about, shape_text(one.shape), one.parameters, one.neurons] for one in layers
    ]
    total = sum(one.parameters for one in layers)
    headings = [tr("layer"), tr("what it does"), tr("output"), tr("parameters"), tr("neurons")]
    return Table(headings, [*rows, [tr("total"), "", "", total, ""]], "lllrr")


def _table_words(layers: tuple[Layer, ...]) -> str:
    parts = {
        name: sum(getattr(one, name) for one in layers) for name in ("trainable", "statistics", "frozen")
    }
    return tr(
        "Output is height × width × channels. Neurons are the numbers a layer gives for one picture. Of the "
        "parameters, {trainable} are trainable, {statistics} running statistics and {frozen} frozen.",
        **{name: number(value) for name, value in parts.items()},
    )


# ---------------------------------------------------------------- feature maps
def of_maps(
    name: str, title: str, pixels_HWC: Pixels, shown: list[tuple[Layer, Floats, list[int]]], folder: Folder
) -> Report:
    """What each layer makes of a picture: its maps side by side, those of the units that are named."""
    intro = tr(
        "A feature map is what one unit of a layer finds in the picture, place by place. Black is 0 and bright is "
        "much; where a layer has negative numbers, mid-grey is 0. Each map is scaled by itself."
    )
    picture = folder.picture("picture", pixels_HWC, tr("the picture, as the model sees it"), title)
    sections = [Section("", [Text(intro), Pictures([picture], large=True)])]
    for layer, maps_CHW, units in shown:
        sheet = tiles(maps_CHW[units])
        caption = tr("units {units} of {n}, from left to right", units=_told_units(units), n=layer.units)
        drawn = folder.picture(
            f"maps-{layer.number}", sheet, caption, shape_text(layer.shape), enlarged=False
        )
        facts = tr("{about}; strongest unit: {unit}", about=layer.about, unit=_strongest(maps_CHW))
        sections.append(Section(_name(layer), [Text(facts), Pictures([drawn], large=True)]))
    return Report(tr("What {name} makes of a picture", name=name), sections, title)


def _strongest(maps_CHW: Floats) -> int:
    return int(maps_CHW.max((1, 2)).argmax()) + 1


def _told_units(units: list[int]) -> str:
    """Channels from 0 on as a person counts them: '1–16', '3, 17'."""
    if len(units) > 2 and units == list(range(units[0], units[-1] + 1)):
        return f"{units[0] + 1}–{units[-1] + 1}"
    return ", ".join(str(unit + 1) for unit in units)


# ---------------------------------------------------------------- what units like
def of_likes(name: str, source: str, layer: Layer, likes: Likes, folder: Folder) -> Report:
    """For each unit the pictures it likes most, with the part that it saw framed and cut out."""
    intro = tr(
        "Layer {layer} ({about}) looked at {n} pictures of {source}. For each unit these are the pictures it answered "
        "to strongest. The frame is what the answering place sees of the picture; beside it, that part alone.",
        layer=_name(layer),
        about=layer.about,
        n=number(likes.pictures),
        source=source,
    )
    blocks: list[Block] = [Text(intro)]
    if likes.unreadable:
        blocks.append(Text(tr("could not be read: {n}", n=len(likes.unreadable))))
    sections = [Section("", blocks)]
    for unit, liked in likes.of.items():
        title = tr("Unit {n}", n=unit + 1)
        if max(one.value for one in liked) == min(one.value for one in liked) == 0:
            sections.append(Section(title, [Text(tr("Silent: it gave 0 for every picture."))]))
            continue
        drawn = [_framed(one) for one in liked]
        folder.add(f"unit-{unit + 1}", drawing.grid(drawn, 4))
        figures = [
            Picture(drawing.png(one), [line for line in (liked_one.label, _short(liked_one)) if line])
            for one, liked_one in zip(drawn, liked, strict=True)
        ]
        sections.append(Section(title, [Pictures(figures, large=True)]))
    return Report(tr("What the units of {name} like", name=name), sections, source)


def _short(liked: Liked) -> str:
    file = liked.file.replace("\\", "/").rpartition("/")[2]
    return f"{file}: {number(liked.value, 2)}"


def _framed(liked: Liked) -> Pixels:
    """The picture with a frame around what was seen, and that part beside it at the same height: uint8 (h, w, 3)."""
    top, bottom, left, right = liked.box
    large = drawing.enlarge(liked.pixels_HWC, _SIDE)
    times = len(large) // len(liked.pixels_HWC)
    whole = np.ascontiguousarray(np.broadcast_to(large, (*large.shape[:2], 3)))
    patch = _at_height(liked.pixels_HWC[top:bottom, left:right], len(whole))
    thick = 2
    ends = (top * times, bottom * times, left * times, right * times)
    for line in (slice(ends[0], ends[0] + thick), slice(ends[1] - thick, ends[1])):
        whole[line, ends[2] : ends[3]] = _FRAME
    for line in (slice(ends[2], ends[2] + thick), slice(ends[3] - thick, ends[3])):
        whole[ends[0] : ends[1], line] = _FRAME
    gap = np.full((len(whole), 6, 3), 255, np.uint8)
    return np.concatenate([whole, gap, patch], axis=1)


def _at_height(pixels_HWC: Pixels, height: int) -> Pixels:
    """The nearest pixels of a part at that height, its sides as they were, at most twice as wide: uint8 (h, w, 3)."""
    rows, columns = pixels_HWC.shape[:2]
    width = min(max(1, round(columns * height / rows)), 2 * height)
    nearest = pixels_HWC[np.arange(height) * rows // height][:, np.arange(width) * columns // width]
    return np.broadcast_to(nearest, (height, width, 3))
