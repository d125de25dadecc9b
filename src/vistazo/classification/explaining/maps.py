"""Maps at the size of pictures: brought there, their peaks, and the region that a map looks at.

Shape suffixes: N maps, H height, W width; small letters at a layer's own size.
"""

import numpy as np
import numpy.typing as npt
import torch.nn.functional as F
from torch import Tensor

__all__ = ["peaks", "regions", "resized", "shown_scale"]

Maps = npt.NDArray[np.float32]
_NOISY = 99.5  # percentile that is shown as the most, where single pixels stand out


def resized(maps_Nhw: Tensor, *, height: int, width: int) -> Tensor:
    """(N, H, W): the same maps, bilinear between the middles of their places, flat beyond the outermost ones."""
    if tuple(maps_Nhw.shape[1:]) == (height, width):
        return maps_Nhw
    return F.interpolate(maps_Nhw[:, None], size=(height, width), mode="bilinear", align_corners=False)[:, 0]


def peaks(maps_NHW: Maps) -> npt.NDArray[np.float64]:
    """(N, 2) row and column, in pixels, of the middle of each map's largest values.

    A map's border is flat where it was brought to a larger size: the middle of that plateau is what is meant.
    """
    found = np.empty((len(maps_NHW), 2))
    for at, one in enumerate(maps_NHW):
        most = one.max()
        found[at] = np.argwhere(one >= most - 1e-5 * max(float(np.abs(one).max()), 1e-12)).mean(0)
    return found


def regions(maps_NHW: Maps, *, level: float, most: float) -> npt.NDArray[np.bool_]:
    """(N, H, W) the pixels that each map looks at: of at least `level` times its largest value.

    most: of more than this share of the picture, only the highest values. A map that is nowhere positive has no region.
    """
    count = len(maps_NHW)
    flat = maps_NHW.reshape(count, -1)
    size = flat.shape[1]
    floor_N = np.partition(flat, size - max(1, int(most * size)), axis=1)[:, size - max(1, int(most * size))]
    top_N = flat.max(1)
    inside = (flat >= np.maximum(level * top_N, floor_N)[:, None]) & (top_N > 0)[:, None]
    found: npt.NDArray[np.bool_] = inside.reshape(maps_NHW.shape)
    return found


def shown_scale(map_HW: Maps, *, noisy: bool) -> Maps:
    """The map for the eye, in [0, 1]: what speaks for the class, its largest value 1. A map without any is 0.

    noisy: the largest values are single pixels, and the highest hundredths of them count as one.
    """
    positive = np.maximum(map_HW, 0)
    most = float(np.percentile(positive, _NOISY)) if noisy else float(positive.max())
    most = most or float(positive.max())
    scaled: Maps = np.clip(positive / most, 0, 1).astype(np.float32) if most > 0 else positive
    return scaled
