"""The picture of what the network will see: true to training, of any source, in both languages."""

import json
import zipfile

import numpy as np
import pytest
from PIL import Image

from vistazo import tasks
from vistazo.classification.config import ClassificationConfig
from vistazo.classification.showing import show
from vistazo.config import build
from vistazo.tables.config import TableConfig

EVERY = "recipe,rotate,crop,contrast,colour,noise,cutout,mixup"


def drawn(source, out, **settings):
    told = show(source, build(ClassificationConfig, settings), out)
    return told, np.asarray(Image.open(out))


def holds(image, picture, times):
    """Whether a picture stands in the image, each of its pixels so many times as large."""
    large = picture.repeat(times, 0).repeat(times, 1)
    if large.shape[2] == 1:
        large = large.repeat(3, 2)
    high, wide = large.shape[:2]
    corners = np.argwhere((image == large[0, 0]).all(2))
    return any(
        np.array_equal(image[top : top + high, left : left + wide], large)
        for top, left in corners
        if (image[top : top + high, left : left + wide].shape == large.shape)
    )


@pytest.fixture
def colours(folder_of_pictures, in_tmp):
    return folder_of_pictures(in_tmp / "señales", "rojo", "verde", "azul")


def test_the_originals_stand_in_it_and_what_training_draws(colours, in_tmp):
    from vistazo.pictures.sources import read_source

    told, image = drawn(colours, in_tmp / "a.png")
    assert told["augmented"]["operations"] == [["shift", 1, 1], ["flip", 1, 1]]
    found = read_source(colours, classes_file=None)
    originals = [np.asarray(Image.open(colours / found.store.name(row))) for row in range(len(found.index))]
    shown = [at for at, one in enumerate(originals) if holds(image, one, 5)]
    assert len(shown) == 6
    assert {int(found.index.label[at]) for at in shown} == {0, 1, 2}
    mirrored = [at for at in shown if holds(image, originals[at][:, ::-1], 5)]
    assert len(mirrored) < 6, "a shift of nothing is one of nine"


def test_every_change_has_a_row_of_its_own_where_there_are_several(colours, in_tmp):
    few, one = drawn(colours, in_tmp / "a.png", augment="rotate")[1], None
    several, one = drawn(colours, in_tmp / "b.png", augment="rotate,hue,mixup=1")[1], few
    assert several.shape[0] > one.shape[0] + 3 * 100
    assert several.shape[1] == one.shape[1]


def test_the_same_settings_draw_the_same_picture_and_another_seed_another(colours, in_tmp):
    files = []
    for at, seed in enumerate((0, 0, 1)):
        drawn(colours, in_tmp / f"{at}.png", augment=EVERY, seed=seed)
        files.append((in_tmp / f"{at}.png").read_bytes())
    assert files[0] == files[1] != files[2]


@pytest.mark.parametrize("kind", ["zip", "idx", "npy", "manifest", "grey folder"])
def test_any_source_of_pictures_will_do(kind, colours, wardrobe, in_tmp, clothes):
    source = colours
    if kind == "zip":
        source = in_tmp / "s.zip"
        with zipfile.ZipFile(source, "w") as archive:
            for path in colours.rglob("*.png"):
                archive.write(path, path.relative_to(colours))
    elif kind == "idx":
        source = wardrobe
    elif kind == "npy":
        source = in_tmp / "arrays"
        source.mkdir()
        for at, name in enumerate(("left", "right")):
            np.save(source / f"{name}.npy", clothes[0][at * 50 : at * 50 + 50])
    elif kind == "manifest":
        source = in_tmp / "s.csv"
        rows = [f"{path},{path.parent.name}" for path in sorted(colours.rglob("*.png"))]
        source.write_text("\n".join(["path,label", *rows]), encoding="utf-8")
    else:
        source = in_tmp / "grey"
        for path in colours.rglob("*.png"):
            (source / path.parent.name).mkdir(parents=True, exist_ok=True)
            Image.open(path).convert("L").save(source / path.parent.name / path.name)
    told, image = drawn(source, in_tmp / "a.png", augment=EVERY)
    assert image.ndim == 3
    names = [one[0] for one in told["augmented"]["operations"]]
    assert ("colour" in names) == (kind in ("zip", "manifest"))


@pytest.mark.parametrize(
    "settings",
    [
        pytest.param({"recipe": "balanced"}, id="balanced"),
        pytest.param({"recipe": "transfer", "size": "32"}, id="transfer"),
        pytest.param({"recipe": "tutorial-cifar"}, id="tutorial"),
    ],
)
def test_a_hole_has_the_colour_it_has_in_training(colours, in_tmp, monkeypatch, settings):
    """The colour of holes that training is given, and the one that is shown, from a real run's own call."""
    from vistazo.classification import task
    from vistazo.pictures.augmentation import Augmenter

    fills, real = [], Augmenter.__init__

    def watched(self, plan, *, seed, fill, **rest):
        fills.append(tuple(fill))
        real(self, plan, seed=seed, fill=fill, **rest)

    monkeypatch.setattr(Augmenter, "__init__", watched)
    drawn(colours, in_tmp / "a.png", augment="cutout", **settings)

    class Enough(Exception):
        pass

    def enough(*given, **rest):
        raise Enough

    monkeypatch.setattr(task.transfer, "warm_start", enough)
    monkeypatch.setattr(task, "fit", enough)
    words = {"augment": "cutout", "precision": "fp32", "layout": "contiguous", "threads": 1, **settings}
    with pytest.raises(Enough):
        tasks.train(colours, out="run", quiet=True, **words)
    shown, trained = fills[0], fills[-1]
    # The mean is that of the pictures that are looked at, here with those that are set aside.
    assert trained == pytest.approx(shown, abs=2.0 if settings["recipe"] == "balanced" else 0)
    expected = {"transfer": (127.0,) * 3, "tutorial-cifar": (0.0,) * 3}.get(settings["recipe"])
    assert expected is None or shown == expected


def test_pictures_of_several_labels_are_shown_with_all_of_them(colours, in_tmp, monkeypatch):
    """Every label and every set of labels is there, mixed pictures say what they count as, and none is refused."""
    from vistazo.pictures import drawing

    rows = [
        f"{path},{label}"
        for folder, label in (("azul", "cold"), ("rojo", "cold|warm"), ("verde", ""))
        for path in sorted((colours / folder).glob("*.png"))
    ]
    (in_tmp / "s.csv").write_text("\n".join(["path,labels", *rows]), encoding="utf-8")
    sheets, real = [], drawing.sheet
    monkeypatch.setattr(drawing, "sheet", lambda *given: sheets.append(given[2]) or real(*given))
    for augment in ("recipe", "mixup=1"):
        image = drawn(in_tmp / "s.csv", in_tmp / "a.png", augment=augment)[1]
        assert image.ndim == 3
    plain, mixed = (parts[0].rows for parts in sheets)
    assert {row.name for row in plain} == {"cold", "cold, warm", "no label"}
    assert not any(row.notes for row in plain)
    shares = [note for row in mixed for lines in row.notes for note in lines]
    assert any(note.endswith("% warm") for note in shares)


def test_no_picture_of_an_official_test_part_is_shown(write_idx, clothes, in_tmp):
    pictures, labels = clothes
    source = write_idx(in_tmp / "s", "train", pictures[:60], labels[:60])
    write_idx(source, "t10k", 255 - pictures[300:], labels[300:])
    _, one = drawn(source, in_tmp / "a.png")
    write_idx(source, "t10k", pictures[300:] // 2, labels[300:])
    assert np.array_equal(drawn(source, in_tmp / "a.png")[1], one)


# ---------------------------------------------------------------- on the command line
def test_check_writes_it_beside_the_current_folder_and_says_where(verb, colours, in_tmp):
    said = verb("check", colours, "--augmented")
    assert said.code == 0, said.err
    assert "what the network will see: augmented.png" in said.out
    assert "  flip: mirrored every other epoch" in said.out
    assert "next:   vistazo train" in said.out
    Image.open(in_tmp / "augmented.png").verify()


@pytest.mark.parametrize(
    "words",
    [
        ["--augmented", "--augment", "rotate=30,noise", "--out", "x.png"],
        ["--augment", "rotate=30,noise", "--out", "x.png"],
        ["--aumentadas", "--aumento", "rotate=30,noise", "--salida", "x.png", "--semilla", "4"],
    ],
)
def test_its_options_mean_it(verb, colours, in_tmp, words):
    told = verb("check", colours, *words, "--json").json
    assert told["augmented"] == {
        "file": "x.png",
        "operations": [["rotate", -30, 30], ["noise", 0, 0.05]],
    }
    assert told["counts"] == {"azul": 12, "rojo": 12, "verde": 12}
    assert (in_tmp / "x.png").exists()


def test_without_its_options_nothing_is_drawn(verb, colours, in_tmp):
    assert "augmented" not in verb("check", colours, "--json").json
    assert not list(in_tmp.glob("*.png"))


def test_options_that_say_how_a_source_is_read_draw_nothing(verb, wardrobe, in_tmp):
    names = [f"kind {at}" for at in range(10)]
    (in_tmp / "names.txt").write_text("\n".join(names), encoding="utf-8")
    (in_tmp / "run.toml").write_text('augment = "rotate"\nclasses = "names.txt"\n', encoding="utf-8")
    for words in (
        ["--classes", "names.txt"],
        ["--seed", "3", "--clases", "names.txt"],
        ["--config", "run.toml"],
    ):
        told = verb("check", wardrobe, *words, "--json").json
        assert list(told["counts"]) == names
        assert "augmented" not in told
    assert not list(in_tmp.glob("*.png"))


def test_settings_of_a_file_are_shown_and_typed_ones_win(verb, colours, in_tmp):
    (in_tmp / "run.toml").write_text(
        'augment = ["hue", "noise"]\nflip = "off"\nepochs = 3\n', encoding="utf-8"
    )
    words = ("check", colours, "--augmented", "--json")
    one = verb(*words, "--config", "run.toml").json["augmented"]["operations"]
    assert one == [["hue", -20, 20], ["noise", 0, 0.05]]
    other = verb(*words, "--configuracion", "run.toml", "--augment", "rotate").json["augmented"]["operations"]
    assert other == [["rotate", -15, 15]]
    said = verb(*words, "--config", "nowhere.toml")
    assert (said.code, "nowhere.toml cannot be read" in said.err) == (2, True)


def test_the_settings_of_a_run_show_what_it_saw(verb, colours, tiny, in_tmp):
    assert verb("train", colours, *tiny, "--augment=rotate=30", "--out=run", "--quiet").code == 0
    told = verb("check", colours, "--augmented", "--config=run/config.json", "--json").json
    assert told["augmented"]["operations"] == [["rotate", -30, 30]]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--out", "x.jpg"], "--out must end in .png, not 'x.jpg'."),
        (["--augment", "rotat"], "There is no augmentation 'rotat'. Did you mean 'rotate'?"),
        (["--augment", "flip", "--flip", "off"], "--flip off and the flip in --augment contradict"),
        (["--recipe", "quik"], "There is no recipe 'quik'. Did you mean 'quick'?"),
        (["--out", "nowhere/x.png"], "nowhere/x.png could not be written (No such file or directory)."),
    ],
)
def test_what_cannot_be_is_told_in_a_sentence_and_nothing_is_written(verb, colours, in_tmp, words, says):
    said = verb("check", colours, *words)
    assert said.code in (1, 2)
    assert said.err.startswith(says)
    assert said.err.count("\n") == 1
    assert not list(in_tmp.glob("*.png"))


def test_a_table_has_no_pictures_to_show(in_tmp, verb):
    (in_tmp / "t.csv").write_text("a,b\n1,2\n2,3\n", encoding="utf-8")
    said = verb("check", "t.csv", "--augmented")
    assert (said.code, "--augmented shows pictures, and t.csv is a table" in said.err) == (2, True)


def test_in_python_it_is_the_same(colours, in_tmp):
    told = tasks.check(colours, TableConfig(), augmented={"augment": "blur"}, out=in_tmp / "p.png")
    assert json.loads(json.dumps(told))["augmented"]["operations"] == [["blur", 0, 1]]
