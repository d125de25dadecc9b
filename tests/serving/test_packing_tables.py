"""Folders of models of tables and series: trained, exported, packed, and asked where there is no torch."""

import json
import re
import shlex

import numpy as np
import pytest

pytest.importorskip("onnx")
pytest.importorskip("onnxscript")
pytest.importorskip("onnxruntime")
pytest.importorskip("fastapi")

import vistazo
from vistazo import tasks
from vistazo.serving import packing

from .packed import blocked, posted, started

ABSENT = (
    "torch", "pyarrow", "PIL", "simplejpeg", "cykooz_resizer", "safetensors", "platformdirs", "filelock", "onnx",
    "pytest",
)  # fmt: skip
COMMON = {"quiet": True, "threads": 1, "epochs": 3}


def quiet(sentence):
    """Nobody is told."""


def flowers(path):
    random = np.random.default_rng(0)
    rows = ["length,place,flower"]
    for row in range(120):
        kind = row // 40
        rows.append(f"{kind + random.normal(0, 0.4):.3f},{('wood', 'field', 'río')[kind]},{'abc'[kind]}")
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return path


def sales(path):
    random = np.random.default_rng(0)
    days = np.datetime64("2022-01-03") + np.arange(90)
    rows = [f"{day},{20 + 5 * (n % 7) + random.normal():.2f}" for n, day in enumerate(days)]
    path.write_text("\n".join(["date,units", *rows]) + "\n", encoding="utf-8")
    return path


def packed(run, place):
    model = tasks.load(run)
    exported = place / "m.onnx"
    tasks.tasks[model.task].exporting().export(model, exported, verify=None, precision="fp32", say=quiet)
    told = packing.pack(exported, place / "service", say=quiet)
    return tasks.load(exported), told


def sent(told):
    """The JSON that the README's curl line sends."""
    words = shlex.split(told["ask"])
    return words[words.index("-d") + 1].encode()


def without_file(answers):
    return [{name: value for name, value in one.items() if name != "file"} for one in answers]


@pytest.mark.slow
def test_a_folder_answers_for_rows_as_the_exported_model_does(tmp_path):
    source = flowers(tmp_path / "flowers.csv")
    run = vistazo.train(
        source, task="tabular", target="flower", out=tmp_path / "run", hidden="16", members=2, **COMMON
    )
    own, told = packed(run.run, tmp_path)
    assert "pyarrow==" not in (tmp_path / "service/requirements.txt").read_text()
    rows = json.loads(sent(told))["rows"]
    with started(tmp_path / "service", blocked(tmp_path / "blocked", ABSENT)) as server:
        url = f"{server['url']}/v1/models/model/predict"
        for given, body, kind in (
            (rows, sent(told), "application/json"),
            (source, source.read_bytes(), "text/csv"),
        ):
            status, said = posted(url, body, kind)
            assert status == 200, said
            assert without_file(said["predictions"]) == without_file(own.predict(given))


@pytest.mark.slow
def test_a_folder_goes_on_with_series_as_the_exported_model_does(tmp_path):
    source = sales(tmp_path / "sales.csv")
    run = vistazo.train(
        source, task="forecasting", out=tmp_path / "run", window=6, horizon=4, origins=2, **COMMON
    )
    own, told = packed(run.run, tmp_path)
    assert not re.search(r"\btorch\b", (tmp_path / "service/requirements.txt").read_text())
    with started(tmp_path / "service", blocked(tmp_path / "blocked", ABSENT)) as server:
        url = f"{server['url']}/v1/models/model/predict"
        status, said = posted(url, sent(told), "application/json")
        assert status == 200, said
        assert without_file(said["predictions"]) == without_file(own.predict((), steps=4))
        status, said = posted(url, source.read_bytes(), "text/csv")
        assert status == 200, said
        assert without_file(said["predictions"]) == without_file(own.predict([source]))
