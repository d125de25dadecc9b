"""Each change of pixels beside an independent program: Pillow, scipy, or a loop in NumPy."""

import colorsys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageEnhance
from scipy import ndimage

from vistazo.pictures import transforms
from vistazo.pictures.counters import normals, shorts, streams

STRENGTHS = st.floats(0, 3)


def noise(count=3, channels=3, height=11, width=14, seed=0):
    pixels = np.random.default_rng(seed).integers(0, 256, (count, channels, height, width))
    return torch.from_numpy(pixels).float()


def values(*several):
    return torch.tensor(several, dtype=torch.float32)


def as_pillow(picture_CHW):
    pixels = picture_CHW.permute(1, 2, 0).to(torch.uint8).numpy()
    return Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)


def from_pillow(image):
    pixels = np.asarray(image)
    return torch.from_numpy(np.atleast_3d(pixels).copy()).permute(2, 0, 1).float()


def by_channel(pictures, change):
    """A function on arrays (height, width), on each channel of each picture."""
    found = [
        [change(one.astype(np.float64), at) for one in three] for at, three in enumerate(pictures.numpy())
    ]
    return torch.from_numpy(np.array(found)).float()


def random_of(pictures):
    rows = streams(torch.arange(len(pictures)), seed=0, counters=(1,))
    count = pictures[0].numel()
    return normals(rows, count).view_as(pictures), shorts(rows, count // pictures.shape[1]).view(
        len(pictures), *pictures.shape[2:]
    )


# ---------------------------------------------------------------- all of them
def every(strength, pictures):
    """Name → pictures changed by a strength (a value per picture), 0 for unchanged."""
    drawn, short = random_of(pictures)
    window = 1 + 2 * (strength > 1)
    square = torch.stack([strength * 0 + 1, strength * 0, strength * 4, strength * 5], 1).long()
    partners = pictures.flip(0)
    fill = values(*[90] * pictures.shape[1])
    return {
        "multiply": transforms.recolour(pictures, multiply_N=1 + strength),
        "add": transforms.recolour(pictures, add_N=100 * strength),
        "contrast": transforms.recolour(pictures, contrast_N=1 + strength),
        "saturation": transforms.recolour(pictures, saturation_N=1 + strength),
        "hue": transforms.recolour(pictures, hue_N=60 * strength),
        "blur": transforms.blur(pictures, strength, radius=9),
        "average": transforms.average(pictures, window, radius=1),
        "median": transforms.median(pictures, window),
        "sharpen": transforms.sharpen(pictures, strength),
        "noise": transforms.add_noise(pictures, 50 * strength, drawn),
        "dropout": transforms.drop_pixels(pictures, strength / 4, short),
        "cutout": transforms.cut_out(pictures, square, fill),
        "mixup": transforms.mix(pictures, partners, 1 - strength / 3),
        "cutmix": transforms.paste(pictures, partners, square)[0],
    }


@settings(max_examples=25, deadline=None)
@given(
    strengths=st.lists(STRENGTHS, min_size=1, max_size=4),
    size=st.tuples(st.integers(3, 20), st.integers(3, 20)),
    channels=st.sampled_from([1, 3]),
    seed=st.integers(0, 99),
)
def test_values_stay_within_0_and_255_and_shapes_as_they_were(strengths, size, channels, seed):
    pictures = noise(len(strengths), channels, *size, seed=seed)
    kept = pictures.clone()
    for name, found in every(values(*strengths), pictures).items():
        assert (found.shape, found.dtype) == (pictures.shape, torch.float32), name
        assert float(found.min()) >= 0, name
        assert float(found.max()) <= 255, name
        assert torch.equal(pictures, kept), f"{name} wrote on what it was given"


@pytest.mark.parametrize("channels", [1, 3])
def test_a_strength_of_nothing_changes_nothing(channels):
    pictures = noise(channels=channels)
    for name, found in every(values(0, 0, 0), pictures).items():
        torch.testing.assert_close(found, pictures, atol=2e-3, rtol=0, msg=name)


@pytest.mark.parametrize("channels", [1, 3])
def test_what_a_picture_becomes_depends_on_no_other(channels):
    pictures, strength = noise(6, channels), values(0.3, 2.5, 0, 1.2, 3, 0.7)
    together = every(strength, pictures)
    drawn, short = random_of(pictures)
    for at in range(6):
        one = slice(at, at + 1)
        picture, own = pictures[one], strength[one]
        alone = {
            "contrast": transforms.recolour(picture, contrast_N=1 + own),
            "saturation": transforms.recolour(picture, saturation_N=1 + own),
            "hue": transforms.recolour(picture, hue_N=60 * own),
            "blur": transforms.blur(picture, own, radius=9),
            "average": transforms.average(picture, 1 + 2 * (own > 1), radius=1),
            "median": transforms.median(picture, 1 + 2 * (own > 1)),
            "sharpen": transforms.sharpen(picture, own),
            "noise": transforms.add_noise(picture, 50 * own, drawn[one]),
            "dropout": transforms.drop_pixels(picture, own / 4, short[one]),
        }
        for name, found in alone.items():
            assert torch.equal(found[0], together[name][at]), name


# ---------------------------------------------------------------- light and colour
@pytest.mark.parametrize("factor", [0.0, 0.4, 1.0, 1.7])
@pytest.mark.parametrize(
    ("name", "enhancer", "channels"),
    [
        ("multiply_N", ImageEnhance.Brightness, 3),
        ("multiply_N", ImageEnhance.Brightness, 1),
        ("contrast_N", ImageEnhance.Contrast, 3),
        ("contrast_N", ImageEnhance.Contrast, 1),
        ("saturation_N", ImageEnhance.Color, 3),
    ],
)
def test_light_contrast_and_colour_are_those_of_pillow(name, enhancer, channels, factor):
    pictures = noise(channels=channels)
    found = transforms.recolour(pictures, **{name: values(*[factor] * 3)})
    for at in range(3):
        expected = from_pillow(enhancer(as_pillow(pictures[at])).enhance(factor))
        # Pillow cuts fractions off, and rounds its grey twice.
        assert (found[at] - expected).abs().max() <= 1.0 + 1.3 * abs(1 - factor)


def test_light_is_added_and_cut_at_white_and_black():
    found = transforms.recolour(values(0, 100, 250).view(1, 1, 1, 3), add_N=values(20))
    assert found.flatten().tolist() == [20, 120, 255]
    found = transforms.recolour(values(0, 100, 250).view(1, 1, 1, 3), add_N=values(-120))
    assert found.flatten().tolist() == [0, 0, 130]


def test_each_picture_has_a_light_of_its_own():
    pictures = torch.full((3, 3, 4, 4), 100.0)
    found = transforms.recolour(pictures, multiply_N=values(0.5, 1, 2), add_N=values(1, 0, -1))
    assert found.mean((1, 2, 3)).tolist() == [51, 100, 199]


@pytest.mark.parametrize("degrees", [-120.0, -30.0, 45.0, 120.0])
def test_a_turn_of_the_hue_is_that_of_the_yiq_of_the_standard_library(degrees):
    pictures = noise(height=5, width=4) / 3 + 80  # within the cube of colours, wherever it turns
    found = transforms.recolour(pictures, hue_N=values(*[degrees] * 3)).permute(0, 2, 3, 1).reshape(-1, 3)
    cosine, sine = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    for before, after in zip(
        pictures.permute(0, 2, 3, 1).reshape(-1, 3).tolist(), found.tolist(), strict=True
    ):
        luma, one, two = colorsys.rgb_to_yiq(*(value / 255 for value in before))
        expected = colorsys.yiq_to_rgb(luma, cosine * one - sine * two, sine * one + cosine * two)
        assert after == pytest.approx([255 * value for value in expected], abs=1.5)


def test_hue_and_saturation_keep_greys_and_the_luma():
    greys = torch.arange(256.0).view(1, 1, 16, 16).expand(2, 3, 16, 16)
    change = {"saturation_N": values(0.2, 1.9), "hue_N": values(-70, 130)}
    torch.testing.assert_close(transforms.recolour(greys, **change), greys, atol=2e-3, rtol=0)
    weights = values(0.299, 0.587, 0.114).view(3, 1, 1)
    pictures = noise(2) / 4 + 90
    before, after = ((one * weights).sum(1) for one in (pictures, transforms.recolour(pictures, **change)))
    torch.testing.assert_close(after, before, atol=0.01, rtol=0)


def test_all_of_light_and_colour_at_once_are_one_after_the_other():
    pictures = noise() / 4 + 90  # nothing is cut on the way
    given = {
        "multiply_N": values(0.9, 1.1, 1),
        "add_N": values(5, -8, 0),
        "contrast_N": values(1.2, 0.8, 1.1),
        "saturation_N": values(1.3, 0.5, 1),
        "hue_N": values(20, -20, 5),
    }
    by_turns = pictures
    for name, one in given.items():
        by_turns = transforms.recolour(by_turns, **{name: one})
    torch.testing.assert_close(transforms.recolour(pictures, **given), by_turns, atol=0.01, rtol=0)


def test_grey_pictures_have_no_colour_to_change():
    pictures = noise(channels=1)
    found = transforms.recolour(pictures, saturation_N=values(0, 1, 2), hue_N=values(10, 20, 30))
    assert torch.equal(found, pictures)


# ---------------------------------------------------------------- neighbourhoods
@pytest.mark.parametrize("channels", [1, 3])
def test_gaussian_blur_is_that_of_scipy(channels):
    pictures, sigma = noise(channels=channels), [0.4, 1.0, 2.2]
    found = transforms.blur(pictures, values(*sigma), radius=5)
    expected = by_channel(
        pictures, lambda one, at: ndimage.gaussian_filter(one, sigma[at], mode="mirror", radius=5)
    )
    torch.testing.assert_close(found, expected, atol=2e-3, rtol=0)


@pytest.mark.parametrize(
    ("change", "reference"),
    [
        pytest.param(
            lambda one, window: transforms.average(one, window, radius=2),
            ndimage.uniform_filter,
            id="average",
        ),
        pytest.param(transforms.median, ndimage.median_filter, id="median"),
    ],
)
@pytest.mark.parametrize("windows", [(1, 3, 5), (3, 3, 3), (5, 1, 1)])
def test_average_and_median_are_those_of_scipy(change, reference, windows):
    pictures = noise()
    found = change(pictures, values(*windows))
    expected = by_channel(pictures, lambda one, at: reference(one, windows[at], mode="mirror"))
    torch.testing.assert_close(found, expected, atol=2e-3, rtol=0)


def test_a_large_median_is_computed_some_pictures_at_a_time(monkeypatch):
    pictures, windows = noise(8), values(*[5] * 8)
    expected = transforms.median(pictures, windows)
    monkeypatch.setattr(transforms, "_COPIES", 3 * 3 * 15 * 18 * 25)
    assert torch.equal(transforms.median(pictures, windows), expected)


def test_a_filter_wider_than_the_picture_is_cut_to_it():
    pictures = noise(height=3, width=4)
    assert transforms.blur(pictures, values(5, 5, 5), radius=15).shape == pictures.shape


@pytest.mark.parametrize("amount", [0.5, 1.0, 3.0])
def test_sharpening_is_that_of_pillow_away_from_the_border(amount):
    pictures = noise() / 2 + 60
    found = transforms.sharpen(pictures.round(), values(*[amount] * 3))
    for at in range(3):
        expected = from_pillow(ImageEnhance.Sharpness(as_pillow(pictures[at].round())).enhance(1 + amount))
        difference = (found[at] - expected)[:, 1:-1, 1:-1].abs().max()
        assert difference <= 1 + amount  # Pillow rounds what is then multiplied


# ---------------------------------------------------------------- noise and holes
def test_noise_has_the_deviation_that_is_asked_for():
    pictures = torch.full((3, 3, 40, 40), 128.0)
    drawn, _ = random_of(pictures)
    found = transforms.add_noise(pictures, values(2, 10, 20), drawn) - 128
    for at, sigma in enumerate((2, 10, 20)):
        assert float(found[at].std()) == pytest.approx(sigma, rel=0.05)
        assert float(found[at].mean()) == pytest.approx(0, abs=sigma / 10)


def test_the_share_of_pixels_that_is_asked_for_is_black_in_every_channel():
    pictures = noise(3, 3, 60, 60) + 1
    _, short = random_of(pictures)
    found = transforms.drop_pixels(pictures, values(0, 0.1, 0.5), short)
    black = found == 0
    assert torch.equal(black.all(1), black.any(1))
    assert black[:, 0].float().mean((1, 2)).tolist() == pytest.approx([0, 0.1, 0.5], abs=0.02)
    assert torch.equal(found[~black], pictures[~black])


@settings(max_examples=50, deadline=None)
@given(window=st.tuples(*[st.integers(-8, 20)] * 2, *[st.integers(0, 20)] * 2))
def test_holes_and_pieces_are_windows_cut_to_the_picture(window):
    left, top, wide, high = window
    windows = torch.tensor([[left, top, left + wide, top + high]])
    pictures, partners, fill = noise(1), noise(1, seed=5), values(1, 2, 3)
    inside = np.zeros((11, 14), bool)
    inside[max(0, top) : max(0, top + high), max(0, left) : max(0, left + wide)] = True
    hole = pictures.clone()
    hole[0, :, inside] = fill[:, None].expand(3, int(inside.sum()))
    assert torch.equal(transforms.cut_out(pictures, windows, fill), hole)
    piece = pictures.clone()
    piece[0, :, inside] = partners[0, :, inside]
    found, share = transforms.paste(pictures, partners, windows)
    assert torch.equal(found, piece)
    assert float(share[0]) == pytest.approx(1 - inside.mean())


def test_mixing_is_the_weighted_mean():
    pictures, partners = noise(2), noise(2, seed=1)
    found = transforms.mix(pictures, partners, values(0.3, 1))
    torch.testing.assert_close(found[0], 0.3 * pictures[0] + 0.7 * partners[0])
    assert torch.equal(found[1], pictures[1])
