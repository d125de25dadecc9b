import io

import numpy as np
import pytest
from PIL import Image

from vistazo.pictures.drawing import Row, Rows, enlarge, grid, png, sheet


def read(file: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(file)))


@pytest.mark.parametrize("channels", [pytest.param(1, id="grey"), pytest.param(3, id="colour")])
def test_a_png_holds_the_very_pixels(channels):
    picture = np.random.default_rng(0).integers(0, 256, (5, 7, channels), dtype=np.uint8)
    assert np.array_equal(read(png(picture)).reshape(picture.shape), picture)


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        pytest.param((28, 28, 1), (84, 84, 1), id="MNIST, three times"),
        pytest.param((32, 32, 3), (96, 96, 3), id="CIFAR, three times"),
        pytest.param((1, 50, 3), (84, 4200, 3), id="one row"),
        pytest.param((84, 200, 3), (84, 200, 3), id="large enough"),
    ],
)
def test_small_pictures_are_enlarged_by_whole_factors(shape, expected):
    picture = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    large = enlarge(picture)
    assert large.shape == expected
    times = expected[0] // shape[0]
    assert np.array_equal(large[::times, ::times], picture)


def test_a_grid_sets_pictures_row_by_row_and_smaller_ones_in_the_middle():
    black, grey = np.zeros((90, 100, 3), np.uint8), np.full((84, 84, 1), 128, np.uint8)
    sheet = read(grid([black, grey, grey], columns=2))
    assert sheet.shape == (2 * 94 + 4, 2 * 104 + 4, 3)
    assert (sheet[4:94, 4:104] == 0).all()
    assert (sheet[7 : 7 + 84, 108 + 8 : 108 + 8 + 84] == 128).all()
    assert (sheet[98:, 108:] == 255).all(), "the empty cell is white"


def test_a_grid_is_no_wider_than_its_pictures():
    assert read(grid([np.zeros((84, 84, 1), np.uint8)], columns=8)).shape == (92, 92, 3)


@pytest.mark.parametrize(
    "picture",
    [
        pytest.param(np.zeros((3, 3), np.uint8), id="no channel axis"),
        pytest.param(np.zeros((3, 3, 4), np.uint8), id="transparency"),
        pytest.param(np.zeros((3, 3, 3), np.float32), id="floats"),
        pytest.param(np.zeros((0, 3, 3), np.uint8), id="empty"),
    ],
)
def test_other_arrays_are_refused(picture):
    for draw in (png, enlarge, lambda array: grid([array], 2)):
        with pytest.raises(ValueError, match=r"a picture is uint8 \(height, width, 1 or 3\)"):
            draw(picture)


def test_an_empty_grid_is_refused():
    with pytest.raises(ValueError, match="a grid needs pictures"):
        grid([], 3)


# ---------------------------------------------------------------- pictures with words
def squares(*greys, channels=1):
    return [np.full((30, 40, channels), grey, np.uint8) for grey in greys]


def found_at(image, grey):
    """Upper left corner and size of the largest square of one grey."""
    rows, columns = np.nonzero((image == grey).all(2))
    return rows.min(), columns.min(), rows.max() + 1 - rows.min(), columns.max() + 1 - columns.min()


@pytest.mark.parametrize("channels", [1, 3])
def test_a_sheet_sets_pictures_in_rows_under_their_columns(channels):
    rows = [
        Row("one", squares(140, 150, 160, channels=channels)),
        Row("two", squares(170, 180, 190, channels=channels), "more", [["a"], ["b", "c"], []]),
    ]
    image = read(sheet("Title", "below it", [Rows("Heading", ["x", "y", "z"], rows, "the end")]))
    places = [found_at(image, grey) for grey in (140, 150, 160, 170, 180, 190)]
    assert {(high, wide) for _, _, high, wide in places} == {(90, 120)}, "three times as large"
    tops, lefts = [one[0] for one in places], [one[1] for one in places]
    assert tops[0] == tops[1] == tops[2] < tops[3] == tops[4] == tops[5]
    assert lefts[:3] == lefts[3:]
    assert lefts[1] - lefts[0] > lefts[2] - lefts[1], "the first column stands apart"
    assert image.shape[0] > tops[5] + 90 + 40
    assert (image[:20] == 255).all()
    assert (image[-20:] == 255).all()
    assert (image[:, -20:] == 255).all()


def test_longer_words_make_a_longer_sheet_and_never_a_wider_one():
    def drawn(text, name="name", note="note"):
        row = Row(name, squares(1, 2), notes=[[note], [note]])
        return read(sheet("T", "s", [Rows("H", ["a", "b"], [row], text)])).shape

    short = drawn("word")
    assert drawn("word " * 300)[0] > short[0]
    assert drawn("word" * 300) == short, "a word that is too long is cut"
    for longer in (drawn("word " * 300), drawn("word", name="x" * 999), drawn("word", note="y" * 999)):
        assert longer[1] == short[1]


@pytest.mark.parametrize("letter", "áéíóúüñÁÉÍÓÚÜÑ¿¡çàèâêôãõäößøåşğłžαλжщ×–±°…")
def test_every_letter_of_europe_can_be_drawn(letter):
    def drawn(text):
        return sheet("T", "s", [Rows("H", ["a"], [Row(text, squares(1))])])

    assert drawn(letter) != drawn("\N{FULLWIDTH QUESTION MARK}"), "the box of a letter that is missing"


def test_a_sheet_without_pictures_is_refused():
    with pytest.raises(ValueError, match="a sheet needs pictures"):
        sheet("T", "s", [Rows("H", [], [])])
