"""A drawing is brought to what the model learnt from, which is measured on its training pictures."""

from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from vistazo.errors import SourceDamaged
from vistazo.pictures import index, sources
from vistazo.pictures.strokes import drawing, render
from vistazo.studio import sketches
from vistazo.studio.sketches import MNIST, Manner, measured, sketch

SEVEN = [[[70.0, 190.0, 110.0], [50.0, 50.0, 216.0]]]
CHANCE = np.random.default_rng(0)
NAMES = ("0", "1", "7")


@pytest.fixture
def digits(drawn):
    """digits(60): as MNIST has them, (60, 28, 28, 1), by arithmetic that is not the studio's."""

    def some(count: int = 60) -> np.ndarray:
        return np.stack([drawn.digit(NAMES[one % 3], CHANCE) for one in range(count)])[..., None]

    return some


def middle_of_mass(pixels: np.ndarray) -> tuple[float, float]:
    ink = pixels.astype(float)
    rows, columns = np.indices(ink.shape) + 0.5
    return float((ink * rows).sum() / ink.sum()), float((ink * columns).sum() / ink.sum())


def extent(pixels: np.ndarray) -> tuple[int, int]:
    there = pixels > 64
    return int(np.ptp(np.flatnonzero(there.any(1)))) + 1, int(np.ptp(np.flatnonzero(there.any(0)))) + 1


# ---------------------------------------------------------------- what the model learnt from
def test_digits_like_those_of_mnist_are_measured(digits):
    found = measured(digits())
    assert found is not None and found.light and found.by_mass and found.measured == 60
    assert abs(found.extent - 20 / 28) < 1.5 / 28
    assert abs(found.width - 2.5 / 28) < 0.6 / 28  # the pen of the test is 20 of 224 wide


def test_dark_lines_on_light_paper_are_told_from_light_ones_on_dark(digits):
    found = measured(255 - digits())
    assert found is not None and not found.light
    assert abs(found.extent - 20 / 28) < 1.5 / 28


def test_drawings_centred_by_their_box_are_told_from_those_centred_by_mass():
    strokes = [CHANCE.uniform(0, 255, (2, 6)).tolist() for _ in range(40)]
    pictures = np.stack([render(drawing([one]), 28) for one in strokes])[..., None]
    found = measured(pictures)
    assert found is not None and found.light and not found.by_mass


def test_pictures_that_are_no_drawings_have_no_manner(digits):
    assert measured(CHANCE.integers(0, 256, (40, 28, 28, 1), dtype=np.uint8)) is None
    blobs = np.zeros((40, 28, 28, 1), np.uint8)
    blobs[:, 8:22, 4:24] = 200  # a shirt is no line
    assert measured(blobs) is None
    assert measured(digits(5)) is None


def test_real_digits_and_real_drawings(real_data):
    found = sources.read_source(real_data / "mnist", classes_file=None)
    some = np.stack([found.store.read(row) for row in range(0, 4000, 20)])
    mnist = measured(some.reshape(-1, 28, 28, 1))
    assert mnist is not None and mnist.light and mnist.by_mass
    assert abs(mnist.extent - MNIST.extent) < 0.01 and abs(mnist.width - MNIST.width) < 0.01
    if not (real_data / "quickdraw" / "cat.npy").exists():
        pytest.skip("Quick, Draw! is not on this machine")
    cats = np.load(real_data / "quickdraw" / "cat.npy", mmap_mode="r")[:200].reshape(-1, 28, 28, 1)
    drawn = measured(np.asarray(cats))
    assert drawn is not None and drawn.light and not drawn.by_mass and drawn.extent > 0.9


def model(size, mean) -> SimpleNamespace:
    return SimpleNamespace(size=size, normaliser=SimpleNamespace(mean=mean))


def test_without_its_pictures_a_small_grey_model_is_judged_by_its_mean(tmp_path):
    assert sketches.manner_of(model((28, 28, 1), [33.3]), tmp_path) == MNIST
    assert not sketches.manner_of(model((28, 28, 1), [221.0]), tmp_path).light
    assert sketches.manner_of(model((28, 28, 1), [0.0]), tmp_path).light  # pixels divided by 255 tell nothing
    assert "not at hand" in sketches.manner_of(model((28, 28, 1), [33.3]), tmp_path).sentence()


def test_a_model_of_photographs_gets_the_drawing_as_it_stands(tmp_path):
    for one in (model((224, 224, 3), [120.0, 110.0, 100.0]), model((32, 32, 3), [125.0, 122.0, 113.0])):
        found = sketches.manner_of(one, tmp_path)
        assert not found.fitted and not found.light
        assert "as it stands" in found.sentence()


# ---------------------------------------------------------------- the drawing
@pytest.mark.parametrize("away", [0, 60])
@pytest.mark.parametrize("scale", [0.3, 1.0])
def test_a_drawing_anywhere_of_any_size_fills_20_of_28_pixels_around_its_mass(away, scale):
    strokes = [[[one * scale for one in axis] for axis in stroke] for stroke in SEVEN]
    strokes = [[[one + away for one in stroke[0]], stroke[1]] for stroke in strokes]
    pixels = sketch(strokes, MNIST, (28, 28, 1))
    assert pixels.shape == (28, 28, 1) and pixels.dtype == np.uint8
    down, right = middle_of_mass(pixels[..., 0])
    assert abs(down - 14) < 0.3 and abs(right - 14) < 0.3
    assert 19 <= max(extent(pixels[..., 0])) <= 21
    assert pixels[0, 0, 0] == 0 and pixels.max() == 255


def test_dark_on_light_and_centred_by_the_box():
    manner = Manner(light=False, extent=0.8, width=0.06, by_mass=False)
    pixels = sketch(SEVEN, manner, (40, 40, 3))
    assert pixels.shape == (40, 40, 3) and pixels[0, 0].tolist() == [255, 255, 255] and pixels.min() < 30
    ink = 255 - pixels[..., 0]
    down, right = np.flatnonzero((ink > 64).any(1)), np.flatnonzero((ink > 64).any(0))
    assert abs((down[0] + down[-1] + 1) / 2 - 20) <= 1 and abs((right[0] + right[-1] + 1) / 2 - 20) <= 1


def test_a_drawing_that_is_not_fitted_keeps_its_place():
    pixels = sketch([[[10, 10], [10, 60]]], Manner(False, 1.0, 16 / 256, fitted=False), (128, 128, 3))
    assert pixels[15, 5, 0] < 60 and pixels[100, 100, 0] == 255


def test_a_dot_is_a_dot():
    pixels = sketch([[[200], [30]]], MNIST, (28, 28, 1))[..., 0]
    assert pixels[13:15, 13:15].min() > 128 and (pixels > 64).sum() < 20


@pytest.mark.parametrize(
    "strokes", [[], [[]], [[[1, 2], [1]]], [[["a"], ["b"]]], [[[float("nan")], [1.0]]], ["x"], [5]]
)
def test_what_is_no_drawing_is_told(strokes):
    with pytest.raises(SourceDamaged):
        sketch(strokes, MNIST, (28, 28, 1))


def test_far_too_many_points_are_told():
    with pytest.raises(SourceDamaged):
        sketch([[[1.0] * 60_000, [1.0] * 60_000]], MNIST, (28, 28, 1))


def test_examples_are_read_by_the_run(tmp_path, digits):
    assert sketches.examples(tmp_path, (28, 28, 1)) is None  # no index at all
    for name in ("a", "b"):
        (tmp_path / "given" / name).mkdir(parents=True)
        for one in range(12):
            Image.fromarray(digits(1)[0, ..., 0]).save(tmp_path / "given" / name / f"{one}.png")
    found = sources.read_source(tmp_path / "given", classes_file=None)
    run = tmp_path / "run"
    run.mkdir()
    parts = np.array(["train"] * len(found.index), dtype="U10")
    index.write_index(found.index.replace(split=parts), run / "index.parquet")
    pictures = sketches.examples(run, (28, 28, 1))
    assert pictures is not None and pictures.shape == (24, 28, 28, 1)
