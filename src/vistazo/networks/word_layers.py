"""A network in words becomes modules: one for each thing that is done, under the names of the table.

Weights begin as Keras' do: uniform after Glorot, biases 0. What a line says is what is computed, with one exception
that changes no number: where a maximum follows an activation that never falls, the maximum is taken first.

Shape suffixes: N pictures, C channels, H height, W width, K classes.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vistazo.networks.activations import RISING, create
from vistazo.networks.tutorials import BatchNorm, begin_as_keras
from vistazo.networks.word_grammar import ACTIVATIONS
from vistazo.networks.word_table import Row, padding_of, table

__all__ = ["WordNetwork"]


class WordNetwork(nn.Module):
    """The network that words write down, for pictures of a size.

    words: lines as `vistazo.networks.words.resolve` gives them. Raises WordsError, a ValueError, before any memory is
    taken.
    """

    def __init__(self, *, channels: int, height: int, width: int, classes: int, words: Any) -> None:
        super().__init__()
        rows = table(words, height, width, channels, classes)
        for name, module in _steps(rows):
            self.add_module(name, module)
        begin_as_keras(self)
        self._head = next(row.name for row in rows if row.last)
        # Weights whose size is punished: [name of the layer, its L1, its L2].
        self._punished = [
            (row.name, float(row.layer.numbers["l1"]), float(row.layer.numbers["l2"]))
            for row in rows
            if row.layer.numbers.get("l1") or row.layer.numbers.get("l2")
        ]

    @property
    def head(self) -> nn.Module:
        """The dense layer that gives the scores, under the name that it has in every network."""
        return self.get_submodule(self._head)

    def forward(self, pictures_NCHW: Tensor) -> Tensor:
        """Scores, (N, K), before any softmax or sigmoid."""
        features = pictures_NCHW
        for one in self.children():
            features = one(features)
        return features.float()

    def penalty(self) -> Tensor:
        """The sum over layers of l1 · Σ|w| + l2 · Σw², biases left out: a scalar; 0 where no layer has l1 or l2."""
        parts = []
        for name, l1, l2 in self._punished:
            weight = self.get_submodule(name).weight
            assert isinstance(weight, Tensor)
            if l1:
                parts.append(l1 * weight.abs().sum())
            if l2:
                parts.append(l2 * weight.square().sum())
        return torch.stack(parts).sum() if parts else next(self.parameters()).new_zeros(())


def _steps(rows: tuple[Row, ...]) -> list[tuple[str, nn.Module]]:
    """The modules in the order in which they are done, with their names."""
    found: list[tuple[str, nn.Module]] = []
    at = 0
    while at < len(rows):
        row = rows[at]
        if row.layer.kind != "activation":
            found.append((row.name, _module(row)))
        at += 1
        if row.last or row.layer.activation == "linear":
            continue
        if _pool_first(row, rows[at:]):
            found.append((rows[at].name, _module(rows[at])))
            at += 1
        found.append((_name_of_activation(row), _activation(row)))
    return found


def _pool_first(row: Row, rest: tuple[Row, ...]) -> bool:
    """Whether a maximum follows that may be taken before the activation, which then has a quarter of the work."""
    following = bool(rest) and rest[0].layer.kind == "pool" and rest[0].layer.how == "max"
    return following and row.layer.kind != "activation" and row.layer.activation in RISING


def _name_of_activation(row: Row) -> str:
    return row.name if row.layer.kind == "activation" else f"{row.name}_{row.layer.activation}"


def _activation(row: Row) -> nn.Module:
    layer = row.layer
    more = ACTIVATIONS[layer.activation]
    value = float(layer.numbers[more[0]]) if more else None
    # Of a layer's own output, which nothing else reads. In place: at 255 pixels the first activation is 1 GB.
    owned = layer.kind in ("conv", "depthwise", "dense") and layer.activation in ("relu", "leaky_relu")
    return create(layer.activation, value=value, channels=row.shape[-1], in_place=owned)


def _module(row: Row) -> nn.Module:
    layer = row.layer
    if layer.kind in ("conv", "depthwise"):
        return _Convolution(row)
    if layer.kind == "pool":
        return _Pool(row)
    if layer.kind == "globalpool":
        return _GlobalPool(layer.how)
    if layer.kind == "batchnorm":
        return BatchNorm(row.given[-1])
    if layer.kind == "dropout":
        return nn.Dropout(float(layer.numbers["rate"]))
    if layer.kind == "flatten":
        return nn.Flatten()
    return nn.Linear(row.given[0], row.shape[0])


class _Convolution(nn.Conv2d):
    """A convolution whose border may be wider on the far side than on the near one, as Keras' 'same' is."""

    def __init__(self, row: Row) -> None:
        stride = int(row.layer.numbers["stride"])
        down, across = ((0, 0), (0, 0))
        if row.layer.padding == "same":
            down = padding_of(row.given[0], row.layer.kernel[0], stride)
            across = padding_of(row.given[1], row.layer.kernel[1], stride)
        even = down[0] == down[1] and across[0] == across[1]
        super().__init__(
            row.given[2],
            row.shape[2],
            row.layer.kernel,
            stride=stride,
            padding=(down[0], across[0]) if even else 0,
            groups=int(row.layer.numbers.get("groups", row.given[2])),
        )
        self._border = None if even else (*across, *down)

    def forward(self, features_NCHW: Tensor) -> Tensor:
        if self._border is not None:
            features_NCHW = F.pad(features_NCHW, self._border)
        return super().forward(features_NCHW)


class _Pool(nn.Module):
    """The largest or the mean of windows; with the border 'same' they may hang over it and see only what is inside.

    Windows that begin at every pixel and have an even side hang over by one pixel more on the far side, as Keras has
    them: torch pads both sides alike, so it is given that pixel on the near side too, and the first window is dropped.
    """

    def __init__(self, row: Row) -> None:
        super().__init__()
        self._kernel, self._largest = row.layer.kernel, row.layer.how == "max"
        self._same = row.layer.padding == "same"
        down, across = (int(row.layer.numbers.get("stride", one)) for one in self._kernel)
        self._stride, padding, dropped = (down, across), [0, 0], [0, 0]
        for at in (0, 1):
            if self._same:
                near, far = padding_of(row.given[at], self._kernel[at], self._stride[at])
                dropped[at] = far - near if self._stride[at] == 1 else 0
                padding[at] = near + dropped[at]
        self._padding, self._dropped = (padding[0], padding[1]), (dropped[0], dropped[1])

    def forward(self, features_NCHW: Tensor) -> Tensor:
        given = (features_NCHW, self._kernel, self._stride, self._padding)
        if self._largest:
            features_NCHW = F.max_pool2d(*given, ceil_mode=self._same)
        else:
            features_NCHW = F.avg_pool2d(*given, ceil_mode=self._same, count_include_pad=False)
        if any(self._dropped):
            features_NCHW = features_NCHW[:, :, self._dropped[0] :, self._dropped[1] :]
        return features_NCHW

    def extra_repr(self) -> str:
        return f"{'max' if self._largest else 'average'}, {self._kernel}, stride={self._stride}"


class _GlobalPool(nn.Module):
    """One number for each map: its mean or its largest."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self._how = how

    def forward(self, features_NCHW: Tensor) -> Tensor:
        return features_NCHW.mean((2, 3)) if self._how == "average" else features_NCHW.amax((2, 3))
