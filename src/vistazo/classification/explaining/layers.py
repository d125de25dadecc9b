"""The layers of a network that keep where things are: found, chosen, and read while a picture goes through.

Shape suffixes: N pictures, C channels, H height, W width, K classes.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from vistazo.errors import ConfigError
from vistazo.language import tr
from vistazo.registry import nearest

__all__ = ["LEAST", "Layer", "choose", "features_of", "layers_of", "undisturbed"]

LEAST = 6  # places along the shorter side of a map that can still say where something is
_BELOW = 0.1  # of the absolute sum of a map, which an activation leaves below zero: SiLU leaves some
_LISTED = 12  # layers that a message names


@dataclass(frozen=True)
class Layer:
    """A part of a network whose output is a map. name: as `named_modules` has it. own, activated: see `layers_of`."""

    name: str
    channels: int
    height: int
    width: int
    own: bool
    activated: bool

    def __str__(self) -> str:
        return f"{self.name} ({self.height} x {self.width})"


@contextmanager
def undisturbed(network: nn.Module) -> Iterator[None]:
    """The network in evaluation mode, none of its parameters asking for a gradient; afterwards they ask as before.

    No gradient is kept on a parameter, and the activations below the layer that is looked at are not kept either.
    """
    asking = [one for one in network.parameters() if one.requires_grad]
    network.eval()
    for one in asking:
        one.requires_grad_(False)
    try:
        yield
    finally:
        for one in asking:
            one.requires_grad_(True)


def layers_of(network: nn.Module, channels: int, height: int, width: int) -> list[Layer]:
    """The layers that give maps of two channels or more, in the order in which they are done.

    channels, height, width: of the pictures.
    activated: its map has passed an activation: it is no bare convolution, and hardly anything is negative when noise
    is shown. (A convolution may begin by passing on what an activation gave it.)
    own: it is a direct child of the network or a member of a list among those, as `groups.1` or `convolution`, and not
    a layer inside such a part.
    """
    noise = torch.randn((1, channels, height, width), generator=torch.Generator().manual_seed(0))
    like = next((one for one in network.parameters()), noise)
    found: dict[str, Layer] = {}
    handles = []

    def watch(name: str, own: bool) -> Any:
        def look(module: nn.Module, given: Any, output: Any) -> None:
            if isinstance(output, Tensor) and output.dim() == 4 and output.shape[1] > 1:
                found.pop(name, None)  # of a part that is passed twice, the last time counts
                channels, height, width = output.shape[1:]
                bare = isinstance(module, nn.Conv2d)
                below, whole = (float(one.float().sum()) for one in (output.clamp(max=0).abs(), output.abs()))
                activated = not bare and below <= _BELOW * whole
                found[name] = Layer(name, channels, height, width, own, activated)

        return look

    own = _own_parts(network)
    try:
        for name, part in network.named_modules():
            if name:
                handles.append(part.register_forward_hook(watch(name, name in own)))
        with undisturbed(network), torch.no_grad():
            network(noise.to(like))
    finally:
        for handle in handles:
            handle.remove()
    return list(found.values())


def _own_parts(network: nn.Module) -> set[str]:
    parts = set()
    for name, child in network.named_children():
        if isinstance(child, (nn.ModuleList, nn.Sequential)):
            parts |= {f"{name}.{inner}" for inner, _ in child.named_children()}
        else:
            parts.add(name)
    return parts


def choose(layers: list[Layer], wanted: str | None) -> Layer:
    """The layer of that name; without one, the last activated layer whose map has LEAST places a side.

    The later a layer, the more of the thing its features know; the larger its map, the better it says where. Grad-CAM++
    takes features for how much of something there is, which only activations are: on a fine-tuned EfficientNet-Lite0
    (benchmarks/explanation.py, validation) layers after an activation had 88 to 100 % of their peaks in the box, the
    linear ones between them 32 to 76 %. Where no layer is activated, the network's own parts are chosen from; where no
    map is so large, the largest there is.
    Raises ConfigError for a name that no such layer has.
    """
    if wanted is not None:
        for one in layers:
            if one.name == wanted:
                return one
        raise ConfigError(_no_such(layers, wanted))
    fit = [one for one in layers if one.activated] or [one for one in layers if one.own]
    if not fit:
        raise ConfigError(
            tr(
                "No layer of this network keeps where things are. The methods occlusion and gradients need none: "
                "choose one of them with --method."
            )
        )
    side = min(LEAST, max(min(one.height, one.width) for one in fit))
    return [one for one in fit if min(one.height, one.width) >= side][-1]


def _no_such(layers: list[Layer], wanted: str) -> str:
    shown = [str(one) for one in layers if one.own] or [str(one) for one in layers]
    if len(shown) > _LISTED:
        shown = [*shown[: _LISTED // 2], "...", *shown[-_LISTED // 2 :]]
    names = ", ".join(shown)
    near = nearest(wanted, [one.name for one in layers])
    if near:
        return tr(
            "The network has no layer '{name}' with a map. Did you mean '{near}'? Its parts: {names}.",
            name=wanted,
            near=near,
            names=names,
        )
    return tr("The network has no layer '{name}' with a map. Its parts: {names}.", name=wanted, names=names)


def features_of(network: nn.Module, name: str, pictures_NCHW: Tensor) -> tuple[Tensor, Tensor]:
    """(the map of a layer (N, C, h, w), which asks for a gradient; the scores (N, K) computed from it).

    Call it inside `undisturbed`. The graph begins at the layer: nothing below it is kept. The hook is removed.
    """
    kept: list[Tensor] = []

    def cut(module: nn.Module, given: Any, output: Tensor) -> Tensor:
        kept.append(output.detach().requires_grad_())
        return kept[-1].clone()  # a copy, because the next layer may write into what it is given

    handle = network.get_submodule(name).register_forward_hook(cut)
    try:
        with torch.enable_grad():
            scores_NK: Tensor = network(pictures_NCHW)
    finally:
        handle.remove()
    return kept[-1], scores_NK
