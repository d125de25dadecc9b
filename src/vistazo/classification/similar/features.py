"""Features: what the last linear layer of a network is given, of any registered network.

A picture's features are the mean over the model's own test-time views: the answer is made of the same views, and one
pass gives both. For a comparison they are brought to length 1, and of very wide networks down to `WIDEST` values.

Shape suffixes: V views, N pictures, H height, W width, C channels, D features.
"""

import contextlib
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from vistazo.classification.classifier import Classifier
from vistazo.engine.batches import counter_seed
from vistazo.networks.packed import PackedLinear
from vistazo.pictures.holding import PictureArray

__all__ = ["WIDEST", "Seen", "fingerprint", "look", "narrowed", "unit", "width_of"]

Floats = npt.NDArray[np.float32]
Pixels = npt.NDArray[np.uint8]
WIDEST = 4096  # values a picture that are kept and compared; quickdraw_cnn at 255 pixels has 123,008
_SKETCH = 20261121  # what the reduction of wider features is drawn from: another number, another index


@dataclass(frozen=True, eq=False)
class Seen:
    """What one pass over pictures gave. features_ND: float32. scores_VNK: as `Classifier.view_scores` gives them."""

    features_ND: Floats
    scores_VNK: Floats


def look(model: Classifier, pixels_NHWC: PictureArray | Pixels) -> Seen:
    """Features and scores of pictures at the model's size, by one pass.

    The network stays as it was, to the bit. Raises ValueError where it has no linear layer.
    """
    training = model.network.training
    with _listening(model.network) as heard:
        scores_VNK = model.view_scores(pixels_NHWC)
    model.network.train(training)
    views = len(model.views)
    if not heard:  # no pictures
        return Seen(np.zeros((0, width_of(model)), np.float32), scores_VNK)
    # as `view_scores` goes: pieces of pictures, each view by view or several views in one pass
    rows, pieces, passed = len(pixels_NHWC), [], 0
    told = torch.cat(heard)
    for first in range(0, rows, model.at_once):
        count = min(model.at_once, rows - first)
        seen = told[passed : passed + views * count].reshape(views, count, -1)
        passed += views * count
        pieces.append(seen.mean(0) if views > 1 else seen[0])
    return Seen(torch.cat(pieces).numpy(), scores_VNK)


def width_of(model: Classifier) -> int:
    """D: how many values the features of a picture are."""
    height, width, channels = model.size
    with _listening(model.network) as heard:
        model.view_scores(np.zeros((1, height, width, channels), np.uint8))
    return heard[0].shape[1]


@contextlib.contextmanager
def _listening(network: nn.Module) -> Iterator[list[Tensor]]:
    """A list that gets, at every pass of the network, what its last linear layer was given: (N, D) float32."""
    heard: list[Tensor] = []
    latest: list[Tensor] = []

    def given(layer: nn.Module, values: tuple[Tensor, ...]) -> None:
        latest[:] = [values[0].detach()]

    def done(*_: Any) -> None:
        if not latest:
            raise ValueError("the network has no linear layer whose input could be its features")
        heard.append(_flat(latest.pop()))

    layers = [one for one in network.modules() if isinstance(one, (nn.Linear, PackedLinear))]
    handles = [one.register_forward_pre_hook(given) for one in layers]
    handles.append(network.register_forward_hook(done))
    try:
        yield heard
    finally:
        for handle in handles:
            handle.remove()


def _flat(values: Tensor) -> Tensor:
    """(N, D) float32 in memory; the members of a packed layer, (M, N, I), side by side."""
    if values.dim() == 3:
        values = values.transpose(0, 1)
    return values.flatten(1).float().cpu()


# ---------------------------------------------------------------- for comparisons
def unit(features_ND: Floats) -> Floats:
    """The same directions with length 1; where nothing was felt at all, zeros stay."""
    length_N1 = np.linalg.norm(features_ND, axis=1, keepdims=True)
    return np.asarray(features_ND / np.maximum(length_N1, np.finfo(np.float32).tiny), dtype=np.float32)


def narrowed(features_ND: Floats) -> Floats:
    """At most WIDEST values a picture: of wider ones a count sketch, which keeps products of two up to 1/√WIDEST.

    Source: Charikar, Chen, Farach-Colton 2002; Weinberger et al. 2009, arXiv:0902.2206.
    """
    width = features_ND.shape[1]
    if width <= WIDEST:
        return features_ND
    random = np.random.default_rng(counter_seed(_SKETCH, width))
    place_D = random.integers(0, WIDEST, width)
    sign_D = random.choice(np.array([-1.0, 1.0], np.float32), width)
    found = np.zeros((len(features_ND), WIDEST), np.float32)
    for row, features_D in enumerate(features_ND):
        found[row] = np.bincount(place_D, weights=features_D * sign_D, minlength=WIDEST)
    return found


def fingerprint(model: Classifier) -> str:
    """32 hexadecimal digits of all that a picture's features depend on: what differs in it is not comparable."""
    told = {
        "model": model.model,
        "arguments": model.arguments,
        "mean": model.normaliser.mean,
        "std": model.normaliser.std,
        "views": model.views,
        "background": model.background,
        "widest": WIDEST,
        "sketch": _SKETCH,
    }
    digest = hashlib.blake2b(json.dumps(told, sort_keys=True).encode(), digest_size=16)
    for name, tensor in sorted(model.network.state_dict().items()):
        digest.update(f"{name} {tuple(tensor.shape)} ".encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
