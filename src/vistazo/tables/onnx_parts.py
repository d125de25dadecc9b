"""Parts of ONNX graphs that tables and series share: texts that become codes, and codes that become texts.

What a category is called is part of the graph, so that a program with another numbering of the same words cannot be
answered wrongly in silence. onnx is imported where a graph is made.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from onnx import ModelProto

__all__ = ["rename", "told_as_texts", "unused", "words_for_codes"]

_ML = "ai.onnx.ml"  # the operators that know texts; every build of onnxruntime has them


def rename(model: "ModelProto", names: Mapping[str, str]) -> None:
    """Give values of a graph other names: inputs and outputs above all. The new names must not be taken yet."""
    graph = model.graph
    for value in (*graph.input, *graph.output, *graph.value_info, *graph.initializer):
        value.name = names.get(value.name, value.name)
    for node in graph.node:
        for several in (node.input, node.output):
            for at, name in enumerate(several):
                several[at] = names.get(name, name)


def unused(wanted: str, taken: Sequence[str]) -> str:
    """A name like `wanted` that is not among those taken."""
    found = wanted
    while found in taken:
        found += "_"
    return found


def words_for_codes(model: "ModelProto", name: str, codes: Mapping[str, int], *, unknown: int) -> None:
    """An input of codes, (rows,) int64, becomes one of texts of the same name; other texts get the code `unknown`."""
    from onnx import TensorProto, helper

    _knows_texts(model)
    inner = _free(model, f"{name}_code")
    rename(model, {name: inner})
    value = next(one for one in model.graph.input if one.name == inner)
    value.name = name
    value.type.tensor_type.elem_type = TensorProto.STRING
    node = helper.make_node(
        "LabelEncoder",
        [name],
        [inner],
        name=_free(model, f"encode_{inner}"),
        domain=_ML,
        keys_strings=list(codes),
        values_int64s=list(codes.values()),
        default_int64=unknown,
    )
    model.graph.node.insert(0, node)


def told_as_texts(model: "ModelProto", name: str, words: Sequence[str], *, as_name: str) -> None:
    """An output of positions, (rows,) int64, is replaced by the words at these positions, as the output `as_name`."""
    from onnx import TensorProto, helper

    table = _free(model, f"{name}_words")
    value = next(one for one in model.graph.output if one.name == name)
    inner = _free(model, f"{name}_position")
    rename(model, {name: inner})
    value.name = as_name
    value.type.tensor_type.elem_type = TensorProto.STRING
    model.graph.initializer.append(
        TensorProto(
            name=table,
            data_type=TensorProto.STRING,
            dims=[len(words)],
            string_data=[one.encode() for one in words],
        )
    )
    model.graph.node.append(
        helper.make_node("Gather", [table, inner], [as_name], name=_free(model, f"name_{inner}"), axis=0)
    )


def _knows_texts(model: "ModelProto") -> None:
    from onnx import helper

    if _ML not in [one.domain for one in model.opset_import]:
        model.opset_import.append(helper.make_opsetid(_ML, 4))


def _free(model: "ModelProto", wanted: str) -> str:
    graph = model.graph
    taken = {one.name for one in (*graph.input, *graph.output, *graph.initializer, *graph.node)}
    taken |= {name for node in graph.node for name in (*node.input, *node.output)}
    return unused(wanted, tuple(taken))
