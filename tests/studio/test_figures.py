"""What a run reached, in words."""

import json

import pytest

from vistazo.language import speaking
from vistazo.studio.figures import facts_of, headline


@pytest.fixture
def run(tmp_path):
    part = {
        "accuracy": 0.9,
        "accuracy_low": 0.699,
        "accuracy_high": 0.972,
        "n": 20,
        "macro_f1": 0.8995,
        "loss": 0.36,
    }
    told = {
        "metrics": {"test": part, "validation": {**part, "n": 1234}},
        "parameters": {"total": 144208},
        "epochs": 40,
    }
    (tmp_path / "metrics.json").write_text(json.dumps(told))
    (tmp_path / "config.json").write_text(
        json.dumps({"settings": {"recipe": "quick", "corrections": "a.csv#1"}})
    )
    (tmp_path / "status.json").write_text(json.dumps({"phase": "finished", "seconds": 61.0}))
    return tmp_path


def test_the_figure_to_read_first_has_its_interval(run):
    assert headline(run) == "90.0% right (between 69.9% and 97.2%; n = 20)"
    with speaking("es"):
        assert "90,0" in headline(run)


def test_all_figures_are_told_of_each_part(run):
    facts = facts_of(run)
    assert facts["test: right answers"] == "90.0%"
    assert facts["test: 95 % interval"] == "69.9% to 97.2%"
    assert facts["validation: examples"] == "1,234"
    assert facts["time"] == "1 min 01 s"
    assert facts["corrections"] == "yes"


def test_a_run_without_figures_has_none(tmp_path):
    assert headline(tmp_path) == ""
    (tmp_path / "metrics.json").write_text("[]")
    assert headline(tmp_path) == ""
    assert "epochs" not in facts_of(tmp_path)


def test_a_task_without_classes_tells_its_own(tmp_path):
    (tmp_path / "metrics.json").write_text(json.dumps({"metrics": {"test": {"mae": 1.25, "n": 7}}}))
    assert headline(tmp_path) == "mean absolute error 1.250"
    assert facts_of(tmp_path)["test: examples"] == "7"


@pytest.mark.parametrize("lang", ["en", "es"])
def test_no_figure_is_called_as_files_call_it(tmp_path, lang):
    part = {"mae": 1.5, "rmse": 2.5, "coverage": 0.8333, "macro_f1": 0.7, "r2": 0.9, "loss": 0.1, "n": 12345}
    (tmp_path / "metrics.json").write_text(json.dumps({"metrics": {"test": part}}))
    with speaking(lang):
        facts = facts_of(tmp_path)
        told = " ".join(facts) + headline(tmp_path)
        assert not {"mae", "rmse", "coverage", "macro f1", "r2"} & set(told.replace(":", " ").split())
        assert "macro f1" not in told
        assert ("83,3" if lang == "es" else "83.3%") in " ".join(facts.values())
