"""Batches of pictures by (seed, epoch, step), for every task on pictures."""

from collections.abc import Mapping
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from vistazo import platform
from vistazo.engine.batches import Batch, epoch_order, near_order, weighted_order
from vistazo.pictures.augmentation import Augmenter, Padded, flip_side, shifts, soften
from vistazo.pictures.holding import PictureArray

__all__ = ["Normaliser", "PictureBatches"]

# Above this many bytes an epoch keeps to neighbouring pictures, whatever the machine: the order is part of a run.
NEAR_FROM = 1 << 30
RUN = 64 << 10  # bytes that are read from one place of the file
WINDOW = 128 << 20  # bytes that are mixed with one another
HELD = 0.4  # of the memory that is free, which pictures may take


class PictureBatches:
    """Training batches from uint8 pictures, held in memory where they fit and read from their file where not.

    pixels: (n, height, width, channels) uint8. targets: tensors of n entries. rows: (n,) row numbers in the index.
    size: pictures a batch; the last batch of an epoch is left out where it would be smaller, unless it is the only
    one, so that batch norm never meets a handful. reach: pixels a picture may be moved. flip: whether pictures are
    mirrored every other epoch. augmenter: what else happens to them, and the number of classes where pictures are
    mixed: every target becomes (N, classes) floats then, and a weight is mixed alike.
    weights: of each picture in the loss, (n,) or (n, labels), or None where all count 1.
    shares: (n,) how often each picture is drawn beside the others, or None where each is drawn once an epoch.
    """

    def __init__(
        self,
        pixels: PictureArray | np.ndarray,
        targets: Mapping[str, Tensor],
        rows: np.ndarray,
        *,
        size: int,
        reach: int,
        flip: bool,
        seed: int,
        device: str,
        augmenter: Augmenter | None = None,
        classes: int = 0,
        weights: Tensor | None = None,
        shares: Tensor | None = None,
    ) -> None:
        self._augmenter, self._classes = augmenter, classes
        self._held: Padded | _Filed
        pictures = pixels if isinstance(pixels, PictureArray) else PictureArray(pixels)
        if pictures.mapped and pictures.nbytes > HELD * platform.free_memory():
            self._held = _Filed(pictures, reach=reach, device=device)
        else:
            self._held = Padded(pictures[:], reach=reach, device=device)
        each = pictures.nbytes // len(pictures)
        self._run = max(1, RUN // each)
        self._window = max(1, WINDOW // each) if pictures.nbytes > NEAR_FROM and shares is None else 0
        self._targets = {name: target.to(device) for name, target in targets.items()}
        self._weights = None if weights is None else weights.to(device)
        self._shares = shares
        self._rows = torch.from_numpy(rows)
        self.size, self.flip, self.seed = min(size, len(pixels)), flip, seed
        self._plan = lru_cache(maxsize=2)(self._draw_epoch)

    @property
    def steps(self) -> int:
        return self._held.count // self.size

    def draw(self, epoch: int, step: int) -> Batch:
        within = slice(step * self.size, (step + 1) * self.size)
        picked = self._plan(epoch)[0][within]
        if self._window and isinstance(self._held, _Filed):
            self._held.prepare(epoch, self._plan(epoch)[0], within.start // self._window, self._window)
        # A picture that comes up several times an epoch is changed otherwise each time: by its place.
        drawn = picked if self._shares is None else torch.arange(within.start, within.stop)
        pictures = self._seen(picked, epoch, drawn)
        targets = {name: target[picked.to(target.device)] for name, target in self._targets.items()}
        weights = None if self._weights is None else self._weights[picked.to(self._weights.device)]
        if self._augmenter is not None and self._augmenter.mixes:
            pictures, targets, weights = self._mixed(
                self._augmenter, pictures, targets, weights, drawn, epoch
            )
        return Batch({"pictures": pictures}, targets, self._rows[picked], weights)

    def _seen(self, picked: Tensor, epoch: int, drawn: Tensor) -> Tensor:
        """The pictures at these positions as they look this epoch, changed by what was drawn at others; uint8."""
        _, moves, mirrored = self._plan(epoch)
        pictures = self._held.take(picked, None if moves is None else moves[drawn])
        if mirrored is not None:
            side = mirrored[drawn].to(pictures.device)[:, None, None, None]
            pictures = torch.where(side, pictures.flip(3), pictures)
        if self._augmenter is not None:
            pictures = self._augmenter(pictures, self._rows[drawn], epoch)
        return pictures

    def _mixed(
        self,
        augmenter: Augmenter,
        pictures: Tensor,
        targets: dict[str, Tensor],
        weights: Tensor | None,
        drawn: Tensor,
        epoch: int,
    ) -> tuple[Tensor, dict[str, Tensor], Tensor | None]:
        """With partners from the whole training set, so that a batch's size and order change nothing."""
        height, width = pictures.shape[2:]
        mixture = augmenter.mixture(
            self._rows[drawn], epoch, count=self._held.count, height=height, width=width
        )
        pictures, share = augmenter.mixed(
            pictures, self._seen(mixture.partner_N, epoch, mixture.partner_N), mixture
        )
        others = {name: target[mixture.partner_N.to(target.device)] for name, target in self._targets.items()}
        softened = {
            name: soften(target, others[name], share.to(target.device), classes=self._classes)
            for name, target in targets.items()
        }
        if weights is not None and self._weights is not None:
            own = share.to(weights.device).reshape(-1, *[1] * (weights.ndim - 1))
            weights = own * weights + (1 - own) * self._weights[mixture.partner_N.to(weights.device)]
        return pictures, softened, weights

    def _draw_epoch(self, epoch: int) -> tuple[Tensor, Tensor | None, Tensor | None]:
        count, reach = self._held.count, self._held.reach
        return (
            self._order(epoch),
            shifts(count, reach=reach, seed=self.seed, epoch=epoch) if reach else None,
            flip_side(count, seed=self.seed, epoch=epoch) if self.flip else None,
        )

    def _order(self, epoch: int) -> Tensor:
        if self._shares is not None:
            return weighted_order(self._shares, seed=self.seed, epoch=epoch)
        count = self._held.count
        if not self._window:
            return epoch_order(count, seed=self.seed, epoch=epoch)
        return near_order(count, seed=self.seed, epoch=epoch, run=self._run, window=self._window)


class _Filed:
    """Pictures that stay in their file: each batch is read from it. The same answers as `Padded` gives."""

    def __init__(self, pictures: PictureArray, *, reach: int, device: str) -> None:
        self._pictures, self.reach, self.count, self._device = pictures, reach, len(pictures), device
        self._prepared: tuple[int, int] | None = None
        pictures.scattered()

    def prepare(self, epoch: int, order: Tensor, at: int, window: int) -> None:
        """Have the next window of an epoch's order read from disk while window `at` is used."""
        if self._prepared == (epoch, at):
            return
        first = at + 1 if self._prepared == (epoch, at - 1) else at
        self._prepared = epoch, at
        for one in range(first, at + 2):
            self._pictures.soon(np.sort(order[one * window : (one + 1) * window].numpy()))

    def take(self, rows_N: Tensor, shifts_N2: Tensor | None) -> Tensor:
        """As `Padded.take`."""
        batch = Padded(self._pictures[rows_N.numpy()], reach=self.reach, device="cpu")
        return batch.take(torch.arange(len(rows_N)), shifts_N2).to(self._device)


class Normaliser:
    """uint8 pictures to floats: (pixel - mean) / std, by default to mean 0 and variance 1 over the training part.

    mean, std: a value a channel, in pixel units 0..255.
    """

    def __init__(self, mean: list[float], std: list[float]) -> None:
        self.mean, self.std = mean, std

    @classmethod
    def of(cls, pixels: PictureArray | np.ndarray) -> "Normaliser":
        """From training pictures (n, height, width, channels) uint8. A constant channel keeps its scale."""
        pictures = pixels if isinstance(pixels, PictureArray) else PictureArray(pixels)
        # Counted by value: exact, the same in any order, and no float copy of the whole set.
        values = np.arange(256)
        counted = np.zeros((pictures.shape[3], 256), np.int64)
        for block in pictures.blocks():
            for channel in range(pictures.shape[3]):
                counted[channel] += np.bincount(block[..., channel].reshape(-1), minlength=256)
        means, stds = [], []
        for counts in counted:
            mean = float((counts * values).sum() / counts.sum())
            std = float(np.sqrt((counts * (values - mean) ** 2).sum() / counts.sum()))
            means.append(mean)
            stds.append(std if std > 1e-3 else 255.0)
        return cls(means, stds)

    @classmethod
    def unit(cls, channels: int) -> "Normaliser":
        """Pixels divided by 255, so that they lie between 0 and 1: what tutorials do, whatever the pictures are."""
        return cls([0.0] * channels, [255.0] * channels)

    def __call__(self, pictures_NCHW: Tensor) -> Tensor:
        """(N, C, H, W) uint8 to float32 of the same shape."""
        device = pictures_NCHW.device
        mean = torch.tensor(self.mean, device=device)[:, None, None]
        std = torch.tensor(self.std, device=device)[:, None, None]
        return (pictures_NCHW.float() - mean) / std
