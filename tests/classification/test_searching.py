"""A search over classifiers: the same bits as training alone, one look at the test part, a lean trial."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

import vistazo
from vistazo import bundle, tuning
from vistazo.classification import keeping, searching, task
from vistazo.engine import checkpoints, history, range_test
from vistazo.engine.search_journal import Journal
from vistazo.errors import ConfigError

TINY = {"filters": "8,16", "epochs": 4, "precision": "fp32", "layout": "contiguous", "threads": 1}
SPACE = {"rate": "log:0.5..2", "batch": "16,32"}


@pytest.fixture
def source(clothes, tmp_path):
    """300 pictures to learn from, 100 to test on."""
    pictures, labels = clothes
    path = tmp_path / "clothes.npz"
    arrays = {
        "x_train": pictures[:300],
        "y_train": labels[:300],
        "x_test": pictures[300:],
        "y_test": labels[300:],
    }
    np.savez(path, **arrays)
    return path


def tensors(path: Path) -> dict[str, bytes]:
    return {name: one.numpy().tobytes() for name, one in bundle.load(path).tensors.items()}


def test_a_trial_that_was_promoted_is_the_training_that_was_never_stopped(source, in_tmp, monkeypatch):
    """Its history and, of the winner, its weights are those of `train --config best.toml`, to the bit."""
    from vistazo.classification.config import ClassificationConfig
    from vistazo.config import read_settings

    restored, load = [], checkpoints.load_newest

    def watched(folder):
        found = load(folder)
        if found is not None:
            restored.append(folder.parent.name)
        return found

    monkeypatch.setattr(checkpoints, "load_newest", watched)
    found = vistazo.tune(source, search=SPACE, trials=3, pruner="hyperband", out="search", quiet=True, **TINY)
    entries = Journal(found.run, {}, lower_is_better=False).entries()
    promoted = [one for one in entries if one.origin == "sampled" and len(one.curve) == 4]
    assert f"{promoted[0].number:04d}" in restored
    assert restored[-1] == "best"
    assert (found.run / "trials" / f"{promoted[0].number:04d}" / "config.json").exists()
    for number in {found.best["number"], promoted[0].number}:
        values = entries[number].values if number else {}
        alone = vistazo.train(source, out=f"alone-{number}", quiet=True, **{**TINY, **values})
        ours = history.read(found.run / "trials" / f"{number:04d}" / "history.jsonl")
        assert ours == history.read(alone.run / "history.jsonl")
        assert [one["validation"]["accuracy"] for one in ours] == list(entries[number].curve)
    settings = read_settings(found.run / "best.toml", ClassificationConfig)
    again = vistazo.train(source, out="again", quiet=True, **settings)
    assert tensors(again.model) == tensors(found.model)
    assert again.metrics == found.metrics
    told = json.loads((found.run / "metrics.json").read_text())
    assert told["search"]["best"]["figure"] == found.best["figure"]
    assert (found.run / "best" / "report.html").exists()
    assert vistazo.load("search").evaluate(source)["metrics"]


def test_the_test_part_is_looked_at_once_by_the_winner_alone(source, in_tmp, monkeypatch):
    """Trials are trained with labels of the test part that would break them; the winner is measured once."""
    looked = []
    measure = keeping.measure

    def watched(model, data, part, scores=None):
        looked.append(part)
        return measure(model, data, part, scores)

    parts = []
    take = task.Data.part
    truth = task.Data.labels
    monkeypatch.setattr(task, "measure", watched)
    monkeypatch.setattr(
        task.Data, "part", lambda self, part: parts.append((part, len(looked))) or take(self, part)
    )
    monkeypatch.setattr(
        task.Data, "labels", lambda self, part: parts.append((part, len(looked))) or truth(self, part)
    )
    vistazo.tune(source, search=SPACE, trials=3, out="search", quiet=True, **TINY)
    assert looked == ["validation", "test"]
    assert [at for part, at in parts if part == "test"] != []
    assert all(at > 0 for part, at in parts if part == "test")  # not before the winner stood


def test_another_test_part_changes_nothing_of_a_search(source, in_tmp, clothes):
    pictures, labels = clothes
    other = in_tmp / "other.npz"
    arrays = {"x_train": pictures[:300], "y_train": labels[:300]}
    np.savez(other, x_test=pictures[300:][::-1], y_test=np.roll(labels[300:], 1), **arrays)
    journals = []
    for at, one in enumerate((source, other)):
        found = vistazo.tune(one, search=SPACE, trials=2, out=f"search-{at}", quiet=True, **TINY)
        entries = Journal(found.run, {}, lower_is_better=False).entries()
        journals.append([(entry.values, entry.curve, entry.state) for entry in entries])
    assert journals[0] == journals[1]


def test_pictures_are_read_once_and_no_trial_has_a_report(source, in_tmp, monkeypatch):
    from vistazo.pictures import cache, sources

    read, decoded = [], []
    kept, load = sources.read_source, cache.load
    monkeypatch.setattr(sources, "read_source", lambda *words, **rest: read.append(1) or kept(*words, **rest))
    monkeypatch.setattr(cache, "load", lambda *words, **rest: decoded.append(1) or load(*words, **rest))
    found = vistazo.tune(source, search=SPACE, trials=3, out="search", quiet=True, **TINY)
    assert len(read) == len(decoded) == 1
    left = {path.name for path in (found.run / "trials").rglob("*")}
    assert not left & {"report.html", "model.vistazo", "metrics.json", "index.parquet", "checkpoints"}


def test_a_network_that_does_not_fit_is_a_failed_trial_with_its_reason(source, in_tmp):
    found = vistazo.tune(
        source,
        search={"filters": "8,16|1,2,3,4,5,6,7,8"},
        trials=2,
        out="search",
        quiet=True,
        **{**TINY, "filters": None},
    )
    entries = Journal(found.run, {}, lower_is_better=False).entries()
    failed = [one for one in entries if one.state == "failed"]
    assert found.failed == len(failed) == 1
    assert "--filters 1,2,3,4,5,6,7,8 does not suit" in failed[0].reason


def test_a_rate_that_explodes_is_a_failed_trial(source, in_tmp):
    found = vistazo.tune(
        source, search={"rate": "1,1e30"}, trials=2, out="search", quiet=True, **{**TINY, "average": "none"}
    )
    states = {
        one.values["rate"]: one.state for one in Journal(found.run, {}, lower_is_better=False).entries()[1:]
    }
    assert states[1e30] == "failed"
    assert found.best["values"]["rate"] == 1


def test_the_winner_may_learn_from_validation_pictures_too(source, in_tmp):
    found = vistazo.tune(
        source,
        search={"batch": "16,32"},
        trials=2,
        final="train+validation",
        out="search",
        quiet=True,
        **TINY,
    )
    told = json.loads((found.run / "metrics.json").read_text())
    assert told["counts"]["validation"] == 0 and told["counts"]["train"] == 300
    assert found.metrics["validation"] is None and 0 < found.metrics["test"]["accuracy"] <= 1


def test_all_trials_compute_alike(source, in_tmp):
    settings = {name: value for name, value in TINY.items() if name not in ("precision", "layout")}
    found = vistazo.tune(source, search={"batch": "16,32,64"}, trials=3, out="search", quiet=True, **settings)
    frozen = json.loads((found.run / "config.json").read_text())["computes"]
    assert list(frozen) == ["airbench"]
    for path in (found.run / "trials").glob("*/config.json"):
        assert json.loads(path.read_text())["compute"] == frozen["airbench"]


def test_a_winner_whose_checkpoint_a_kill_prevented_is_trained_again_to_the_same_bits(
    source, in_tmp, monkeypatch
):
    """An epoch is in the journal before it is in a checkpoint, and the process may die in between."""

    class Killed(BaseException):
        pass

    def dies(*words):
        raise Killed

    words = {"search": SPACE, "trials": 3, "quiet": True, **TINY}
    whole = vistazo.tune(source, out="whole", **words)
    with monkeypatch.context() as patch:
        patch.setattr(tuning, "_end", dies)
        with pytest.raises(Killed):
            vistazo.tune(source, out="search", **words)
    shutil.rmtree(in_tmp / "search" / "trials" / f"{whole.best['number']:04d}" / "checkpoints")
    again = tuning.resume("search", quiet=True)
    assert again.best == whole.best and again.metrics == whole.metrics
    assert tensors(again.model) == tensors(whole.model)
    assert history.read(again.run / "best" / "history.jsonl") == history.read(
        whole.run / "best" / "history.jsonl"
    )


def test_auto_is_one_range_test_whose_rate_all_trials_share(source, in_tmp, monkeypatch):
    """It is the rate that `train --learning-rate auto` finds; a search that goes on does not look for it again."""
    tests, tested = [], range_test.range_test
    monkeypatch.setattr(
        range_test, "range_test", lambda *words, **rest: tests.append(1) or tested(*words, **rest)
    )
    alone = vistazo.train(source, out="alone", quiet=True, learning_rate="auto", **TINY)
    rate = json.loads((alone.run / "config.json").read_text())["decided"]["learning_rate"]
    tests.clear()
    ends, end = [], tuning._end

    def stops_once(*words):
        ends.append(1)
        if len(ends) == 1:
            raise KeyboardInterrupt
        end(*words)

    monkeypatch.setattr(tuning, "_end", stops_once)
    words = {
        "search": {"batch": "16,32"},
        "trials": 2,
        "out": "search",
        "quiet": True,
        "learning_rate": "auto",
    }
    with pytest.raises(KeyboardInterrupt):
        vistazo.tune(source, **words, **TINY)
    found = vistazo.tune(source, **words, **TINY)
    assert len(tests) == 1
    for path in (found.run / "trials").glob("*/config.json"):
        told = json.loads(path.read_text())
        assert float(told["decided"]["learning_rate"]) == rate and "range_test" not in told
    assert f'learning_rate = "{rate!r}"' in (found.run / "best.toml").read_text()
    whole = history.read(found.run / "trials" / "0000" / "history.jsonl")
    assert whole == history.read(alone.run / "history.jsonl")


def test_settings_that_do_not_suit_the_network_are_told_before_a_picture_is_read(source, in_tmp, monkeypatch):
    def reads(*words, **rest):
        raise AssertionError("a picture was read")

    monkeypatch.setattr(searching, "load", reads)
    with pytest.raises(ConfigError, match="--dropout: the network airbench has no dropout layer"):
        vistazo.tune(source, search=SPACE, quiet=True, model="airbench", dropout=0.5, **TINY)
