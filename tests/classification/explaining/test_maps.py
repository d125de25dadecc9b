"""Maps for pictures and for eyes."""

import numpy as np
import torch

from vistazo.classification.explaining.maps import peaks, regions, resized, shown_scale
from vistazo.classification.explaining.overlay import colours, laid_over, legend, side_by_side


def test_a_map_is_brought_to_the_pictures_size_between_the_middles_of_its_places():
    small = torch.tensor([[[0.0, 4.0]]])
    large = resized(small, height=1, width=8)
    # Places are four pixels wide, their middles at 1.5 and 5.5; between them a straight line, beyond them flat.
    expected = [0, 0, 0.5, 1.5, 2.5, 3.5, 4, 4]
    torch.testing.assert_close(large[0, 0], torch.tensor(expected), rtol=0, atol=1e-6)


def test_the_peak_of_a_place_at_the_border_is_its_middle_and_not_the_pictures_corner():
    small = torch.zeros(1, 4, 4)
    small[0, 0, 2] = 1
    (peak,) = peaks(resized(small, height=32, width=32).numpy())
    assert 0 <= peak[0] <= 7 and 16 <= peak[1] <= 23


def test_a_region_holds_what_reaches_the_level_and_no_more_than_its_share():
    one = np.array([[1.0, 0.6, 0.4, 0.0]], dtype=np.float32)
    maps = np.stack([one, np.zeros_like(one)])
    assert regions(maps, level=0.5, most=1.0).tolist() == [[[True, True, False, False]], [[False] * 4]]
    assert regions(maps, level=0.3, most=0.5)[0].tolist() == [[True, True, False, False]]
    assert regions(maps, level=0.3, most=0.01)[0].tolist() == [[True, False, False, False]]


def test_for_the_eye_the_largest_value_is_one_and_nothing_below_zero_is_shown():
    values = np.array([[-3.0, 0.0, 2.0, 4.0]], dtype=np.float32)
    assert shown_scale(values, noisy=False).tolist() == [[0, 0, 0.5, 1]]
    assert not shown_scale(-np.ones((2, 2), np.float32), noisy=False).any()
    lonely = np.zeros((40, 40), np.float32)
    lonely[3, 3] = 7
    assert shown_scale(lonely, noisy=True).max() == 1  # one pixel among 1,600 is still shown


def test_the_colours_grow_lighter_so_that_they_can_be_read_without_colour():
    shades = colours(np.linspace(0, 1, 64)) @ np.array([0.2126, 0.7152, 0.0722])
    assert (np.diff(shades) > 0).all()
    assert colours(np.array([0.0, 1.0])).tolist() == [[68, 1, 84], [253, 231, 37]]
    assert legend().shape == (14, 180, 3)


def test_the_map_lies_over_what_the_model_was_shown_and_the_rest_has_no_colour():
    picture = np.full((20, 40, 3), 120, np.uint8)
    values = np.zeros((10, 10), np.float32)
    values[:5] = 1
    laid = laid_over(picture, values, (10, 0, 30, 20))
    assert (np.ptp(laid[:, :10].astype(int), axis=2) == 0).all()  # cut away: grey, and paler
    assert laid[0, 0, 0] > 120
    assert np.ptp(laid[2, 20].astype(int)) > 50  # yellow
    assert laid[2, 20, 0] > laid[18, 20, 0]
    assert side_by_side([picture, laid]).shape == (20, 86, 3)
