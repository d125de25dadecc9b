"""Classifiers that nobody trained: every registered network, with scores that differ."""

from collections.abc import Callable

import pytest
import torch

from vistazo.classification.classifier import Classifier
from vistazo.classification.models import create, models
from vistazo.engine.device import Compute
from vistazo.pictures.loading import Normaliser


@pytest.fixture
def untrained() -> Callable[..., Classifier]:
    """Make a classifier of a registered network, of that (height, width, channels) and so many classes."""

    def make(name: str, size: tuple[int, int, int], classes: int = 3) -> Classifier:
        height, width, channels = size
        suited = models[name].suit(pictures=1000, epochs=2, height=height, width=width)
        if "size" in suited:
            suited["size"] = 32
        arguments = {"channels": channels, "height": height, "width": width, "classes": classes, **suited}
        torch.manual_seed(0)
        network = create(name, arguments)
        if hasattr(network, "whiten"):
            network.whiten(torch.randn(64, channels, height, width))
        with torch.no_grad():
            network.head.weight.normal_()  # one head begins with zeros, and nothing would speak for anything
        return Classifier(
            network=network,
            model=name,
            arguments=arguments,
            classes=tuple("abcdefghij"[:classes]),
            normaliser=Normaliser([127.0] * channels, [64.0] * channels),
            size=size,
            views=((0, 0, False),),
            compute=Compute("cpu", "fp32", "channels_last", torch.get_num_threads()),
            objective=models[name].objective,
            smoothing=0.0,
        )

    return make
