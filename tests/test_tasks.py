"""Runs by name: resumed, finished, refused, busy; and the same words in Python as on the command line."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import vistazo
from vistazo import cli, rates, tasks, tuning
from vistazo.engine import runs
from vistazo.errors import ConfigError, RunBusy, RunDiffers, RunError, SourceMissing, UnknownName, UsageError
from vistazo.language import LANGUAGES, speaking
from vistazo.serving import running

RESULTS = ("model.vistazo", "history.jsonl", "metrics.json")


# ---------------------------------------------------------------- the public API
def test_importing_the_package_imports_nothing_heavy():
    code = (
        "import sys, vistazo;"
        "print(*({'torch', 'numpy', 'pydantic', 'pyarrow', 'PIL', 'click', 'rich'} & set(sys.modules)))"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.split() == []


def test_the_public_names_are_those_that_work():
    assert vistazo.serve is running.serve_here
    for name in set(vistazo.__all__) - {"serve"}:
        homes = [one for one in (tasks, tuning, rates) if name in one.__all__ and hasattr(one, name)]
        assert any(getattr(vistazo, name) is getattr(one, name) for one in homes)
    assert set(vistazo.__all__) <= set(dir(vistazo))
    assert vistazo.__all__ == sorted(vistazo.__all__)
    with pytest.raises(AttributeError, match="module 'vistazo' has no attribute 'tran'"):
        _ = vistazo.tran


def test_a_task_whose_code_was_left_behind_is_told_in_a_sentence():
    absent = tasks.Task("vistazo.astronomy", "Config", "series")
    with pytest.raises(UsageError, match="model of series needs is not in this installation"):
        absent.exported()


def test_every_task_has_its_config_and_its_verbs():
    for name in tasks.tasks:
        assert tasks.tasks[name].config().model_fields
        for verb in ("train", "read", "open_model"):
            assert callable(getattr(tasks.tasks[name].module(), verb))


def test_the_result_says_where_everything_is(trained, in_tmp):
    result = vistazo.resume(trained, quiet=True)
    assert result.run == trained
    assert result.model.exists()
    assert result.report.exists()
    told = json.loads(json.dumps(result.to_json()))
    assert told["parameters"] == result.parameters == 5_392 + 96 + 144


def test_the_run_folder_exists_before_torch_is_imported(in_tmp, wardrobe, tiny):
    code = (
        "import sys, vistazo.tasks as t\n"
        "class Stop(Exception): pass\n"
        "def module(self):\n"
        "    assert 'torch' not in sys.modules\n"
        "    raise Stop\n"
        "t.Task.module = module\n"
        "try: t.train(sys.argv[1], out='run', quiet=True)\n"
        "except Stop: pass\n"
    )
    subprocess.run([sys.executable, "-c", code, str(wardrobe)], check=True)
    assert {"config.json", "status.json", "lock"} <= {path.name for path in Path("run").iterdir()}


# ---------------------------------------------------------------- a finished run
def test_a_finished_run_gives_its_result_again_without_training(verb, earlier, wardrobe, tiny, monkeypatch):
    from vistazo.classification import task

    monkeypatch.setattr(task, "fit", None)  # training would fail
    told = json.loads((earlier / "metrics.json").read_text())["metrics"]
    for words in (["train", wardrobe, *tiny, "--out", earlier], ["resume", earlier], ["resume", "last"]):
        said = verb(*words, "--json")
        assert said.code == 0, said.err
        assert said.json["metrics"] == told
        assert "is finished already; this is its result" in said.err


def test_a_finished_result_of_other_data_does_not_pass_for_this_one(
    verb, earlier, tiny, clothes, write_idx, in_tmp
):
    pictures, labels = clothes
    other = write_idx(in_tmp / "other", "train", pictures[:200], labels[:200])
    said = verb("train", other, *tiny, "--out", earlier, "--quiet")
    assert said.code == 1
    assert "is not what it was when the run began (fingerprint differs)" in said.err


# ---------------------------------------------------------------- what is refused
@pytest.mark.parametrize(
    ("words", "field"),
    [
        (("--seed=3",), "seed"),
        (("--epochs=5",), "epochs"),
        (("--filters=8,8",), "filters"),
        (("--threads=2",), "threads"),
        (("--flip=on", "--rate=2"), "rate"),
    ],
)
def test_another_setting_is_refused_by_its_name(verb, earlier, wardrobe, tiny, words, field):
    said = verb("train", wardrobe, *tiny, *words, "--out", earlier, "--quiet")
    assert said.code == 1
    assert f"holds a run with another {field} (" in said.err
    assert "vistazo resume" in said.err


def test_other_data_is_refused_while_a_run_is_unfinished(
    verb, trained, wardrobe, tiny, clothes, write_idx, in_tmp
):
    pictures, labels = clothes
    run = shutil.copytree(trained, in_tmp / "run")
    (run / "model.vistazo").unlink()
    other = write_idx(in_tmp / "other", "train", pictures[:200], labels[:200])
    said = verb("train", other, *tiny, "--out", run, "--quiet")
    assert said.code == 1
    assert "The data of" in said.err
    assert "fingerprint differs" in said.err
    with pytest.raises(RunDiffers):
        vistazo.train(other, out=run, quiet=True, **settings(tiny))


def settings(tiny):
    return dict(word.removeprefix("--").split("=") for word in tiny)


def test_a_setting_that_changes_no_result_may_differ(verb, earlier, wardrobe, tiny):
    said = verb("train", wardrobe, *tiny, "--checkpoint-seconds=3", "--out", earlier, "--quiet")
    assert said.code == 0


def test_a_run_in_use_is_refused_and_named(verb, trained, wardrobe, tiny, in_tmp):
    run = shutil.copytree(trained, in_tmp / "run")
    with runs.open_existing(str(run)):
        for words in (["train", wardrobe, *tiny, "--out", run], ["resume", run]):
            said = verb(*words, "--quiet")
            assert said.code == 1
            assert f"{run} is in use by process " in said.err
        with pytest.raises(RunBusy):
            vistazo.resume(run)
    assert verb("resume", run, "--quiet").code == 0


def test_a_folder_of_something_else_is_never_written_into(verb, wardrobe, tiny, in_tmp):
    (in_tmp / "thesis").mkdir()
    (in_tmp / "thesis/chapter.txt").write_text("years of work")
    said = verb("train", wardrobe, *tiny, "--out", "thesis", "--quiet")
    assert said.code == 1
    assert "is not empty and is not a run ('chapter.txt' is in it)" in said.err
    assert (in_tmp / "thesis/chapter.txt").read_text() == "years of work"


@pytest.mark.parametrize("text", ["", "{", "[]", '{"task": "classification"}', "\x00"])
def test_a_run_whose_settings_are_damaged_is_named(verb, trained, in_tmp, text):
    run = shutil.copytree(trained, in_tmp / "run")
    (run / "config.json").write_text(text)
    said = verb("resume", "run", "--quiet")
    assert said.code == 1
    assert "config.json" in said.err


def test_nothing_is_there(in_tmp):
    with pytest.raises(RunError, match="There is no run at nowhere"):
        vistazo.resume("nowhere")
    with pytest.raises(RunError, match="There is no model at nowhere"):
        vistazo.load("nowhere")
    with pytest.raises(SourceMissing, match="There is nothing at nowhere"):
        vistazo.train("nowhere")
    with pytest.raises(RunError, match="There is no last run in this folder yet"):
        vistazo.load("last")
    with pytest.raises(
        UnknownName, match="There is no task 'music'. Known: classification, forecasting, tabular"
    ):
        vistazo.train("nowhere", task="music")
    assert list(in_tmp.iterdir()) == []


# ---------------------------------------------------------------- names of runs
def test_without_a_name_runs_are_numbered_after_their_source(verb, wardrobe, tiny, in_tmp):
    first = verb("train", wardrobe, *tiny, "--epochs=1", "--json", "--quiet").json
    second = verb("train", wardrobe, *tiny, "--epochs=1", "--json", "--quiet").json
    assert [first["run"], second["run"]] == ["runs/wardrobe-1", "runs/wardrobe-2"]
    assert vistazo.load("last").path == in_tmp / "runs/wardrobe-2/model.vistazo"


def test_a_run_folder_is_a_model_and_its_index_a_source(trained, in_tmp):
    model = vistazo.load(trained)
    assert model.evaluate(trained / "index.parquet")["metrics"]["n"] == 100


def test_the_control_file_stops_a_run_which_can_be_resumed(
    verb, wardrobe, tiny, in_tmp, trained, monkeypatch
):
    from vistazo.engine.runs import Run

    monkeypatch.setattr(Run, "_control", lambda run: "stop")
    said = verb("train", wardrobe, *tiny, "--out", "run", "--quiet")
    assert said.code == 3
    assert "everything is saved. Continue with: vistazo resume run" in said.err
    assert json.loads((in_tmp / "run/status.json").read_text())["phase"] == "stopped"
    monkeypatch.undo()
    monkeypatch.chdir(in_tmp)
    assert cli.main(["resume", "run", "--quiet"]) == 0
    for name in RESULTS:
        assert (in_tmp / "run" / name).read_bytes() == (trained / name).read_bytes()


@pytest.mark.parametrize("language", LANGUAGES)
def test_errors_are_sentences_in_both_languages(in_tmp, language):
    with speaking(language), pytest.raises(SourceMissing) as raised:
        vistazo.train("nowhere")
    assert "nowhere" in str(raised.value)
    assert "{" not in str(raised.value)


# ---------------------------------------------------------------- which task a source means
SERIES = "day,units\n2024-01-01,3\n2024-01-02,4\n"
TABLE = "months,left\n3,yes\n40,no\n"


@pytest.mark.parametrize(
    ("text", "settings", "task", "why"),
    [
        (SERIES, {}, "forecasting", "because the column 'day' holds dates"),
        (SERIES, {"target": "units"}, "tabular", "because of --target"),
        (SERIES, {"order": "day"}, "tabular", "because of --order-by"),
        (TABLE, {"horizon": 3}, "forecasting", "because of --horizon"),
        ("path,label\nnone.png,cat\n", {}, "classification", "because a column names pictures"),
        (TABLE, {"start": "last"}, "classification", "because of --from"),
    ],
)
def test_the_task_is_recognised_and_it_is_said_why(in_tmp, text, settings, task, why):
    (in_tmp / "source.csv").write_text(text, encoding="utf-8")
    found, sentence = tasks.recognise(in_tmp / "source.csv", settings)
    assert found == task
    assert why in sentence


def test_a_table_without_dates_asks_for_its_target(in_tmp):
    (in_tmp / "source.csv").write_text(TABLE, encoding="utf-8")
    with pytest.raises(
        ConfigError, match=r"say which column to learn with --target \(columns: months, left\)"
    ):
        tasks.recognise(in_tmp / "source.csv", {"epochs": 3})


def test_settings_of_two_tasks_are_refused_together(in_tmp):
    with pytest.raises(ConfigError, match="--target belongs to tabular and --horizon to forecasting"):
        tasks.recognise(in_tmp, {"target": "a", "horizon": 3})


def test_every_task_says_its_words_without_torch():
    code = (
        "import sys, vistazo.tasks as t\n"
        "for name in t.tasks: t.tasks[name].config(), t.tasks[name].telling()\n"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_first_try_that_was_refused_does_not_take_its_folder(verb, in_tmp):
    lines = [f"2024-{1 + at // 28:02}-{1 + at % 28:02},{at % 7},{at % 5}" for at in range(112)]
    (in_tmp / "sales.csv").write_text("\n".join(["day,units,price", *lines]), encoding="utf-8")
    refused = verb("train", "sales.csv", "--out", "run", "--epochs", "1", "--quiet")
    assert "choose what to forecast with --value" in refused.err
    mended = verb("train", "sales.csv", "--out", "run", "--epochs", "1", "--quiet", "--value", "units")
    assert mended.code == 0, mended.err
    other = verb("train", "sales.csv", "--out", "run", "--epochs", "1", "--quiet", "--value", "price")
    assert "holds a run with another value" in other.err


# ---------------------------------------------------------------- what a file is for
def test_a_file_tells_its_task_without_torch(trained, tmp_path):
    path = trained / "model.vistazo"
    code = (
        "import sys; from pathlib import Path; from vistazo.tasks import task_of;"
        f"print(task_of(Path({str(path)!r})), 'torch' in sys.modules)"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.split() == ["classification", "False"]
    for name, data in (("no.vistazo", b"text"), ("no.onnx", b"text")):
        (tmp_path / name).write_bytes(data)
        assert tasks.task_of(tmp_path / name) is None
    assert tasks.task_of(tmp_path / "nothing.onnx") is None
