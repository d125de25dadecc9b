"""Changes of a batch of pictures: pure functions of tensors, with the parameters of each picture given.

Pictures are float32 (N, C, H, W) of 0..255 and stay within; holes and pieces may be cut into uint8 too. A parameter is
a tensor of N values. A strength of 0, a factor of 1 or a window of 1 leaves a picture as it was. What a picture becomes
depends on no other one in its batch.

Shape suffixes: N pictures, C channels, H height, W width, K taps of a filter, B boxes.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = [
    "MOST",
    "add_noise",
    "average",
    "blur",
    "cut_out",
    "drop_pixels",
    "median",
    "mix",
    "paste",
    "recolour",
    "sharpen",
]

MOST = 255.0  # the largest value of a pixel
_COPIES = 1 << 23  # values that a median holds at once: 32 MB
_LUMINANCE = (0.299, 0.587, 0.114)  # ITU-R BT.601, as in Pillow's grey
# RGB to luma and two chroma axes (YIQ, NTSC 1953) and back: a hue turns in the plane of the last two.
_YIQ = ((0.299, 0.587, 0.114), (0.595716, -0.274453, -0.321263), (0.211456, -0.522591, 0.311135))


# ---------------------------------------------------------------- light and colour
def recolour(
    pictures_NCHW: Tensor,
    *,
    multiply_N: Tensor | None = None,
    add_N: Tensor | None = None,
    contrast_N: Tensor | None = None,
    saturation_N: Tensor | None = None,
    hue_N: Tensor | None = None,
) -> Tensor:
    """Light times `multiply` plus `add` (of 0..255); then contrast about the mean grey; then colour and its hue.

    saturation: 0 is grey, 1 unchanged. hue: degrees of a turn about grey. Grey pictures (one channel) have neither.
    All of it is one linear map a picture, computed once and cut to 0..255 at its end.
    Contrast and colour as Pillow's ImageEnhance; the hue by rotation in YIQ, which keeps the luma.
    """
    one_N = pictures_NCHW.new_ones(len(pictures_NCHW))
    factor_N = one_N if multiply_N is None else multiply_N
    offset_N = torch.zeros_like(one_N) if add_N is None else add_N
    channels = pictures_NCHW.shape[1]
    if contrast_N is not None:
        weights_C = pictures_NCHW.new_tensor(_LUMINANCE if channels == 3 else (1.0 / channels,) * channels)
        grey_N = (pictures_NCHW.mean((2, 3)) * weights_C).sum(1)
        # To a whole number as in Pillow; so the last bits of a mean, summed in another order, change nothing.
        pivot_N = (factor_N * grey_N + offset_N).clamp(0, MOST).round()
        factor_N = contrast_N * factor_N
        offset_N = contrast_N * offset_N + (1 - contrast_N) * pivot_N
    if channels != 3 or (saturation_N is None and hue_N is None):
        return (pictures_NCHW * _wide(factor_N)).add_(_wide(offset_N)).clamp_(0, MOST)
    # Greys stay where they are under saturation and hue, so the offset needs no matrix.
    chroma_N33 = _chroma(one_N if saturation_N is None else saturation_N, hue_N)
    matrices_N33 = chroma_N33 * factor_N[:, None, None]
    changed = torch.empty_like(pictures_NCHW)
    for to in range(3):
        into = changed[:, to]
        torch.mul(pictures_NCHW[:, 0], matrices_N33[:, to, 0, None, None], out=into)
        for source in (1, 2):
            into += pictures_NCHW[:, source] * matrices_N33[:, to, source, None, None]
    return changed.add_(_wide(offset_N)).clamp_(0, MOST)


def _chroma(saturation_N: Tensor, hue_N: Tensor | None) -> Tensor:
    """(N, 3, 3) matrices on RGB that scale and turn the chroma and keep the luma."""
    to = torch.tensor(_YIQ, dtype=torch.float64)
    back = torch.linalg.inv(to).to(saturation_N)
    angle_N = torch.deg2rad(torch.zeros_like(saturation_N) if hue_N is None else hue_N)
    across_N, along_N = saturation_N * angle_N.cos(), saturation_N * angle_N.sin()
    turned = saturation_N.new_zeros(len(saturation_N), 3, 3)
    turned[:, 0, 0] = 1
    turned[:, 1, 1] = turned[:, 2, 2] = across_N
    turned[:, 1, 2], turned[:, 2, 1] = -along_N, along_N
    # Sums written out: a product of matrices may add in another order for another batch.
    first = (turned[:, :, :, None] * to.to(saturation_N)[None, None]).sum(2)
    whole: Tensor = (back[None, :, :, None] * first[:, None]).sum(2)
    return whole


# ---------------------------------------------------------------- neighbourhoods
def blur(pictures_NCHW: Tensor, sigma_N: Tensor, *, radius: int) -> Tensor:
    """Gaussian blur of deviation `sigma` pixels, cut at `radius` (the same for all); the border is mirrored.

    sigma_N: on the CPU.
    """
    radius = min(radius, min(pictures_NCHW.shape[2:]) - 1)
    places_K = torch.arange(-radius, radius + 1, dtype=torch.float64)
    taps_NK = torch.exp(-0.5 * (places_K / sigma_N.double()[:, None].clamp_min(1e-3)) ** 2)
    return _filtered(pictures_NCHW, taps_NK)


def average(pictures_NCHW: Tensor, window_N: Tensor, *, radius: int) -> Tensor:
    """The mean of a square of `window` pixels a side, odd and at most 2·radius + 1; the border is mirrored.

    window_N: on the CPU.
    """
    radius = min(radius, min(pictures_NCHW.shape[2:]) - 1)
    places_K = torch.arange(-radius, radius + 1)
    return _filtered(pictures_NCHW, (places_K.abs() <= (window_N[:, None] - 1) / 2).double())


def _filtered(pictures_NCHW: Tensor, taps_NK: Tensor) -> Tensor:
    """Each picture filtered down and across with its own taps, float64, brought to a sum of 1."""
    taps_NK = (taps_NK / taps_NK.sum(1, keepdim=True)).to(pictures_NCHW)
    radius = taps_NK.shape[1] // 2
    for axis, border in ((2, (0, 0, radius, radius)), (3, (radius, radius, 0, 0))):
        length = pictures_NCHW.shape[axis]
        padded = F.pad(pictures_NCHW, border, mode="reflect")
        total = torch.zeros_like(pictures_NCHW)
        for at in range(2 * radius + 1):
            total += padded.narrow(axis, at, length) * _wide(taps_NK[:, at])
        pictures_NCHW = total
    return pictures_NCHW.clamp(0, MOST)


def median(pictures_NCHW: Tensor, window_N: Tensor) -> Tensor:
    """The median of a square of `window` pixels a side, odd; the border is mirrored. window_N: on the CPU."""
    changed = pictures_NCHW
    for window in sorted(set(window_N.tolist()) - {1}):
        chosen = torch.nonzero(window_N == window)[:, 0]
        radius = (int(window) - 1) // 2
        padded = F.pad(pictures_NCHW[chosen], (radius, radius, radius, radius), mode="reflect")
        if changed is pictures_NCHW:
            changed = pictures_NCHW.clone()
        changed[chosen] = _median_of_9(padded) if radius == 1 else _median(padded, int(window))
    return changed


def _median_of_9(padded: Tensor) -> Tensor:
    """Smith's way (1996, "Implementing median filters in XC4000E FPGAs"): columns are sorted once for three windows.

    Ten times faster here than sorting nine values a pixel.
    """
    one, two, three = padded[:, :, :-2], padded[:, :, 1:-1], padded[:, :, 2:]
    small, large = torch.minimum(one, two), torch.maximum(one, two)
    middle = torch.maximum(small, torch.minimum(large, three))
    small, large = torch.minimum(small, three), torch.maximum(large, three)
    lows = torch.maximum(torch.maximum(small[..., :-2], small[..., 1:-1]), small[..., 2:])
    highs = torch.minimum(torch.minimum(large[..., :-2], large[..., 1:-1]), large[..., 2:])
    middles = _middle(middle[..., :-2], middle[..., 1:-1], middle[..., 2:])
    return _middle(lows, middles, highs)


def _middle(one: Tensor, two: Tensor, three: Tensor) -> Tensor:
    return torch.maximum(torch.minimum(one, two), torch.minimum(torch.maximum(one, two), three))


def _median(padded: Tensor, window: int) -> Tensor:
    """Any window, by sorting, some pictures at a time: each pixel is copied window² times."""
    at_once = max(1, _COPIES // (padded[0].numel() * window**2))
    several = [
        part.unfold(2, window, 1).unfold(3, window, 1).flatten(4).median(4).values
        for part in torch.split(padded, at_once)
    ]
    return torch.cat(several)


def sharpen(pictures_NCHW: Tensor, amount_N: Tensor) -> Tensor:
    """What a smoothed copy lacks is added `amount` times. The smoothing is Pillow's: 5 in the middle of eight 1."""
    padded = F.pad(pictures_NCHW, (1, 1, 1, 1), mode="reflect")
    columns = padded[:, :, :-2] + padded[:, :, 1:-1] + padded[:, :, 2:]
    smooth = columns[..., :-2] + columns[..., 1:-1] + columns[..., 2:]
    smooth.add_(pictures_NCHW, alpha=4).div_(13)
    return (pictures_NCHW + (pictures_NCHW - smooth) * _wide(amount_N)).clamp_(0, MOST)


# ---------------------------------------------------------------- noise and holes
def add_noise(pictures_NCHW: Tensor, sigma_N: Tensor, normals_NCHW: Tensor) -> Tensor:
    """Gaussian noise of deviation `sigma` (of 0..255), cut to 0..255. normals: of mean 0 and deviation 1."""
    return (normals_NCHW * _wide(sigma_N)).add_(pictures_NCHW).clamp_(0, MOST)


def drop_pixels(pictures_NCHW: Tensor, share_N: Tensor, shorts_NHW: Tensor) -> Tensor:
    """About that share of the pixels black in every channel. shorts: int16, evenly spread over all its values."""
    limits_N = (share_N * 65536).round().int() - 32768
    return pictures_NCHW * (shorts_NHW >= limits_N[:, None, None])[:, None]


def cut_out(pictures_NCHW: Tensor, windows_N4: Tensor, fill_C: Tensor) -> Tensor:
    """A rectangle of each picture filled with one colour. windows: left, top, right, bottom; whole pixels.

    DeVries, Taylor 2017, arXiv:1708.04552: what is outside the picture is lost, so some holes are smaller.
    """
    hole_N1HW = _inside(windows_N4, pictures_NCHW)
    # Products, because torch.where on bytes is ten times slower on a CPU.
    return pictures_NCHW * ~hole_N1HW + fill_C[None, :, None, None] * hole_N1HW


# ---------------------------------------------------------------- two pictures in one
def mix(pictures_NCHW: Tensor, partners_NCHW: Tensor, share_N: Tensor) -> Tensor:
    """`share` of each picture and the rest of its partner. Zhang et al. 2018 (mixup), arXiv:1710.09412."""
    return torch.lerp(partners_NCHW, pictures_NCHW, _wide(share_N))


def paste(pictures_NCHW: Tensor, partners_NCHW: Tensor, windows_N4: Tensor) -> tuple[Tensor, Tensor]:
    """Each picture with a rectangle of its partner, and the share (N,) of it that is left.

    windows: left, top, right, bottom; whole pixels. Yun et al. 2019 (CutMix), arXiv:1905.04899.
    """
    inside_N1HW = _inside(windows_N4, pictures_NCHW)
    height, width = pictures_NCHW.shape[2:]
    left_N, top_N, right_N, bottom_N = windows_N4.float().unbind(1)
    across_N = right_N.clamp(0, width) - left_N.clamp(0, width)
    down_N = bottom_N.clamp(0, height) - top_N.clamp(0, height)
    left_over_N = 1 - across_N * down_N / (height * width)
    return pictures_NCHW * ~inside_N1HW + partners_NCHW * inside_N1HW, left_over_N


def _inside(windows_N4: Tensor, pictures_NCHW: Tensor) -> Tensor:
    """(N, 1, H, W) bool: which pixels lie in the windows."""
    height, width = pictures_NCHW.shape[2:]
    left, top, right, bottom = windows_N4[:, :, None].unbind(1)
    across = torch.arange(width, device=windows_N4.device)
    down = torch.arange(height, device=windows_N4.device)
    columns_NW, rows_NH = (across >= left) & (across < right), (down >= top) & (down < bottom)
    return (rows_NH[:, :, None] & columns_NW[:, None, :])[:, None]


def _wide(values_N: Tensor) -> Tensor:
    return values_N[:, None, None, None]
