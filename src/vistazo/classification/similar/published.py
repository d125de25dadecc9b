"""The pretrained network as it was published, for who has no model yet: it sees, and knows no class."""

import torch

from vistazo.classification.classifier import Classifier
from vistazo.engine.device import Compute, resolve_device
from vistazo.networks.efficientnet_lite import EfficientNetLite0
from vistazo.pictures import decoding
from vistazo.pictures.loading import Normaliser

__all__ = ["NAME", "knows_classes", "published"]

NAME = "efficientnet_lite0"
SIDE = 128  # pixels: half the arithmetic of 192, and of the same order as what a run is given


def published() -> Classifier:
    """EfficientNet-Lite0 with the weights of ImageNet and no head. Raises WeightsError."""
    arguments = {"channels": 3, "height": SIDE, "width": SIDE, "classes": 2, "size": SIDE, "frozen": 0}
    network = EfficientNetLite0(**arguments)
    network.load_published()
    compute = Compute(resolve_device("auto"), "fp32", "channels_last", torch.get_num_threads())
    return Classifier(
        network=compute.place(network.eval()),
        model=NAME,
        arguments=arguments,
        classes=("0", "1"),
        normaliser=Normaliser([127.0] * 3, [128.0] * 3),
        size=(SIDE, SIDE, 3),
        views=((0, 0, False),),
        compute=compute,
        objective="cross_entropy",
        smoothing=0.0,
        background=decoding.WHITE,
    )


def knows_classes(model: Classifier) -> bool:
    """Whether the model's answers mean anything: a published network without a head has none."""
    network = model.network
    return not (isinstance(network, EfficientNetLite0) and not bool(network.head.weight.any()))
