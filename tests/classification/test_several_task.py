"""Whole runs on pictures with several labels, and on uneven classes: learnt, measured, answered, resumed to the bit."""

import csv
import json
import re
import shutil

import numpy as np
import pytest
import torch
from PIL import Image

import vistazo
from vistazo import bundle
from vistazo.errors import BundleDamaged, ConfigError
from vistazo.pictures.index import read_index

HOSTILE = "<script>alert('ñ')</script>"
COLOURS = {"red": (230, 30, 30), "green": (30, 210, 40), HOSTILE: (40, 60, 235)}


def shapes(folder, count, *, column="labels", seed=0, first=0, split=None):
    """A manifest of 16 x 16 pictures, each with a square of none, one, two or all of three colours."""
    folder.mkdir(exist_ok=True)
    generator = np.random.default_rng(seed)
    rows = []
    for at in range(first, first + count):
        pixels = generator.integers(70, 120, (16, 16, 3), np.uint8)
        held = [name for name in COLOURS if generator.random() < 0.5]
        for place, name in zip(generator.permutation(4), held, strict=False):
            down, right = 8 * (place // 2), 8 * (place % 2)
            pixels[down + 1 : down + 7, right + 1 : right + 7] = COLOURS[name]
        name = f"{chr(97 + at % 26)}{at}x.png"
        Image.fromarray(pixels).save(folder / name)
        rows.append([name, "|".join(held), *([] if split is None else [split(at)])])
    with (folder / "manifest.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([["ruta", column, "parte"][: len(rows[0])], *rows])
    return folder / "manifest.csv"


def read_rows(path):
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.reader(file))


def write_rows(path, *rows):
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return shapes(tmp_path_factory.mktemp("several") / "shapes", 200, column="etiquetas")


@pytest.fixture(scope="module")
def learnt(source, tmp_path_factory):
    """A finished run, to be read and never written to."""
    run = tmp_path_factory.mktemp("learnt") / "run"
    vistazo.train(source, filters="16,32", epochs=12, precision="fp32", layout="contiguous", threads=1,
                  out=str(run), quiet=True)  # fmt: skip
    return run


@pytest.fixture(scope="module")
def model(learnt):
    return vistazo.load(learnt)


def told_by(run):
    return json.loads((run / "metrics.json").read_text(encoding="utf-8"))


# ---------------------------------------------------------------- it learns, and says how well
def test_labels_of_several_colours_are_learnt(learnt):
    figures = told_by(learnt)["metrics"]["test"]
    assert figures["mean_average_precision"] > 0.95
    assert figures["accuracy"] > 0.7
    assert figures["accuracy_low"] < figures["accuracy"] <= figures["accuracy_high"]
    assert 0 <= figures["hamming_loss"] < 0.15
    assert set(figures) >= {"accuracy", "loss", "macro_f1", "micro_f1", "single_view_accuracy", "n"}


def test_the_model_file_says_how_it_answers(learnt):
    facts = bundle.load(learnt / "model.vistazo").facts
    assert facts["objective"] == "binary_cross_entropy"
    assert facts["several"] is True
    assert facts["smoothing"] == 0.2
    assert len(facts["thresholds"]) == len(facts["classes"]) == 3
    config = json.loads((learnt / "config.json").read_text())
    assert (config["decided"]["objective"], config["decided"]["balance"]) == ("binary_cross_entropy", "none")


def test_the_index_holds_the_labels_and_is_itself_a_source(learnt, model):
    index = read_index(learnt / "index.parquet")
    assert index.labels.shape == (200, 3)
    assert set(index.split.tolist()) == {"train", "validation", "test"}
    again = model.evaluate(learnt / "index.parquet")
    before = told_by(learnt)["metrics"]["test"]
    assert again["part"] == "test"
    assert again["metrics"]["accuracy"] == before["accuracy"]
    assert again["metrics"]["loss"] == pytest.approx(before["loss"], rel=1e-4)


def test_the_report_holds_each_label_its_threshold_and_its_counts_and_runs_nothing(learnt):
    page = (learnt / "report.html").read_text(encoding="utf-8")
    words = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", re.sub(r"<style.*?</style>", " ", page, flags=re.S)))
    assert HOSTILE not in page
    assert "&lt;script&gt;alert(" in page
    assert "Pictures of the test part with every label right" in words
    assert "Confusion matrix" not in words
    assert "label AP precision recall 95 % interval F1 threshold pictures found missed wrong" in words
    assert "A label is answered from its threshold on" in words
    assert "always answering the most common set of labels would give" in words
    assert "3 labels" in words


def test_a_person_reads_every_figure_in_a_line(verb, source, tiny, in_tmp):
    said = verb("train", source, *tiny, "--out", "run")
    assert said.code == 0, said.err
    assert "Several labels a picture: 3 labels," in said.err
    assert "Pictures were divided by their rarest label first" in said.err
    line = next(line for line in said.out.splitlines() if line.startswith("test: "))
    for word in (
        "every label right",
        "mean average precision",
        "macro F1",
        "micro F1",
        "wrong labels",
        "n = ",
    ):
        assert word in line
    said = verb("evaluate", "run", source)
    assert "a label is answered from its probability on: " in said.out
    assert "left out, because the model was trained on them: " in said.out


def test_a_time_is_kept_to_with_several_labels(verb, source, in_tmp, monkeypatch):
    monkeypatch.setattr("vistazo.classification.budget.MOST_EPOCHS", 2)
    said = verb("train", source, "--time=60s", "--filters=8,16", "--threads=1", "--out=run", "--json")
    assert said.code == 0, said.err
    decided = json.loads((in_tmp / "run/config.json").read_text())["decided"]
    assert decided["objective"] == "binary_cross_entropy"
    assert decided["steps"] >= 1


# ---------------------------------------------------------------- the same again
def run_words(source, *more):
    return ["train", source, "--filters=8,16", "--epochs=3", "--precision=fp32", "--layout=contiguous",
            "--threads=1", "--quiet", "--checkpoint-seconds=0", *more]  # fmt: skip


def results(run):
    return [(run / name).read_bytes() for name in ("model.vistazo", "history.jsonl", "metrics.json")]


@pytest.mark.parametrize("balance", ["auto", "sampling", "weights"])
@pytest.mark.parametrize("kind", ["several", "one"])
def test_a_run_broken_off_anywhere_ends_at_the_same_bits(verb, source, wardrobe, in_tmp, balance, kind):
    from vistazo.classification import task

    given = source if kind == "several" else wardrobe
    assert verb(*run_words(given, f"--balance={balance}", "--out", "whole")).code == 0
    step, calls = task.Program.step, []

    def broken_off(self, batch, k):
        calls.append(1)
        if len(calls) == 9:
            raise RuntimeError("the power went")
        return step(self, batch, k)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(task.Program, "step", broken_off)
        assert verb(*run_words(given, f"--balance={balance}", "--out", "cut")).code == 4
    assert verb("resume", "cut", "--quiet").code == 0
    assert results(in_tmp / "cut") == results(in_tmp / "whole")


def test_permuted_test_labels_change_no_bit_of_the_weights_nor_of_the_thresholds(verb, tmp_path, in_tmp):
    parts = [
        shapes(tmp_path / "a", 120, split=lambda at: "test" if at >= 90 else "train"),
        tmp_path / "b" / "m.csv",
    ]
    shutil.copytree(parts[0].parent, parts[1].parent)
    head, *rows = read_rows(parts[0])
    cells = [row[1] for row in rows[90:]]
    for row, cell in zip(rows[90:], cells[1:] + cells[:1], strict=True):
        row[1] = cell
    (parts[1].parent / "manifest.csv").unlink()
    write_rows(parts[1], head, *rows)
    for path, run in zip(parts, ("one", "other"), strict=True):
        said = verb(*run_words(path, "--out", run))
        assert said.code == 0, said.err
    one, other = (bundle.load(in_tmp / run / "model.vistazo") for run in ("one", "other"))
    assert all(torch.equal(one.tensors[name], other.tensors[name]) for name in one.tensors)
    assert one.facts == other.facts
    assert one.metrics["test"] != other.metrics["test"]
    assert one.metrics["validation"] == other.metrics["validation"]


# ---------------------------------------------------------------- answers
def test_an_answer_has_every_label_from_its_threshold_on_the_most_probable_first(model, source):
    pictures = sorted(source.parent.glob("*.png"))[:40]
    answers = list(model.predict(pictures, top=3))
    assert {len(answer["classes"]) for answer in answers} >= {0, 1, 2}
    thresholds = dict(zip(model.classes, model.thresholds, strict=True))
    for answer in answers:
        assert [answer["class"], answer["probability"]] == answer["top"][0]
        assert answer["classes"] == [name for name, share in answer["top"] if share >= thresholds[name]]


def test_a_person_reads_the_labels_of_a_picture_or_that_it_has_none(verb, learnt, source):
    pictures = sorted(source.parent.glob("*.png"))[:40]
    lines = verb("predict", learnt, *pictures).out.splitlines()
    assert any("\tno label\t(" in line for line in lines)
    assert any("\tred, green\t(" in line or "\tgreen, red\t(" in line for line in lines)


def test_answers_in_a_file_part_labels_as_a_manifest_does(verb, learnt, source, in_tmp):
    from pyarrow import parquet

    pictures = sorted(source.parent.glob("*.png"))[:40]
    answers = verb("predict", learnt, *pictures, "--json").json["predictions"]
    expected = ["|".join(answer["classes"]) for answer in answers]
    assert any("|" in cell for cell in expected)
    for name in ("a.csv", "a.parquet"):
        assert verb("predict", learnt, *pictures, "--out", name).code == 0
    head, *rows = read_rows(in_tmp / "a.csv")
    assert head == ["file", "class", "probability", "classes", "reason"]
    assert [row[3] for row in rows] == expected
    assert parquet.read_table(in_tmp / "a.parquet")["classes"].to_pylist() == expected


# ---------------------------------------------------------------- evaluate
def test_fresh_pictures_are_measured_label_by_label_and_names_decide_not_numbers(model, tmp_path):
    fresh = shapes(tmp_path / "fresh", 60, seed=5, first=1000)
    rows = read_rows(fresh)[1:]
    told = model.evaluate(fresh)
    assert told["metrics"]["n"] == 60
    assert told["metrics"]["mean_average_precision"] > 0.9
    assert sum(one["support"] for one in told["classes"].values()) == sum(
        len(list(filter(None, cell.split("|")))) for _, cell in rows
    )
    assert set(told["classes"]["red"]) == {
        "average_precision",
        "auroc",
        "threshold",
        "precision",
        "recall",
        "f1",
        "support",
    }
    # a manifest that lacks one of the model's labels: no picture has it
    write_rows(fresh, ("path", "labels"), *(row for row in rows if "green" not in row[1]))
    told = model.evaluate(fresh)
    assert told["classes"]["green"]["support"] == 0
    assert told["classes"]["green"]["average_precision"] is None
    assert told["metrics"]["mean_average_precision"] > 0.9


def test_labels_the_model_does_not_know_are_named_and_their_pictures_left_out(model, tmp_path):
    fresh = shapes(tmp_path / "fresh", 12, seed=5, first=1000)
    red = sum("red" in row[1].split("|") for row in read_rows(fresh)[1:])
    fresh.write_text(fresh.read_text(encoding="utf-8").replace("red", "zebra|ñu"), encoding="utf-8")
    told = model.evaluate(fresh)
    assert told["unknown_classes"] == {"zebra": red, "ñu": red} and red
    assert told["metrics"]["n"] == 12 - red and told["classes"]["red"]["support"] == 0


def test_one_label_a_picture_is_that_label_and_no_other(model, tmp_path):
    fresh = shapes(tmp_path / "fresh", 60, seed=5, first=1000)
    rows = [row for row in read_rows(fresh) if row[1] in COLOURS]
    write_rows(fresh, ("path", "label"), *rows)
    told = model.evaluate(fresh)
    assert told["metrics"]["n"] == len(rows) == sum(one["support"] for one in told["classes"].values())
    assert told["metrics"]["accuracy"] > 0.7


def test_a_model_of_one_label_is_not_measured_on_several(trained, tmp_path):
    path = shapes(tmp_path / "digits", 12)
    path.write_text(re.sub(r"red|green|" + re.escape(HOSTILE), "3", path.read_text(encoding="utf-8")))
    with pytest.raises(ConfigError, match="gives a picture several labels, and the model answers with one"):
        vistazo.load(trained).evaluate(path)


def test_training_from_a_model_of_the_other_kind_is_refused(verb, learnt, source, tmp_path, in_tmp):
    again = shutil.copytree(source.parent, tmp_path / "one")
    rows = [row for row in read_rows(again / "manifest.csv") if row[1] in COLOURS]
    write_rows(again / "manifest.csv", ("path", "label"), *rows)
    said = verb("train", again / "manifest.csv", "--from", learnt, "--out", "run", "--quiet")
    assert said.code == 2
    assert (
        "answers with several labels a picture and this data has one each: train without --from" in said.err
    )
    said = verb("train", source, "--from", learnt, "--epochs=1", "--out", "on", "--quiet", "--threads=1")
    assert said.code == 0, said.err


# ---------------------------------------------------------------- bad input
@pytest.mark.parametrize(
    ("text", "says"),
    [
        pytest.param("path,labels\n{0},x\n{1},\n{2},x\n", "has one label only ('x')", id="one label"),
        pytest.param("path,labels\n{0},x|y\n{1},\n{2},x\n", "these have fewer: y", id="one picture"),
        pytest.param("path,labels\n{0},\n{1},\n{2},\n", "gives no picture a label", id="none"),
        pytest.param(
            "path,labels,split\n{0},x|y,\n{1},x,train\n{2},y,train\n{3},z,test\n",
            "stand only in the test part, so nothing can learn them: z",
            id="only in the test part",
        ),
        pytest.param(
            "path,labels,split\n{0},x,train\n{1},x,train\n{2},x|y,val\n{3},y,val\n",
            "No picture is left to learn these classes from: y",
            id="no positives to train on",
        ),
        pytest.param("path,label,labels\n{0},x,x|y\n{1},y,\n", "leave one of them out", id="both columns"),
    ],
)
def test_labels_that_cannot_be_learnt_are_told_in_one_sentence(verb, source, in_tmp, tiny, text, says):
    names = [path.name for path in sorted(source.parent.glob("*.png"))[:4]]
    for name in names:
        shutil.copy(source.parent / name, in_tmp / name)
    (in_tmp / "m.csv").write_text(text.format(*names))
    said = verb("train", "m.csv", *tiny, "--out", "run", "--quiet")
    assert said.code == 1
    assert says in said.err
    assert len(said.err.splitlines()) == 1
    assert not (in_tmp / "run" / "model.vistazo").exists()


@pytest.mark.parametrize(
    "facts",
    [
        pytest.param({"thresholds": None}, id="no thresholds"),
        pytest.param({"thresholds": [0.5]}, id="too few thresholds"),
        pytest.param({"thresholds": [0.5, 0.5, 7]}, id="a threshold beyond 1"),
        pytest.param({"thresholds": [0.5, 0.5, "half"]}, id="a threshold that is no number"),
        pytest.param({"thresholds": "abc"}, id="thresholds that are words"),
        pytest.param({"objective": "cross_entropy"}, id="the loss of one label"),
        pytest.param({"objective": "pinball"}, id="a loss of numbers"),
        pytest.param({"smoothing": 2}, id="smoothing beyond its bounds"),
        pytest.param({"smoothing": "much"}, id="smoothing that is a word"),
    ],
)
def test_a_sealed_file_whose_facts_do_not_fit_is_no_model(learnt, in_tmp, facts):
    found = bundle.load(learnt / "model.vistazo")
    changed = {name: one for name, one in {**found.facts, **facts}.items() if one is not None}
    from dataclasses import replace

    bundle.save(replace(found, facts=changed), in_tmp / "forged.vistazo")
    with pytest.raises(BundleDamaged, match=r"forged\.vistazo does not hold together"):
        vistazo.load(in_tmp / "forged.vistazo")


# ---------------------------------------------------------------- uneven classes
def uneven(folder, folder_of_pictures):
    source = folder_of_pictures(folder, "common", "rare", each=40)
    for path in sorted((source / "rare").iterdir())[12:]:
        path.unlink()
    return source


@pytest.mark.parametrize(
    ("words", "chosen", "says"),
    [
        pytest.param((), "sampling", "Rare ones are drawn more often", id="auto"),
        pytest.param(("--balance=weights",), "weights", "Rare ones count more in the loss", id="weights"),
        pytest.param(("--equilibrio=none",), "none", "Nothing is done about it (--balance none)", id="none"),
    ],
)
def test_what_was_done_about_uneven_classes_is_said_and_kept(
    verb, folder_of_pictures, tiny, in_tmp, words, chosen, says
):
    source = uneven(in_tmp / "s", folder_of_pictures)
    said = verb("train", source, *tiny, *words, "--out", "run")
    assert said.code == 0, said.err
    assert f"Training pictures of rare: 10, of common: 32. {says}" in said.err
    assert says in (in_tmp / "run/report.html").read_text(encoding="utf-8")
    assert json.loads((in_tmp / "run/config.json").read_text())["decided"]["balance"] == chosen
    assert "balanced accuracy" in said.out
    for figures in told_by(in_tmp / "run")["metrics"].values():
        assert 0 <= figures["balanced_accuracy"] <= 1


def test_even_classes_are_trained_on_as_they_are(verb, folder_of_pictures, tiny, in_tmp):
    source = folder_of_pictures(in_tmp / "s", "red", "green", each=20)
    said = verb("train", source, *tiny, "--out", "run")
    assert "Training pictures of" not in said.err
    assert verb("train", source, *tiny, "--balance=none", "--out", "none", "--quiet").code == 0
    one, other = (bundle.load(in_tmp / run / "model.vistazo").tensors for run in ("run", "none"))
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_weights_and_draws_change_what_is_learnt(verb, folder_of_pictures, tiny, in_tmp):
    source = uneven(in_tmp / "s", folder_of_pictures)
    kept = []
    for balance in ("none", "weights", "sampling"):
        words = (*tiny, "--epochs=6", f"--balance={balance}", "--out", balance, "--quiet")
        assert verb("train", source, *words).code == 0
        kept.append(bundle.load(in_tmp / balance / "model.vistazo").tensors["head.weight"])
    assert not any(torch.equal(kept[one], kept[other]) for one, other in ((0, 1), (0, 2), (1, 2)))


def test_an_unknown_way_of_balancing_is_told(verb, wardrobe):
    said = verb("train", wardrobe, "--balance=smote")
    assert said.code == 2
    assert "--balance must be one of 'auto', 'none', 'weights' or 'sampling'" in said.err


# ---------------------------------------------------------------- several runs
@pytest.fixture(scope="module")
def few(tmp_path_factory):
    return shapes(tmp_path_factory.mktemp("few") / "shapes", 60)


def test_folds_measure_every_picture_of_several_labels_once(verb, few, tiny, in_tmp):
    said = verb("train", few, *tiny, "--folds=2", "--out", "run")
    assert said.code == 0, said.err
    run = in_tmp / "run"
    each = [told_by(run / name)["metrics"]["test"] for name in ("fold-1", "fold-2")]
    found = told_by(run)
    figures = found["metrics"]["test"]
    assert figures["n"] == sum(one["n"] for one in each) == 60
    assert figures["accuracy"] == sum(round(one["accuracy"] * one["n"]) for one in each) / 60
    assert figures["hamming_loss"] == pytest.approx(sum(one["hamming_loss"] * one["n"] for one in each) / 60)
    assert figures["mean_average_precision"] == np.mean([one["mean_average_precision"] for one in each])
    assert "confusion" not in found
    labels = read_index(run / "index.parquet").labels
    assert [one["support"] for one in found["classes"].values()] == labels.sum(0).tolist()
    assert "fold-1: every label right " in said.err
    assert "every label right" in said.out
    assert "over 2 runs: mean" in said.out
    page = (run / "report.html").read_text(encoding="utf-8")
    assert HOSTILE not in page
    for words in ("Pictures of all folds with every label right", "Label by label", "Most confident mistakes",
                  "A picture counts as right where every label of it is"):  # fmt: skip
        assert words in page
    assert "Confusion matrix" not in page
    with (run / "results.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["kind"] for row in rows] == ["run"] * 2 + ["mean", "deviation", "pooled"] + ["class"] * 3
    assert float(rows[4]["micro_f1"]) == figures["micro_f1"]
    assert float(rows[5]["average_precision"]) == found["classes"][rows[5]["name"]]["average_precision"]
    tex = (run / "results.tex").read_text(encoding="utf-8")
    assert r"\begin{tabular}{lrrrrrrrr}" in tex
    assert r"\begin{tabular}{lrrrrrrr}" in tex
    assert set(vistazo.load(run).thresholds) == set(vistazo.load(run / "all").thresholds)
    said = verb("train", few, *tiny, "--fold=2/2", "--out", "alone", "--quiet")
    assert said.code == 0, said.err
    assert told_by(in_tmp / "alone") == told_by(run / "fold-2")


def test_repeats_of_several_labels_are_averaged(verb, few, tiny, in_tmp):
    said = verb("train", few, *tiny, "--repeats=2", "--out", "run")
    assert said.code == 0, said.err
    each = [told_by(in_tmp / "run" / name)["metrics"]["test"] for name in ("repeat-1", "repeat-2")]
    figures = told_by(in_tmp / "run")["metrics"]["test"]
    for name in ("accuracy", "macro_f1", "micro_f1", "hamming_loss"):
        assert figures[name] == pytest.approx(np.mean([one[name] for one in each]))
    assert figures["interval"] == "student"
    page = (in_tmp / "run/report.html").read_text(encoding="utf-8")
    assert "Pictures of the test part with every label right, mean" in page


def test_a_run_on_few_pictures_of_several_labels_proposes_folds(verb, few, tiny, in_tmp):
    said = verb("train", few, *tiny, "--out", "run")
    assert "\n5 folds would take about" in said.err
    assert "5 folds would take about" in (in_tmp / "run/report.html").read_text(encoding="utf-8")


def test_too_few_pictures_of_a_label_are_told_before_anything_is_trained(verb, few, tiny, in_tmp):
    for words in ("--folds=50", "--fold=1/50"):
        said = verb("train", few, *tiny, words, "--out", "run", "--quiet")
        assert said.code == 1
        assert "needs 50 pictures with every label that do not belong together" in said.err
        assert len(said.err.splitlines()) == 1
        assert not list(in_tmp.rglob("fold-*"))


def test_an_exported_file_answers_with_the_same_labels(model, source, tmp_path):
    """None, one or several of them, each from its own threshold."""
    told = model.export(tmp_path / "m.onnx")
    assert told["agreement"] == 1
    exported = vistazo.load(tmp_path / "m.onnx")
    assert exported.thresholds == model.thresholds
    files = sorted(source.parent.glob("*.png"))[:40]
    ours, theirs = list(model.predict(files)), list(exported.predict(files))
    assert [one["classes"] for one in ours] == [one["classes"] for one in theirs]
    assert {len(one["classes"]) for one in theirs} >= {0, 1, 2}
