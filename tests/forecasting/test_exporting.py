"""A forecaster in an .onnx file: the same steps to come, from values and step numbers, with onnxruntime alone."""

import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

import vistazo
from vistazo import language
from vistazo.engine import answers
from vistazo.engine.onnx_file import OnnxFile, opened
from vistazo.errors import BundleDamaged, ConfigError, SourceError, TooFewExamples, VistazoError
from vistazo.forecasting import exporting
from vistazo.forecasting import steps as time
from vistazo.forecasting.exported import Exported, open_model
from vistazo.forecasting.graph import Calendar, WindowsToForecasts
from vistazo.forecasting.models import create, models

onnxruntime = pytest.importorskip("onnxruntime", reason="the extra [export] is not installed")

SHOPS = ("kiosk", "mall", "market")
DAYS, WINDOW, HORIZON = 90, 6, 4
START = np.datetime64("2022-01-03")


def promo(n):
    return int(n % 5 == 2)


def lines(first, last, ahead=0, shops=SHOPS):
    """Rows of shops closed on Sundays, some values lost, and `ahead` days to come whose promotions are known."""
    for k, shop in enumerate(SHOPS):
        if shop not in shops:
            continue
        for n in range(first, last + ahead):
            if n % 7 != 6:
                value = round(
                    30**k * (20 + 5 * (n % 7) + 30 * promo(n) + np.random.default_rng((k, n)).normal()), 2
                )
                yield f"{START + n},{shop},{value if n < last and (n < last - 9 or n % 11) else ''},{promo(n)}"


def write(path, rows, header="date,shop,units,promo"):
    path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return write(tmp_path_factory.mktemp("series") / "s.csv", lines(0, DAYS, ahead=3))


@pytest.fixture(scope="module")
def run(source):
    with language.speaking("en"):
        return vistazo.train(
            source, task="forecasting", out=source.parent / "run", quiet=True, threads=1, epochs=3, window=WINDOW,
            horizon=HORIZON, origins=2, series="shop", value="units", known="promo",
        ).run  # fmt: skip


@pytest.fixture(scope="module")
def model(run):
    return vistazo.load(run)


@pytest.fixture(scope="module")
def proved(model, tmp_path_factory):
    """(the file, what export told)"""
    out = tmp_path_factory.mktemp("out") / "m.onnx"
    return out, exporting.export(model, out, verify=None, precision="fp32", say=lambda line: None)


@pytest.fixture(scope="module")
def exported(proved):
    return open_model(opened(proved[0]))


def alike(model, other, *files, **asked):
    both = list(zip(model.predict(*files, **asked), other.predict(*files, **asked), strict=True))
    assert both
    for own, told in both:
        assert own.keys() == told.keys()
        assert (own["series"], own["date"]) == (told["series"], told["date"])
        for name in ("value", "low", "high"):
            assert told[name] == pytest.approx(own[name], rel=2e-5)
    return both


# ---------------------------------------------------------------- the calendar
@pytest.mark.parametrize("step", ["hour", "day", "week", "month"])
def test_the_graphs_calendar_is_that_of_the_windows(step):
    """Every step of 40 years around 1970 (of hours, every 13th), and some far away."""
    first, last = time.steps_of(np.array(["1950-01-01", "1990-01-01"], dtype="datetime64[s]"), step)
    far = np.random.default_rng(0).integers(30 * first, 40 * last, 2000)
    steps = np.concatenate([np.arange(first, last, 13 if step == "hour" else 1), far])
    codes, turn = Calendar(step)(torch.from_numpy(steps))
    np.testing.assert_array_equal(codes.numpy(), time.codes_of(steps, step))
    np.testing.assert_array_equal(turn.numpy(), time.calendar(steps, step))


def test_the_calendar_of_days_by_hand():
    day = int(np.datetime64("2024-02-29").astype(int))
    codes, turn = Calendar("day")(torch.tensor([day, -1]))
    assert codes.tolist() == [[3, 1], [2, 11]]  # Thursday in February; 1969-12-31 was a Wednesday
    assert turn[0, 1] == 1.0  # no day is left of its month
    assert turn[0, 0] == pytest.approx(np.exp(-29 / 3))
    assert turn[0, 6] == pytest.approx(np.sin(2 * np.pi * 59 / 365.25))


# ---------------------------------------------------------------- before any file
@pytest.mark.parametrize("name", list(models))
def test_the_graph_of_every_network_answers_as_the_forecaster(model, source, name):
    """In torch, with weights that nothing has trained: what is scaled, taken out and put back is the same."""
    torch.manual_seed(7)
    other = replace(model, model=name, network=create(name, model.arguments).eval())
    assert_same(other, other.read(source))


@pytest.mark.parametrize("change", [{"log": False}, {"profile": None}])
def test_the_graph_follows_what_was_decided(model, source, change):
    assert_same(replace(model, **change), model.read(source))


def assert_same(model, panel):
    origins = model.origins(panel)
    low, value, high = model.tell(panel, origins)
    kept = {}

    class Session:
        def run(self, names, feed):
            kept.update(feed)
            numbers = [model.series_number(one) for one in feed.pop("series")]
            with torch.no_grad():
                found = WindowsToForecasts(model).eval()(
                    [
                        *(torch.from_numpy(np.ascontiguousarray(one)) for one in feed.values()),
                        torch.tensor(numbers),
                    ]
                )
            told = dict(zip(("value", "low", "high", "quantiles"), found, strict=True))
            return [told[name].numpy() for name in names]

    exported = Exported(Session(), model.model, model.arguments, model.history, "", {})
    for own, told in zip((low, value, high), exported.tell(panel, origins), strict=True):
        np.testing.assert_allclose(told, own, rtol=1e-5)
    assert list(kept) == ["past", "steps", "known", "series"]


# ---------------------------------------------------------------- the same answers
def test_a_file_proves_itself_on_the_windows_of_the_test_part(model, proved):
    told = proved[1]
    assert told["agreement"] == 1.0
    assert (
        told["examples"]
        == json.loads((model.path.parent / "metrics.json").read_text())["metrics"]["test"]["windows"]
    )
    assert told["largest_difference"] < 1e-4 * told["range"]
    assert told["mae"]["model"] == pytest.approx(told["mae"]["exported"], rel=1e-5)


def test_it_goes_on_after_the_training_data_and_after_any_file(model, exported, tmp_path):
    alike(model, exported)
    newer = write(tmp_path / "newer.csv", lines(40, DAYS + 20, ahead=2))
    both = alike(model, exported, newer)
    assert len(both) == 3 * HORIZON
    alike(model, exported, write(tmp_path / "some.csv", lines(40, DAYS, shops=("market",))))


def test_the_order_of_day_and_month_that_was_learnt_travels_along(model, tmp_path):
    learnt = replace(model, history=replace(model.history, settled={"date_order": "mdy"}))
    exporting.export(learnt, tmp_path / "m.onnx", verify=None, precision="fp32", say=lambda line: None)
    early = [one.split("-", 2) for one in lines(30, 39)]  # 2 to 10 February
    file = write(tmp_path / "n.csv", [f"{month}/{rest[:2]}/{year}{rest[2:]}" for year, month, rest in early])
    alike(learnt, open_model(opened(tmp_path / "m.onnx")), file)


def test_export_ends_by_naming_a_command_that_needs_no_file(verb, model, proved, tmp_path, monkeypatch):
    monkeypatch.setattr(exporting, "export", lambda *_, **__: proved[1])
    said = verb("export", model.path, "--out", tmp_path / "m.onnx")
    assert said.out.splitlines()[-1] == f"next:   vistazo predict {proved[0]}"


@pytest.mark.parametrize("steps", [1, HORIZON + 1, 3 * HORIZON])
def test_further_steps_are_rolled_as_the_model_rolls_them(model, exported, steps):
    assert len(alike(model, exported, steps=steps)) == 3 * steps
    assert "end of the window" in exported.facts["rolled"]["beyond"]


def test_it_is_measured_as_the_model_is(model, exported, tmp_path):
    newer = write(tmp_path / "newer.csv", lines(40, DAYS + 30))
    own, told = (one.evaluate(newer) for one in (model, exported))
    assert own["windows"] == told["windows"] > 0
    assert told["metrics"]["mae"] == pytest.approx(own["metrics"]["mae"], rel=1e-5)
    assert told["by_horizon"] == pytest.approx(own["by_horizon"], rel=1e-5)


def test_answers_are_written_and_drawn(model, exported, tmp_path):
    for name in ("a.csv", "a.svg"):
        written = answers.write(
            exported.predict(), tmp_path / name, columns=exported.columns, pictures=exported.pictures
        )
        assert written["count"] == 3 * HORIZON
    assert (tmp_path / "a.svg").read_bytes().startswith(b"<svg")
    assert exported.notes == model.notes


def test_onnxruntime_alone_forecasts_from_the_metadata(model, proved):
    """What somebody without Vistazo does: the last values of one series, and the days they fell on."""
    session = onnxruntime.InferenceSession(str(proved[0]), providers=["CPUExecutionProvider"])
    told = json.loads(session.get_modelmeta().custom_metadata_map["vistazo"])["facts"]
    assert (told["task"], told["step"], told["window"], told["horizon"]) == (
        "forecasting",
        "day",
        WINDOW,
        HORIZON,
    )
    assert [one["name"] for one in told["inputs"]] == ["past", "steps", "known", "series"]
    assert told["inputs"][3]["of"] == list(SHOPS)
    history = told["history"]
    end = history["starts"][1]
    at = history["at"][end - WINDOW : end]
    ahead = history["ahead"]["0"]  # three days to come that the table named: a Monday comes after a Sunday
    following = [one for one in range(ahead[-1] + 1, ahead[-1] + 9) if (one + 3) % 7 != 6]
    steps = [at[0] - (2 if (at[0] + 2) % 7 == 6 else 1), *at, *ahead, *following[: HORIZON - len(ahead) + 1]]
    known = [*history["known"][end - WINDOW : end], *history["ahead_known"]["0"]]
    known += [[np.nan]] * (WINDOW + HORIZON - len(known))
    panel = model.history.panel
    feed = {
        "past": panel.filled()[None, end - WINDOW : end],
        "steps": np.array([steps]),
        "known": np.array([known], dtype=np.float32),
        "series": np.array(["kiosk"], dtype=object),
    }
    value, low, high, quantiles = session.run(["value", "low", "high", "quantiles"], feed)
    own = [one for one in model.predict() if one["series"] == "kiosk"]
    np.testing.assert_allclose(value[0], [one["value"] for one in own], rtol=1e-5)
    np.testing.assert_allclose(low[0], [one["low"] for one in own], rtol=1e-5)
    np.testing.assert_allclose(high[0], [one["high"] for one in own], rtol=1e-5)
    assert (np.diff(quantiles, axis=-1) >= 0).all()
    np.testing.assert_allclose(quantiles[0, :, 2], value[0])
    strange = session.run(["value"], {**feed, "series": np.array(["nobody"], dtype=object)})[0]
    assert np.isnan(strange).all()


def test_a_series_it_was_not_trained_on_is_refused(exported, tmp_path):
    newer = write(tmp_path / "other.csv", (line.replace("mall", "stall") for line in lines(40, DAYS)))
    with pytest.raises(SourceError, match="stall"):
        list(exported.predict(newer))


def test_the_command_line_takes_the_file_like_a_model(verb, proved, exported, source, tmp_path):
    told = verb("predict", proved[0], source, "--steps", 6, "--json").json
    assert told["predictions"] == list(exported.predict(source, steps=6))
    assert verb("predict", proved[0], "--out", tmp_path / "a.svg", "--json").json["count"] == 3 * HORIZON


# ---------------------------------------------------------------- without torch
def test_answering_imports_neither_torch_nor_pyarrow(proved):
    code = (
        "import sys, vistazo\n"
        f"model = vistazo.load({str(proved[0])!r})\n"
        "assert len(list(model.predict())) == 12\n"
        "print([name for name in ('torch', 'pyarrow', 'onnx', 'pandas') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "[]", done.stderr


# ---------------------------------------------------------------- what cannot be
@pytest.mark.parametrize("precision", ["fp16", "int8"])
def test_another_precision_is_refused_in_one_sentence(model, tmp_path, precision):
    with pytest.raises(ConfigError, match=precision):
        exporting.export(model, tmp_path / "m.onnx", verify=None, precision=precision, say=lambda line: None)
    assert not list(tmp_path.iterdir())


def test_without_its_table_the_steps_in_the_model_prove_it(model, exported):
    told = exporting.prove(model, exported, None, None)
    assert told.agreement == 1.0
    assert told.examples == len(model.origins(model.history.panel))


def test_a_bad_table_is_told_before_a_graph_is_made(model, tmp_path, monkeypatch):
    monkeypatch.setattr(exporting, "graph_of", lambda model: pytest.fail("a graph was made"))
    with pytest.raises(SourceError, match="nothing.csv"):
        model.export(tmp_path / "m.onnx", verify=tmp_path / "nothing.csv")
    assert not list(tmp_path.iterdir())


def test_a_table_without_windows_proves_nothing(model, exported, tmp_path):
    short = write(tmp_path / "short.csv", lines(DAYS - 7, DAYS - 1))
    with pytest.raises(TooFewExamples):
        exporting.prove(model, exported, short, None)
    with pytest.raises(TooFewExamples, match="--verify"):
        exporting.prove(model, exported, None, 10**6)


def test_forecasts_that_differ_leave_no_file(model, tmp_path, monkeypatch):
    """A graph of another scale stands for any fault of the export."""
    made = exporting.graph_of
    wrong = replace(model, scales=replace(model.scales, centre=model.scales.centre + 0.1))
    monkeypatch.setattr(exporting, "graph_of", lambda model: made(wrong))
    with pytest.raises(VistazoError, match="No file was written"):
        exporting.export(model, tmp_path / "m.onnx", verify=None, precision="fp32", say=lambda line: None)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "change",
    [{"window": 5}, {"horizon": 0}, {"history": {}}, {"step": "year"}, {"hash": 1}, {"preprocessing": {}}],
)
def test_metadata_that_does_not_fit_the_graph_is_a_damaged_file(exported, change, tmp_path):
    file = OnnxFile(tmp_path / "m.onnx", {**exported.facts, **change}, exported.session)
    with pytest.raises(BundleDamaged, match="hold together"):
        open_model(file)


# ---------------------------------------------------------------- every network
@pytest.mark.slow
@pytest.mark.parametrize("name", list(models))
def test_every_network_is_exported(model, source, name, tmp_path):
    torch.manual_seed(7)
    other = replace(model, model=name, network=create(name, model.arguments).eval())
    told = exporting.export(
        other, tmp_path / "m.onnx", verify=source, precision="fp32", say=lambda line: None
    )
    assert told["agreement"] == 1.0
    alike(other, open_model(opened(tmp_path / "m.onnx")), steps=2 * HORIZON)
