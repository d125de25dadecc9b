"""Pictures and boxes move alike, as independent programs move them."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from vistazo.pictures import geometry
from vistazo.pictures.augmentation import Padded

SIZES = st.tuples(st.integers(1, 24), st.integers(1, 24))
BORDERS = {"reflection": "mirror", "border": "nearest", "zeros": "constant"}


def noise(count, height, width, channels=3):
    pixels = np.random.default_rng(0).integers(0, 256, (count, channels, height, width))
    return torch.from_numpy(pixels).float()


def linear(height, width, count=1, **given):
    values = {"zoom": 1, "degrees": 0, "shear": 0, "across": 1, "down": 1} | given
    tensors = {f"{name}_N": torch.full((count,), float(value)).double() for name, value in values.items()}
    return geometry.about(geometry.linear_map(**tensors), height=height, width=width)


def moved(right, down):
    return geometry.move_map(torch.tensor([float(right)]).double(), torch.tensor([float(down)]).double())


def by_scipy(picture_CHW, map_33, border):
    """The same with coordinates (down, right) of pixels' middles, as scipy counts them."""
    back = np.linalg.inv(map_33.numpy())[:2]
    matrix = back[::-1, 1::-1]
    offset = back[::-1, 2] + matrix @ [0.5, 0.5] - 0.5
    return np.stack(
        [
            ndimage.affine_transform(one, matrix, offset, order=1, mode=BORDERS[border])
            for one in picture_CHW.numpy().astype(np.float64)
        ]
    )


# ---------------------------------------------------------------- pictures
@settings(max_examples=60, deadline=None)
@given(
    size=st.tuples(st.integers(2, 24), st.integers(2, 24)),
    zoom=st.floats(0.4, 2.5),
    degrees=st.floats(-180, 180),
    shear=st.floats(-45, 45),
    across=st.sampled_from([-1, 1]),
    down=st.sampled_from([-1, 1]),
    move=st.tuples(st.floats(-9, 9), st.floats(-9, 9)),
    border=st.sampled_from(["reflection", "border"]),
)
def test_a_map_shows_a_picture_as_scipy_does(size, zoom, degrees, shear, across, down, move, border):
    height, width = size
    pictures = noise(1, height, width)
    maps = geometry.compose(
        linear(height, width, zoom=zoom, degrees=degrees, shear=shear, across=across, down=down),
        moved(*move),
    )
    found = geometry.resample(pictures, maps, border=border)
    assert (found.shape, found.dtype) == (pictures.shape, torch.float32)
    np.testing.assert_allclose(found[0], by_scipy(pictures[0], maps[0], border), atol=0.05)
    assert float(found.min()) >= 0
    assert float(found.max()) <= 255


def test_beyond_the_edge_it_may_be_black():
    found = geometry.resample(torch.full((1, 1, 6, 6), 200.0), moved(2, 0), border="zeros")
    expected = torch.tensor([[0.0, 0, 200, 200, 200, 200]]).expand(6, 6)
    torch.testing.assert_close(found[0, 0], expected, atol=1e-3, rtol=0)


@settings(max_examples=20, deadline=None)
@given(size=SIZES)
def test_no_map_at_all_leaves_a_picture_as_it_was(size):
    pictures = noise(2, *size)
    found = geometry.resample(pictures, linear(*size, count=2), border="reflection")
    torch.testing.assert_close(found, pictures, atol=2e-3, rtol=0)


@pytest.mark.parametrize(("right", "down"), [(0, 0), (2, 0), (-1, 3), (3, -3)])
def test_a_move_by_whole_pixels_is_the_window_of_the_padded_store(right, down):
    pictures = noise(1, 8, 11)
    store = Padded(pictures.permute(0, 2, 3, 1).to(torch.uint8).numpy(), reach=3, device="cpu")
    window = store.take(torch.tensor([0]), torch.tensor([[3 - down, 3 - right]]))
    found = geometry.resample(pictures, moved(right, down), border="reflection")
    assert torch.equal(found.round().to(torch.uint8), window)


@pytest.mark.parametrize("quarter", [0, 1, 2, 3])
def test_a_turn_is_against_the_clock_about_the_middle(quarter):
    pictures = noise(1, 9, 9)
    found = geometry.resample(pictures, linear(9, 9, degrees=90 * quarter), border="reflection")
    torch.testing.assert_close(found, pictures.rot90(quarter, (2, 3)), atol=2e-3, rtol=0)


@pytest.mark.parametrize(("given", "axis"), [({"across": -1}, 3), ({"down": -1}, 2)])
def test_a_flip_mirrors_about_the_middle(given, axis):
    pictures = noise(1, 6, 9)
    found = geometry.resample(pictures, linear(6, 9, **given), border="reflection")
    torch.testing.assert_close(found, pictures.flip(axis), atol=2e-3, rtol=0)


def test_zoom_enlarges_about_the_middle():
    pictures = torch.zeros(1, 1, 21, 21)
    pictures[..., 8:13, 8:13] = 255
    found = geometry.resample(pictures, linear(21, 21, zoom=2), border="reflection")
    assert int((found > 127).sum()) == pytest.approx(100, abs=24)
    assert float(found[0, 0, 10, 10]) == pytest.approx(255, abs=0.01)
    torch.testing.assert_close(found, found.flip(2).flip(3), atol=0.01, rtol=0)


@pytest.mark.parametrize("window", [(0, 0, 12, 8), (3, 2, 9, 6), (1, 0, 12, 7)])
def test_a_crop_is_the_window_enlarged_as_torch_enlarges_it(window):
    pictures = noise(1, 8, 12)
    left, top, right, bottom = window
    maps = geometry.crop_map(torch.tensor([window]), height=8, width=12)
    found = geometry.resample(pictures, maps, border="border")
    expected = F.interpolate(pictures[:, :, top:bottom, left:right], (8, 12), mode="bilinear")
    # Near its edges a window cut out knows nothing beyond them, and the map does.
    inside = (..., slice(2, -2), slice(3, -3))
    torch.testing.assert_close(found[inside], expected[inside], atol=0.01, rtol=0)


def test_maps_are_composed_in_order():
    turn, move = linear(10, 10, degrees=90), moved(3, 0)
    point = torch.tensor([8.0, 5.0, 1.0]).double()  # right of the middle
    after = geometry.compose(turn, move)[0] @ point
    torch.testing.assert_close(after, torch.tensor([8.0, 2.0, 1.0]).double())  # above it, then to the right
    torch.testing.assert_close(geometry.compose(turn, move), move @ turn)


def test_a_picture_is_shown_alike_in_any_company():
    pictures = noise(7, 12, 12)
    maps = torch.cat([linear(12, 12, degrees=17 * at, zoom=1 + at / 9) for at in range(7)])
    together = geometry.resample(pictures, maps, border="reflection")
    for at in range(7):
        alone = geometry.resample(pictures[at : at + 1], maps[at : at + 1], border="reflection")
        assert torch.equal(alone[0], together[at])


# ---------------------------------------------------------------- boxes
def carried(box, maps, *, visible=0.0, height=40, width=60):
    boxes, kept = geometry.carry_boxes(
        [torch.tensor([box], dtype=torch.float32)], maps, height=height, width=width, visible=visible
    )
    return boxes[0], kept[0]


@settings(max_examples=60, deadline=None)
@given(
    zoom=st.floats(0.6, 1.5),
    degrees=st.floats(-60, 60),
    shear=st.floats(-20, 20),
    across=st.sampled_from([-1, 1]),
    down=st.sampled_from([-1, 1]),
    move=st.tuples(st.floats(-6, 6), st.floats(-6, 6)),
    corner=st.tuples(st.integers(15, 30), st.integers(10, 18)),
)
def test_a_box_goes_where_its_rectangle_goes(zoom, degrees, shear, across, down, move, corner):
    left, top = corner
    box = (left, top, left + 14, top + 11)
    pictures = torch.zeros(1, 1, 40, 60)
    pictures[..., box[1] : box[3], box[0] : box[2]] = 255
    maps = geometry.compose(
        linear(40, 60, zoom=zoom, degrees=degrees, shear=shear, across=across, down=down), moved(*move)
    )
    shown = geometry.resample(pictures, maps, border="zeros")[0, 0] > 8
    found, kept = carried(box, maps)
    assert bool(kept[0]) == bool(shown.any())
    rows, columns = torch.nonzero(shown.any(1))[:, 0], torch.nonzero(shown.any(0))[:, 0]
    drawn = torch.tensor([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]).float()
    assert (drawn - found[0]).abs().max() <= 1.6  # a smoothed edge is a pixel wide, a sharp corner thinner


@pytest.mark.parametrize(
    ("maps", "expected"),
    [
        pytest.param(linear(40, 60), [10, 5, 30, 15], id="unchanged"),
        pytest.param(linear(40, 60, across=-1), [30, 5, 50, 15], id="mirrored"),
        pytest.param(linear(40, 60, down=-1), [10, 25, 30, 35], id="upside down"),
        pytest.param(moved(5, -3), [15, 2, 35, 12], id="moved"),
        pytest.param(moved(-20, 0), [0, 5, 10, 15], id="moved half out and cut"),
        pytest.param(
            geometry.crop_map(torch.tensor([[10, 0, 40, 20]]), height=40, width=60),
            [0, 10, 40, 30],
            id="cropped",
        ),
    ],
)
def test_boxes_are_moved_exactly(maps, expected):
    found, kept = carried((10, 5, 30, 15), maps)
    assert kept.tolist() == [True]
    torch.testing.assert_close(found, torch.tensor([expected]).float())


@pytest.mark.parametrize(("visible", "kept"), [(0.0, True), (0.49, True), (0.51, False)])
def test_a_box_of_which_too_little_is_left_is_dropped(visible, kept):
    found, told = carried((0, 0, 20, 10), moved(-10, 0), visible=visible)
    assert told.tolist() == [kept]
    assert len(found) == kept


def test_a_box_that_left_the_picture_is_dropped_whatever_is_asked():
    assert carried((0, 0, 20, 10), moved(-30, 0))[1].tolist() == [False]


def test_each_picture_has_boxes_of_its_own_or_none():
    boxes = [torch.zeros(0, 4), torch.tensor([[0.0, 0, 4, 4], [50, 30, 60, 40]])]
    maps = torch.cat([moved(0, 0), moved(-5, 0)])
    found, kept = geometry.carry_boxes(boxes, maps, height=40, width=60, visible=0.1)
    assert [one.shape for one in found] == [(0, 4), (1, 4)]
    assert [one.tolist() for one in kept] == [[], [False, True]]
    assert found[1].tolist() == [[45, 30, 55, 40]]
