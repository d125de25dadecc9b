"""Exported files: metadata that is proved before anything is used, and what is no such file."""

import json

import numpy as np
import pytest

from vistazo.engine import onnx_file
from vistazo.errors import BundleDamaged, BundleTooNew

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")


@pytest.fixture(scope="module")
def model():
    """A graph that doubles its input."""
    text = '<ir_version: 10, opset_import: ["" : 18]> g (float[N] x) => (float[N] y) { y = Add (x, x) }'
    return onnx.parser.parse_model(text).SerializeToString(deterministic=True)


@pytest.fixture
def file(model, tmp_path):
    path = tmp_path / "m.onnx"
    path.write_bytes(onnx_file.seal(model, {"task": "tabular", "names": ["ñ", '{"sha256": "' + "0" * 64]}))
    return path


def test_what_was_sealed_is_read_and_answers(file):
    found = onnx_file.opened(file)
    assert found.task == "tabular"
    assert found.facts["names"][0] == "ñ"
    assert found.session.run(None, {"x": np.ones(2, np.float32)})[0].tolist() == [2, 2]


def test_other_tools_read_it_too(file):
    loaded = onnx.load(file)
    (entry,) = loaded.metadata_props
    assert entry.key == "vistazo"
    assert json.loads(entry.value)["facts"]["task"] == "tabular"


def test_equal_contents_give_equal_bytes(model):
    assert onnx_file.seal(model, {"task": "a", "b": 1}) == onnx_file.seal(model, {"b": 1, "task": "a"})


def test_a_flipped_bit_anywhere_is_found(file):
    data = file.read_bytes()
    for at in range(0, len(data), 7):
        file.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
        with pytest.raises(BundleDamaged, match=r"m\.onnx"):
            onnx_file.opened(file)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
def test_a_file_that_was_cut_is_found(file, share):
    data = file.read_bytes()
    file.write_bytes(data[: int(share * len(data))])
    with pytest.raises(BundleDamaged, match="vistazo export MODEL --out"):
        onnx_file.opened(file)


@pytest.mark.parametrize("data", [b"", b"no model", b"\x80" * 200, b"PK\3\4", bytes(1000)])
def test_what_is_no_exported_model_is_told(tmp_path, data):
    (tmp_path / "m.onnx").write_bytes(data)
    with pytest.raises(BundleDamaged, match="was not exported by Vistazo"):
        onnx_file.opened(tmp_path / "m.onnx")


def test_a_model_of_others_is_told(model, tmp_path):
    (tmp_path / "m.onnx").write_bytes(model)
    with pytest.raises(BundleDamaged, match="was not exported by Vistazo"):
        onnx_file.opened(tmp_path / "m.onnx")


def test_a_newer_format_is_told(model, tmp_path, monkeypatch):
    monkeypatch.setattr(onnx_file, "FORMAT", 2)
    (tmp_path / "m.onnx").write_bytes(onnx_file.seal(model, {"task": "tabular"}))
    monkeypatch.setattr(onnx_file, "FORMAT", 1)
    with pytest.raises(BundleTooNew, match="pip install --upgrade vistazo"):
        onnx_file.opened(tmp_path / "m.onnx")


def test_a_sealed_file_that_holds_no_graph_is_told(tmp_path):
    (tmp_path / "m.onnx").write_bytes(onnx_file.seal(b"", {"task": "tabular"}))
    with pytest.raises(BundleDamaged, match="cannot be opened by onnxruntime"):
        onnx_file.opened(tmp_path / "m.onnx")
