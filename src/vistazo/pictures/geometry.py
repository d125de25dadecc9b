"""Where pictures and boxes go: affine maps, one a picture, composed first and applied once.

A map is a matrix (3, 3) from a point of the picture to where it is shown, in pixels from the upper left corner: a
pixel's middle is at half a pixel. Composing costs nothing, and a picture is resampled once however many maps it has.
Maps are float64 and on the CPU.

Shape suffixes: N pictures, C channels, H height, W width, B boxes.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["about", "carry_boxes", "compose", "crop_map", "linear_map", "move_map", "resample"]


# ---------------------------------------------------------------- maps
def linear_map(
    *, zoom_N: Tensor, degrees_N: Tensor, shear_N: Tensor, across_N: Tensor, down_N: Tensor
) -> Tensor:
    """Mirrored, then sheared across, then turned against the clock, then zoomed, all about the origin: (N, 3, 3).

    across, down: -1 where the picture is mirrored left to right, upside down; else 1. degrees, shear: in degrees.
    """
    cosine_N, sine_N = torch.deg2rad(degrees_N).cos() * zoom_N, torch.deg2rad(degrees_N).sin() * zoom_N
    slope_N = torch.deg2rad(shear_N).tan()
    maps = _identities(len(zoom_N))
    maps[:, 0, 0] = across_N * cosine_N
    maps[:, 0, 1] = down_N * (sine_N + cosine_N * slope_N)
    maps[:, 1, 0] = -across_N * sine_N
    maps[:, 1, 1] = down_N * (cosine_N - sine_N * slope_N)
    return maps


def move_map(right_N: Tensor, down_N: Tensor) -> Tensor:
    """Moved by so many pixels: (N, 3, 3)."""
    maps = _identities(len(right_N))
    maps[:, 0, 2], maps[:, 1, 2] = right_N, down_N
    return maps


def crop_map(windows_N4: Tensor, *, height: int, width: int) -> Tensor:
    """The window (left, top, right, bottom, in pixels) enlarged to the whole picture: (N, 3, 3)."""
    left_N, top_N, right_N, bottom_N = windows_N4.double().unbind(1)
    maps = _identities(len(windows_N4))
    maps[:, 0, 0], maps[:, 1, 1] = width / (right_N - left_N), height / (bottom_N - top_N)
    maps[:, 0, 2], maps[:, 1, 2] = -left_N * maps[:, 0, 0], -top_N * maps[:, 1, 1]
    return maps


def about(maps_N33: Tensor, *, height: int, width: int) -> Tensor:
    """The same maps about the middle of the picture instead of its corner."""
    right = torch.full((len(maps_N33),), width / 2, dtype=torch.float64)
    down = torch.full((len(maps_N33),), height / 2, dtype=torch.float64)
    return compose(move_map(-right, -down), maps_N33, move_map(right, down))


def compose(first_N33: Tensor, *others: Tensor) -> Tensor:
    """One map that does all of them, the first one first."""
    whole = first_N33
    for one in others:  # sums written out: a product of matrices may add in another order for another batch
        whole = (one[:, :, :, None] * whole[:, None]).sum(2)
    return whole


def _identities(count: int) -> Tensor:
    return torch.eye(3, dtype=torch.float64).repeat(count, 1, 1)


# ---------------------------------------------------------------- pictures
def resample(pictures_NCHW: Tensor, maps_N33: Tensor, *, border: str) -> Tensor:
    """The pictures as the maps show them, float32 (N, C, H, W), bilinear.

    border: what is shown beyond the picture: 'reflection' (mirrored about its outermost pixels), 'border' (those
    pixels repeated) or 'zeros' (black).
    """
    height, width = pictures_NCHW.shape[2:]
    back = _inverse(maps_N33)
    # grid_sample's coordinates with align_corners: -1 and 1 are the middles of the outermost pixels.
    spans = [max(1, width - 1) / 2, max(1, height - 1) / 2]
    across = torch.arange(width, dtype=torch.float64) + 0.5
    down = torch.arange(height, dtype=torch.float64) + 0.5
    device = pictures_NCHW.device
    grid = torch.empty(len(maps_N33), height, width, 2, device=device)
    for axis, span in enumerate(spans):
        by_column = back[:, axis, 0, None] * across / span
        by_row = (back[:, axis, 1, None] * down + back[:, axis, 2, None] - 0.5) / span - 1
        torch.add(
            by_row.float().to(device)[:, :, None],
            by_column.float().to(device)[:, None],
            out=grid[..., axis],
        )
    return F.grid_sample(pictures_NCHW, grid, mode="bilinear", padding_mode=border, align_corners=True)


def _inverse(maps_N33: Tensor) -> Tensor:
    """(N, 2, 3): from where it is shown to the point of the picture."""
    across, skew, right = maps_N33[:, 0].unbind(1)
    turn, along, down = maps_N33[:, 1].unbind(1)
    area = across * along - skew * turn
    rows = [
        torch.stack([along, -skew, skew * down - along * right], 1),
        torch.stack([-turn, across, turn * right - across * down], 1),
    ]
    return torch.stack(rows, 1) / area[:, None, None]


# ---------------------------------------------------------------- boxes
def carry_boxes(
    boxes: Sequence[Tensor], maps_N33: Tensor, *, height: int, width: int, visible: float
) -> tuple[list[Tensor], list[Tensor]]:
    """Boxes where the maps show them, cut to the picture, and which are kept.

    boxes: for each picture (B, 4) of left, top, right, bottom in pixels from the corner. A turned box becomes the
    upright one around it. visible: boxes of which a smaller share of the area is left within the picture are dropped.
    Gives the boxes that are kept, (≤ B, 4) each, and for each picture a bool (B,).
    """
    found, kept = [], []
    limit = torch.tensor([width, height], dtype=torch.float64)
    for boxes_B4, map_33 in zip(boxes, maps_N33, strict=True):
        left, top, right, bottom = boxes_B4.double().cpu().unbind(1)
        corners_B42 = torch.stack([torch.stack([x, y], 1) for x in (left, right) for y in (top, bottom)], 1)
        moved_B42 = corners_B42 @ map_33[:2, :2].T + map_33[:2, 2]
        low_B2, high_B2 = moved_B42.amin(1), moved_B42.amax(1)
        whole_B = (high_B2 - low_B2).prod(1)
        low_B2 = torch.minimum(low_B2.clamp_min(0), limit)
        high_B2 = torch.minimum(high_B2.clamp_min(0), limit)
        left_B = (high_B2 - low_B2).prod(1)
        good_B = (left_B > 0) & (left_B >= visible * whole_B)
        found.append(torch.cat([low_B2, high_B2], 1)[good_B].to(boxes_B4))
        kept.append(good_B.to(boxes_B4.device))
    return found, kept
