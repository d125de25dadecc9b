"""The rule of size as part of an ONNX graph: uint8 pictures of any size become pixels of the wanted one.

What `vistazo.pictures.decoding` does by Pillow is done here by two matrix products, of the weights that Pillow gives
each pixel: in whole 22-bit steps, summed exactly in float64, rounded to whole levels after each of the two, first down
and then across. Pixels equal Pillow's to the bit (tests/pictures/test_sizing.py).
"""

import re
from typing import Any

from vistazo.pictures.decoding import ALIKE

__all__ = ["INPUT", "RULE", "SIZED", "sizing"]

INPUT, SIZED = "pictures", "pixels"  # names in the graph
RULE = (
    "A picture whose proportion of width to height is within 10 % of the model's is stretched to its size; any other "
    "is cut around its centre to that proportion first. Scaling is bilinear with antialiasing, first down, then "
    "across. A picture that has the size already keeps its pixels."
)

# In the language of onnx.parser. H and W: of the pictures given; lower case: of those wanted.
_GRAPH = """
<ir_version: 10, opset_import: ["" : OPSET]>
sizing (uint8[N, H, W, CHANNELS] pictures) => (uint8[N, CHANNELS, HEIGHT, WIDTH] pixels)
<int64[2] wanted = {HEIGHT, WIDTH}>
{
  planes = Transpose <perm = [0, 3, 1, 2]> (pictures)
  sides = Shape <start = 1, end = 3> (pictures)
  equal = Equal (sides, wanted)
  equals = Cast <to = 7> (equal)
  both = ReduceMin <keepdims = 0> (equals)
  same = Cast <to = 9> (both)
  pixels = If (same) <
    then_branch = kept () => (uint8[N, CHANNELS, HEIGHT, WIDTH] kept) { kept = Identity (planes) },
    else_branch = scaled () => (uint8[N, CHANNELS, HEIGHT, WIDTH] scaled)
    <double zero = {0}, double one = {1}, double half = {0.5}, double two = {2}, double white = {255},
     double unit = {4194304}, double half_unit = {2097152}, double least = {LEAST}, double most = {MOST},
     int64 down = {0}, int64 across = {1}, int64[1] first = {0}, int64[1] last = {1}, int64[2] turned = {1, 0}>
    {
      there = Cast <to = 11> (sides)
      asked = Cast <to = 11> (wanted)
      asked_turned = Gather (asked, turned)
      products = Mul (there, asked_turned)
      product_w = Gather (products, across)
      product_h = Gather (products, down)
      ratio = Div (product_w, product_h)
      above = Greater (ratio, least)
      below = Less (ratio, most)
      alike = And (above, below)
      wide = Greater (ratio, one)
      there_h = Gather (there, down)
      there_w = Gather (there, across)
      cut_h = Mul (there_h, ratio)
      cut_w = Div (there_w, ratio)
      shown_h = Where (wide, there_h, cut_h)
      shown_w = Where (wide, cut_w, there_w)
      part_h = Unsqueeze (shown_h, first)
      part_w = Unsqueeze (shown_w, first)
      cut = Concat <axis = 0> (part_h, part_w)
      shown = Where (alike, there, cut)
      spare = Sub (there, shown)
      before = Div (spare, two)
      after = Add (before, shown)
      before32 = Cast <to = 1> (before)
      after32 = Cast <to = 1> (after)
      span32 = Sub (after32, before32)
      begin = Cast <to = 11> (before32)
      span = Cast <to = 11> (span32)
      scale = Div (span, asked)
      reach = Max (scale, one)
      speed = Div (one, reach)
MATRIX_h
MATRIX_w
      values = Cast <to = 11> (planes)
      sums_h = MatMul (levels_h, values)
      near_h = Add (sums_h, half_unit)
      exact_h = Div (near_h, unit)
      whole_h = Floor (exact_h)
      low = Clip (whole_h, zero, white)
      columns = Transpose <perm = [1, 0]> (levels_w)
      sums_w = MatMul (low, columns)
      near_w = Add (sums_w, half_unit)
      exact_w = Div (near_w, unit)
      whole_w = Floor (exact_w)
      small = Clip (whole_w, zero, white)
      scaled = Cast <to = 2> (small)
    }
  >
}
"""

# The weights of one side: (wanted, given) whole numbers, each row summing to 2^22. A triangle over the pixels under it.
_MATRIX = """
      asked_S = Gather (asked, SIDE)
      length_S = Gather (there, SIDE)
      begin_S = Gather (begin, SIDE)
      scale_S = Gather (scale, SIDE)
      reach_S = Gather (reach, SIDE)
      speed_S = Gather (speed, SIDE)
      steps_S = Range (zero, asked_S, one)
      middles_S = Add (steps_S, half)
      far_S = Mul (middles_S, scale_S)
      row_S = Add (far_S, begin_S)
      centre_S = Unsqueeze (row_S, last)
      low_S = Sub (centre_S, reach_S)
      low_near_S = Add (low_S, half)
      low_whole_S = Floor (low_near_S)
      high_S = Add (centre_S, reach_S)
      high_near_S = Add (high_S, half)
      high_whole_S = Floor (high_near_S)
      place_S = Range (zero, length_S, one)
      outside_S = Less (place_S, low_whole_S)
      begun_S = Not (outside_S)
      not_ended_S = Less (place_S, high_whole_S)
      under_S = And (begun_S, not_ended_S)
      away_S = Sub (place_S, centre_S)
      middle_away_S = Add (away_S, half)
      share_away_S = Mul (middle_away_S, speed_S)
      far_away_S = Abs (share_away_S)
      rest_S = Sub (one, far_away_S)
      roof_S = Max (rest_S, zero)
      weight_S = Where (under_S, roof_S, zero)
      total_S = ReduceSum <keepdims = 1> (weight_S, last)
      share_S = Div (weight_S, total_S)
      fine_S = Mul (share_S, unit)
      fine_near_S = Add (fine_S, half)
      levels_S = Floor (fine_near_S)
"""


def sizing(*, height: int, width: int, channels: int, opset: int) -> Any:
    """An onnx.ModelProto from INPUT, uint8 (N, H, W, channels), to SIZED, uint8 (N, channels, height, width).

    All other names in it begin with 'size_'. opset: of the graph it will be part of, 18 or later.
    """
    import onnx

    text = _GRAPH
    for side, place in (("h", "down"), ("w", "across")):
        matrix = re.sub(r"_S\b", f"_{side}", _MATRIX).replace("SIDE", place)
        text = text.replace(f"MATRIX_{side}", matrix)
    values: dict[str, int | float] = {"OPSET": opset, "HEIGHT": height, "WIDTH": width, "CHANNELS": channels}
    values |= {"LEAST": 1 / ALIKE, "MOST": ALIKE}
    for name, value in values.items():
        text = re.sub(rf"\b{name}\b", repr(value), text)
    model = onnx.parser.parse_model(text)
    _prefix(model.graph)
    return model


def _prefix(graph: Any) -> None:
    """Rename what is inside, so that it meets no name of the network that follows."""

    def renamed(name: str) -> str:
        return name if name in ("", INPUT, SIZED) else f"size_{name}"

    for one in graph.initializer:
        one.name = renamed(one.name)
    for node in graph.node:
        node.input[:] = map(renamed, node.input)
        node.output[:] = map(renamed, node.output)
        for attribute in node.attribute:
            if attribute.HasField("g"):
                _prefix(attribute.g)
                for one in attribute.g.output:
                    one.name = renamed(one.name)
