"""What a network makes of a picture: the feature maps of any layer, and the filters of the first.

Shape suffixes: N pictures, C channels, H height, W width, O filters.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from vistazo.classification.inside.layers import Layer, Watch, find_layer, trace
from vistazo.errors import ConfigError, SourceDamaged, SourceError
from vistazo.language import tr
from vistazo.pictures import decoding, sources
from vistazo.pictures.stores import reason_of

if TYPE_CHECKING:
    from vistazo.classification.classifier import Classifier

__all__ = ["all_maps", "feature_maps", "first_filters", "layers_of", "picture_of", "run"]

Pixels = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]


def layers_of(model: Classifier) -> tuple[Layer, ...]:
    """The layers of a trained model, in the order a picture meets them."""
    return trace(model.network, model.size)


def run(model: Classifier, pixels_NHWC: Pixels, keep: Callable[[int, Tensor], None]) -> None:
    """Send pictures at the model's size, uint8, through it as `predict` does, and give `keep` what each layer gives.

    keep: (number of the layer from 1 on, its output), to be cloned where it is kept. At most 64 pictures at once.
    """
    number = 0

    def seen(happened: Any) -> None:
        nonlocal number
        number += 1
        keep(number, happened.output)

    chunk = (
        torch.from_numpy(np.require(pixels_NHWC, requirements=["C", "W"]))
        .to(model.compute.device)
        .permute(0, 3, 1, 2)
    )
    pictures = model.compute.place(model.normaliser(chunk))
    model.network.eval()
    with torch.no_grad(), model.compute.autocast(), Watch(model.network, seen):
        model.network(pictures)


def feature_maps(model: Classifier, picture: Any, layer: str | int) -> Floats:
    """(C, H, W) what a layer gives for a picture; (C, 1, 1) of a layer without places.

    picture: a file, an address, or an array of pixels. layer: its name, or its number from 1 on.
    Raises UnknownName, SourceError.
    """
    wanted = find_layer(layers_of(model), layer).number
    return all_maps(model, picture_of(model, picture), {wanted})[wanted]


def all_maps(model: Classifier, pixels_HWC: Pixels, wanted: set[int]) -> dict[int, Floats]:
    """(C, H, W) of each of these layers for a picture at the model's size."""
    found: dict[int, Floats] = {}

    def keep(number: int, output: Tensor) -> None:
        if number in wanted:
            maps = output[0].float().cpu().clone().numpy()
            found[number] = np.ascontiguousarray(maps if maps.ndim == 3 else maps[:, None, None])

    run(model, pixels_HWC[None], keep)
    return found


def picture_of(model: Classifier, picture: Any) -> Pixels:
    """A picture at the model's size, uint8 (height, width, channels), as `predict` would see it. Raises SourceError."""
    height, width, channels = model.size
    given: Any = picture
    name = tr("the array")
    if not isinstance(picture, np.ndarray):
        nothing = str(picture), tr("there are no pictures in it")
        name, given = next(sources.iterate_files([picture]), nothing)
    try:
        if isinstance(given, str):
            raise SourceDamaged(given)
        return decoding.decode(
            given, height=height, width=width, channels=channels, background=model.background
        )
    except (SourceError, OSError, MemoryError) as error:
        raise SourceDamaged(
            tr("{path} cannot be shown: {reason}. Give one picture.", path=name, reason=reason_of(error))
        ) from None


def first_filters(network: nn.Module) -> tuple[str, Floats]:
    """The name of the first layer with filters, and those, (O, C, height, width). Raises ConfigError without any."""
    for path, module in network.named_modules():
        own = [*module.named_parameters(recurse=False), *module.named_buffers(recurse=False)]
        for _, one in own:
            if one.dim() == 4 and one.shape[1] <= 4:
                return path, np.ascontiguousarray(one.detach().float().cpu().numpy())
    raise ConfigError(
        tr(
            "No layer of this network holds filters to draw. Name a picture or a source after the model, or leave out "
            "--out."
        )
    )
