"""A table's model in an .onnx file: the same answers, from cells, with onnxruntime alone."""

import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

import vistazo
from vistazo.engine.onnx_file import OnnxFile, opened
from vistazo.errors import BundleDamaged, ConfigError, SourceError, TooFewExamples, UsageError, VistazoError
from vistazo.tables.preparing import Categories, Scaler
from vistazo.tables.table import Column, Table
from vistazo.tabular import exporting
from vistazo.tabular.exported import open_model
from vistazo.tabular.given import table_of
from vistazo.tabular.graph import CellsToAnswers
from vistazo.tabular.inputs import Encoder, Feature

onnxruntime = pytest.importorskip("onnxruntime", reason="the extra [export] is not installed")

DAY = np.datetime64("2024-02-29")


def visitors(rows=140, seed=0):
    """Rows with every kind of column, cells missing in each, and names that a graph could mistake for its own."""
    random = np.random.default_rng(seed)
    size = random.normal(50, 20, rows).round(2).tolist()
    weight = random.normal(3, 1, rows).round(3).tolist()
    kind = random.choice(["niño", "adult", "8", "no sé"], rows).tolist()
    dates = [str(DAY + int(n)) for n in random.integers(-9000, 9000, rows)]
    for column, holes in ((size, 9), (kind, 11), (dates, 13)):
        for row in range(0, rows, holes):
            column[row] = None
    told = [
        ("yes" if (one or 40) + 20 * (k == "adult") > 55 else "no") for one, k in zip(size, kind, strict=True)
    ]
    return {"class": size, "weight (kg)": weight, "qué": kind, "value": dates, "comes": told}


@pytest.fixture(scope="module")
def run(learn, tmp_path_factory, write_table):
    folder = tmp_path_factory.mktemp("visitors")
    source = write_table(folder / "visitors.csv", visitors())
    return learn(source, target="comes", epochs=8, out=str(folder / "run"))


@pytest.fixture(scope="module")
def model(run):
    return vistazo.load(run.model)


@pytest.fixture(scope="module")
def proved(model, tmp_path_factory):
    """(the file, what export told)"""
    out = tmp_path_factory.mktemp("out") / "m.onnx"
    return out, exporting.export(model, out, verify=None, precision="fp32", say=lambda line: None)


@pytest.fixture(scope="module")
def exported(proved):
    return open_model(opened(proved[0]))


@pytest.fixture(scope="module")
def others(write_table, tmp_path_factory):
    """Rows that training never saw, with words it never saw."""
    table = visitors(37, seed=5)
    table["qué"][:3] = ["giant", "", "8"]
    table["weight (kg)"][5] = 1e9
    return write_table(tmp_path_factory.mktemp("others") / "others.csv", table)


def alike(answers, told):
    """Whether two answers are the same but for the seventh figure of a probability or value."""
    assert answers.keys() == told.keys()
    for name in answers:
        if name in ("probability", "value", "low", "high"):
            assert told[name] == pytest.approx(answers[name], rel=1e-5, abs=2e-6)
        elif name == "top":
            assert [one for one, _ in answers[name]] == [one for one, _ in told[name]]
            np.testing.assert_allclose([p for _, p in answers[name]], [p for _, p in told[name]], atol=2e-6)
        else:
            assert answers[name] == told[name]


# ---------------------------------------------------------------- preprocessing, by hand
class Shown(nn.Module):
    """A network whose scores are what it was given."""

    members = 1

    def forward(self, numbers, codes):
        return torch.cat([numbers, codes.float()], 1)[None]


def test_cells_become_what_is_worked_out_by_hand(model):
    features = (
        Feature("n", "number", Scaler("standard", 10.0, 4.0), None, True, 0.0, 20.0),
        Feature("d", "date", Scaler("min-max", 100.0, 50.0), None, False, 0.0, 200.0),
        Feature("c", "category", None, Categories(("red", "blue")), False, None, None),
        Feature("raw", "number", Scaler("none", 0.0, 1.0), None, False, None, None),
    )
    shown = CellsToAnswers(replace(model, encoder=Encoder(features)))
    shown.network = Shown()
    shown.classes, shown.scaler, shown.reach = (), Scaler("none", 0.0, 1.0), None
    shown._answers = lambda numbers, codes: (shown.network(numbers, codes)[0],)
    day = float(DAY.astype(int))  # Thursday, 29 February 2024
    nan = float("nan")
    columns = [
        torch.tensor([14.0, nan, 1000.0, -1000.0], dtype=torch.float64),
        torch.tensor([day + 0.75, 125.0, nan, -0.25], dtype=torch.float64),
        torch.tensor([1, 0, 2, 3]),
        torch.tensor([7.5, nan, 1e6, -3.0], dtype=torch.float64),
    ]
    found = shown(columns)[0].tolist()
    # n scaled and held within 4, its sign, d scaled, raw, month, weekday (Monday is 1), the category's code
    assert found[0] == [1.0, 0.0, 4.0, 7.5, 2.0, 4.0, 1.0]
    assert found[1] == [0.0, 1.0, 0.5, 0.0, 5.0, 3.0, 0.0]  # 1970-05-06 was a Wednesday
    assert found[2] == [4.0, 0.0, 0.0, 1e6, 0.0, 0.0, 2.0]
    assert found[3] == [-4.0, 0.0, pytest.approx(-2.005), -3.0, 12.0, 3.0, 3.0]  # 1969-12-31


def test_cells_become_what_the_encoder_makes_of_any_table(model):
    rows = 500
    random = np.random.default_rng(3)
    dates = (random.integers(-(10**10), 10**10, rows)).astype("datetime64[s]")
    dates[::7] = "NaT"
    numbers = random.normal(0, 1, rows) * 10.0 ** random.integers(-6, 9, rows)
    numbers[::5] = np.nan
    words = ["niño", "adult", "8", "no sé", "never seen"]
    table = Table(
        (
            Column("class", "number", numbers),
            Column("weight (kg)", "number", numbers[::-1].copy()),
            Column("qué", "category", random.integers(-1, 5, rows).astype(np.int32), tuple(words)),
            Column("value", "date", dates),
        ),
        np.arange(rows),
    )
    encoded = model.encoder.encode(table)
    kept = []
    graph = CellsToAnswers(model)
    graph._answers = lambda numbers, codes: kept.append((numbers, codes)) or (numbers,)
    codes = {name: at for at, name in enumerate(model.encoder.features[2].categories.names, 1)}
    columns = [one.cells(column) for one, column in zip(model.encoder.features, table.columns, strict=True)]
    columns[2] = np.array(
        [codes.get(text, 0) if text else model.encoder.features[2].categories.missing for text in columns[2]]
    )
    graph([torch.from_numpy(one) for one in columns])
    np.testing.assert_array_equal(kept[0][0].numpy(), encoded.numbers)
    np.testing.assert_array_equal(kept[0][1].numpy(), encoded.codes)


# ---------------------------------------------------------------- the same answers
def test_a_file_proves_itself_on_the_test_part(run, proved):
    told = proved[1]
    assert told["agreement"] == 1.0
    assert told["examples"] == json.loads((run.run / "metrics.json").read_text())["counts"]["test"]
    assert told["largest_difference"] < 1e-5
    assert told["accuracy"]["model"] == told["accuracy"]["exported"]
    assert told["accuracy"]["model"] == pytest.approx(run.metrics["test"]["accuracy"])


def test_rows_of_a_file_are_answered_as_the_model_answers_them(model, exported, others):
    both = list(zip(model.predict(others), exported.predict(others), strict=True))
    assert len(both) == 37
    for own, told in both:
        alike(own, told)
    assert both[0][1]["unknown"] == ["qué"]
    assert "unknown" not in both[1][1]  # an empty cell is a missing one
    assert exported.notes == model.notes


def test_values_given_in_python_are_answered_as_the_model_answers_them(model, exported):
    rows = [{"class": 12.5, "weight (kg)": None, "qué": 8, "value": "2020-01-31"}, {"class": "x", "weight (kg)": 1,
             "qué": True, "value": None}]  # fmt: skip
    for own, told in zip(model.predict(rows), exported.predict(rows), strict=True):
        alike(own, told)
    assert len(next(iter(exported.predict(rows, top=1)))["top"]) == 1


@pytest.mark.parametrize("count", [1, 2, 9])
def test_any_number_of_rows_at_once_gives_the_same_answers(exported, others, count):
    table = exported._own(exported._table(others))
    whole, unknown = exported.answers_of(table)
    part, other = exported.answers_of(table.take(np.arange(count)))
    np.testing.assert_allclose(part, whole[:count], atol=1e-6)
    assert other == unknown[:count]


def test_it_is_measured_as_the_model_is(model, exported, run):
    source = json.loads((run.run / "config.json").read_text())["source"]
    own, told = (one.evaluate(source, split="all")["metrics"] for one in (model, exported))
    assert told["n"] == own["n"] == 140
    assert told["accuracy"] == own["accuracy"]


def test_onnxruntime_alone_answers_from_the_metadata(model, proved, others):
    """What somebody without Vistazo does: columns as they stand in the table, by the names of the metadata."""
    session = onnxruntime.InferenceSession(str(proved[0]), providers=["CPUExecutionProvider"])
    told = json.loads(session.get_modelmeta().custom_metadata_map["vistazo"])["facts"]
    assert [(one["name"], one["kind"]) for one in told["inputs"]] == [
        ("class", "number"), ("weight (kg)", "number"), ("qué", "category"), ("value", "date"),
    ]  # fmt: skip
    assert {one["holds"]: one["name"] for one in told["outputs"]} == {
        "class": "class_", "probabilities": "probabilities", "unknown": "unknown",
    }  # fmt: skip
    assert told["inputs"][2]["categories"] == ["8", "adult", "niño", "no sé"]
    assert (told["task"], told["precision"], told["classes"]) == ("tabular", "fp32", ["no", "yes"])
    assert told["proof"]["agreement"] == 1.0
    feed = {
        "class": np.array([61.0, np.nan]),
        "weight (kg)": np.array([3.0, 2.5]),
        "qué": np.array(["adult", "giant"], dtype=object),
        "value": np.array([19782.0, np.nan]),
    }
    word, probabilities, unknown = session.run(["class_", "probabilities", "unknown"], feed)
    rows = table_of(
        {"class": [61.0, None], "weight (kg)": [3.0, 2.5], "qué": ["adult", "giant"],
         "value": [np.datetime64("2024-02-29"), None]}
    )  # fmt: skip
    own, _ = model.answers_of(model._own(rows))
    np.testing.assert_allclose(probabilities, own, atol=1e-6)
    assert word.tolist() == [model.classes[at] for at in own.argmax(1)]
    assert unknown.tolist() == [[False], [True]]


def test_values_come_in_the_targets_unit_with_their_interval(house_run, tmp_path):
    model = vistazo.load(house_run.model)
    out = tmp_path / "houses.onnx"
    told = exporting.export(model, out, verify=None, precision="fp32", say=lambda line: None)
    assert told["agreement"] == 1.0
    assert told["mae"]["model"] == pytest.approx(told["mae"]["exported"], rel=1e-5)
    exported = open_model(opened(out))
    rows = [{"area": 100.0, "age": 30.0}, {"area": None, "age": 3}]
    both = list(zip(model.predict(rows), exported.predict(rows), strict=True))
    for own, answer in both:
        alike(own, answer)
    low, high = exported.session.run(["low", "high"], {"area": np.array([100.0]), "age": np.array([30.0])})
    assert low[0] == pytest.approx(both[0][0]["low"], rel=1e-6)
    assert high[0] == pytest.approx(both[0][0]["high"], rel=1e-6)


@pytest.mark.slow
def test_a_table_of_categories_alone_is_exported(learn, write_table, tmp_path):
    rows = {"sky": ["grey", "blue", None, "red"] * 15, "wind": ["no", "yes"] * 30, "rain": ["yes", "no"] * 30}
    model = vistazo.load(
        learn(write_table(tmp_path / "s.csv", rows), target="rain", out=str(tmp_path / "r")).model
    )
    model.export(tmp_path / "m.onnx", verify=tmp_path / "s.csv")
    exported = open_model(opened(tmp_path / "m.onnx"))
    for own, told in zip(model.predict(rows), exported.predict(rows), strict=True):
        alike(own, told)


def test_the_command_line_takes_the_file_like_a_model(verb, proved, exported, others, tmp_path):
    told = verb("predict", proved[0], others, "--top", 1, "--json").json
    assert told["predictions"] == list(exported.predict([str(others)], top=1))
    assert verb("predict", proved[0], others, "--out", tmp_path / "a.csv", "--json").json["count"] == 37
    measured = verb("evaluate", proved[0], others, "--json").json
    assert measured["metrics"] == exported.evaluate(others)["metrics"]


# ---------------------------------------------------------------- without torch
def test_answering_imports_neither_torch_nor_pyarrow(proved):
    code = (
        "import sys, vistazo\n"
        f"model = vistazo.load({str(proved[0])!r})\n"
        "answers = list(model.predict([{'class': 61, 'weight (kg)': 3.0, 'qué': 'adult', 'value': None}]))\n"
        "assert answers[0]['class'] in ('yes', 'no'), answers\n"
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


def test_without_its_table_another_is_asked_for(model, tmp_path):
    with pytest.raises(ConfigError, match="--verify"):
        exporting.export(replace(model, path=None), tmp_path / "m.onnx", verify=None, precision="fp32",
                         say=lambda line: None)  # fmt: skip
    assert not list(tmp_path.iterdir())


def test_a_file_to_verify_with_may_lack_the_target(model, exported, write_table, tmp_path):
    table = visitors(20, seed=9)
    del table["comes"]
    told = exporting.prove(model, exported, write_table(tmp_path / "new.csv", table), "all")
    assert (told.examples, told.agreement) == (20, 1.0)
    assert told.accuracy == {"model": None, "exported": None}


def test_answers_that_differ_leave_no_file(model, tmp_path, monkeypatch):
    """A graph of other weights stands for any fault of the export."""
    made = exporting.graph_of

    def wrong(model):
        network = nn.ModuleDict({"it": model.network})
        network.load_state_dict({name: -one for name, one in network.state_dict().items()})
        try:
            return made(model)
        finally:
            network.load_state_dict({name: -one for name, one in network.state_dict().items()})

    monkeypatch.setattr(exporting, "graph_of", wrong)
    with pytest.raises(VistazoError, match="No file was written"):
        exporting.export(model, tmp_path / "m.onnx", verify=None, precision="fp32", say=lambda line: None)
    assert not list(tmp_path.iterdir())


def test_a_bad_table_is_told_before_a_graph_is_made(model, tmp_path, monkeypatch):
    monkeypatch.setattr(exporting, "graph_of", lambda model: pytest.fail("a graph was made"))
    with pytest.raises(SourceError, match="nothing.csv"):
        model.export(tmp_path / "m.onnx", verify=tmp_path / "nothing.csv")
    assert not list(tmp_path.iterdir())


def test_a_table_without_rows_proves_nothing(model, exported, monkeypatch):
    empty = (table_of(visitors(3)).take(np.zeros(3, bool)), None)
    for one in (type(model), type(exported)):
        monkeypatch.setattr(one, "examples", lambda self, source, part: empty)
    with pytest.raises(TooFewExamples, match="--verify"):
        exporting.prove(model, exported, "x.csv", "test")


def test_an_exported_file_says_where_explanations_are(exported, others):
    with pytest.raises(UsageError, match="vistazo file"):
        exported.explain_file(others, None)


@pytest.mark.parametrize(
    "change",
    [
        {"inputs": []},
        {"reach": -1.0},
        {"preprocessing": {}},
        {"classes": [1, 2]},
        {"outputs": [{"holds": "probabilities", "name": "nothing"}]},
        {"hash": None},
        {"target": 3},
    ],
)
def test_metadata_that_does_not_fit_the_graph_is_a_damaged_file(exported, change, tmp_path):
    file = OnnxFile(tmp_path / "m.onnx", {**exported.facts, **change}, exported.session)
    with pytest.raises(BundleDamaged, match="hold together"):
        open_model(file)
