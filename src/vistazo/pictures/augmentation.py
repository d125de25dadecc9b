"""Augmentation on whole batches of tensors, drawn per picture from (seed, epoch), never per worker.

Shape suffixes: N pictures, C channels, H height, W width.
"""

import numpy as np
import torch
from torch import Tensor

from vistazo.engine.batches import counter_seed

__all__ = ["Padded", "flip_side", "shifts"]


def shifts(count: int, *, reach: int, seed: int, epoch: int) -> Tensor:
    """Where each picture's window begins this epoch, down and right from the corner of its border.

    (count, 2) int64 in 0..2·reach; `reach` is the picture unmoved.
    """
    generator = torch.Generator().manual_seed(counter_seed(seed, 3, epoch))
    return torch.randint(0, 2 * reach + 1, (count, 2), generator=generator)


def flip_side(count: int, *, seed: int, epoch: int) -> Tensor:
    """Which pictures are mirrored this epoch: (count,) bool. Drawn once, then every picture changes sides each epoch.

    Source: alternating flip, arXiv:2404.00498, section 3.6: no picture is seen twice the same way in a row.
    """
    generator = torch.Generator().manual_seed(counter_seed(seed, 4))
    first = torch.randint(0, 2, (count,), generator=generator, dtype=torch.bool)
    return first ^ bool(epoch % 2)


class Padded:
    """Pictures in memory with a mirrored border, from which any shift is a window.

    pixels: (n, height, width, channels) uint8. reach: pixels of border.
    A batch with its shifts is one indexed read of the uint8 windows: no loop over pictures, nothing copied twice.
    """

    def __init__(self, pixels: np.ndarray, *, reach: int, device: str) -> None:
        border = ((0, 0), (reach, reach), (reach, reach), (0, 0))
        height, width = pixels.shape[1:3]
        padded = torch.from_numpy(np.pad(pixels, border, mode="reflect") if reach else pixels).to(device)
        self.reach, self.count = reach, len(pixels)
        # (n, dy, dx, C, H, W): a view, 25 windows of each picture at reach 2 without a byte more.
        self._windows = padded.unfold(1, height, 1).unfold(2, width, 1)

    def take(self, rows_N: Tensor, shifts_N2: Tensor | None) -> Tensor:
        """The pictures of those rows, moved: (N, C, H, W) uint8. Without shifts they are as they came."""
        device = self._windows.device
        if shifts_N2 is None:
            return self._windows[rows_N.to(device), self.reach, self.reach]
        return self._windows[rows_N.to(device), shifts_N2[:, 0].to(device), shifts_N2[:, 1].to(device)]
