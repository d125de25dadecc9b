"""The museum: what is listed, and each lesson as a page."""

import json
import re
import zipfile

import numpy as np
import pytest
from PIL import Image
from scipy.signal import convolve2d

from vistazo.cli import main
from vistazo.errors import ConfigError, DiskError, SourceError, UnknownName, UsageError
from vistazo.language import speaking
from vistazo.museum.exhibits import Exhibit, exhibits, listing, visit

LESSONS = ["kernels", "pooling", "cnn"]


@pytest.fixture
def photo(tmp_path):
    """A picture of 40 × 60 in colour, bright on the right."""
    pixels = np.random.default_rng(2).integers(0, 60, (40, 60, 3)).astype(np.uint8)
    pixels[:, 30:] += 180
    path = tmp_path / "año nuevo.png"
    Image.fromarray(pixels).save(path)
    return path


def test_the_lessons_are_listed_with_a_line_and_a_kind():
    told = listing()
    assert [one["name"] for one in told] == LESSONS
    assert all(one["about"] and one["kind"] == "lesson" for one in told)


def test_a_spaniard_is_told_the_spanish_names(capsys):
    assert main(["--lang", "es", "museo"]) == 0
    told = capsys.readouterr().out
    assert [line.split()[0] for line in told.splitlines()[:3]] == ["nucleos", "agrupacion", "red"]


@pytest.mark.parametrize("threshold", ["nan", "inf", "-inf"])
def test_a_threshold_is_a_number(threshold, tmp_path):
    with pytest.raises(ConfigError, match="--threshold is a number, not"):
        visit("kernels", None, tmp_path / "out", threshold=float(threshold))


def test_a_network_can_be_registered_beside_them():
    mine = Exhibit("a perceptron", "network", "perceptron", lambda file, out: {"lines": []})
    exhibits.register("perceptron-test")(mine)
    try:
        assert listing()[-1] == {"name": "perceptron-test", "kind": "network", "about": "a perceptron"}
        assert visit("perceptron-test") == {"lines": []}
    finally:
        del exhibits._entries["perceptron-test"]


@pytest.mark.parametrize("name", LESSONS)
@pytest.mark.parametrize("language", ["en", "es"])
def test_a_lesson_is_one_page_with_its_pictures_and_no_script(name, language, photo, tmp_path):
    with speaking(language):
        told = visit(name, photo, tmp_path / "out")
    page = (tmp_path / "out" / "lesson.html").read_text(encoding="utf-8")
    assert told["page"] == str(tmp_path / "out" / "lesson.html")
    assert "año nuevo.png" in page
    assert "<script" not in page
    assert not re.search(r"(src|href)=\"(?!data:|#)", page)
    assert f'<html lang="{language}">' in page
    for file in told["files"]:
        with Image.open(file) as image:
            image.verify()
    json.dumps(told)


def test_the_told_pixel_is_that_of_scipy(photo, tmp_path):
    told = visit("kernels", photo, tmp_path / "out")
    with Image.open(photo) as image:
        grey = np.asarray(image.convert("L")).astype(np.int64)
    for one in told["kernels"]:
        sums = convolve2d(grey, np.array(one["numbers"]), mode="same")
        worked = one["worked"]
        assert sums[worked["row"] - 1, worked["column"] - 1] == worked["sum"] == np.sum(worked["products"])
        assert worked["shown"] == (255 if worked["sum"] > 50 else 0)
        assert one["white"] == pytest.approx(float((sums > 50).mean()))
        with Image.open(tmp_path / "out" / f"{one['name']}.png") as image:
            shown = np.asarray(image)
        times = shown.shape[0] // sums.shape[0]
        assert np.array_equal(shown[::times, ::times] == 255, sums > 50)


def test_a_divided_kernel_is_shown_in_grey_without_threshold(photo, tmp_path):
    (blur,) = visit("kernels", photo, tmp_path / "out", kernel="blur")["kernels"]
    assert blur["threshold"] is None
    assert blur["worked"]["shown"] == round(min(255, blur["worked"]["sum"] / 9))


def test_stride_and_padding_are_told_and_shown(photo, tmp_path):
    told = visit("kernels", photo, tmp_path / "out", stride=2, padding="valid", operation="correlation")
    assert told["kernels"][0]["output"] == [19, 29]
    page = (tmp_path / "out" / "lesson.html").read_text(encoding="utf-8")
    assert "(40 + 2 × 0 − 3) // 2 + 1 = 19" in page
    assert "Shown is a correlation" in page


def test_pooling_is_told(photo, tmp_path):
    told = visit("pooling", photo, tmp_path / "out", size=3)
    assert told["output"] == [13, 20]
    assert told["worked"]["mean"] == pytest.approx(np.mean(told["worked"]["pixels"]))
    assert told["worked"]["largest"] == np.max(told["worked"]["pixels"])


def test_without_a_picture_one_of_the_package_is_shown(tmp_path):
    told = visit("cnn", None, tmp_path)
    assert told["parameters"] == 208_982
    assert "Fashion-MNIST" in told["lines"][0]


def test_a_huge_picture_is_shrunk_and_that_is_said(tmp_path):
    Image.new("L", (3000, 1500), 90).save(tmp_path / "huge.png")
    told = visit("pooling", tmp_path / "huge.png", tmp_path / "out")
    assert told["size"] == [240, 480]
    assert told["shrunk_from"] == [1500, 3000]
    assert "1500 × 3000 pixels; it is shown, and computed with, at 240 × 480" in told["lines"][0]


def test_of_several_pictures_the_first_is_shown_and_that_is_said(photo, tmp_path):
    with zipfile.ZipFile(tmp_path / "two.zip", "w") as archive:
        archive.write(photo, "a/one.png")
        archive.write(photo, "a/two.png")
    told = visit("pooling", tmp_path / "two.zip", tmp_path / "out")
    assert told["file"] == "one.png"
    assert "holds several pictures; this is the first" in told["lines"][0]


def test_bad_input_is_told_in_a_sentence(photo, tmp_path):
    out = tmp_path / "out"
    with pytest.raises(UnknownName, match="There is no exhibit 'kernel'. Did you mean 'kernels'"):
        visit("kernel", photo, out)
    with pytest.raises(UsageError, match="pooling does not take --kernel"):
        visit("pooling", photo, out, kernel="blur")
    with pytest.raises(SourceError, match="nothing.png cannot be shown: the file does not exist"):
        visit("kernels", tmp_path / "nothing.png", out)
    (tmp_path / "broken.png").write_bytes(photo.read_bytes()[:300])
    with pytest.raises(SourceError, match="broken.png cannot be shown: it is damaged or cut short"):
        visit("cnn", tmp_path / "broken.png", out)
    (tmp_path / "empty").mkdir()
    with pytest.raises(SourceError, match="there are no pictures in it"):
        visit("cnn", tmp_path / "empty", out)
    Image.new("L", (1, 1)).save(tmp_path / "dot.png")
    with pytest.raises(ConfigError, match="does not fit into a picture of 1 × 1"):
        visit("kernels", tmp_path / "dot.png", out, padding="valid")
    with pytest.raises(ConfigError, match="do not fit a picture of 1 × 1"):
        visit("pooling", tmp_path / "dot.png", out)
    assert not out.exists()
    (tmp_path / "file").write_text("")
    with pytest.raises(DiskError):
        visit("kernels", photo, tmp_path / "file" / "out")


def test_a_picture_of_one_pixel_has_a_page(tmp_path):
    Image.new("L", (1, 1), 200).save(tmp_path / "dot.png")
    told = visit("kernels", tmp_path / "dot.png", tmp_path / "out", kernel="outline")
    assert told["kernels"][0]["worked"]["sum"] == 1600
    assert visit("cnn", tmp_path / "dot.png", tmp_path / "cnn")["parameters"] == 208_982


def test_a_long_strip_and_a_large_kernel_have_pages(tmp_path):
    Image.new("L", (2, 400), 200).save(tmp_path / "strip.png")
    numbers = ";".join([" ".join(["1"] * 13)] * 13)
    told = visit("kernels", tmp_path / "strip.png", tmp_path / "out", kernel=numbers)
    assert told["kernels"][0]["output"] == [400, 2]
    assert not (tmp_path / "out" / "yours-worked-products.png").exists()  # 13 × 13 numbers would not be read


# ---------------------------------------------------------------- the command line
def test_the_museum_of_the_command_line(photo, tmp_path, capsys):
    assert main(["museum", "--json"]) == 0
    assert [one["name"] for one in json.loads(capsys.readouterr().out)["exhibits"]] == LESSONS
    out = str(tmp_path / "visto")
    assert main(["museo", "nucleos", str(photo), "--salida", out, "--nucleo", "enfocar", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["name"] == "kernels"
    assert told["kernels"][0]["name"] == "sharpen"
    assert main(["museum", "pooling", str(photo), "--out", out, "--size", "4"]) == 0
    assert "40 × 60 pixels become 10 × 15" in capsys.readouterr().out
    assert main(["museum", "kernels", str(photo), "--kernel", "1 2; 3 4"]) == 2
    assert main(["museum", "kernels", str(photo), "--stride", "0"]) == 2
