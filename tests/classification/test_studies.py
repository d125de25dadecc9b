"""Repeats and folds: several whole runs that end as one, whatever is killed on the way."""

import contextlib
import csv
import io
import json
import random
import shutil
import signal
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import vistazo
from vistazo import bundle, cli, language
from vistazo.classification import budget, studies
from vistazo.classification.config import ClassificationConfig
from vistazo.classification.everyday import Rung
from vistazo.classification.sharing import Shares
from vistazo.config import build
from vistazo.engine.device import Compute
from vistazo.engine.figures import wilson_interval
from vistazo.engine.spread import spread
from vistazo.errors import ConfigError
from vistazo.pictures.index import read_index

SOURCE = Path(cli.__file__).parents[1]
EVERY = ("model.vistazo", "metrics.json", "index.parquet")
FOLDS = ("fold-1", "fold-2", "fold-3", "all")


@pytest.fixture(scope="module")
def pictures(folder_of_pictures, tmp_path_factory):
    return folder_of_pictures(tmp_path_factory.mktemp("pictures") / "source", "red & co", "año_1", each=15)


def begin(place, *words):
    """A run in this process, in a folder of its own."""
    with pytest.MonkeyPatch.context() as patch, language.speaking("en"):
        patch.chdir(place)
        patch.setenv("LANGUAGE", "en")
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()) as said:
            assert cli.main([str(word) for word in words]) == 0, said.getvalue()
    return place / "run"


@pytest.fixture(scope="module")
def folded(pictures, tiny, tmp_path_factory):
    """A finished study of three folds, to be read and never written to."""
    return begin(tmp_path_factory.mktemp("folded"), "train", pictures, *tiny, "--folds=3", "--out", "run")


@pytest.fixture(scope="module")
def repeated(pictures, tiny, tmp_path_factory):
    """A finished study of two repeats, likewise."""
    words = ("train", pictures, *tiny, "--seed=5", "--repeats=2", "--out", "run")
    return begin(tmp_path_factory.mktemp("repeated"), *words)


def told(run):
    return json.loads((run / "metrics.json").read_text())


def contents(run):
    """What two equal studies have in common, to the bit: everything without a clock in it."""
    names = ("*.vistazo", "metrics.json", "history.jsonl", "index.parquet", "results.*")
    return {
        str(path.relative_to(run)): path.read_bytes() for name in names for path in sorted(run.rglob(name))
    }


# ---------------------------------------------------------------- what the runs are
def test_folds_are_the_settings_with_one_part_each_and_a_run_on_all():
    planned = studies.plan(build(ClassificationConfig, {"folds": 3, "seed": 4}))
    assert [one.name for one in planned] == list(FOLDS)
    assert [one.config.fold for one in planned] == ["1/3", "2/3", "3/3", "all"]
    assert [one.tried for one in planned] == [True, True, True, False]
    assert {one.config.seed for one in planned} == {4}
    assert not any(studies.wanted(one.config) for one in planned)


def test_repeats_are_the_settings_with_a_seed_each():
    planned = studies.plan(build(ClassificationConfig, {"repeats": 3, "seed": 4}))
    assert [(one.name, one.config.seed) for one in planned] == [
        ("repeat-1", 4),
        ("repeat-2", 5),
        ("repeat-3", 6),
    ]
    assert not any(studies.wanted(one.config) for one in planned)


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"repeats": 2, "folds": 2}, "--repeats and --folds exclude one another"),
        ({"folds": 2, "fold": "1/2"}, "--folds and --fold exclude one another"),
        ({"folds": 1}, "--folds must be at least 2, not 1."),
        ({"repeats": 1}, "--repeats must be at least 2, not 1."),
        ({"fold": "3/2"}, "--fold 3/2: there is no such fold"),
        ({"fold": "1/1"}, "--fold 1/1: there is no such fold"),
        ({"fold": "half"}, "--fold does not understand 'half'"),
    ],
)
def test_what_makes_no_sense_is_one_sentence(values, says):
    with pytest.raises(ConfigError, match=says):
        build(ClassificationConfig, values)


# ---------------------------------------------------------------- folds
def test_each_fold_is_a_whole_run_and_every_picture_is_tested_once(folded):
    tested = []
    for name in FOLDS:
        folder = folded / name
        for file in (
            "config.json",
            "index.parquet",
            "history.jsonl",
            "model.vistazo",
            "metrics.json",
            "report.html",
        ):
            assert (folder / file).exists(), f"{name}/{file}"
        index = read_index(folder / "index.parquet")
        tested += [index.where[row] for row in index.rows("test")]
    assert sorted(tested) == sorted(read_index(folded / "index.parquet").where)
    assert not len(read_index(folded / "all" / "index.parquet").rows("test"))


def test_the_figure_of_folds_is_all_their_answers_together(folded):
    each = [told(folded / name)["metrics"]["test"] for name in FOLDS[:-1]]
    right = sum(round(one["accuracy"] * one["n"]) for one in each)
    found = told(folded)["metrics"]["test"]
    assert found["n"] == sum(one["n"] for one in each) == 30
    assert found["accuracy"] == right / 30
    assert (found["accuracy_low"], found["accuracy_high"]) == wilson_interval(right, 30)
    assert found["loss"] == pytest.approx(sum(one["loss"] * one["n"] for one in each) / 30, rel=1e-9)
    apart = spread([one["accuracy"] for one in each])
    assert (found["accuracy_mean"], found["accuracy_deviation"]) == (apart.mean, apart.deviation)
    assert np.trace(told(folded)["confusion"]) == right
    assert np.sum(told(folded)["confusion"]) == 30


def test_metrics_tell_every_run_in_the_same_words(folded):
    found = told(folded)
    assert found["study"] == {"kind": "folds", "runs": 3, "part": "test", "model": "all"}
    assert [one["name"] for one in found["runs"]] == list(FOLDS[:-1])
    for one in found["runs"]:
        assert one["metrics"] == told(folded / one["name"])["metrics"]
    assert set(found["classes"]) == {"red & co", "año_1"}
    assert found["task"] == "classification"
    assert found["counts"] == {"train": 28, "validation": 2, "test": 0, "out": 0}


def test_the_model_of_folds_is_that_of_all_pictures_with_the_figure_of_the_folds(folded):
    ours, theirs = (bundle.load(run / "model.vistazo") for run in (folded, folded / "all"))
    assert all((ours.tensors[name] == theirs.tensors[name]).all() for name in theirs.tensors)
    assert ours.metrics == told(folded)["metrics"]
    assert theirs.metrics["test"] is None
    assert ours.fingerprint == json.loads((folded / "config.json").read_text())["data"]["fingerprint"]


def test_the_verbs_take_a_study_like_any_run(verb, folded, pictures, clothes, in_tmp):
    said = verb("predict", folded, pictures / "año_1", "--json")
    assert len(said.json["predictions"]) == 15
    said = verb("evaluate", folded, pictures)
    assert said.code == 1  # it has learnt from all of them
    assert "(30 were trained on)" in said.err
    assert verb("evaluate", folded / "fold-1", pictures, "--json").json["left_out"]["trained_on"] == 20


def test_results_csv_holds_runs_mean_deviation_pool_and_classes(folded):
    with (folded / "results.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["kind"] for row in rows] == ["run"] * 3 + ["mean", "deviation", "pooled", "class", "class"]
    found = told(folded)["metrics"]["test"]
    assert float(rows[3]["accuracy"]) == found["accuracy_mean"]
    assert float(rows[4]["accuracy"]) == found["accuracy_deviation"]
    assert (float(rows[5]["accuracy"]), int(rows[5]["n"])) == (found["accuracy"], 30)
    assert float(rows[6]["recall"]) == told(folded)["classes"][rows[6]["name"]]["recall"]


def test_results_tex_is_plain_latex_with_every_run_and_class(folded):
    tex = (folded / "results.tex").read_text(encoding="utf-8")
    assert tex.isascii()
    assert tex.count(r"\begin{tabular}{lrrrrrr}") == tex.count(r"\end{tabular}") == 2
    body = [line for line in tex.splitlines() if line.endswith(r" \\")]
    assert {line.count(" & ") for line in body} == {6}
    assert any(line.startswith(r"red \& co & ") for line in body)
    assert any(line.startswith(r"a\~{n}o\_1 & ") for line in body)
    assert sum(line.startswith("fold-") for line in body) == 3


def test_the_report_says_what_the_figure_covers_and_which_model_it_is(folded):
    page = (folded / "report.html").read_text(encoding="utf-8")
    assert "Each of the 30 pictures was tested once" in page
    assert "Wilson" in page
    assert "model.vistazo is the run &#39;all&#39;" in page
    for words in ("fold-3", "Run by run", "Confusion matrix", "Most confident mistakes", "red &amp; co"):
        assert words in page
    assert "5 folds would take" not in page
    assert "5 folds would take" not in (folded / "fold-1" / "report.html").read_text(encoding="utf-8")


def test_an_official_test_part_is_in_no_fold_and_measures_the_model_once(verb, wardrobe, tiny, in_tmp):
    said = verb("train", wardrobe, *tiny, "--epochs=1", "--folds=2", "--out", "run")
    assert said.code == 0, said.err
    found = told(in_tmp / "run")
    assert found["metrics"]["test"]["n"] == 300
    assert found["metrics"]["official"] == told(in_tmp / "run/all")["metrics"]["test"]
    assert found["metrics"]["official"]["n"] == 100
    for name in ("fold-1", "fold-2"):
        assert told(in_tmp / "run" / name)["counts"]["out"] == 100
    assert "official: accuracy" in said.out
    assert "results: run/results.csv, run/results.tex" in said.out
    page = (in_tmp / "run/report.html").read_text(encoding="utf-8")
    assert "own test part was in no fold" in page


# ---------------------------------------------------------------- a time for all of them
@pytest.fixture
def tried(monkeypatch):
    """No trial, and one epoch."""

    trials = iter((100.0, 100.0))  # the first run's: too slow for the wider network

    def at_once(decided, *more):
        return budget._Tried(Compute("cpu", "fp32", "contiguous", 1), next(trials, 0.01), 1e-5, 1e-5)

    monkeypatch.setattr(budget, "_try", at_once)
    monkeypatch.setattr(budget, "MOST_EPOCHS", 1)


def test_what_is_left_of_a_time_is_divided_evenly_among_the_runs_still_to_do(tmp_path):
    now = [10.0]
    run = SimpleNamespace(folder=tmp_path, seconds=lambda: now[0])
    names = ["fold-1", "fold-2", "fold-3", "all"]
    tail = budget.REPORT + 0.02 * 300
    first = Shares(run, "5m", names).of(0)
    assert first == {"share": {"seconds": pytest.approx((290 - tail) / 4, abs=0.01), "of": 4}}
    (tmp_path / "fold-1").mkdir()
    (tmp_path / "fold-1/config.json").write_text(json.dumps(first))
    now[0] = 50.0
    assert Shares(run, "5m", names).of(1)["share"]["seconds"] == pytest.approx((250 - tail) / 3, abs=0.01)
    # After a kill the process is another one, and what the finished run took is known from it.
    (tmp_path / "fold-1/status.json").write_text(json.dumps({"phase": "finished", "seconds": 40.0}))
    now[0] = 12.0
    assert Shares(run, "5m", names).of(1)["share"]["seconds"] == pytest.approx((248 - tail) / 3, abs=0.01)
    now[0] = 250.0  # a machine that lost minutes: no run gets less than what was accepted before training
    assert Shares(run, "5m", names).of(3)["share"]["seconds"] >= 0.9 * first["share"]["seconds"]
    assert Shares(run, None, names).of(0) == {}


def test_a_study_with_a_time_gives_each_run_its_share_and_all_the_same_network(
    verb, pictures, in_tmp, tried, monkeypatch
):
    words = ("--folds=2", "--time=600s", "--precision=fp32", "--layout=contiguous")
    monkeypatch.setattr(
        budget, "LADDER", (Rung((8, 16), "quarter", False, 0), Rung((16, 16), "quarter", False, 1))
    )
    said = verb("train", pictures, *words, "--threads=1", "--out=run")
    assert said.code == 0, said.err
    configs = [json.loads((in_tmp / "run" / name / "config.json").read_text()) for name in ("fold-1", "all")]
    assert [one["share"]["of"] for one in configs] == [3, 3]
    assert 100 < configs[0]["share"]["seconds"] < 200
    assert configs[1]["share"]["seconds"] > 300  # what the others left
    assert all(one["decided"]["seconds"] < one["share"]["seconds"] for one in configs)
    assert configs[1]["share"]["arguments"] == configs[0]["decided"]["arguments"]
    assert configs[1]["decided"]["arguments"] == configs[0]["decided"]["arguments"]
    assert verb("reproduce", "run", "--json", "--quiet").json["equal"] is True


def test_a_time_too_short_for_all_runs_is_refused_before_training(verb, pictures, in_tmp, tried):
    said = verb("train", pictures, "--folds=5", "--time=3s", "--filters=8,16", "--threads=1", "--out=run")
    assert said.code == 2
    assert "--time 3s is too short for 6 runs: " in said.err
    assert not list((in_tmp / "run").glob("**/history.jsonl"))


# ---------------------------------------------------------------- repeats
def test_repeats_draw_everything_anew_where_no_test_part_is_named(repeated):
    parts = [
        read_index(repeated / name / "index.parquet").split.tolist() for name in ("repeat-1", "repeat-2")
    ]
    assert parts[0] != parts[1]
    seeds = [
        json.loads((repeated / f"repeat-{at}/config.json").read_text())["settings"]["seed"] for at in (1, 2)
    ]
    assert seeds == [5, 6]
    assert (repeated / "index.parquet").read_bytes() == (repeated / "repeat-1/index.parquet").read_bytes()


def test_a_repeat_is_the_run_of_its_seed(verb, repeated, pictures, tiny, in_tmp):
    assert verb("train", pictures, *tiny, "--seed=6", "--out", "alone", "--quiet").code == 0
    for name in (*EVERY, "history.jsonl"):
        ours, alone = (run / name for run in (repeated / "repeat-2", in_tmp / "alone"))
        assert ours.read_bytes() == alone.read_bytes(), name


def test_the_figure_of_repeats_is_their_mean_with_the_interval_over_seeds(repeated):
    each = [told(repeated / name)["metrics"]["test"] for name in ("repeat-1", "repeat-2")]
    apart = spread([one["accuracy"] for one in each])
    found = told(repeated)["metrics"]["test"]
    assert found["accuracy"] == apart.mean
    assert found["accuracy_deviation"] == apart.deviation
    assert (found["accuracy_low"], found["accuracy_high"]) == (max(0, apart.low), min(1, apart.high))
    assert found["interval"] == "student"
    rows = [
        read_index(repeated / name / "index.parquet").rows("test").tolist()
        for name in ("repeat-1", "repeat-2")
    ]
    assert found["n"] == len(set(rows[0] + rows[1]))
    page = (repeated / "report.html").read_text(encoding="utf-8")
    assert "covers other seeds and draws, not other pictures" in page


def test_the_model_of_repeats_is_that_of_the_first_seed_as_it_was_measured(repeated):
    assert (repeated / "model.vistazo").read_bytes() == (repeated / "repeat-1/model.vistazo").read_bytes()
    assert told(repeated)["study"]["model"] == "repeat-1"


def test_repeats_are_measured_on_the_same_official_test_part(verb, wardrobe, tiny, in_tmp):
    said = verb("train", wardrobe, *tiny, "--epochs=1", "--repeats=2", "--out", "run", "--json")
    assert said.json["metrics"]["test"]["n"] == 100
    assert [one["seed"] for one in said.json["runs"]] == [0, 1]
    assert "folds would take" not in said.err
    assert "covers other seeds, not other pictures" in (in_tmp / "run/report.html").read_text(
        encoding="utf-8"
    )


def test_too_few_pictures_to_test_are_measured_on_validation_or_not_at_all(
    verb, folder_of_pictures, tiny, in_tmp
):
    source = folder_of_pictures(in_tmp / "s", "a", "b", each=2)
    assert verb("train", source, *tiny, "--repeats=2", "--out", "run", "--quiet").code == 0
    assert told(in_tmp / "run")["metrics"]["test"]["n"] > 0
    (in_tmp / "one.csv").write_text(
        "path,label,group\n"
        + "\n".join(
            f"s/{name}/{path.name},{name},{name}"
            for name in "ab"
            for path in sorted((source / name).iterdir())
        )
    )
    assert verb("train", "one.csv", *tiny, "--repeats=2", "--out", "bare", "--quiet").code == 0
    assert told(in_tmp / "bare")["metrics"] == {"validation": None, "test": None}
    assert "nothing was measured" in (in_tmp / "bare/report.html").read_text(encoding="utf-8")


# ---------------------------------------------------------------- what an existing study means
def test_the_same_command_again_gives_the_result_without_training(
    verb, folded, pictures, tiny, in_tmp, monkeypatch
):
    from vistazo.classification import task

    run = shutil.copytree(folded, in_tmp / "run")
    monkeypatch.setattr(task, "fit", None)  # training would fail
    for words in (["train", pictures, *tiny, "--folds=3", "--out", run], ["resume", run], ["resume", "last"]):
        said = verb(*words, "--json")
        assert said.code == 0, said.err
        assert said.json["metrics"] == told(folded)["metrics"]
        assert said.json["runs"] == told(folded)["runs"]


def test_another_number_of_folds_is_another_run(verb, folded, pictures, tiny, in_tmp):
    run = shutil.copytree(folded, in_tmp / "run")
    said = verb("train", pictures, *tiny, "--folds=2", "--out", run, "--quiet")
    assert said.code == 1
    assert "another folds (3 there, 2 asked)" in said.err


def test_a_fold_is_a_setting_of_its_own(verb, folded, pictures, tiny, in_tmp):
    said = verb("train", pictures, *tiny, "--fold=2/3", "--out", "alone", "--quiet")
    assert said.code == 0, said.err
    for name in EVERY:
        assert (in_tmp / "alone" / name).read_bytes() == (folded / "fold-2" / name).read_bytes(), name


def test_a_finished_study_goes_on_for_more_epochs(verb, folded, in_tmp):
    run = shutil.copytree(folded, in_tmp / "run")
    said = verb("resume", run, "--epochs=1", "--quiet")
    assert said.code == 2
    assert "already has a plan of 2 epochs" in said.err
    said = verb("resume", run, "--epochs=3", "--json", "--quiet")
    assert said.code == 0, said.err
    assert said.json["epochs"] == 3
    for name in FOLDS:
        assert len((run / name / "history.jsonl").read_text().splitlines()) == 3
    assert verb("resume", run, "--quiet").code == 0


def test_arrays_serve_too(in_tmp, clothes):
    kept = np.flatnonzero(clothes[1] < 2)
    pixels, labels = clothes[0][kept], clothes[1][kept]
    settings = {"epochs": 1, "filters": "8,16", "precision": "fp32", "layout": "contiguous", "threads": 1}
    result = vistazo.train((pixels, labels), folds=2, out="run", quiet=True, **settings)
    assert result.metrics["test"]["n"] == len(kept)
    assert result.study["study"]["kind"] == "folds"
    again = vistazo.resume("run/fold-1", source=(pixels, labels), quiet=True)
    assert again.metrics["test"] == result.study["runs"][0]["metrics"]["test"]


# ---------------------------------------------------------------- what is refused before anything is trained
@pytest.mark.parametrize(
    ("words", "says", "code"),
    [
        (("--folds=16",), "'año_1' has 15: use --folds 15 or fewer", 1),
        (("--folds=1",), "--folds must be at least 2, not '1'.", 2),
        (("--folds=2", "--repeats=2"), "--repeats and --folds exclude one another", 2),
    ],
)
def test_impossible_folds_are_refused_and_keep_no_folder(verb, pictures, tiny, in_tmp, words, says, code):
    said = verb("train", pictures, *tiny, *words, "--out", "run", "--quiet")
    assert said.code == code
    assert says in said.err
    assert len(said.err.splitlines()) == 1
    assert not list(in_tmp.rglob("fold-*"))
    assert verb("train", pictures, *tiny, "--epochs=1", "--out", "run", "--quiet").code == 0


def test_a_model_that_knows_the_pictures_to_be_tested_is_refused_as_a_beginning(
    verb, folded, repeated, pictures, folder_of_pictures, tiny, in_tmp
):
    for words in (("--folds=2",), ("--repeats=2",)):
        said = verb("train", pictures, *tiny, "--from", folded / "fold-1", *words, "--out", "run", "--quiet")
        assert said.code == 2, said.err
        assert "of the pictures that would be tested" in said.err
        assert not list(in_tmp.glob("run/*/"))
    other = folder_of_pictures(in_tmp / "other", "red & co", "año_1", each=17)
    for path in sorted(other.rglob("*.png")):
        if (pictures / path.relative_to(other)).exists():
            path.unlink()
    words = (
        "--filters=8,16",
        "--epochs=1",
        "--threads=1",
        "--from",
        folded / "fold-1",
        "--folds=2",
        "--out",
        "run",
    )
    assert verb("train", other, *words, "--quiet").code == 0


def test_pictures_that_cannot_be_read_are_left_out_of_every_run_and_told(
    verb, folder_of_pictures, tiny, in_tmp
):
    source = folder_of_pictures(in_tmp / "s", "a", "b", each=15)
    (source / "a" / "broken.png").write_bytes(b"no picture")
    said = verb("train", source, *tiny, "--folds=2", "--out", "run")
    assert said.code == 0, said.err
    assert said.err.count("broken.png") == 1
    assert told(in_tmp / "run")["metrics"]["test"]["n"] == 30
    assert "broken.png" in (in_tmp / "run/report.html").read_text(encoding="utf-8")


def test_a_source_that_names_every_part_is_refused(verb, folder_of_pictures, tiny, in_tmp):
    for part in ("train", "val", "test"):
        folder_of_pictures(in_tmp / "s" / part, "a", "b", each=4)
    said = verb("train", "s", *tiny, "--folds=2", "--out", "run", "--quiet")
    assert said.code == 2
    assert "names its training, validation and test parts itself" in said.err


def test_folds_belong_to_pictures_so_far(verb, in_tmp):
    (in_tmp / "table.csv").write_text("a,b\n1,2\n")
    said = verb("train", "table.csv", "--target=b", "--folds=2")
    assert said.code == 2
    assert "--folds to classification: leave one of them out" in said.err


def test_spanish_names_of_the_options(verb, pictures, in_tmp):
    said = verb("entrenar", "nada", "--pliegues=1", "--lang=es")
    assert said.code in (1, 2)
    for words in (("--repeticiones=2",), ("--pliegues=2",), ("--pliegue=1/2",), ("--determinista",)):
        assert "--" not in verb("entrenar", "nada", *words, "--lang=es").err.replace("--" + words[0][2:], "")


# ---------------------------------------------------------------- killed, stopped, paused
LONG = ("--epochs=12", "--checkpoint-seconds=0", "--folds=2", "--out", "run")
posix = pytest.mark.skipif(
    sys.platform == "win32", reason="Windows has neither kill -9 nor a SIGTERM to catch"
)


@pytest.fixture(scope="module")
def long_words(pictures, tiny):
    return ["train", pictures, *tiny, *LONG]


@pytest.fixture(scope="module")
def uninterrupted(long_words, tmp_path_factory):
    """What the study leaves that nobody disturbed."""
    return contents(begin(tmp_path_factory.mktemp("uninterrupted"), *long_words))


def epochs(folder):
    try:
        return len((folder / "history.jsonl").read_text().splitlines())
    except OSError:
        return 0


def status(folder):
    try:
        return json.loads((folder / "status.json").read_text())
    except (OSError, ValueError):
        return {}


def wait_for(condition, process, seconds=60):
    end = time.monotonic() + seconds
    while not condition() and process.poll() is None:
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.002)


MOMENTS = {
    "while the pictures are read": lambda run: status(run).get("phase") == "reading",
    "in the first fold": lambda run: epochs(run / "fold-1") >= 2,
    "after the first fold": lambda run: (run / "fold-1/model.vistazo").exists(),
    "in the second fold": lambda run: epochs(run / "fold-2") >= 2,
    "in the run on all pictures": lambda run: epochs(run / "all") >= 2,
    "while the result is written": lambda run: (run / "all/model.vistazo").exists(),
}
QUICK = ("while the result is written",)  # and the first fold: below


@posix
@pytest.mark.parametrize(
    "moment", [one if one in QUICK else pytest.param(one, marks=pytest.mark.slow) for one in MOMENTS]
)
def test_a_study_killed_at_any_moment_ends_as_if_nothing_had_happened(
    launch, verb, in_tmp, uninterrupted, long_words, moment
):
    after = random.Random().uniform(0, 0.2)
    process = launch(*long_words, "--quiet")
    wait_for(lambda: MOMENTS[moment](in_tmp / "run"), process)
    time.sleep(after)
    process.send_signal(signal.SIGKILL)
    process.wait()
    # Both ways on are one: whichever is picked must end at the same bits.
    words = ["resume", "run"] if random.Random().random() < 0.5 else long_words
    said = verb(*words, "--quiet")
    assert said.code == 0, (after, said.err)
    assert contents(in_tmp / "run") == uninterrupted


@posix
@pytest.mark.slow
def test_a_study_killed_again_and_again_gets_there(launch, verb, in_tmp, uninterrupted, long_words):
    for moment in MOMENTS.values():
        process = launch(*long_words, "--quiet")
        wait_for(lambda: moment(in_tmp / "run"), process)  # noqa: B023 - used at once
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert verb(*long_words, "--quiet").code == 0
    assert contents(in_tmp / "run") == uninterrupted


@posix
def test_a_fold_that_was_killed_can_be_resumed_alone_and_then_the_study(
    launch, verb, in_tmp, uninterrupted, long_words
):
    process = launch(*long_words, "--quiet")
    wait_for(lambda: epochs(in_tmp / "run/fold-1") >= 2, process)
    process.send_signal(signal.SIGKILL)
    process.wait()
    said = verb("resume", "run/fold-1", "--json", "--quiet")
    assert said.code == 0, said.err
    assert said.json["run"] == "run/fold-1"
    assert not (in_tmp / "run/fold-2/model.vistazo").exists()
    before = (in_tmp / "run/fold-1/model.vistazo").stat().st_mtime_ns
    assert verb("resume", "run", "--quiet").code == 0
    assert (in_tmp / "run/fold-1/model.vistazo").stat().st_mtime_ns == before
    assert contents(in_tmp / "run") == uninterrupted


@posix
def test_sigterm_ends_a_study_with_3_and_names_the_study(launch, verb, in_tmp, uninterrupted, long_words):
    process = launch(*long_words, "--json")
    wait_for(lambda: epochs(in_tmp / "run/fold-2") >= 2, process)
    seen = status(in_tmp / "run")
    assert (seen["phase"], seen["inside"]) == ("training", "fold-2")
    process.terminate()
    out, err = process.communicate(timeout=30)
    assert process.returncode == 3, err.decode()
    assert json.loads(out)["error"].endswith("Continue with: vistazo resume run")
    assert b"Traceback" not in err
    assert status(in_tmp / "run")["phase"] == status(in_tmp / "run/fold-2")["phase"] == "stopped"
    assert (in_tmp / "runs/last").read_text() == str((in_tmp / "run").resolve())
    said = verb("resume", "last")
    assert said.code == 0, said.err
    assert "— run 1 of 3: fold-1" in said.err
    assert contents(in_tmp / "run") == uninterrupted


@posix
def test_the_control_file_of_a_study_pauses_and_stops_the_run_at_work(launch, in_tmp, long_words):
    process = launch(*long_words, "--epochs=400", "--quiet")
    wait_for(lambda: epochs(in_tmp / "run/fold-1") >= 2, process)
    (in_tmp / "run/control").write_text("pause")
    wait_for(lambda: status(in_tmp / "run").get("paused"), process)
    at_work = [status(in_tmp / "run/fold-1").get(name) for name in ("epoch", "step")]
    time.sleep(0.3)
    assert [status(in_tmp / "run/fold-1").get(name) for name in ("epoch", "step")] == at_work
    (in_tmp / "run/control").write_text("stop")
    process.communicate(timeout=30)
    assert process.returncode == 3
    assert status(in_tmp / "run")["phase"] == "stopped"


def test_a_study_at_work_is_busy(verb, folded, in_tmp):
    from vistazo.engine import runs

    run = shutil.copytree(folded, in_tmp / "run")
    (run / "model.vistazo").unlink()
    with runs.open_existing(str(run / "fold-2")):
        said = verb("resume", run, "--quiet")
    assert said.code == 1
    assert "fold-2 is in use by process" in said.err
    assert verb("resume", run, "--quiet").code == 0
    assert contents(run) == contents(folded)
