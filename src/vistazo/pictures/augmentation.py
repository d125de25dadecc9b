"""Augmentation on whole batches of tensors: what a picture becomes is a function of (seed, epoch, row), never of a
batch or a worker.

Shape suffixes: N pictures, C channels, H height, W width, K classes.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from zlib import crc32

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from vistazo.engine.batches import counter_seed
from vistazo.pictures import geometry, transforms
from vistazo.pictures.augments import Augment
from vistazo.pictures.counters import betas, normals, shorts, streams, uniforms

__all__ = ["Augmenter", "Mixture", "Padded", "flip_side", "shifts", "soften"]

ASPECT = 4 / 3  # of a random crop, at most, either way (Szegedy et al. 2015, arXiv:1409.4842, section 6)
_FLIPS = frozenset(["flip", "vertical_flip"])
_GEOMETRY = frozenset([*_FLIPS, "shift", "crop", "shear", "rotate", "zoom", "translate"])
_LIGHT = frozenset(["exposure", "brightness", "contrast", "colour", "hue"])
_VALUES = _LIGHT | {"blur", "average", "median", "sharpen", "noise"}
_MIXING = frozenset(["mixup", "cutmix"])


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
        self.reach, self.count = reach, len(pixels)
        self._device, self._shape = device, pixels.shape[1:]
        bordered = _bordered(pixels, reach)
        height, width = pixels.shape[1:3]
        if device == "cpu":
            self._rows = _shifted(bordered, height, width)
        else:
            padded = torch.from_numpy(bordered).to(device)
            # (n, dy, dx, C, H, W): a view, 25 windows of each picture at reach 2 without a byte more.
            self._windows = padded.unfold(1, height, 1).unfold(2, width, 1)

    def take(self, rows_N: Tensor, shifts_N2: Tensor | None) -> Tensor:
        """The pictures of those rows, moved: (N, C, H, W) uint8. Without shifts they are as they came."""
        moves = torch.full((len(rows_N), 2), self.reach) if shifts_N2 is None else shifts_N2
        if self._device == "cpu":
            down, right = moves.numpy().T
            taken = self._rows[rows_N.numpy(), down, right]
            return torch.from_numpy(taken.reshape(-1, *self._shape)).permute(0, 3, 1, 2)
        return self._windows[
            rows_N.to(self._device), moves[:, 0].to(self._device), moves[:, 1].to(self._device)
        ]


def _bordered(pixels_NHWC: np.ndarray, reach: int) -> np.ndarray:
    """The pictures with `reach` more pixels on every side, mirrored at the edge: numpy's 'reflect', faster."""
    if not reach:
        return np.ascontiguousarray(pixels_NHWC)
    count, height, width, channels = pixels_NHWC.shape
    found = np.empty((count, height + 2 * reach, width + 2 * reach, channels), np.uint8)
    found[:, reach:-reach, reach:-reach] = pixels_NHWC
    for edge, length in ((found[:, :, reach:-reach].swapaxes(0, 1), height), (found.swapaxes(0, 2), width)):
        for away in range(1, reach + 1):
            edge[reach - away] = edge[reach + away]
            edge[reach + length - 1 + away] = edge[reach + length - 1 - away]
    return found


def _shifted(bordered_NHWC: np.ndarray, height: int, width: int) -> np.ndarray:
    """Every window of that size, (n, dy, dx, height, width · channels): a view.

    Numpy copies a row of a window at once; torch's indexing of the same view took 4 to 8 times as long.
    """
    count, high, wide, channels = bordered_NHWC.shape
    picture, row, column, _ = bordered_NHWC.strides
    return np.lib.stride_tricks.as_strided(
        bordered_NHWC,
        (count, high - height + 1, wide - width + 1, height, width * channels),
        (picture, row, column, row, 1),
        writeable=False,
    )


# ---------------------------------------------------------------- every other change
@dataclass(frozen=True)
class Mixture:
    """Which picture each one is mixed with, and how.

    partner_N: position of the other picture among those that are trained on. pasted_N: whether a piece of it is
    pasted in, as against both laid over one another. share_N: of the picture itself, where they are laid over one
    another. windows_N4: where the piece is: left, top, right, bottom.
    """

    partner_N: Tensor
    pasted_N: Tensor
    share_N: Tensor
    windows_N4: Tensor


class Augmenter:
    """Changes batches of uint8 pictures by a list of operations (`augments.py`), each picture by its own strengths.

    fill: a value a channel, 0..255, that a hidden square is filled with. border: what a moved picture shows beyond
    its edges, as `geometry.resample` takes it.
    Pictures come and go as uint8, so that what is shown is what is trained on; between the two they are float32.
    """

    def __init__(
        self, plan: Sequence[Augment], *, seed: int, fill: Sequence[float], border: str = "reflection"
    ) -> None:
        self._plan = {one.name: one for one in plan}
        self.seed, self.fill, self.border = seed, tuple(fill), border

    @property
    def mixes(self) -> bool:
        """Whether pictures are mixed with others, so that their targets become soft."""
        return not _MIXING.isdisjoint(self._plan)

    def __call__(self, pictures_NCHW: Tensor, rows_N: Tensor, epoch: int) -> Tensor:
        """Everything but mixing: uint8 (N, C, H, W) to the same. rows: (N,) int64, on the CPU."""
        # The store gives them channels last; every step below is faster on whole planes.
        pictures_NCHW = pictures_NCHW.contiguous()
        moved = self._has(_GEOMETRY - _FLIPS)
        if not moved:
            pictures_NCHW = self._flipped(pictures_NCHW, rows_N, epoch)
        if moved or self._has(_VALUES):
            changed = pictures_NCHW.float()
            if moved:
                height, width = changed.shape[2:]
                maps = self.maps(rows_N, epoch, height=height, width=width)
                changed = geometry.resample(changed, maps, border=self.border)
            if self._has(_LIGHT):
                changed = self._relit(changed, rows_N, epoch)
            changed = self._filtered(changed, rows_N, epoch)
            if "noise" in self._plan:
                changed = self._noisy(changed, rows_N, epoch)
            pictures_NCHW = _pixels(changed)
        return self._holed(pictures_NCHW, rows_N, epoch)

    def _flipped(self, pictures_NCHW: Tensor, rows_N: Tensor, epoch: int) -> Tensor:
        """Flips alone move whole pixels: no resampling."""
        across_N, down_N = self._sides(rows_N, epoch)
        for name, axis, side_N in (("flip", 3, across_N), ("vertical_flip", 2, down_N)):
            if name in self._plan:
                mirrored = (side_N < 0).to(pictures_NCHW.device)[:, None, None, None]
                pictures_NCHW = pictures_NCHW * ~mirrored + pictures_NCHW.flip(axis) * mirrored
        return pictures_NCHW

    # ------------------------------------------------------------ where things go
    def maps(self, rows_N: Tensor, epoch: int, *, height: int, width: int) -> Tensor:
        """(N, 3, 3) maps of all geometric operations in one: `geometry.carry_boxes` takes boxes along by them."""
        across_N, down_N = self._sides(rows_N, epoch)
        linear = geometry.linear_map(
            zoom_N=self._strength("zoom", rows_N, epoch, 1),
            degrees_N=self._strength("rotate", rows_N, epoch),
            shear_N=self._strength("shear", rows_N, epoch),
            across_N=across_N,
            down_N=down_N,
        )
        maps = [geometry.about(linear, height=height, width=width)]
        if "crop" in self._plan:
            windows = self._crops(rows_N, epoch, height=height, width=width)
            maps.insert(0, geometry.crop_map(windows, height=height, width=width))
        if "translate" in self._plan:
            moves = self._draw("translate", rows_N, epoch, 2)
            moves = self._between("translate", moves) * torch.tensor([width, height])
            maps.append(geometry.move_map(moves[:, 0], moves[:, 1]))
        if "shift" in self._plan:
            reach = int(self._plan["shift"].high)
            moves = (self._draw("shift", rows_N, epoch, 2) * (2 * reach + 1)).floor() - reach
            maps.append(geometry.move_map(moves[:, 0], moves[:, 1]))
        return geometry.compose(*maps)

    def _sides(self, rows_N: Tensor, epoch: int) -> tuple[Tensor, Tensor]:
        """-1 for each picture mirrored left to right, and upside down; else 1."""
        across_N = torch.ones(len(rows_N), dtype=torch.float64)
        down_N = across_N.clone()
        if "flip" in self._plan:  # alternating: a side at first, then the other one every epoch
            first_N = uniforms(self._streams("flip", rows_N), 1)[:, 0] < 0.5
            across_N[first_N ^ bool(epoch % 2)] = -1
        if "vertical_flip" in self._plan:
            share = self._plan["vertical_flip"].high
            down_N[self._draw("vertical_flip", rows_N, epoch, 1)[:, 0] < share] = -1
        return across_N, down_N

    def _crops(self, rows_N: Tensor, epoch: int, *, height: int, width: int) -> Tensor:
        drawn = self._draw("crop", rows_N, epoch, 4)
        share_N = self._between("crop", drawn[:, 0])
        # Proportions that leave room for exactly this share of the area.
        most_N = (-share_N.log()).clamp_max(math.log(ASPECT))
        aspect_N = ((2 * drawn[:, 1] - 1) * most_N).exp()
        wide_N = (share_N * aspect_N).sqrt().clamp_max(1) * width
        high_N = (share_N / aspect_N).sqrt().clamp_max(1) * height
        left_N, top_N = drawn[:, 2] * (width - wide_N), drawn[:, 3] * (height - high_N)
        return torch.stack([left_N, top_N, left_N + wide_N, top_N + high_N], 1)

    # ------------------------------------------------------------ what happens to pixels
    def _relit(self, pictures: Tensor, rows_N: Tensor, epoch: int) -> Tensor:
        def given(name: str, scale: float = 1.0) -> Tensor | None:
            if name not in self._plan:
                return None
            return (self._strength(name, rows_N, epoch) * scale).float().to(pictures.device)

        return transforms.recolour(
            pictures,
            multiply_N=given("exposure"),
            add_N=given("brightness", transforms.MOST),
            contrast_N=given("contrast"),
            saturation_N=given("colour"),
            hue_N=given("hue"),
        )

    def _filtered(self, pictures: Tensor, rows_N: Tensor, epoch: int) -> Tensor:
        if "blur" in self._plan:
            sigma_N = self._strength("blur", rows_N, epoch)
            radius = math.ceil(3 * self._plan["blur"].high)
            pictures = transforms.blur(pictures, sigma_N, radius=radius)
        if "average" in self._plan:
            window_N = self._odd("average", rows_N, epoch)
            radius = int(self._plan["average"].high) // 2
            pictures = transforms.average(pictures, window_N, radius=radius)
        if "median" in self._plan:
            pictures = transforms.median(pictures, self._odd("median", rows_N, epoch))
        if "sharpen" in self._plan:
            amount_N = self._strength("sharpen", rows_N, epoch).float().to(pictures.device)
            pictures = transforms.sharpen(pictures, amount_N)
        return pictures

    def _noisy(self, pictures: Tensor, rows_N: Tensor, epoch: int) -> Tensor:
        sigma_N = self._strength("noise", rows_N, epoch) * transforms.MOST
        begun_N = self._streams("noise of pixels", rows_N, epoch).to(pictures.device)
        drawn = normals(begun_N, pictures[0].numel()).view_as(pictures)
        return transforms.add_noise(pictures, sigma_N.float().to(pictures.device), drawn)

    def _holed(self, pictures: Tensor, rows_N: Tensor, epoch: int) -> Tensor:
        device, (height, width) = pictures.device, pictures.shape[2:]
        if "dropout" in self._plan:
            share_N = self._strength("dropout", rows_N, epoch).float().to(device)
            begun_N = self._streams("dropout of pixels", rows_N, epoch).to(device)
            drawn = shorts(begun_N, height * width).reshape(-1, height, width)
            pictures = transforms.drop_pixels(pictures, share_N, drawn)
        if "cutout" in self._plan:
            placed = self._draw("cutout", rows_N, epoch, 3)
            side_N = self._between("cutout", placed[:, 0]) * min(height, width)
            windows = _windows(placed[:, 1:], side_N, side_N, height=height, width=width)
            fill_C = torch.tensor(self.fill).round().to(pictures.dtype).to(device)
            pictures = transforms.cut_out(pictures, windows.to(device), fill_C)
        return pictures

    # ------------------------------------------------------------ two pictures in one
    def mixture(self, rows_N: Tensor, epoch: int, *, count: int, height: int, width: int) -> Mixture:
        """How each picture is mixed this epoch with another of the `count` that are trained on."""
        drawn = self._draw("mixing", rows_N, epoch, 5)
        pasted_N = drawn[:, 0] < (0.5 if self._plan.keys() >= _MIXING else float("cutmix" in self._plan))
        share_N = torch.ones(len(rows_N), dtype=torch.float64)
        left_N = share_N.clone()
        if "mixup" in self._plan:
            share_N = betas(drawn[:, 1], self._plan["mixup"].high)
        if "cutmix" in self._plan:
            left_N = betas(drawn[:, 1], self._plan["cutmix"].high)
        side_N = (1 - left_N).sqrt()
        windows = _windows(drawn[:, 2:4], side_N * width, side_N * height, height=height, width=width)
        return Mixture((drawn[:, 4] * count).long(), pasted_N, share_N, windows)

    def mixed(self, pictures_NCHW: Tensor, partners_NCHW: Tensor, mixture: Mixture) -> tuple[Tensor, Tensor]:
        """The mixed pictures, uint8, and how much of each is the picture itself, (N,) float32."""
        device = pictures_NCHW.device
        pasted_N = mixture.pasted_N.to(device)
        share_N = mixture.share_N.float().to(device)
        pieces, left_N = transforms.paste(pictures_NCHW, partners_NCHW, mixture.windows_N4.to(device))
        if "mixup" not in self._plan:
            return pieces, left_N
        blended = _pixels(transforms.mix(pictures_NCHW.float(), partners_NCHW.float(), share_N))
        return (
            torch.where(pasted_N[:, None, None, None], pieces, blended),
            torch.where(pasted_N, left_N, share_N),
        )

    # ------------------------------------------------------------ what is drawn
    def _has(self, names: frozenset[str]) -> bool:
        return not names.isdisjoint(self._plan)

    def _streams(self, name: str, rows_N: Tensor, *counters: int) -> Tensor:
        """By the operation's name: another operation in the list changes nothing in what this one draws."""
        return streams(rows_N, seed=self.seed, counters=(9, crc32(name.encode()), *counters))

    def _draw(self, name: str, rows_N: Tensor, epoch: int, count: int) -> Tensor:
        return uniforms(self._streams(name, rows_N, epoch), count)

    def _between(self, name: str, drawn: Tensor) -> Tensor:
        one = self._plan[name]
        return one.low + (one.high - one.low) * drawn

    def _strength(self, name: str, rows_N: Tensor, epoch: int, otherwise: float = 0.0) -> Tensor:
        if name not in self._plan:
            return torch.full((len(rows_N),), otherwise, dtype=torch.float64)
        return self._between(name, self._draw(name, rows_N, epoch, 1)[:, 0])

    def _odd(self, name: str, rows_N: Tensor, epoch: int) -> Tensor:
        one = self._plan[name]
        choices = (one.high - one.low) // 2 + 1
        return one.low + 2 * (self._draw(name, rows_N, epoch, 1)[:, 0] * choices).floor()


def soften(target_N: Tensor, partner_N: Tensor, share_N: Tensor, *, classes: int) -> Tensor:
    """(N, K) float32 targets of mixed pictures. Class numbers (N,) become shares of classes; (N, K) are mixed."""
    both = [
        F.one_hot(one, classes).float() if one.dim() == 1 else one.float() for one in (target_N, partner_N)
    ]
    return torch.lerp(both[1], both[0], share_N[:, None])


def _pixels(pictures_NCHW: Tensor) -> Tensor:
    return pictures_NCHW.round().to(torch.uint8)


def _windows(places_N2: Tensor, wide_N: Tensor, high_N: Tensor, *, height: int, width: int) -> Tensor:
    """(N, 4) whole left, top, right, bottom of windows of a size about any pixel, partly outside it may be."""
    wide_N, high_N = wide_N.round(), high_N.round()
    left_N = (places_N2[:, 0] * width - wide_N / 2 + 0.5).floor()
    top_N = (places_N2[:, 1] * height - high_N / 2 + 0.5).floor()
    return torch.stack([left_N, top_N, left_N + wide_N, top_N + high_N], 1).long()
