"""The command line as its contract says: words, streams, exit codes, both languages, any console."""

import contextlib
import csv
import gzip
import html
import json
import os
import re
import shutil
import struct
import subprocess
import sys
import time
import unicodedata
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

import vistazo
from vistazo import bundle, cli, commands
from vistazo.bundle import FORMAT
from vistazo.engine import runs
from vistazo.language import LANGUAGES

VERBS = {
    "train": "entrenar",
    "resume": "reanudar",
    "evaluate": "evaluar",
    "predict": "predecir",
    "embed": "incrustar",
    "search": "buscar",
    "models": "modelos",
    "recipes": "recetas",
    "inside": "dentro",
    "museum": "museo",
    "demo": "demo",
}


@pytest.fixture(scope="session")
def images(wardrobe):
    return wardrobe / "t10k-images-idx3-ubyte"


# ---------------------------------------------------------------- start
@pytest.mark.parametrize("words", [["--help"], ["train", "--help"], ["--version"], ["recipes"]])
def test_help_needs_no_torch(words):
    code = "import sys, vistazo.cli; vistazo.cli.main(sys.argv[1:]); sys.exit('torch' in sys.modules)"
    told = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, check=False)
    # Listing recipes asks no network how long it would train.
    assert told.returncode == 0
    assert told.stdout


def test_the_module_is_a_command(launch):
    process = launch("--version")
    out, _ = process.communicate(timeout=30)
    assert (process.returncode, out.decode().split()) == (0, ["vistazo", vistazo.__version__])


@pytest.mark.parametrize("language", LANGUAGES)
def test_help_lists_every_verb_and_every_option_has_a_help(verb, language):
    said = verb("--lang", language, "--help")
    assert said.code == 0
    for name in VERBS:
        assert re.search(rf"\n  {name}[ ,]", said.out)
    for name in VERBS:
        page = verb(name, "--help", "--lang", language)
        assert page.code == 0
        assert "--json" in page.out
        assert "{" not in page.out


def test_without_words_it_helps(verb):
    assert "train" in verb().out


# ---------------------------------------------------------------- one JSON object
def test_train_tells_the_keys_of_the_contract(verb, wardrobe, tiny):
    told = verb("train", wardrobe, *tiny, "--out", "run", "--json").json
    assert set(told) >= {"run", "model", "task", "parameters", "epochs", "seconds", "metrics"}
    assert set(told["metrics"]) == {"validation", "test"}
    for figures in told["metrics"].values():
        assert set(figures) >= {"accuracy", "loss", "macro_f1"}
    assert (told["run"], told["task"], told["epochs"]) == ("run", "classification", 2)
    assert told["seconds"] > 0


def test_a_part_that_does_not_exist_is_null(verb, in_tmp, tiny, clothes, write_idx):
    pictures, labels = clothes
    few = np.concatenate([np.flatnonzero(labels == name)[:2] for name in range(3)])
    source = write_idx(in_tmp / "s", "train", pictures[few], labels[few])
    told = verb("train", source, *tiny, "--json", "--quiet").json
    assert None in told["metrics"].values()


@pytest.mark.parametrize("quiet", [[], ["--quiet"]])
def test_nothing_but_the_object_is_on_standard_output(verb, trained, wardrobe, images, quiet):
    for words in (
        ["train", wardrobe, "--epochs=1", "--filters=8,16", "--threads=1"],
        ["resume", trained],
        ["evaluate", trained, wardrobe],
        ["predict", trained, images],
        ["predict", trained, images, "--out", "answers.csv"],
        ["models"],
        ["recipes"],
        ["train", "nowhere"],
        ["fly"],
        ["train"],
    ):
        assert isinstance(verb(*words, "--json", *quiet).json, dict)


def test_predict_tells_the_keys_of_the_contract(verb, trained, images, in_tmp):
    (in_tmp / "broken.png").write_bytes(b"\x89PNG")
    told = verb("predict", trained, images, "broken.png", "--json").json
    assert set(told) == {"predictions", "unreadable"}
    assert len(told["predictions"]) == 100
    for answer in told["predictions"]:
        assert set(answer) == {"file", "class", "probability", "top"}
        assert len(answer["top"]) == 5
    assert [set(one) for one in told["unreadable"]] == [{"file", "reason"}]


def test_models_and_recipes_tell_the_keys_of_the_contract(verb):
    told = {one["name"]: one for one in verb("models", "--json").json["models"]}
    assert all(set(one) >= {"name", "parameters", "source"} for one in told.values())
    assert told["mnist_cnn"]["parameters"] == 542_230
    recipes = {one["name"]: one for one in verb("recipes", "--json").json["recipes"]}
    assert {"quick", "tutorial-mnist", "tutorial-quickdraw"} <= set(recipes)
    assert recipes["tutorial-mnist"]["model"] == "mnist_cnn"


def test_an_error_is_an_object_too_and_on_standard_error_a_sentence(verb):
    said = verb("train", "nowhere", "--json")
    assert said.json == {"error": said.err.strip(), "exit_code": 1}


def test_quiet_says_nothing_but_the_result(verb, wardrobe, tiny):
    said = verb("train", wardrobe, *tiny, "--quiet", "--out", "run")
    assert said.err == ""
    assert "test: accuracy" in said.out


def test_evaluate_tells_every_class(verb, trained, wardrobe):
    told = verb("evaluate", trained, wardrobe, "--json").json
    assert told["part"] == "test"
    assert list(told["classes"]) == [str(name) for name in range(10)]
    assert "n = 100" in verb("evaluate", trained, wardrobe).out


# ---------------------------------------------------------------- predict to a file
def test_answers_go_to_csv_and_parquet(verb, trained, images, in_tmp):
    (in_tmp / "broken.png").write_bytes(b"\x89PNG")
    for suffix in ("csv", "parquet"):
        told = verb("predict", trained, images, "broken.png", "--out", f"a.{suffix}", "--json").json
        assert (told["file"], told["count"], len(told["unreadable"])) == (f"a.{suffix}", 100, 1)
    with open("a.csv", newline="", encoding="utf-8-sig") as file:
        rows = list(csv.DictReader(file))
    table = pq.read_table("a.parquet").to_pylist()
    assert list(rows[0]) == list(table[0]) == ["file", "class", "probability", "reason"]
    assert len(rows) == len(table) == 101
    assert [row["class"] for row in rows[:-1]] == [row["class"] for row in table[:-1]]
    assert float(rows[0]["probability"]) == table[0]["probability"]
    assert rows[-1]["file"] == table[-1]["file"] == "broken.png"
    assert rows[-1]["reason"]
    assert table[-1]["class"] is None


def test_a_person_reads_one_line_a_picture(verb, trained, images):
    said = verb("predict", trained, images, "nothing.png", "--top=3")
    lines = said.out.splitlines()
    assert lines[0].startswith(f"{images}#0\t")
    assert lines[0].count("%") == 3
    assert "nothing.png: the file does not exist" in said.err
    assert lines[-1] == "could not be read: 1"


@pytest.mark.parametrize("rest", [(), ("--json",), ("--out", "a.csv")])
def test_where_nothing_could_be_read_the_exit_code_says_so(verb, trained, images, in_tmp, rest):
    said = verb("predict", trained, "nothing.png", *rest)
    assert said.code == 1 and "the file does not exist" in said.out + said.err
    again = verb("predict", trained, "nothing.png", images, *rest)
    assert again.code == 0, again.err
    assert verb("explain", trained, "nothing.png").code == 1


# ---------------------------------------------------------------- both languages
def test_every_verb_has_its_spanish_name(verb, trained, wardrobe, images):
    for english, spanish in VERBS.items():
        assert (
            verb(spanish, "--help").out.partition("\n\n")[2]
            == verb(english, "--help").out.partition("\n\n")[2]
        )
    assert verb("evaluar", trained, wardrobe, "--idioma=es", "--json").code == 0


def test_the_spanish_options_of_the_contract(verb, wardrobe, in_tmp):
    said = verb("entrenar", wardrobe, "--tarea=classification", "--receta=quick", "--epocas=1", "--salida=r",
                "--semilla=3", "--dispositivo=cpu", "--idioma=es", "--filtros=8,16", "--hilos=1", "--json")  # fmt: skip
    assert said.code == 0, said.err
    asked = json.loads((in_tmp / "r/config.json").read_text())["settings"]
    assert (asked["epochs"], asked["seed"], asked["recipe"], asked["device"]) == (1, 3, "quick", "cpu")


def test_the_language_may_be_asked_for_before_or_behind_the_verb(verb):
    one, other = verb("--lang", "es", "models", "--json"), verb("models", "--json", "--lang=es")
    assert one.code == other.code == 0
    assert one.out == other.out


def test_a_language_it_does_not_speak_is_wrong_usage(verb):
    assert verb("models", "--lang=fr").code == 2


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_same_figures_in_either_language(verb, earlier, language):
    said = verb("resume", earlier, "--lang", language)
    assert said.code == 0
    assert "%" in said.out
    assert "{" not in said.out + said.err


# ---------------------------------------------------------------- settings from a file
def test_settings_come_from_toml_and_words_win(verb, wardrobe, tiny, in_tmp):
    (in_tmp / "run.toml").write_text('epochs = 1\nfilters = "8,16"\nseed = 9\nthreads = 1\n')
    assert verb("train", wardrobe, "--config=run.toml", "--seed=4", "--out=r", "--quiet").code == 0
    asked = json.loads((in_tmp / "r/config.json").read_text())["settings"]
    assert (asked["epochs"], asked["filters"], asked["seed"]) == (1, "8,16", 4)


def test_a_run_repeats_itself_from_its_own_settings(verb, trained, wardrobe, in_tmp):
    assert verb("train", wardrobe, "--config", trained / "config.json", "--out=r", "--quiet").code == 0
    assert (in_tmp / "r/model.vistazo").read_bytes() == (trained / "model.vistazo").read_bytes()


# ---------------------------------------------------------------- consoles, as processes of their own
def test_no_terminal_a_c_locale_an_old_console_and_decomposed_accents(launch, folder_of_pictures, in_tmp):
    place = in_tmp / unicodedata.normalize("NFD", "mis imágenes ñ")
    folder_of_pictures(place, unicodedata.normalize("NFD", "camión"), "数字")
    old = {"LC_ALL": "C", "PYTHONIOENCODING": "cp1252", "LANGUAGE": ""}
    composed = in_tmp / "mis imágenes ñ"
    training = launch("entrenar", composed, "--epocas=2", "--filtros=8,16", "--hilos=1", "--salida=año",
                      "--lang=es", env=old)  # fmt: skip
    out, err = training.communicate(timeout=120)
    assert training.returncode == 0, err.decode("cp1252")
    assert b"\r" not in err.replace(b"\r\n", b"\n")
    assert sum(b"1/2" in line or b"2/2" in line for line in err.splitlines()) == 2
    assert "%" in out.decode("cp1252")
    asking = launch("predict", "año", composed, "--json", env=old)
    out, err = asking.communicate(timeout=120)
    assert asking.returncode == 0, err
    classes = {answer["class"] for answer in json.loads(out)["predictions"]}
    assert classes <= {"camión", "数字"}


def test_a_reader_that_has_read_enough_is_no_error(launch, trained, images):
    process = launch("predict", trained, images)
    process.stdout.readline()
    process.stdout.close()
    process.stdout = None
    _, err = process.communicate(timeout=60)
    assert b"Traceback" not in err
    assert process.returncode == 0


# ---------------------------------------------------------------- bad input
def header(*shape):
    return bytes((0, 0, 8, len(shape))) + struct.pack(f">{len(shape)}I", *shape)


class Workshop:
    """Makes the bad inputs: each method gives the words of a command that must fail."""

    def __init__(self, tmp, trained, wardrobe, folder_of_pictures, write_idx, clothes, tiny):
        self.tmp, self.trained, self.wardrobe, self.tiny = tmp, trained, wardrobe, tiny
        self.folders, self.idx, self.clothes = folder_of_pictures, write_idx, clothes
        self.images = wardrobe / "t10k-images-idx3-ubyte"

    def train(self, source, *words):
        return ["train", source, *self.tiny, *words]

    def missing_source(self):
        return self.train(self.tmp / "nowhere")

    def empty_folder(self):
        (self.tmp / "empty").mkdir()
        return self.train(self.tmp / "empty")

    def empty_file(self):
        (self.tmp / "empty.csv").write_bytes(b"")
        return self.train(self.tmp / "empty.csv")

    def no_known_format(self):
        (self.tmp / "a.docx").write_bytes(b"PK")
        return self.train(self.tmp / "a.docx")

    def one_class(self):
        return self.train(self.folders(self.tmp / "s", "only"))

    def one_picture_of_a_class(self):
        source = self.folders(self.tmp / "s", "many", "few")
        for path in sorted((source / "few").iterdir())[1:]:
            path.unlink()
        return self.train(source)

    def labels_without_pictures(self):
        source = self.idx(self.tmp / "s", "train", *self.clothes)
        (source / "train-images-idx3-ubyte").unlink()
        return self.train(source)

    def truncated_idx(self):
        source = self.idx(self.tmp / "s", "train", *self.clothes)
        path = source / "train-images-idx3-ubyte"
        path.write_bytes(path.read_bytes()[:-1000])
        return self.train(source)

    def truncated_gzip(self):
        source = self.idx(self.tmp / "s", "train", *self.clothes)
        path = source / "train-images-idx3-ubyte"
        (source / f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes())[:-1000])
        path.unlink()
        return self.train(source)

    def fewer_labels_than_pictures(self):
        pictures, labels = self.clothes
        return self.train(self.idx(self.tmp / "s", "train", pictures, labels[:-5]))

    def parts_of_other_channels(self):
        source = self.idx(self.tmp / "s", "train", *self.clothes)
        pictures, labels = self.clothes
        return self.train(self.idx(source, "t10k", np.repeat(pictures[..., None], 3, axis=3), labels))

    def all_pictures_broken(self):
        source = self.folders(self.tmp / "s", "a", "b")
        for path in source.rglob("*.png"):
            path.write_bytes(b"no picture")
        return self.train(source)

    def model(self, change):
        path = self.tmp / "bad.vistazo"
        path.write_bytes(change((self.trained / "model.vistazo").read_bytes()))
        return ["predict", path, self.images]

    def cut_model(self):
        return self.model(lambda data: data[:-10])

    def altered_model(self):
        return self.model(lambda data: data[:-9] + bytes((data[-9] ^ 1,)) + data[-8:])

    def empty_model(self):
        return self.model(lambda data: b"")

    def newer_model(self):
        found = bundle.load(self.trained / "model.vistazo")
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(bundle, "FORMAT", FORMAT + 1)
            bundle.save(replace(found), self.tmp / "newer.vistazo")
        return ["evaluate", self.tmp / "newer.vistazo", self.wardrobe]

    def missing_model(self):
        return ["predict", "nowhere.vistazo", self.images]

    def unfinished_model(self):
        run = shutil.copytree(self.trained, self.tmp / "unfinished")
        (run / "model.vistazo").unlink()
        return ["predict", run, self.images]

    def out_is_a_file(self):
        (self.tmp / "file").write_text("mine")
        return self.train(self.wardrobe, "--out", self.tmp / "file")

    def out_under_a_file(self):
        (self.tmp / "file").write_text("mine")
        return self.train(self.wardrobe, "--out", self.tmp / "file" / "run")

    def answers_of_unknown_kind(self):
        return ["predict", self.trained, self.images, "--out", "answers.docx"]

    def class_names_missing(self):
        return self.train(self.wardrobe, "--classes", "nowhere.txt")

    def class_names_too_few(self):
        (self.tmp / "names.txt").write_text("one\ntwo\n")
        return self.train(self.wardrobe, "--classes", self.tmp / "names.txt")

    def settings_missing(self):
        return self.train(self.wardrobe, "--config", "nowhere.toml")

    def settings_damaged(self):
        (self.tmp / "run.toml").write_text("epochs = = 3")
        return self.train(self.wardrobe, "--config", self.tmp / "run.toml")

    def settings_unknown(self):
        (self.tmp / "run.toml").write_text("epoch = 3")
        return self.train(self.wardrobe, "--config", self.tmp / "run.toml")


@pytest.fixture
def workshop(in_tmp, trained, wardrobe, folder_of_pictures, write_idx, clothes, tiny):
    return Workshop(in_tmp, trained, wardrobe, folder_of_pictures, write_idx, clothes, tiny)


BAD = {
    "missing_source": (1, "There is nothing at"),
    "empty_folder": (1, "empty"),
    "empty_file": (1, "is empty"),
    "no_known_format": (1, "a.docx"),
    "one_class": (1, "one class only ('only')"),
    "one_picture_of_a_class": (1, "these have fewer: few"),
    "labels_without_pictures": (1, "s"),
    "truncated_idx": (1, "train-images-idx3-ubyte"),
    "truncated_gzip": (1, "train-images-idx3-ubyte.gz"),
    "fewer_labels_than_pictures": (1, "400 pictures and 395 labels"),
    "parts_of_other_channels": (1, "28×28×3"),
    "all_pictures_broken": (1, "None of 24 pictures can be read"),
    "cut_model": (1, "is damaged or is not a Vistazo file"),
    "altered_model": (1, "is damaged or is not a Vistazo file"),
    "empty_model": (1, "is damaged or is not a Vistazo file"),
    "newer_model": (1, "was written by a newer Vistazo"),
    "missing_model": (1, "There is no model at nowhere.vistazo"),
    "unfinished_model": (1, "has no finished model yet. Continue it with: vistazo resume"),
    "out_is_a_file": (1, "is a file; --out needs a folder"),
    "out_under_a_file": (1, "file"),
    "answers_of_unknown_kind": (2, "--out must end in one of .csv, .parquet, not 'answers.docx'"),
    "class_names_missing": (1, "There is no file of class names at"),
    "class_names_too_few": (2, "the file of class names has 2 lines"),
    "settings_missing": (2, "nowhere.toml cannot be read"),
    "settings_damaged": (2, "is not valid"),
    "settings_unknown": (2, "There is no setting 'epoch'. Did you mean 'epochs'?"),
}


def assert_one_sentence(said, code):
    assert said.code == code, said.err
    assert len(said.err.splitlines()) == 1, said.err
    assert said.err.strip()
    assert "Traceback" not in said.err
    assert "{" not in said.err


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("fault", BAD)
def test_bad_input_is_told_in_one_sentence_and_changes_nothing(verb, workshop, earlier, fault, language):
    code, says = BAD[fault]
    said = verb(*getattr(workshop, fault)(), "--quiet", "--lang", language)
    assert_one_sentence(said, code)
    if language == "en":
        assert says in said.err


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--epochs=0"], "--epochs must be at least 1, not '0'."),
        (["--epochs=ten"], "--epochs must be a whole number, not 'ten'."),
        (["--recipe=quik"], "There is no recipe 'quik'. Did you mean 'quick'?"),
        (["--model=mnist_cn"], "There is no model 'mnist_cn'. Did you mean 'mnist_cnn'?"),
        (["--task=detecion"], "There is no task 'detecion'."),
        (["--precision=fp8"], "--precision must be one of"),
        (["--size=7"], "--size must lie between 16 and 128 pixels a side"),
        (["--filters=1,1,1,1,1,1"], "--filters 1,1,1,1,1,1 does not suit this data"),
        (["--filters=lots"], "--filters does not understand 'lots'."),
        (["--group-by=colour"], "group_by is one of"),
        (["--max-broken=2"], "--max-broken must be at most 1"),
        (["--sed=3"], "--sed"),
        (["--lang"], "--lang"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_an_unknown_value_is_told_in_one_sentence(verb, earlier, wardrobe, tiny, words, says, language):
    said = verb("--lang", language, "train", wardrobe, *tiny, "--quiet", *words)
    assert_one_sentence(said, 2)
    if language == "en":
        assert says in said.err


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["trian", "x"], "There is no command 'trian'. Did you mean 'train'?"),
        (["xyzzy"], "xyzzy"),
        (["train"], "Missing argument"),
        (["predict"], "Missing argument"),
        (["resume", "r", "--epochs=0"], "--epochs"),
        (["predict", "m", "f", "--top=none"], "--top"),
        (["evaluate", "m", "s", "--split=middle"], "--split"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, list) else "",
)
def test_wrong_words_are_told_in_one_sentence(verb, words, says, language):
    said = verb("--lang", language, *words)
    assert_one_sentence(said, 2)
    if language == "en":
        assert says in said.err


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_run_folder_in_use_is_told_in_one_sentence(verb, trained, wardrobe, tiny, in_tmp, language):
    run = shutil.copytree(trained, in_tmp / "run")
    with runs.open_existing(str(run)):
        assert_one_sentence(verb("resume", run, "--quiet", "--lang", language), 1)
        assert_one_sentence(verb("train", wardrobe, *tiny, "--out", run, "--quiet", "--lang", language), 1)


def test_a_fault_of_our_own_ends_with_4_and_asks_for_a_report(verb, monkeypatch):
    def broken(values):
        raise KeyError("oops")

    monkeypatch.setitem(commands.VERBS, "models", replace(commands.VERBS["models"], act=broken))
    said = verb("models")
    assert said.code == 4
    assert "This is a fault of Vistazo, not yours" in said.err
    assert "Traceback" in said.err


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a disk that is always full")
@pytest.mark.parametrize("words", [("models",), ("models", "--json")])
def test_answers_led_into_a_full_disk_are_told_in_a_sentence(words):
    with open("/dev/full", "wb") as full:
        said = subprocess.run(
            [sys.executable, "-m", "vistazo", *words],
            stdout=full, stderr=subprocess.PIPE, text=True, check=False,
            env={**os.environ, "PYTHONPATH": str(Path(cli.__file__).parents[1]), "LANGUAGE": "en"},
        )  # fmt: skip
    assert said.returncode == 1
    assert said.stderr.startswith("The disk is full: standard output could not be written.")
    assert len(said.stderr.splitlines()) == 1


# ---------------------------------------------------------------- the report in a browser
@pytest.mark.skipif(sys.platform == "win32", reason="terminals of POSIX")
@pytest.mark.parametrize(
    ("words", "changed", "opened"),
    [
        pytest.param((), {}, True, id="somebody watches"),
        pytest.param(("--no-open",), {}, False, id="not wanted"),
        pytest.param(("--quiet",), {}, False, id="quiet"),
        pytest.param(("--json",), {}, False, id="for a program"),
        pytest.param((), {"DISPLAY": ""}, False, id="no screen"),
        pytest.param((), {"SSH_CONNECTION": "1 2 3 4"}, False, id="from elsewhere"),
        pytest.param((), {"CI": "true"}, False, id="a robot"),
    ],
)
def test_the_report_opens_where_somebody_watches(wardrobe, tiny, in_tmp, verb, words, changed, opened):
    import pty

    assert verb("train", wardrobe, *tiny, "--out", "ñu", "--quiet").code == 0
    browser = in_tmp / "browser"
    browser.write_text(f'#!/bin/sh\necho "$1" > {in_tmp}/seen\n')
    browser.chmod(0o755)
    plain = {
        name: value
        for name, value in os.environ.items()
        if name not in ("CI", "SSH_CONNECTION", "WAYLAND_DISPLAY")
    }
    own, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "vistazo", "train", str(wardrobe), *map(str, tiny), "--out", "ñu", *words],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        cwd=in_tmp,
        env={
            **plain,
            "PYTHONPATH": str(Path(cli.__file__).parents[1]),
            "LANGUAGE": "en",
            "BROWSER": str(browser),
            "DISPLAY": ":9",
            **changed,
        },
    )
    os.close(theirs)
    said = b""
    with contextlib.suppress(OSError):  # Linux answers so where the other end is closed
        while piece := os.read(own, 4096):
            said += piece
    os.close(own)
    assert process.wait() == 0, said.decode()
    assert (in_tmp / "seen").exists() == opened
    if opened:
        assert (in_tmp / "seen").read_text().strip() == (in_tmp / "ñu" / "report.html").as_uri()


def test_a_notebook_shows_the_report_in_a_frame(wardrobe, in_tmp):
    result = vistazo.train(
        wardrobe, out="run", quiet=True, recipe="quick", epochs=1, size="16", filters="8,8"
    )
    shown = result._repr_html_()
    page = re.fullmatch(r'<iframe srcdoc="([^"]*)" sandbox style="[^"]*"></iframe>', shown)
    assert page
    assert html.unescape(page[1]) == result.report.read_text(encoding="utf-8")


# ---------------------------------------------------------------- demo
def test_the_demo_trains_and_names_its_report_and_the_next_command(verb, monkeypatch, in_tmp):
    from vistazo.classification import recipes

    # The whole demo takes 7 seconds; a narrower recipe shows the same in one.
    quick = replace(recipes.recipes["quick"], length=lambda given: (1, 80))
    monkeypatch.setitem(recipes.recipes._entries, "quick", quick)
    said = verb("demo", "--out", "shown", "--lang", "es")
    assert said.code == 0, said.err
    assert "shown/report.html" in said.out
    assert "vistazo predecir shown" in said.out
    assert "zapatilla" in (in_tmp / "shown/report.html").read_text(encoding="utf-8").casefold()


@pytest.mark.slow
def test_the_whole_demo_is_right_four_times_in_five(launch):
    began = time.monotonic()
    process = launch("demo", "--json")
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    told = json.loads(out)
    assert told["metrics"]["test"]["accuracy"] > 0.8
    assert told["seconds"] == pytest.approx(time.monotonic() - began, abs=2)
