"""Several independent networks of one shape, computed as one.

Every parameter begins with a dimension of members: a step multiplies M small matrices in one call, where M networks
on their own would spend their time on calls. Members never see one another, so an average of their answers is an
ensemble, and members may be trained on different rows of the same batch (by weights on the loss).

Shape suffixes: M members, B rows, I and O features in and out, N codes, T steps.
"""

import math

import torch
from torch import Tensor, nn

__all__ = ["PackedEmbedding", "PackedLinear", "PackedNorm", "take_members"]


class PackedLinear(nn.Module):
    """(M, B, I) to (M, B, O): one affine map for each member; further dimensions may stand between M and I.

    scale: of the normal distribution weights are drawn from, times 1/√I (LeCun et al. 1998); biases begin at 0.
    """

    def __init__(self, members: int, inputs: int, outputs: int, *, scale: float = 1.0) -> None:
        super().__init__()
        self.weight_MIO = nn.Parameter(
            torch.randn(members, inputs, outputs) * (scale / math.sqrt(max(inputs, 1)))
        )
        self.bias_M1O = nn.Parameter(torch.zeros(members, 1, outputs))

    def forward(self, values: Tensor) -> Tensor:
        members, inputs, outputs = self.weight_MIO.shape
        flat_MBI = values.reshape(members, -1, inputs)
        return torch.baddbmm(self.bias_M1O, flat_MBI, self.weight_MIO).reshape(*values.shape[:-1], outputs)


class PackedEmbedding(nn.Module):
    """(B, ...) codes to (M, B, ..., O): each member has its own table of `codes` vectors."""

    def __init__(self, members: int, codes: int, outputs: int, *, scale: float = 1.0) -> None:
        super().__init__()
        self.table_MNO = nn.Parameter(torch.randn(members, codes, outputs) * scale)

    def forward(self, codes: Tensor) -> Tensor:
        members, _, outputs = self.table_MNO.shape
        return self.table_MNO[:, codes.flatten()].reshape(members, *codes.shape, outputs)


class PackedNorm(nn.Module):
    """Layer norm over the last dimension (arXiv:1607.06450) with a scale and shift for each member."""

    def __init__(self, members: int, features: int) -> None:
        super().__init__()
        self.scale_MO = nn.Parameter(torch.ones(members, features))
        self.shift_MO = nn.Parameter(torch.zeros(members, features))

    def forward(self, values: Tensor) -> Tensor:
        between = (1,) * (values.dim() - 2)
        members, features = self.scale_MO.shape
        plain = torch.nn.functional.layer_norm(values, (features,))
        scaled: Tensor = plain * self.scale_MO.view(members, *between, features)
        return scaled + self.shift_MO.view(members, *between, features)


def take_members(state: dict[str, Tensor], first: int, last: int) -> dict[str, Tensor]:
    """The tensors of members `first` to `last` - 1 of a packed network's state."""
    return {name: one[first:last].clone() for name, one in state.items()}
