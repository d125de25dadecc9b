"""Kernels: the arithmetic against scipy, and what a person may write."""

import numpy as np
import pytest
from scipy.signal import convolve2d, correlate2d

from vistazo.errors import ConfigError, UnknownName
from vistazo.museum import kernels
from vistazo.museum.kernels import chosen, output_size, slide

PICTURES = [(28, 28), (9, 17), (5, 5), (40, 3)]


@pytest.fixture(params=PICTURES, ids=str)
def picture(request):
    return np.random.default_rng(3).integers(0, 256, request.param).astype(np.uint8)


@pytest.mark.parametrize("name", list(kernels.kernels))
@pytest.mark.parametrize("mode", ["same", "valid", "full"])
def test_a_convolution_equals_scipy_to_the_bit(picture, name, mode):
    numbers = kernels.kernels[name].numbers_KL
    ours = slide(picture, numbers, operation="convolution", stride=1, padding=mode)
    theirs = convolve2d(picture.astype(np.int64), numbers, mode=mode)
    assert ours.dtype == np.int64
    assert np.array_equal(ours, theirs)


@pytest.mark.parametrize("name", ["vertical", "emboss"])
@pytest.mark.parametrize("mode", ["same", "valid", "full"])
def test_a_correlation_equals_scipy_and_differs_from_a_convolution(picture, name, mode):
    numbers = kernels.kernels[name].numbers_KL
    ours = slide(picture, numbers, operation="correlation", stride=1, padding=mode)
    assert np.array_equal(ours, correlate2d(picture.astype(np.int64), numbers, mode=mode))
    assert not np.array_equal(ours, convolve2d(picture.astype(np.int64), numbers, mode=mode))


@pytest.mark.parametrize("shape", [(1, 1), (1, 3), (5, 3), (7, 7)], ids=str)
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("mode", ["same", "full"])
def test_a_stride_takes_every_so_many_rows_and_columns(picture, shape, stride, mode):
    numbers = np.random.default_rng(4).integers(-9, 10, shape)
    ours = slide(picture, numbers, operation="convolution", stride=stride, padding=mode)
    # Where scipy is given a kernel larger than the picture it swaps them for 'valid' only.
    theirs = convolve2d(picture.astype(np.int64), numbers, mode=mode)[::stride, ::stride]
    assert np.array_equal(ours, theirs)


@pytest.mark.parametrize("padding", [0, 1, 4])
def test_a_padding_in_pixels_is_zeros_around_the_picture(padding):
    picture = np.random.default_rng(5).integers(0, 256, (11, 8)).astype(np.uint8)
    numbers = kernels.kernels["outline"].numbers_KL
    ours = slide(picture, numbers, operation="convolution", stride=2, padding=padding)
    theirs = convolve2d(np.pad(picture.astype(np.int64), padding), numbers, mode="valid")[::2, ::2]
    assert np.array_equal(ours, theirs)
    assert ours.shape == output_size((11, 8), (3, 3), stride=2, padding=padding)


def test_numbers_with_a_fraction_equal_scipy_within_rounding(picture):
    numbers = chosen("0,5 -0,25 0.125; 1 -1 0; 3 2.5 -7")[0].numbers_KL
    assert numbers.dtype == np.float64
    ours = slide(picture, numbers, operation="convolution", stride=1, padding="same")
    assert np.allclose(ours, convolve2d(picture.astype(float), numbers, mode="same"), rtol=0, atol=1e-9)


def test_the_published_kernels_and_their_threshold():
    vertical, horizontal, outline = chosen(None)
    assert vertical.numbers_KL.tolist() == [[1, 0, -1]] * 3
    assert horizontal.numbers_KL.tolist() == [[1, 1, 1], [0, 0, 0], [-1, -1, -1]]
    assert outline.numbers_KL.tolist() == [[-1, -1, -1], [-1, 8, -1], [-1, -1, -1]]
    assert {one.threshold for one in (vertical, horizontal, outline)} == {50.0}


def test_a_hand_computed_pixel():
    picture = np.array([[1, 2, 3], [4, 5, 6], [7, 8, 10]], np.uint8)
    kernel = np.array([[1, 0, -1], [2, 0, -2], [1, 0, -1]])
    # as it is written: (1 - 3) + 2 (4 - 6) + (7 - 10) = -9; turned: +9
    assert slide(picture, kernel, operation="correlation", stride=1, padding="valid").item() == -9
    assert slide(picture, kernel, operation="convolution", stride=1, padding="valid").item() == 9


@pytest.mark.parametrize(
    "text",
    ["1 0 -1;1 0 -1;1 0 -1", "1,0,-1;1,0,-1;1,0,-1", "[[1, 0, -1], [1, 0, -1], [1, 0, -1]]", "1 0 -1\n" * 3],
)
def test_numbers_may_be_written_in_several_ways(text):
    assert chosen(text)[0].numbers_KL.tolist() == [[1, 0, -1]] * 3
    assert chosen(text)[0].threshold == 50.0


def test_names_are_known_in_spanish_and_each_is_taken_once():
    assert [one.name for one in chosen("enfocar, sharpen,Contorno")] == ["sharpen", "outline"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("1 0; 1 0", "A kernel of 2 × 2 has no middle"),
        ("1 0 -1; 1 0", "Every row of a kernel has as many numbers as the others, and these have 3, 2"),
        ("1 0 x; 1 0 -1; 1 0 -1", "'x' in --kernel is no number"),
        ("1 0 nan1; 1 0 -1; 1 0 -1", "no number"),
        ("1e9 0 0; 0 0 0; 0 0 0", "'1e9' in --kernel is no number from -1000000 to 1000000"),
        (" ; ", "--kernel needs a name or numbers"),
        (";".join([" ".join("1" * 33)] * 33), "too large: 31 rows and columns"),
    ],
)
def test_what_is_no_kernel_is_refused_in_a_sentence(text, said):
    with pytest.raises(ConfigError, match=said):
        chosen(text)


def test_an_unknown_name_gets_the_nearest():
    with pytest.raises(UnknownName, match="Did you mean 'vertical'"):
        chosen("verticl")


def test_a_kernel_larger_than_the_picture_is_refused():
    with pytest.raises(ConfigError, match="A kernel of 5 × 5 does not fit into a picture of 3 × 9"):
        slide(
            np.zeros((3, 9), np.uint8),
            np.ones((5, 5), int),
            operation="convolution",
            stride=1,
            padding="valid",
        )


@pytest.mark.parametrize("stride", [0, -2])
def test_a_stride_below_one_is_refused(stride):
    with pytest.raises(ConfigError, match="--stride is a whole number from 1 on"):
        output_size((9, 9), (3, 3), stride=stride, padding="same")


@pytest.mark.parametrize("text", ["some", "-1", "65", "1.5", ""])
def test_another_padding_is_refused(text):
    with pytest.raises(ConfigError, match="--padding is same, valid, full"):
        kernels.read_padding(text)
