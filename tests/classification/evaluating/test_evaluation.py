"""`vistazo evaluate` of a classifier: what it tells, what it writes, what it makes of odd sources."""

import json
import re
import shutil
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from pyarrow import parquet
from sklearn import metrics as judge

import vistazo
from vistazo import bundle
from vistazo.classification.evaluating import confusion, telling
from vistazo.classification.evaluating.answers import Answers
from vistazo.errors import BundleDamaged, ConfigError, TooFewExamples
from vistazo.language import speaking
from vistazo.pictures.holding import PictureArray
from vistazo.pictures.index import TEST, TRAIN, read_index, write_index


@pytest.fixture(scope="module")
def model(trained):
    return vistazo.load(trained)


def forged(trained, path, **facts):
    """The trained model with other facts, sealed again."""
    found = bundle.load(trained / "model.vistazo")
    bundle.save(replace(found, facts={**found.facts, **facts}), path)
    return path


@pytest.fixture
def flat(clothes, in_tmp):
    """A folder of twelve pictures that nothing is said of."""
    folder = in_tmp / "flat"
    folder.mkdir()
    for at in range(12):
        Image.fromarray(clothes[0][300 + at]).save(folder / f"{at}.png")
    return folder


# ---------------------------------------------------------------- figures
def test_figures_are_those_of_the_answers_that_are_written(model, wardrobe, in_tmp):
    told = model.evaluate(wardrobe, out=in_tmp / "ev")
    table = parquet.read_table(in_tmp / "ev" / "answers.parquet").to_pydict()
    labels = np.array([model.classes.index(one) for one in table["label"]])
    shares = np.stack([table[f"p:{name}"] for name in model.classes], axis=1)
    figures = told["metrics"]
    assert figures["accuracy"] == np.mean(
        [a == b for a, b in zip(table["answer"], table["label"], strict=True)]
    )
    assert figures["loss"] == pytest.approx(
        judge.log_loss(labels, shares / shares.sum(1, keepdims=True)), abs=1e-5
    )
    assert figures["macro_auroc"] == pytest.approx(
        np.mean([judge.roc_auc_score(labels == at, shares[:, at]) for at in range(10)]), abs=1e-5
    )
    assert np.array(told["confusion"]).tolist() == judge.confusion_matrix(labels, shares.argmax(1)).tolist()
    assert sum(one["count"] for one in told["hardest_pairs"]) <= 100
    low, high = told["intervals"]["loss"]
    assert low < figures["loss"] < high
    kept = json.loads((in_tmp / "ev" / "metrics.json").read_text())
    assert kept["metrics"] == figures and "files" in told


def test_calibrated_probabilities_answer_the_same(model, clothes):
    pixels = clothes[0][300:, :, :, None].copy()
    plain = replace(model, temperature=1.0)
    assert model.temperature != 1
    assert (model.probabilities(pixels).argmax(1) == plain.probabilities(pixels).argmax(1)).all()


def test_the_figures_without_calibration_stand_beside(model, wardrobe):
    told = model.evaluate(wardrobe)
    plain = replace(model, temperature=1.0).evaluate(wardrobe)["metrics"]
    assert told["metrics"]["loss_uncalibrated"] == pytest.approx(plain["loss"], abs=1e-6)
    assert told["metrics"]["calibration_error_uncalibrated"] == pytest.approx(
        plain["calibration_error"], abs=1e-6
    )
    assert told["metrics"]["accuracy"] == plain["accuracy"] and "loss_uncalibrated" not in plain


# ---------------------------------------------------------------- the page
def test_the_page_stands_alone_and_every_cell_leads_to_its_pictures(verb, trained, wardrobe, in_tmp):
    said = verb("evaluate", trained, wardrobe, "--out", "ev")
    assert said.code == 0 and "evaluation.html" in said.out
    page = (in_tmp / "ev" / "evaluation.html").read_text()
    assert "<script" not in page and "http" not in re.sub(r'http-equiv|xmlns="[^"]*"', "", page)
    links = re.findall(r'<a href="#(cell-\d+-\d+)"', page)
    assert links and set(links) == set(re.findall(r'class="group" id="(cell-\d+-\d+)"', page))
    for title in ("Are the probabilities true?", "One class against the rest", "Slices that nobody labelled"):
        assert title in page


def test_names_are_written_and_not_obeyed(trained, folder_of_pictures, in_tmp):
    names = ["<script>alert(1)</script>", *map(str, range(1, 10))]
    path = forged(trained, in_tmp / "m.vistazo", classes=names)
    source = folder_of_pictures(in_tmp / "s", "1", "2", each=12)
    vistazo.load(path).evaluate(source, out=in_tmp / "ev")
    page = (in_tmp / "ev" / "evaluation.html").read_text()
    assert "<script" not in page and "&lt;script&gt;alert(1)" in page


def test_of_many_classes_a_thousand_pictures_are_shown_and_every_cell_has_one_first():
    rng = np.random.default_rng(0)
    labels = rng.integers(150, size=6000)
    probabilities = rng.dirichlet(np.full(150, 0.1), 6000)
    pixels = PictureArray(rng.integers(255, size=(6000, 8, 8, 1)).astype(np.uint8))
    names = tuple(f"class {at}" for at in range(150))
    answers = Answers(names, tuple(map(str, range(6000))), labels, probabilities, pixels)
    shown = confusion.hardest(answers.confusion, 100)
    assert len(shown) == 100
    cells = confusion.chosen(answers, shown)
    assert sum(map(len, cells.values())) == confusion.MOST
    for (row, column), rows in cells.items():
        assert len(rows) <= confusion.EACH
        assert (labels[rows] == row).all() and (answers.answers[rows] == column).all()
        assert (np.diff(answers.confidence[rows]) <= 0).all()  # mistakes, the surest first


def test_a_folder_that_cannot_be_written_is_told_before_anything_is_measured(
    model, wardrobe, in_tmp, trained
):
    (in_tmp / "file").write_text("")
    with pytest.raises(ConfigError, match="is a file; name a folder"):
        model.evaluate(wardrobe, out=in_tmp / "file")
    with pytest.raises(ConfigError, match="the folder of a run"):
        model.evaluate(wardrobe, out=trained)


# ---------------------------------------------------------------- what can be shown is shown
def test_pictures_without_labels_are_answered_and_nothing_is_measured(verb, trained, flat, in_tmp):
    (flat / "broken.png").write_bytes(b"no picture")
    said = verb("evaluate", trained, flat, "--out", "ev")
    assert said.code == 0 and "None of these pictures has a label that the model knows" in said.out
    told = verb("evaluate", trained, flat, "--json").json
    assert told["metrics"] is None and told["n"] == sum(told["answers"].values()) == 12
    assert len(told["unreadable"]) == 1
    order = [one["probability"] for one in told["least_sure"]]
    assert order == sorted(order) and len(order) == 12
    assert "label" not in parquet.read_table(in_tmp / "ev" / "answers.parquet").column_names
    page = (in_tmp / "ev" / "evaluation.html").read_text()
    assert "The least sure answers" in page
    assert "Pictures that could not be read: 1" in page and "broken.png" in page


def test_the_answers_without_labels_are_those_of_predict(model, flat):
    told = model.evaluate(flat)
    answers = list(model.predict(flat))
    counts = {name: sum(one["class"] == name for one in answers) for name in model.classes}
    assert told["answers"] == counts
    assert {one["file"] for one in told["least_sure"]} == {one["file"] for one in answers}


def test_arrays_and_tables_without_labels_are_answered_too(model, flat, clothes):
    assert model.evaluate(clothes[0][:20])["n"] == 20
    (flat / "list.csv").write_text("path\n" + "\n".join(f"{at}.png" for at in range(5)))
    assert model.evaluate(flat / "list.csv")["n"] == 5


def test_a_folder_without_any_picture_is_an_error_still(model, in_tmp):
    (in_tmp / "empty").mkdir()
    (in_tmp / "empty" / "notes.txt").write_text("none")
    with pytest.raises(TooFewExamples, match="has no pictures"):
        model.evaluate(in_tmp / "empty")


def test_of_classes_that_the_model_never_saw_the_answers_are_told(verb, trained, folder_of_pictures, in_tmp):
    source = folder_of_pictures(in_tmp / "s", "lion", "zebra")
    said = verb("evaluate", trained, source)
    assert said.code == 0 and "does not know their classes: lion (12), zebra (12)" in said.out
    told = verb("evaluate", trained, source, "--json").json
    assert told["metrics"] is None and told["n"] == 24


def test_of_one_class_alone_curves_are_undefined_and_say_so(verb, trained, clothes, write_idx, in_tmp):
    pictures, labels = clothes
    ones = np.flatnonzero(labels[300:] == 1) + 300
    source = write_idx(in_tmp / "s", "train", pictures[ones], labels[ones])
    said = verb("evaluate", trained, source, "--out", "ev")
    assert said.code == 0 and "no curve is defined for 0, 1, 2" in said.out
    told = json.loads((in_tmp / "ev" / "metrics.json").read_text())
    assert told["metrics"]["macro_auroc"] is None and told["classes"]["1"]["auroc"] is None
    assert told["metrics"]["accuracy"] is not None
    row = re.search(
        r"<tr><th[^>]*>3</th>.*?</tr>", (in_tmp / "ev" / "evaluation.html").read_text(), re.DOTALL
    )
    assert (
        row and row[0].count("–") == 5
    )  # recall, its interval, F1 and both areas of a class without pictures
    assert "so there is no ROC curve" in (in_tmp / "ev" / "evaluation.html").read_text()


def test_a_part_that_is_not_there_and_pictures_that_cannot_be_read_are_told_apart(
    model, folder_of_pictures, in_tmp
):
    source = folder_of_pictures(in_tmp / "s", "1", "2")
    with pytest.raises(TooFewExamples, match="names no pictures as part 'validation'"):
        model.evaluate(source, split="validation")
    for path in source.rglob("*.png"):
        path.write_text("a letter")
    with pytest.raises(TooFewExamples, match=r"No picture of .* could be read; the first of them, "):
        model.evaluate(source)


def test_of_a_model_away_from_its_run_it_is_said_that_nothing_is_left_out(
    model, trained, clothes, write_idx, in_tmp
):
    source = write_idx(in_tmp / "s", "train", *clothes)
    told = model.evaluate(source)
    assert told["left_out"]["trained_on"] == 300 and told["notes"] == []
    shutil.copy(trained / "model.vistazo", in_tmp / "moved.vistazo")
    told = vistazo.load(in_tmp / "moved.vistazo").evaluate(source)
    assert told["left_out"]["trained_on"] == 0
    assert ["moved.vistazo does not lie in the folder of its run" in one for one in told["notes"]] == [True]


# ---------------------------------------------------------------- another model
def test_a_model_against_itself_differs_in_nothing(verb, trained, wardrobe, in_tmp):
    shutil.copy(trained / "model.vistazo", in_tmp / "other.vistazo")
    told = verb("evaluate", trained, wardrobe, "--against", "other.vistazo", "--json").json["against"]
    assert told["p"] == 1 and told["difference"] == 0 and told["changed"] == []


def test_another_order_of_classes_is_matched_by_name(model, trained, wardrobe, in_tmp):
    other = vistazo.load(forged(trained, in_tmp / "o.vistazo", classes=list(model.classes)[::-1]))
    told = model.evaluate(wardrobe, against=in_tmp / "o.vistazo", out=in_tmp / "ev")
    one = told["against"]
    assert one["accuracy"] == pytest.approx(other.evaluate(wardrobe)["metrics"]["accuracy"])
    assert one["difference"] == pytest.approx(told["metrics"]["accuracy"] - one["accuracy"])
    assert one["ours"] + one["theirs"] == len(one["changed"])
    assert json.loads((in_tmp / "ev" / "metrics.json").read_text())["against"] == one
    assert {change["better"] for change in one["changed"]} <= {True, False}
    assert "Beside another model" in (in_tmp / "ev" / "evaluation.html").read_text()


def test_a_model_of_other_classes_is_refused_with_the_reason(verb, trained, wardrobe, in_tmp):
    forged(trained, in_tmp / "o.vistazo", classes=[*map(str, range(9)), "zebra"])
    said = verb("evaluate", trained, wardrobe, "--against", "o.vistazo")
    assert said.code == 2 and "only the first has 9, only the second zebra" in said.err


def test_where_the_other_model_has_learnt_from_every_picture_that_is_said(model, trained, wardrobe, in_tmp):
    run = shutil.copytree(trained, in_tmp / "other")
    index = read_index(run / "index.parquet")
    split = np.where(index.split == TEST, TRAIN, index.split)
    (run / "index.parquet").unlink()
    write_index(index.replace(split=split), run / "index.parquet")
    with pytest.raises(TooFewExamples, match="was trained on all 100 of these pictures"):
        model.evaluate(wardrobe, against=run)


def test_what_needs_labels_and_has_none_is_said_not_to_be_done(
    verb, trained, flat, folder_of_pictures, in_tmp
):
    strangers = folder_of_pictures(in_tmp / "s", "lion", "zebra")
    asked = ("--against", trained, "--dont-know", "5%", "--save-as", "k.vistazo", "--out", "ev")
    for source in (flat, strangers):
        said = verb("evaluate", trained, source, *asked)
        assert "Not done" in (in_tmp / "ev" / "evaluation.html").read_text()
        assert said.code == 0 and "Not done" in said.out and "--against, --dont-know, --save-as" in said.out
    assert not (in_tmp / "k.vistazo").exists()


# ---------------------------------------------------------------- not knowing
def test_a_threshold_is_told_and_kept_in_a_copy_but_never_from_a_test_part(verb, trained, wardrobe, clothes, write_idx,
                                                                           in_tmp):  # fmt: skip
    said = verb("evaluate", trained, wardrobe, "--dont-know", "40%", "--save-as", "k.vistazo")
    assert said.code == 2 and "does not choose a threshold on a test part" in said.err
    pictures, labels = clothes[0][:, :, ::-1].copy(), clothes[1]  # mirrored: the run had no such picture
    fresh = write_idx(in_tmp / "s", "train", pictures[300:], labels[300:])
    told = verb("evaluate", trained, fresh, "--dont-know", "80%", "--save-as", "k.vistazo", "--json").json
    assert told["dont_know"]["test_part"] is False
    threshold = told["dont_know"]["threshold"]
    assert 0 < threshold < 1 and told["saved"] == "k.vistazo"
    knowing = vistazo.load("k.vistazo")
    assert knowing.unknowing.threshold == threshold and knowing.unknowing.error == 0.8
    answers = list(knowing.predict(pictures[300:]))
    assert [one["known"] for one in answers] == [one["probability"] >= threshold for one in answers]
    assert sum(one["known"] for one in answers) == told["dont_know"]["answered"]
    again = knowing.evaluate(fresh)["unknowing"]
    assert again["wrong"] == told["dont_know"]["wrong"]
    assert "known" not in next(vistazo.load(trained).predict(pictures[300]))


@pytest.mark.parametrize("source", ["test part among all", "test part of the run"])
def test_no_threshold_is_chosen_on_tested_pictures_whatever_the_part_is_called(verb, trained, wardrobe, clothes,
                                                                               write_idx, in_tmp, source):  # fmt: skip
    pictures, labels = clothes
    if source == "test part of the run":  # the same pictures, which this source has in no test part
        given = [write_idx(in_tmp / "s", "train", pictures[300:], labels[300:])]
    else:
        given = [wardrobe, "--split", "all"]
    said = verb("evaluate", trained, *given, "--dont-know", "80%", "--save-as", "k.vistazo")
    assert said.code == 2 and "does not choose a threshold on a test part" in said.err
    assert not (in_tmp / "k.vistazo").exists()
    said = verb("evaluate", trained, *given, "--dont-know", "80%")
    assert said.code == 0 and "This threshold was found on a test part" in said.out


def test_a_picture_that_is_not_known_says_so_everywhere(verb, trained, flat, in_tmp):
    forged(trained, in_tmp / "k.vistazo", unknowing={"threshold": 1.0, "error": 0.05})
    said = verb("predict", "k.vistazo", flat / "1.png", "--sort-into", "sorted")
    assert re.search(r"I don't know \(perhaps \d, [\d.]+%\)", said.out)
    assert [one.name for one in (in_tmp / "sorted").iterdir()] == ["no label"]
    assert verb("predict", "k.vistazo", flat, "--out", "a.parquet").code == 0
    assert parquet.read_table(in_tmp / "a.parquet")["known"].to_pylist() == [False] * 12
    assert verb("predict", "k.vistazo", flat, "--out", "a.csv").code == 0
    assert (in_tmp / "a.csv").read_text("utf-8-sig").splitlines()[0] == "file,class,probability,known,reason"


@pytest.mark.parametrize(
    "facts",
    [
        *({"temperature": value} for value in (0, -1.0, True, "2", None, [1.0], 1e9, 1e-9)),
        {"unknowing": {"threshold": 2.0, "error": 0.05}},
        {"unknowing": {"threshold": 0.5}},
        {"unknowing": {"threshold": 0.5, "error": 0.0}},
        {"unknowing": [0.5, 0.05]},
    ],
    ids=str,
)
def test_a_forged_temperature_or_threshold_is_refused(trained, in_tmp, facts):
    with pytest.raises(BundleDamaged, match="does not hold together"):
        vistazo.load(forged(trained, in_tmp / "f.vistazo", **facts))


def test_a_file_from_before_there_were_temperatures_has_one(trained, in_tmp):
    found = bundle.load(trained / "model.vistazo")
    facts = {name: value for name, value in found.facts.items() if name != "temperature"}
    bundle.save(replace(found, facts=facts), in_tmp / "old.vistazo")
    old = vistazo.load(in_tmp / "old.vistazo")
    assert old.temperature == 1 and old.unknowing is None


def test_where_no_threshold_is_found_that_no_copy_was_written_is_said(
    verb, trained, clothes, write_idx, in_tmp
):
    fresh = write_idx(in_tmp / "s", "train", clothes[0][300:, :, ::-1].copy(), clothes[1][300:])
    said = verb("evaluate", trained, fresh, "--dont-know", "0.01%", "--save-as", "k.vistazo")
    assert said.code == 0 and "No threshold keeps to 0.01% of wrong answers" in said.out
    assert "No copy of the model was written." in said.out and not (in_tmp / "k.vistazo").exists()


def test_small_chances_are_not_nothing_and_are_written_as_people_write():
    assert [telling.chance(one) for one in (1.0, 0.0437, 1.234e-7, 0.0)] == [
        "1",
        "0.044",
        "1.2e-07",
        "<1e-300",
    ]
    with speaking("es"):
        assert telling.chance(0.0437) == "0,044"


def test_thresholds_near_one_are_told_from_it():
    words = [telling.threshold_word(one) for one in (0.0, 0.9, 0.9994, 0.99993, 1.0)]
    assert words == ["0.000", "0.900", "0.999", "0.999930", "1.000"]
    assert [telling.stated(one) for one in (0.05, 0.025, 0.0001, 0.33)] == ["5.0%", "2.5%", "0.01%", "33.0%"]


def test_a_bias_that_was_found_is_told_in_the_terminal_too(model, wardrobe, in_tmp):
    told = model.evaluate(wardrobe, out=in_tmp / "ev")
    told["co_occurrence"]["findings"] = ["93% of answers survive"]
    assert "finding: 93% of answers survive" in telling.more(told)


# ---------------------------------------------------------------- slices
def test_the_originals_size_is_a_slice_where_files_are_read(model, clothes, in_tmp):
    for at in range(60):
        folder = in_tmp / "s" / str(int(clothes[1][300 + at]))
        folder.mkdir(parents=True, exist_ok=True)
        picture = Image.fromarray(clothes[0][300 + at])
        (picture if at % 2 else picture.resize((56, 56))).save(folder / f"{at}.{'png' if at % 3 else 'jpg'}")
    told = model.evaluate(in_tmp / "s")
    found = [one for one in told["slices"] if one["kind"] == "pixels of the original"]
    assert [(one["low"], one["n"]) for one in found] == [(784, 30), (3136, 30)]
    assert {one["kind"] for one in told["slices"]} >= {"light", "contrast", "sharpness"}
    assert "folder" not in {one["kind"] for one in told["slices"]}  # they are the classes
