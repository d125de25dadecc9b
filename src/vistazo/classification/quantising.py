"""Smaller numbers in an exported classifier: half precision for its weights, or 8 bits for its convolutions.

fp16 keeps the weights in 16 bits and computes in fp32: half the file, the same time, on every machine. Processors
without arithmetic in half precision would turn every layer's numbers there and back.

int8 quantises convolutions, dense layers and what is between (Jacob et al. 2018, arXiv:1712.05877): weights per
output channel and symmetric, activations per tensor, their ranges from validation pictures. SiLU, a sigmoid and a
product, is a table of 256 numbers then.
"""

import logging
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from vistazo.classification.own_parts import own_part
from vistazo.engine import export as engine
from vistazo.engine import onnx_file
from vistazo.errors import ConfigError
from vistazo.language import tr
from vistazo.pictures.holding import PictureArray
from vistazo.pictures.index import VALIDATION
from vistazo.pictures.sizing import SIZED

if TYPE_CHECKING:
    from vistazo.classification.classifier import Classifier

__all__ = ["calibration", "halved", "quantised"]

CALIBRATED_ON = 512  # pictures; fewer where there are fewer
AT_ONCE = 32
WRITTEN = 4  # times the network's bytes: what onnxruntime writes on the way to 8 bits
LEAST_VALUES = 16  # smaller tensors are settings of operators, not weights
QUANTISED = ["Conv", "Gemm", "MatMul", "Sigmoid", "Mul", "Add", "MaxPool"]


def calibration(model: "Classifier") -> npt.NDArray[np.uint8]:
    """Validation pictures of the model's run, (N, height, width, channels). Raises ConfigError where they are gone."""
    found = own_part(model, VALIDATION)
    if found is None:
        raise ConfigError(
            tr(
                "int8 is calibrated on the validation part of the model's run, which is not at hand: export in fp32 or "
                "fp16, or where the run's folder and its pictures are."
            )
        )
    return _spread(found.pixels)


def _spread(pixels: PictureArray) -> npt.NDArray[np.uint8]:
    rows = np.unique(np.linspace(0, len(pixels) - 1, CALIBRATED_ON).astype(np.int64))
    return np.asarray(pixels[rows])


def halved(network: Any) -> Any:
    """A graph whose fp32 weights are kept in 16 bits, and turned back once, when it is opened."""
    import onnx

    found = type(network)()
    found.CopyFrom(network)
    turned = []
    for one in found.graph.initializer:
        values = onnx.numpy_helper.to_array(one)
        if values.dtype != np.float32 or values.size < LEAST_VALUES or not _fits(values):
            continue
        name = one.name
        one.CopyFrom(onnx.numpy_helper.from_array(values.astype(np.float16), f"{name}_half"))
        turned.append(onnx.helper.make_node("Cast", [f"{name}_half"], [name], to=onnx.TensorProto.FLOAT))
    nodes = list(found.graph.node)
    del found.graph.node[:]
    found.graph.node.extend([*turned, *nodes])
    return found


def _fits(values: npt.NDArray[np.float32]) -> bool:
    """Whether no weight is too large for 16 bits, and none moves by more than a thousandth of the largest."""
    with np.errstate(over="ignore"):
        half = values.astype(np.float16).astype(np.float32)
    return bool(np.abs(values - half).max() <= 1e-3 * np.abs(values).max())


def quantised(network: Any, pixels_NHWC: npt.NDArray[np.uint8]) -> Any:
    """A graph whose convolutions and dense layers compute in 8 bits. pixels_NHWC: what its ranges are measured on.

    Raises DiskError where there is no room for the files that onnxruntime makes on the way.
    """
    import onnx
    from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType, quantize_static

    with engine.aside(weighs=WRITTEN * network.ByteSize()) as folder:
        plain, small = folder / "plain.onnx", folder / "small.onnx"
        _folded(network, plain)
        before = logging.root.manager.disable
        logging.disable(logging.WARNING)  # it advises what was done already
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                quantize_static(
                    str(plain),
                    str(small),
                    _reader(pixels_NHWC),
                    quant_format=QuantFormat.QDQ,
                    per_channel=True,
                    activation_type=QuantType.QUInt8,
                    weight_type=QuantType.QInt8,
                    calibrate_method=CalibrationMethod.MinMax,
                    op_types_to_quantize=QUANTISED,
                )
        finally:
            logging.disable(before)
        found = onnx.load(small)
    return engine.cleaned(found)


def _folded(network: Any, path: Path) -> None:
    """Write a graph whose batch norms are folded into what stands before them, where that can be."""
    runtime = onnx_file.require_runtime()
    options = runtime.SessionOptions()
    options.graph_optimization_level = runtime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.optimized_model_filepath = str(path)
    options.log_severity_level = 4
    runtime.InferenceSession(engine.serialised(network), options, providers=["CPUExecutionProvider"])


def _reader(pixels_NHWC: npt.NDArray[np.uint8]) -> Any:
    """What onnxruntime asks for the next pictures."""
    from onnxruntime.quantization import CalibrationDataReader

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self._batches = _batches(pixels_NHWC)

        def get_next(self) -> dict[str, npt.NDArray[np.uint8]] | None:
            return next(self._batches, None)

    return Reader()


def _batches(pixels_NHWC: npt.NDArray[np.uint8]) -> Iterator[dict[str, npt.NDArray[np.uint8]]]:
    for first in range(0, len(pixels_NHWC), AT_ONCE):
        chunk = pixels_NHWC[first : first + AT_ONCE].transpose(0, 3, 1, 2)
        yield {SIZED: np.ascontiguousarray(chunk)}
