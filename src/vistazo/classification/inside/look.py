"""A look inside a network: its layers in a table, its filters, its maps of a picture, what its units like."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from vistazo.classification.inside import pages
from vistazo.classification.inside.layers import Layer, find_layer, tell_layers, trace
from vistazo.classification.inside.liking import Likes, like
from vistazo.classification.inside.maps import all_maps, first_filters, layers_of, picture_of
from vistazo.classification.models import create, models
from vistazo.errors import ConfigError
from vistazo.language import tr
from vistazo.pictures.folders import is_picture
from vistazo.pictures.pages import Folder

if TYPE_CHECKING:
    from vistazo.classification.classifier import Classifier

__all__ = ["look", "read_units", "registered"]

PAGE = "inside.html"
MAPS, UNITS = 64, 16  # units shown where none are named: of a layer's maps, and of what units like
LIKED = 8  # pictures of each unit
LAYERS = 24  # layers shown where none is named
PART = 0.75  # of the sides
_TELLING = ("convolution", "activation", "pooling", "addition")


def registered(name: str) -> dict[str, Any]:
    """The layers of a registered network at the size its listing counts parameters with. Raises UnknownName."""
    arguments = models[name].example
    with torch.random.fork_rng(
        devices=[]
    ):  # its first weights are drawn, and nobody else's may change by that
        network = create(name, arguments)
    size = (arguments["height"], arguments["width"], arguments["channels"])
    return _told(name, name, size, trace(network, size))


def look(
    model: Classifier,
    given: Any = None,
    out: str | Path | None = None,
    *,
    layer: str | int | None = None,
    units: str | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> dict[str, Any]:
    """The layers of a trained model, and a page with pictures: {"layers", "parameters", "page", "files", …}.

    given: None for its filters; a picture for its feature maps; a source for the pictures that units of a layer like
    most. out: the folder, None for inside/ where there is something given, else no page. layer: a name or a number from
    1 on. units: as in '1-16' or '3,17', from 1 on.
    Raises UnknownName, ConfigError, SourceError, DiskError.
    """
    layers = layers_of(model)
    name = _called(model)
    told = _told(str(model.path or model.model), model.model, model.size, layers)
    if given is None and out is None:
        if layer is not None or units is not None:
            raise ConfigError(tr("--layer and --units need a picture or a source: name one after the model."))
        return told
    folder = Folder(Path(out) if out is not None else Path("inside"), PAGE)
    if given is None:
        path, filters = first_filters(model.network)
        report = pages.of_filters(name, layers, path, filters, folder)
    elif _one_picture(given):
        report = _maps(model, name, layers, given, layer, units, folder)
        told["picture"] = "" if isinstance(given, np.ndarray) else str(given)
    else:
        wanted = _part_seeing(layers, model.size) if layer is None else find_layer(layers, layer)
        chosen = read_units(units, wanted, UNITS)
        likes = like(model, given, wanted, chosen, most=LIKED, say=say)
        report = pages.of_likes(name, str(given), wanted, likes, folder)
        told |= {"layer": wanted.name, "pictures": likes.pictures, "units": _tell_likes(likes)}
        told["unreadable"] = likes.unreadable
    return {**told, "page": str(folder.page(report)), "files": folder.told()}


def _called(model: Classifier) -> str:
    """A model's name for people: its file's, or its run's where the file is called as in every run."""
    if model.path is None:
        return model.model
    return model.path.parent.resolve().name if model.path.stem == "model" else model.path.stem


def _maps(
    model: Classifier,
    name: str,
    layers: tuple[Layer, ...],
    given: Any,
    layer: str | int | None,
    units: str | None,
    folder: Folder,
) -> Any:
    if layer is None:
        shown = [one for one in layers if one.spread and one.kind in _TELLING]
        places = np.unique(np.linspace(0, len(shown) - 1, LAYERS).round().astype(np.int64)).tolist()
        shown = [shown[at] for at in places] if shown else [layers[-1]]
    else:
        shown = [find_layer(layers, layer)]
    chosen = {one.number: read_units(units, one, MAPS) for one in shown}
    pixels = picture_of(model, given)
    maps = all_maps(model, pixels, set(chosen))
    title = "" if isinstance(given, np.ndarray) else Path(str(given)).name
    return pages.of_maps(
        name, title, pixels, [(one, maps[one.number], chosen[one.number]) for one in shown], folder
    )


def _told(model: str, network: str, size: tuple[int, int, int], layers: tuple[Layer, ...]) -> dict[str, Any]:
    return {"model": model, "network": network, "input": list(size), **tell_layers(layers)}


def _tell_likes(likes: Likes) -> list[dict[str, Any]]:
    return [
        {
            "unit": unit + 1,
            "pictures": [
                {"file": one.file, "class": one.label, "value": round(one.value, 6), "box": list(one.box)}
                for one in liked
            ],
        }
        for unit, liked in likes.of.items()
    ]


def _one_picture(given: Any) -> bool:
    """Whether what was given is one picture, and not a source of many."""
    if isinstance(given, np.ndarray):
        return given.ndim == 2 or (given.ndim == 3 and given.shape[-1] in (1, 3, 4))
    return (
        isinstance(given, str | Path)
        and is_picture(str(given).partition("?")[0])
        and not Path(given).is_dir()
    )


def _part_seeing(layers: tuple[Layer, ...], size: tuple[int, int, int]) -> Layer:
    """The last layer whose units see no more than PART of the picture's sides: what they like can be cut out.

    Else the last with places, else the last.
    """
    places = [one for one in layers if one.spread and one.kind in _TELLING]
    parts = [
        one
        for one in places
        if one.field is not None
        and all(span + 1 <= PART * side for span, side in zip(one.field.span, size[:2], strict=True))
    ]
    return [*layers[-1:], *places[-1:], *parts[-1:]][-1]


def read_units(text: str | None, layer: Layer, most: int) -> list[int]:
    """Channels from 0 on, as a person names them from 1 on: '3', '1-16', '3,17,40-44'. None: the first `most`.

    Raises ConfigError for what is no such list, or a unit the layer does not have.
    """
    if text is None:
        return list(range(min(most, layer.units)))
    found: dict[int, None] = {}
    for part in str(text).replace(" ", "").split(","):
        match = re.fullmatch(r"(\d{1,6})(?:-(\d{1,6}))?", part)
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (0, 0)
        if not 1 <= first <= last <= layer.units:
            raise ConfigError(
                tr(
                    "--units takes numbers from 1 to {n} for layer {layer}, as in 1-16 or 3,17, not '{text}'.",
                    n=layer.units,
                    layer=layer.name,
                    text=part,
                )
            )
        found |= dict.fromkeys(range(first - 1, last))
    return list(found)
