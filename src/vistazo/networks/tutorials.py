"""The networks of the tutorials that people come from, layer by layer as they were published.

Each has as many parameters as its tutorial prints, and works for other sizes, channels and classes where the layers
leave something of the picture. Where a maximum follows an activation, it is taken first here: both orders give the same
numbers and the same gradients, because the activation never falls, and it then touches a quarter of the values.

    network          at                    parameters
    MnistCnn         28 × 28 grey, 10         542,230
    FashionCnn       28 × 28 grey, 10          11,252
    CifarCnn         32 × 32 colour, 10       393,962, of them 640 running statistics
    SportsCnn        21 × 28 colour, 10       158,954
    QuickdrawCnn     255 × 255 grey, 10     1,516,522 with 32 filters

Shape suffixes: N pictures, C channels, H height, W width, K classes.
"""

from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vistazo.language import tr

__all__ = [
    "BatchNorm",
    "CifarCnn",
    "FashionCnn",
    "MnistCnn",
    "QuickdrawCnn",
    "SportsCnn",
    "begin_as_keras",
]


class BatchNorm(nn.Module):
    """Keras' batch normalisation: momentum 0.99, epsilon 1e-3, scale and bias learnt; for (N, C) and (N, C, H, W).

    Its running variance takes the batch's own variance; torch's takes it times n / (n - 1). Nothing counts batches.
    Source: keras.io/api/layers/normalization_layers/batch_normalization; Ioffe, Szegedy 2015, arXiv:1502.03167.
    """

    mean: Tensor
    variance: Tensor

    def __init__(self, channels: int, *, momentum: float = 0.99, epsilon: float = 1e-3) -> None:
        super().__init__()
        self.momentum, self.epsilon = momentum, epsilon
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.register_buffer("mean", torch.zeros(channels))
        self.register_buffer("variance", torch.ones(channels))

    def forward(self, features: Tensor) -> Tensor:
        """Normalised features, same shape. A single value a channel has no variance: the running one serves it."""
        count = features.numel() // features.shape[1]
        if not self.training or count < 2:
            return F.batch_norm(
                features, self.mean, self.variance, self.weight, self.bias, False, 0.0, self.epsilon
            )
        mean, variance = torch.zeros_like(self.mean), torch.zeros_like(self.variance)
        normal = F.batch_norm(features, mean, variance, self.weight, self.bias, True, 1.0, self.epsilon)
        with torch.no_grad():
            self.mean.lerp_(mean, 1 - self.momentum)
            self.variance.lerp_(variance * ((count - 1) / count), 1 - self.momentum)
        return normal


class MnistCnn(nn.Module):
    """Convolution 32 of 3×3, ReLU, 2×2 maximum, dense 100, ReLU, dense. 542,230 parameters at 28×28 grey, 10 classes.

    The network of the Keras tutorial on handwritten digits.
    """

    def __init__(self, *, channels: int, height: int, width: int, classes: int) -> None:
        super().__init__()
        left = _left("mnist_cnn", 4, height, width, (height - 2) // 2, (width - 2) // 2)
        self.convolution = nn.Conv2d(channels, 32, 3)
        self.hidden = nn.Linear(32 * left, 100)
        self.head = nn.Linear(100, classes)
        begin_as_keras(self)

    def forward(self, pictures_NCHW: Tensor) -> Tensor:
        """Scores, (N, K)."""
        features = F.relu(F.max_pool2d(self.convolution(pictures_NCHW), 2))
        scores_NK: Tensor = self.head(F.relu(self.hidden(features.flatten(1))))
        return scores_NK.float()


class FashionCnn(nn.Module):
    """Convolution 6 of 5×5, 2×2 maximum, convolution 10 of 5×5, 2×2 maximum, dense 56, ReLU, dense.

    11,252 parameters at 28×28 grey, 10 classes; torch's own initialisation. The tutorial feeds the sigmoids of
    the scores to cross-entropy; here that sigmoid belongs to the objective 'squashed_cross_entropy'.
    The network of the PyTorch tutorial on Fashion-MNIST.
    """

    def __init__(self, *, channels: int, height: int, width: int, classes: int) -> None:
        super().__init__()
        left = _left(
            "fashion_cnn", 16, height, width, *(((one - 4) // 2 - 4) // 2 for one in (height, width))
        )
        self.first = nn.Conv2d(channels, 6, 5)
        self.second = nn.Conv2d(6, 10, 5)
        self.hidden = nn.Linear(10 * left, 56)
        self.head = nn.Linear(56, classes)

    def forward(self, pictures_NCHW: Tensor) -> Tensor:
        """Scores before the sigmoid, (N, K)."""
        features = F.max_pool2d(self.first(pictures_NCHW), 2)
        features = F.max_pool2d(self.second(features), 2)
        scores_NK: Tensor = self.head(F.relu(self.hidden(features.flatten(1))))
        return scores_NK.float()


class CifarCnn(nn.Module):
    """Convolutions 32, 64, 64, 128 of 3×3 with ReLU, dropout 0.2 and batch norm, two of them halved; dense 32; dense.

    393,962 parameters at 32×32 colour, 10 classes, 640 of them running statistics.
    The network of the Keras guide on CIFAR-10.
    """

    def __init__(self, *, channels: int, height: int, width: int, classes: int) -> None:
        super().__init__()
        left = _left("cifar_cnn", 4, height, width, height // 4, width // 4)
        widths = (channels, 32, 64, 64, 128)
        self.convolutions = nn.ModuleList(
            nn.Conv2d(inputs, outputs, 3, padding=1) for inputs, outputs in pairwise(widths)
        )
        self.norms = nn.ModuleList(BatchNorm(outputs) for outputs in widths[1:])
        self.hidden = nn.Linear(128 * left, 32)
        self.hidden_norm = BatchNorm(32)
        self.head = nn.Linear(32, classes)
        begin_as_keras(self)

    def forward(self, pictures_NCHW: Tensor) -> Tensor:
        """Scores, (N, K)."""
        features = pictures_NCHW
        for at, (convolution, norm) in enumerate(zip(self.convolutions, self.norms, strict=True)):
            features = convolution(features)
            if at in (1, 2):
                features = F.max_pool2d(features, 2)
            features = norm(F.dropout(F.relu(features), 0.2, self.training))
        features = F.dropout(features.flatten(1), 0.2, self.training)
        features = F.dropout(F.relu(self.hidden(features)), 0.3, self.training)
        scores_NK: Tensor = self.head(self.hidden_norm(features))
        return scores_NK.float()


class SportsCnn(nn.Module):
    """Convolution 32 of 3×3, leaky ReLU 0.1, 2×2 maximum, dropout 0.5, dense 32, leaky ReLU 0.1, dropout 0.5, dense.

    158,954 parameters at 21×28 colour, 10 classes. The maximum keeps an odd row and column, as Keras' 'same' does.
    The network of the Keras tutorial on sports pictures.
    """

    def __init__(self, *, channels: int, height: int, width: int, classes: int) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(channels, 32, 3, padding=1)
        self.hidden = nn.Linear(32 * -(-height // 2) * -(-width // 2), 32)
        self.head = nn.Linear(32, classes)
        begin_as_keras(self)

    def forward(self, pictures_NCHW: Tensor) -> Tensor:
        """Scores, (N, K)."""
        features = F.max_pool2d(self.convolution(pictures_NCHW), 2, ceil_mode=True)
        features = F.dropout(F.leaky_relu(features, 0.1), 0.5, self.training)
        features = F.leaky_relu(self.hidden(features.flatten(1)), 0.1)
        scores_NK: Tensor = self.head(F.dropout(features, 0.5, self.training))
        return scores_NK.float()


class QuickdrawCnn(nn.Module):
    """Three pairs of 3×3 convolutions of f, 2f and 4f filters with ReLU, each halved; dropout 0.3, 0.4, 0.2; dense.

    filters: f, or the three widths. 1,516,522 parameters with f = 32 at 255×255 grey, 10 classes. Its tutorial adds
    1e-5 times the sum of the filters' squares to the loss: `penalty`.
    The network of the Keras tutorial on Quick, Draw!.
    """

    def __init__(
        self, *, channels: int, height: int, width: int, classes: int, filters: int | Sequence[int] = 32
    ) -> None:
        super().__init__()
        given = [filters] if isinstance(filters, int) else list(filters)
        widths = [given[0], 2 * given[0], 4 * given[0]] if len(given) == 1 else given
        if len(widths) != 3 or min(widths) < 1:
            raise ValueError(tr("quickdraw_cnn takes one number of filters, or three"))
        left = _left("quickdraw_cnn", 8, height, width, height // 8, width // 8)
        inputs = [channels, *widths[:-1]]
        self.firsts = nn.ModuleList(
            nn.Conv2d(one, other, 3, padding=1) for one, other in zip(inputs, widths, strict=True)
        )
        self.seconds = nn.ModuleList(nn.Conv2d(one, one, 3, padding=1) for one in widths)
        self.head = nn.Linear(widths[-1] * left, classes)
        begin_as_keras(self)

    def forward(self, pictures_NCHW: Tensor) -> Tensor:
        """Scores, (N, K)."""
        features = pictures_NCHW
        for first, second, dropped in zip(self.firsts, self.seconds, (0.0, 0.3, 0.4), strict=True):
            # In place: at 255 pixels the first activation of 128 pictures is 1 GB.
            features = F.relu(first(features), inplace=True)
            features = F.relu(F.max_pool2d(second(features), 2), inplace=True)
            if dropped:
                features = F.dropout(features, dropped, self.training)
        scores_NK: Tensor = self.head(F.dropout(features.flatten(1), 0.2, self.training))
        return scores_NK.float()

    def penalty(self) -> Tensor:
        """1e-5 times the sum of the squares of every filter's weights, biases and head left out: a scalar."""
        kernels = [one.weight for one in (*self.firsts, *self.seconds) if isinstance(one, nn.Conv2d)]
        return 1e-5 * torch.stack([kernel.square().sum() for kernel in kernels]).sum()


def begin_as_keras(network: nn.Module) -> None:
    """Weights uniform after Glorot, Bengio 2010; biases 0: what Keras' layers begin with."""
    for one in network.modules():
        if isinstance(one, (nn.Conv2d, nn.Linear)):
            nn.init.xavier_uniform_(one.weight)
            if one.bias is not None:
                nn.init.zeros_(one.bias)


def _left(name: str, least: int, height: int, width: int, rows: int, columns: int) -> int:
    """Places that the layers leave of a picture. Raises ValueError, in the user's words, where it is none."""
    if rows < 1 or columns < 1:
        raise ValueError(
            tr(
                "{name} needs pictures of at least {least} pixels a side, not {height} x {width}",
                name=name,
                least=least,
                height=height,
                width=width,
            )
        )
    return rows * columns
