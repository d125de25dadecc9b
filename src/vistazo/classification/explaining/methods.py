"""The methods that explain an answer, by name: each turns pictures and classes into maps of the pictures' own size.

Shape suffixes: N pictures, T classes asked for of each, H height, W width, C channels, K classes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from vistazo.classification.explaining.cam import class_maps
from vistazo.classification.explaining.gradients import STEPS, integrated_gradients
from vistazo.classification.explaining.layers import Layer, choose, layers_of
from vistazo.classification.explaining.maps import resized
from vistazo.classification.explaining.occlusion import Patch, occlusion, patch_for
from vistazo.errors import ConfigError
from vistazo.language import mark, tr
from vistazo.registry import Registry

if TYPE_CHECKING:
    from vistazo.classification.classifier import Classifier

__all__ = ["DEFAULT", "Method", "Way", "methods", "picture_maps", "settle"]

DEFAULT = "gradcam++"
_PIXELS = 64 * 64 * 64  # of the pictures that go through a network at once while gradients are kept
Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Method:
    """One way to explain. help: what it does, in a sentence. at_layer: whether it looks at a layer's map.

    noisy: whether its maps are single pixels. compute: (classifier, pictures NCHW, targets NT, way) to maps NTHW.
    """

    help: str
    source: str
    compute: Callable[[Classifier, Tensor, Tensor, Way], Tensor]
    at_layer: bool = False
    noisy: bool = False


@dataclass(frozen=True)
class Way:
    """A method with all its choices made. layer, patch: where it has one. steps, baseline: of integrated gradients."""

    name: str
    layer: Layer | None
    patch: Patch | None
    steps: int
    baseline: int

    def told(self) -> dict[str, Any]:
        """The choices, for a page or a program."""
        if self.layer is not None:
            return {"layer": self.layer.name, "map": [self.layer.height, self.layer.width]}
        if self.patch is not None:
            return {"patch": self.patch.side, "stride": self.patch.stride}
        return {"steps": self.steps, "baseline": self.baseline}


methods: Registry[Method] = Registry(mark("method"))


def settle(
    model: Classifier,
    *,
    method: str,
    layer: str | None,
    patch: int | None = None,
    stride: int | None = None,
    steps: int = STEPS,
    baseline: int = 0,
) -> Way:
    """The way to explain this model's answers. patch, stride: in pixels. baseline: level of a pixel, 0 is black.

    Raises UnknownName for the method, ConfigError for a layer, patch, stride or number of steps that cannot be.
    """
    entry = methods[method]
    if layer is not None and not entry.at_layer:
        raise ConfigError(tr("The method {method} looks at no layer: leave out --layer.", method=method))
    if not 1 <= steps <= 10_000 or not 0 <= baseline <= 255:
        raise ConfigError(tr("Integrated gradients take 1 to 10,000 steps from a baseline of 0 to 255."))
    height, width, channels = model.size
    found = None
    if entry.at_layer:
        found = choose(layers_of(model.network, channels, height, width), layer)
    own = patch_for(height, width, side=patch, stride=stride) if method == "occlusion" else None
    return Way(method, found, own, steps, baseline)


def picture_maps(
    model: Classifier, pixels_NHWC: Pixels, targets_NT: npt.NDArray[np.int64], way: Way
) -> npt.NDArray[np.float32]:
    """(N, T, H, W) float32 maps of pictures at the model's size, for T classes each.

    What is explained is the score before it becomes a probability, of the picture as it is: of a model that averages
    moved or mirrored views, the unmoved one.
    """
    found = np.empty((*targets_NT.shape, *model.size[:2]), dtype=np.float32)
    at_once = _at_once(model)
    for first in range(0, len(pixels_NHWC), at_once):
        part = slice(first, first + at_once)
        pictures = _prepared(model, pixels_NHWC[part])
        targets = torch.from_numpy(targets_NT[part]).to(pictures.device)
        maps = methods[way.name].compute(model, pictures, targets, way)
        found[part] = maps.detach().float().cpu().numpy()
    return found


def _at_once(model: Classifier) -> int:
    return max(1, min(64, _PIXELS // (model.size[0] * model.size[1])))


def _prepared(model: Classifier, pixels_NHWC: Pixels) -> Tensor:
    chunk = torch.from_numpy(np.ascontiguousarray(pixels_NHWC)).to(model.compute.device).permute(0, 3, 1, 2)
    return model.compute.place(model.normaliser(chunk))


def _cam(plus_plus: bool) -> Callable[[Classifier, Tensor, Tensor, Way], Tensor]:
    def compute(model: Classifier, pictures: Tensor, targets_NT: Tensor, way: Way) -> Tensor:
        assert way.layer is not None
        with model.compute.autocast():
            maps = class_maps(model.network, pictures, targets_NT, layer=way.layer.name, plus_plus=plus_plus)
        height, width = pictures.shape[2:]
        large = resized(maps.flatten(0, 1).float(), height=height, width=width)
        return large.reshape(*targets_NT.shape, height, width)

    return compute


def _occluded(model: Classifier, pictures: Tensor, targets_NT: Tensor, way: Way) -> Tensor:
    assert way.patch is not None
    with model.compute.autocast():
        maps = [
            occlusion(model.network, one, targets_T, patch=way.patch, at_once=_at_once(model))
            for one, targets_T in zip(pictures, targets_NT, strict=True)
        ]
    return torch.stack(maps)


def _integrated(model: Classifier, pictures: Tensor, targets_NT: Tensor, way: Way) -> Tensor:
    level = np.full((1, *pictures.shape[2:], pictures.shape[1]), way.baseline, np.uint8)
    baseline = _prepared(model, level)[0]
    with model.compute.autocast():
        maps = [
            integrated_gradients(
                model.network, one, targets_T, baseline_CHW=baseline, steps=way.steps, at_once=_at_once(model)
            ).sum(1)  # of a pixel: of its channels together
            for one, targets_T in zip(pictures, targets_NT, strict=True)
        ]
    return torch.stack(maps)


methods.register("gradcam++")(
    Method(
        mark(
            "a layer's maps, weighted place by place by how much they speak for the class; small things count too"
        ),
        "Chattopadhay et al. 2018, arXiv:1710.11063",
        _cam(True),
        at_layer=True,
    )
)
methods.register("gradcam")(
    Method(
        mark("a layer's maps, weighted by how much each speaks for the class on average"),
        "Selvaraju et al. 2017, arXiv:1610.02391",
        _cam(False),
        at_layer=True,
    )
)
methods.register("occlusion")(
    Method(
        mark(
            "a patch covers one place after another: where the score falls, there was what spoke for the class"
        ),
        "Zeiler, Fergus 2014, arXiv:1311.2901",
        _occluded,
    )
)
methods.register("gradients")(
    Method(
        mark("integrated gradients: what each pixel adds on the way from a plain picture to this one"),
        "Sundararajan et al. 2017, arXiv:1703.01365",
        _integrated,
        noisy=True,
    )
)
