"""A tiny classifier in an .onnx file, made by hand, and a process that sees a packed folder alone."""

import contextlib
import json
import os
import subprocess
import sys
import textwrap
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from vistazo.engine import onnx_file

CLASSES = ("noche", "<b>día</b>", "niebla")


def exported(path: Path, *, seed: int = 0, classes: Sequence[str] = CLASSES) -> Path:
    """A classifier of grey pictures of 12 × 12, or of any size: the softmax of a linear map of means of 4 × 4."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    drawn = np.random.default_rng(seed)
    weights = drawn.normal(size=(16, len(classes))).astype(np.float32)
    nodes = [
        helper.make_node("Cast", ["pictures"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["floats"], ["nchw"], perm=[0, 3, 1, 2]),
        helper.make_node("Resize", ["nchw", "", "", "sizes"], ["small"], mode="linear"),
        helper.make_node("Reshape", ["small", "flat"], ["rows"]),
        helper.make_node("Div", ["rows", "levels"], ["scaled"]),
        helper.make_node("MatMul", ["scaled", "weights"], ["scores"]),
        helper.make_node("Softmax", ["scores"], ["probabilities"], axis=1),
    ]
    # The number of pictures is free: the size of the batch is computed.
    nodes[2:3] = [
        helper.make_node("Shape", ["nchw"], ["count"], start=0, end=2),
        helper.make_node("Concat", ["count", "side"], ["sizes"], axis=0),
        nodes[2],
    ]
    made = {
        "side": np.array([4, 4], np.int64),
        "flat": np.array([-1, 16], np.int64),
        "levels": np.array(255, np.float32),
        "weights": weights,
    }
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("pictures", TensorProto.UINT8, ["N", "H", "W", 1])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["N", len(classes)])],
        [numpy_helper.from_array(array, name) for name, array in made.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    onnx.checker.check_model(model)
    facts = {
        "format": 1,
        "task": "classification",
        "model": "linear",
        "classes": list(classes),
        "preprocessing": {"height": 12, "width": 12, "channels": 1},
        "background": "white",
        "precision": "fp32",
        "hash": "ab" * 32,
        "version": "0.1.0",
        "proof": {"examples": 200, "agreement": 1.0, "largest_difference": 1e-7},
        "unknowing": {"threshold": 0.5, "error": 0.05},
    }
    path.write_bytes(onnx_file.seal(model.SerializeToString(), facts))
    return path


_BLOCKER = """
import sys
class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {blocked!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Blocked())
"""


def blocked(place: Path, names: Sequence[str]) -> dict[str, str]:
    """Variables of a process that cannot import these packages, nor any Vistazo but that of its folder."""
    place.mkdir(exist_ok=True)
    (place / "sitecustomize.py").write_text(textwrap.dedent(_BLOCKER).format(blocked=set(names)))
    keep = {name: value for name, value in os.environ.items() if not name.startswith("VISTAZO")}
    return {**keep, "PYTHONPATH": str(place), "PYTHONDONTWRITEBYTECODE": "1", "LANGUAGE": "en"}


@contextlib.contextmanager
def started(folder: Path, environment: dict[str, str], *words: str) -> Iterator[dict[str, Any]]:
    """`python -m vistazo serve model.onnx` in a folder: what it tells when it is ready, and its process."""
    command = [sys.executable, "-m", "vistazo", "serve", "model.onnx", "--port", "0", "--json", *words]
    began = time.perf_counter()
    with subprocess.Popen(
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert line, process.stderr.read() if process.stderr else ""
            yield {**json.loads(line), "began": began, "process": process}
        finally:
            process.terminate()
            process.communicate(timeout=60)


def posted(url: str, body: bytes, media_type: str = "image/png") -> tuple[int, dict[str, Any]]:
    """Status and JSON of a request; proxies of this computer are not asked."""
    asked = urllib.request.Request(url, body, {"Content-Type": media_type})
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(asked, timeout=60) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())
