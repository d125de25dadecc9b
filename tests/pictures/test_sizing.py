"""The rule of size in an ONNX graph gives the pixels that decoding gives, to the bit."""

from functools import cache

import numpy as np
import pytest

from vistazo.pictures.decoding import decode
from vistazo.pictures.sizing import INPUT, SIZED, sizing

runtime = pytest.importorskip("onnxruntime")
WANTED = ((32, 32), (21, 28), (96, 64))
GIVEN = (
    (400, 500),
    (33, 31),
    (32, 32),
    (40, 48),
    (28, 21),
    (21, 28),
    (96, 64),
    (1, 1),
    (7, 300),
    (300, 7),
    (640, 641),
)


@cache
def graph(height, width, channels):
    model = sizing(height=height, width=width, channels=channels, opset=20)
    return runtime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(("height", "width"), WANTED)
def test_the_graph_gives_the_pixels_of_decoding(height, width, channels):
    for there, across in GIVEN:
        noise = np.random.default_rng(there).integers(0, 256, (2, there, across, channels), np.uint8)
        (found,) = graph(height, width, channels).run([SIZED], {INPUT: noise})
        wanted = np.stack([decode(one, height=height, width=width, channels=channels) for one in noise])
        assert found.dtype == np.uint8
        np.testing.assert_array_equal(found.transpose(0, 2, 3, 1), wanted, f"{there} x {across}")


def test_names_inside_meet_no_names_of_a_network():
    model = sizing(height=8, width=8, channels=1, opset=20)
    assert {name for node in model.graph.node for name in node.output} - {SIZED} == {
        f"size_{name}" for name in ("planes", "sides", "equal", "equals", "both", "same")
    }
