"""Scaling beside Pillow's: nearly the same pixels, the same on every processor; Pillow where there is nothing else."""

import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from vistazo.pictures import decoding, scaling

fast = pytest.importorskip("cykooz_resizer")


def smooth(height, width, channels, seed=0):
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (height // 8 + 2, width // 8 + 2, 3), dtype=np.uint8)
    image = Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)
    return np.asarray(image.convert("L" if channels == 1 else "RGB")).reshape(height, width, channels)


def by_pillow(pixels, height, width, box):
    image = Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)
    left, top, right, bottom = box
    low = image.resize((image.width, height), Image.Resampling.BILINEAR, box=(0, top, image.width, bottom))
    small = low.resize((width, height), Image.Resampling.BILINEAR, box=(left, 0, right, height))
    return np.asarray(small).reshape(height, width, -1)


CASES = [  # height and width there, wanted, the part that is kept
    (100, 125, 64, 64, (12.5, 0, 112.5, 100)),
    (90, 91, 64, 64, (0, 0, 91, 90)),
    (70, 333, 28, 32, (126.5, 0, 206.5, 70)),
    (333, 70, 32, 28, (0, 126.5, 70, 206.5)),
    (20, 30, 64, 96, (0, 0, 30, 20)),
    (1, 1, 5, 7, (0, 0, 1, 1)),
    (900, 1200, 3, 4, (0, 0, 1200, 900)),
]


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(("there", "across", "height", "width", "box"), CASES)
def test_no_pixel_is_more_than_a_level_beside_pillow(there, across, height, width, box, channels):
    pixels = smooth(there, across, channels)
    ours = scaling.scaled(pixels, height, width, box)
    assert ours.shape == (height, width, channels)
    assert ours.dtype == np.uint8
    apart = np.abs(ours.astype(int) - by_pillow(pixels, height, width, box))
    assert apart.max() <= 1
    assert (apart > 0).mean() < 0.01


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("case", CASES)
def test_every_processor_gives_the_same_levels(case, channels):
    there, across, height, width, (left, top, right, bottom) = case
    pixels = smooth(there, across, channels)
    ours = scaling.scaled(pixels, height, width, case[4])
    plain = fast.Resizer()
    plain.cpu_extensions = fast.CpuExtensions.none
    kind = fast.PixelType.U8 if channels == 1 else fast.PixelType.U8x3
    small = fast.ImageData(width, height, kind)
    options = fast.ResizeOptions(
        fast.ResizeAlg.convolution(fast.FilterType.bilinear),
        crop_box=fast.CropBox(left, top, right - left, bottom - top),
    )
    plain.resize(fast.ImageData(across, there, kind, pixels.tobytes()), small, options)
    assert small.get_buffer() == ours.tobytes()


def test_threads_do_not_disturb_one_another():
    from concurrent.futures import ThreadPoolExecutor

    pictures = [smooth(100, 125, 3, seed) for seed in range(40)]

    def one(pixels):
        return scaling.scaled(pixels, 64, 64, (0, 0, 125, 100)).tobytes()

    alone = [one(pixels) for pixels in pictures]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(one, pictures * 20)) == alone * 20


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA"])
def test_pillow_is_told_to_go_down_first(mode):
    rng = np.random.default_rng(0)
    image = Image.fromarray(rng.integers(0, 256, (40, 60, 4), dtype=np.uint8)).convert(mode)
    ours = scaling.by_pillow(image, 7, 9, (3.5, 0, 56.5, 40))
    plain = image.convert("RGBa") if mode == "RGBA" else image
    low = plain.resize((60, 7), Image.Resampling.BILINEAR)
    small = low.resize((9, 7), Image.Resampling.BILINEAR, box=(3.5, 0, 56.5, 7))
    assert ours.mode == mode
    assert ours.tobytes() == (small.convert(mode) if mode == "RGBA" else small).tobytes()
    across = plain.resize((9, 40), Image.Resampling.BILINEAR, box=(3.5, 0, 56.5, 40))
    other = across.resize((9, 7), Image.Resampling.BILINEAR)
    assert ours.tobytes() != (other.convert(mode) if mode == "RGBA" else other).tobytes()


WITHOUT = """
import sys
sys.modules["cykooz_resizer"] = None
import numpy as np
from vistazo.pictures import decoding, scaling
assert scaling.colour_mode() == "RGBX"
assert scaling.decoders() == ("pillow", "simplejpeg")
data = open(sys.argv[1], "rb").read()
for channels in (1, 3):
    np.save(f"{sys.argv[2]}/{channels}.npy", decoding.decode(data, height=40, width=64, channels=channels))
"""


def test_where_it_is_not_installed_pillow_gives_nearly_the_same(tmp_path):
    photo = tmp_path / "a.jpg"
    Image.fromarray(smooth(200, 500, 3)).save(photo, quality=95)
    subprocess.run([sys.executable, "-c", WITHOUT, str(photo), str(tmp_path)], check=True)
    for channels in (1, 3):
        theirs = np.load(tmp_path / f"{channels}.npy")
        ours = decoding.decode(photo.read_bytes(), height=40, width=64, channels=channels)
        apart = np.abs(ours.astype(int) - theirs)
        assert apart.max() <= 1
        assert (apart > 0).mean() < 0.1
