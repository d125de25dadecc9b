"""The program that knows no Vistazo answers as Vistazo does, by the rule of docs/decoding.md."""

import ast
import importlib.util
import io
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import vistazo
from vistazo.pictures.decoding import decode

PROGRAM = Path(__file__).parents[1] / "examples" / "standalone" / "predict.py"


@pytest.fixture(scope="module")
def program():
    """The program as a module."""
    spec = importlib.util.spec_from_file_location("standalone", PROGRAM)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def photo(width, height):
    """A smooth picture with an edge, as a camera's are."""
    x, y = np.meshgrid(np.linspace(0, 6, width), np.linspace(0, 5, height))
    waves = [127 + 120 * np.sin(x + at) * np.cos(y - at) for at in range(3)]
    pixels = np.stack(waves, axis=-1).astype(np.uint8)
    pixels[height // 3 : height // 2, width // 4 : width // 2] //= 2
    return Image.fromarray(pixels)


def encode(image, form, **options):
    sink = io.BytesIO()
    image.save(sink, form, **options)
    return sink.getvalue()


def exif(turn):
    found = Image.Exif()
    found[0x0112] = turn
    return found


def sixteen_bits():
    return Image.fromarray((np.asarray(photo(90, 70).convert("L")).astype(np.uint16) << 8) + 99)


EXACT = {
    "PNG": encode(photo(300, 200), "PNG"),
    "tall": encode(photo(70, 300), "PNG"),
    "small": encode(photo(20, 18), "PNG"),
    "as wanted": encode(photo(64, 48), "PNG"),
    "grey": encode(photo(300, 200).convert("L"), "PNG"),
    "palette": encode(photo(300, 200).quantize(16), "PNG"),
    "transparent": encode(photo(300, 200).convert("RGBA").rotate(20), "PNG"),
    "16 bits": encode(sixteen_bits(), "PNG"),
    "CMYK": encode(photo(300, 200).convert("CMYK"), "JPEG"),
    "TIFF": encode(photo(300, 200), "TIFF", exif=exif(6)),
    **{f"turn {turn}": encode(photo(300, 200), "PNG", exif=exif(turn)) for turn in range(1, 9)},
}
CLOSE = {
    f"{width} x {height}, {turn}": encode(photo(width, height), "JPEG", quality=90, exif=exif(turn))
    for width, height, turn in ((500, 400, 1), (1000, 800, 6), (1000, 800, 3), (640, 200, 8), (64, 48, 1))
} | {"progressive": encode(photo(700, 500), "JPEG", progressive=True)}


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", [*EXACT, *CLOSE])
def test_the_rule_gives_the_pixels_that_vistazo_gives(program, tmp_path, name, channels):
    data = EXACT.get(name) or CLOSE[name]
    (tmp_path / "picture").write_bytes(data)
    theirs = program.picture(tmp_path / "picture", 48, 64, channels, "#204060").astype(int)
    ours = decode(data, height=48, width=64, channels=channels, background="#204060").astype(int)
    if name in EXACT:
        assert (ours == theirs).all()
    else:
        # 640 x 200 is decoded at 3/8 here and at 1/2 there: the edge falls a little otherwise
        assert np.abs(ours - theirs).max() <= (20 if name.startswith("640") else 4)
        assert np.abs(ours - theirs).mean() < 0.7


def test_every_answer_is_that_of_vistazo(program, trained, clothes, tmp_path):
    files = []
    for at, pixels in enumerate(clothes[0][300:360]):
        large = Image.fromarray(pixels).resize((500, 400), Image.Resampling.BICUBIC).convert("RGB")
        files.append(tmp_path / f"{at}.{'jpg' if at % 2 else 'png'}")
        large.save(files[-1])
    ours = list(vistazo.load(trained).predict(files))
    theirs = list(program.answers(trained / "model.vistazo", files))
    assert [one["class"] for one in ours] == [name for _, name, _ in theirs]
    assert len({name for _, name, _ in theirs}) > 3
    apart = [abs(one["probability"] - two[2]) for one, two in zip(ours, theirs, strict=True)]
    assert max(apart[::2]) < 1e-5  # PNG: the same pixels
    assert max(apart) < 0.05


def test_the_program_needs_no_vistazo(trained, clothes, tmp_path):
    names = {
        (node.module if isinstance(node, ast.ImportFrom) else node.names[0].name).split(".")[0]
        for node in ast.walk(ast.parse(PROGRAM.read_text(encoding="utf-8")))
        if isinstance(node, ast.Import | ast.ImportFrom)
    }
    assert names - sys.stdlib_module_names == {"numpy", "torch", "PIL"}
    Image.fromarray(clothes[0][300]).save(tmp_path / "a.png")
    done = subprocess.run(
        [sys.executable, "-P", str(PROGRAM), str(trained / "model.vistazo"), "--json"],
        input=str(tmp_path / "a.png"), capture_output=True, text=True, check=True, env={"PATH": ""},
    )  # fmt: skip
    (answer,) = vistazo.load(trained).predict(tmp_path / "a.png")
    assert json.loads(done.stdout)["class"] == answer["class"]
