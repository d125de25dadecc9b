"""What every export shares: where a file may be written, which proof is refused, which operator is named."""

import pytest
import torch
from torch import nn

from vistazo.engine import export, onnx_file
from vistazo.engine.export import Proof
from vistazo.errors import ConfigError, DiskError, UsageError, VistazoError

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")


def proof(agreement=1.0, ties=0, model=0.9, exported=0.9, examples=1000):
    return Proof(examples, agreement, ties, 1e-6, {"model": model, "exported": exported}, {})


@pytest.fixture
def graph():
    text = '<ir_version: 10, opset_import: ["" : 18]> g (float[N] x) => (float[N] y) { y = Add (x, x) }'
    return onnx.parser.parse_model(text)


# ---------------------------------------------------------------- before anything is computed
def test_another_precision_is_refused_with_the_known_ones(tmp_path):
    with pytest.raises(UsageError, match="no precision 'int4'.*fp32, fp16, int8"):
        export.require_possible(tmp_path / "m.onnx", "int4")


def test_another_ending_is_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"must be a file that ends in \.onnx"):
        export.require_possible(tmp_path / "m.bin", "fp32")


def test_a_folder_that_does_not_exist_is_told(tmp_path):
    with pytest.raises(ConfigError, match="There is no folder .*nowhere"):
        export.require_possible(tmp_path / "nowhere" / "m.onnx", "fp32")


def test_a_folder_of_that_name_is_refused(tmp_path):
    (tmp_path / "m.onnx").mkdir()
    with pytest.raises(ConfigError, match=r"must be a file that ends in \.onnx"):
        export.require_possible(tmp_path / "m.onnx", "fp32")


def test_a_name_that_no_disk_takes_is_refused(tmp_path):
    for place in (tmp_path / ("m" * 300 + ".onnx"), tmp_path / ("f" * 300) / "m.onnx"):
        with pytest.raises(DiskError, match="could not be written"):
            export.require_possible(place, "fp32")


# ---------------------------------------------------------------- the proof
def test_less_than_999_in_a_thousand_is_refused_and_ties_count_as_alike():
    export.refuse(proof(0.999), "fp32")
    export.refuse(proof(0.99, ties=9), "fp16")
    with pytest.raises(VistazoError, match=r"No file was written: only 99\.80 % of 1000"):
        export.refuse(proof(0.998), "fp32")


def test_int8_may_lose_half_a_point():
    export.refuse(proof(0.98, exported=0.896), "int8")
    with pytest.raises(VistazoError, match=r"loses 0\.60 points \(89\.40 against 90\.00 %\)"):
        export.refuse(proof(0.98, exported=0.894), "int8")


def test_without_examples_nothing_is_proven():
    with pytest.raises(ConfigError, match="--verify SOURCE"):
        export.refuse(proof(examples=0), "fp32")


def test_a_refused_model_leaves_no_file_and_an_earlier_one_stays(graph, tmp_path):
    out = tmp_path / "m.onnx"
    with pytest.raises(VistazoError, match="No file was written"):
        export.finish(out, graph, {"task": "tabular"}, proof(0.5), "fp32", hash="")
    assert not list(tmp_path.iterdir())
    out.write_bytes(b"earlier")
    with pytest.raises(VistazoError, match="No file was written"):
        export.finish(out, graph, {"task": "tabular"}, proof(0.5), "fp32", hash="")
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"earlier"]


def test_a_proven_model_is_written_with_its_proof(graph, tmp_path):
    told = export.finish(tmp_path / "m.onnx", graph, {"task": "tabular"}, proof(), "fp32", hash="ab")
    assert told["file"] == str(tmp_path / "m.onnx")
    assert told["accuracy"] == {"model": 0.9, "exported": 0.9}
    facts = onnx_file.opened(tmp_path / "m.onnx").facts
    assert (facts["hash"], facts["precision"], facts["proof"]["examples"]) == ("ab", "fp32", 1000)


def test_a_full_disk_is_told_and_leaves_nothing(graph, small_disk):
    place = small_disk("4k")
    graph.graph.initializer.append(onnx.numpy_helper.from_array(torch.rand(4000).numpy(), "spare"))
    with pytest.raises(DiskError, match="The disk is full"):
        export.finish(place / "m.onnx", graph, {"task": "tabular"}, proof(), "fp32", hash="")
    assert not list(place.iterdir())


# ---------------------------------------------------------------- torch to ONNX
class _Unknown(nn.Module):
    def forward(self, numbers_NC):
        return torch.linalg.eigh(numbers_NC[:, None] * numbers_NC[:, :, None])[0]


def test_an_operator_that_cannot_be_exported_is_named():
    with pytest.raises(VistazoError, match=r"ONNX has no operator for aten.*eigh"):
        export.traced(_Unknown(), [torch.rand(2, 3)], ["numbers"], "values")


def test_two_exports_of_one_model_are_equal_to_the_bit():
    network = nn.Sequential(nn.Linear(3, 2), nn.ReLU())
    one, other = (
        export.serialised(export.traced(network, [torch.rand(2, 3)], ["numbers"], "values")) for _ in range(2)
    )
    assert one == other
    for word in (b"stack_trace", b"torch/", b".py", b"pkg."):
        assert word not in one
