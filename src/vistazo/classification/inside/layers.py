"""The layers of a network as a picture meets them: name, output shape, parameters, neurons, field of view.

Every layer is found by sending one picture through a copy: what a module with numbers of its own does is one layer,
and so is each activation, pooling, dropout or addition between them, written as a function or as a module. So the table
needs no list of the networks there are.

Shape suffixes: N pictures, C channels, H height, W width.
"""

import copy
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from vistazo.classification.inside.field import Call, Field, seen_through, two
from vistazo.engine.parameters import count_parameters
from vistazo.errors import UnknownName
from vistazo.language import tr
from vistazo.registry import nearest

__all__ = ["Layer", "Watch", "find_layer", "tell_layers", "trace"]

Seen = Callable[["_Happened"], None]


@dataclass(frozen=True)
class Layer:
    """A layer. number: from 1 on. kind: 'convolution', 'dense', 'normalisation', 'activation', 'pooling', 'dropout',
    'flatten', 'addition', 'resizing' or 'other'. about: what it does, in the language in force.

    shape: (height, width, channels) or (numbers,) of what it gives for a picture. trainable, statistics, frozen:
    numbers it holds, as `vistazo.engine.parameters` counts them.
    field: what its places see of the picture; None where each sees all of it.
    """

    number: int
    name: str
    kind: str
    about: str
    shape: tuple[int, ...]
    trainable: int = 0
    statistics: int = 0
    frozen: int = 0
    field: Field | None = None

    @property
    def parameters(self) -> int:
        """All numbers it holds."""
        return self.trainable + self.statistics + self.frozen

    @property
    def neurons(self) -> int:
        """The numbers it gives for a picture."""
        return math.prod(self.shape)

    @property
    def units(self) -> int:
        """Its channels, or its numbers where it has no places."""
        return self.shape[-1]

    @property
    def spread(self) -> bool:
        """Whether it has more than one place."""
        return len(self.shape) == 3 and self.shape[0] * self.shape[1] > 1


def tell_layers(layers: tuple[Layer, ...]) -> dict[str, Any]:
    """The layers and their sums as plain numbers and words, for JSON."""
    rows = []
    for one in layers:
        row = {**asdict(one), "shape": list(one.shape), "parameters": one.parameters, "neurons": one.neurons}
        del row["field"]
        rows.append(row)
    sums = {
        name: sum(row[name] for row in rows) for name in ("parameters", "trainable", "statistics", "frozen")
    }
    return {"layers": rows, **sums}


def find_layer(layers: tuple[Layer, ...], wanted: str | int) -> Layer:
    """The layer of that number, counted from 1, or of that name. Raises UnknownName, which tells the names."""
    text = str(wanted).strip()
    for one in layers:
        if text in (one.name, str(one.number)):
            return one
    names = [one.name for one in layers]
    near = nearest(text, names)
    if near:
        raise UnknownName(
            tr(
                "There is no layer '{name}'. Did you mean '{near}'? Layers are numbered from 1 to {n}; "
                "vistazo inside MODEL lists them.",
                name=text,
                near=near,
                n=len(layers),
            )
        )
    raise UnknownName(
        tr(
            "There is no layer '{name}'. Layers are numbered from 1 to {n}; vistazo inside MODEL lists them.",
            name=text,
            n=len(layers),
        )
    )


def trace(network: nn.Module, size: tuple[int, int, int]) -> tuple[Layer, ...]:
    """The layers of a network for pictures of size (height, width, channels). The network is not touched."""
    # In double precision the fused convolutions are torch's plain ones, whose padding and stride can be read.
    twin = copy.deepcopy(network).double().cpu().eval()
    height, width, channels = size
    found = _Table()
    with torch.no_grad(), Watch(twin, found.take):
        twin(torch.zeros((1, channels, height, width), dtype=torch.float64))
    return tuple(found.layers)


# ---------------------------------------------------------------- watching
@dataclass(frozen=True, eq=False)
class _Happened:
    """A layer that gave its output. path: of its module, '' for a function. calls: what was called in it."""

    path: str
    module: nn.Module | None
    calls: tuple[Call, ...]
    output: Tensor


_BETWEEN = {
    "relu": "relu", "relu_": "relu", "leaky_relu": "leaky_relu", "leaky_relu_": "leaky_relu", "silu": "silu",
    "hardtanh": "relu6", "hardtanh_": "relu6", "relu6": "relu6", "gelu": "gelu", "sigmoid": "sigmoid", "tanh": "tanh",
    "softmax": "softmax", "max_pool2d": "max_pool", "avg_pool2d": "average_pool", "amax": "largest", "mean": "mean",
    "dropout": "dropout", "dropout_": "dropout", "flatten": "flatten", "add": "addition", "__add__": "addition",
    "add_": "addition", "interpolate": "resizing", "elu": "elu", "elu_": "elu",
}  # fmt: skip


class Watch(TorchFunctionMode):
    """Inside a `with` block, tells each layer of a network as it gives its output, in order.

    The output is the network's own tensor, which later layers may write over: clone what is kept. Nothing stays on the
    network afterwards.
    """

    def __init__(self, network: nn.Module, seen: Seen) -> None:
        super().__init__()
        self._network, self._seen = network, seen
        self._depth, self._calls = 0, [Call("", (), {}, torch.empty(0))][:0]
        self._hooks: list[Any] = []

    def __enter__(self) -> "Watch":
        for path, module in self._network.named_modules():
            if _own(module):
                self._hooks += [
                    module.register_forward_pre_hook(self._begin),
                    module.register_forward_hook(self._end(path)),
                ]
        super().__enter__()  # type: ignore[no-untyped-call]
        return self

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)  # type: ignore[no-untyped-call]
        for hook in self._hooks:
            hook.remove()
        self._hooks.clear()

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        answer = func(*args, **(kwargs or {}))
        name = getattr(func, "__name__", "")
        if not isinstance(answer, Tensor):
            return answer
        call = Call(name, args, kwargs or {}, answer)
        if self._depth:
            self._calls.append(call)
        elif name in _BETWEEN and _counts(call):
            self._seen(_Happened("", None, (call,), answer))
        return answer

    def _begin(self, module: nn.Module, inputs: Any) -> None:
        if not self._depth:
            self._calls = []
        self._depth += 1

    def _end(self, path: str) -> Callable[..., None]:
        def end(module: nn.Module, inputs: Any, output: Any) -> None:
            self._depth -= 1
            if not self._depth and isinstance(output, Tensor):
                self._seen(_Happened(path, module, tuple(self._calls), output))
                self._calls = []

        return end


def _own(module: nn.Module) -> bool:
    """Whether a module holds numbers itself, and not only in its parts."""
    return any(True for _ in module.parameters(recurse=False)) or any(
        True for _ in module.buffers(recurse=False)
    )


def _counts(call: Call) -> bool:
    """Whether a call between modules is a layer: not so arithmetic that a layer is made of."""
    given = call.arguments[0] if call.arguments else None
    if not isinstance(given, Tensor):
        return False
    kind = _BETWEEN[call.name]
    if kind == "flatten":
        return call.answer.dim() == 2 and given.dim() == 4
    if kind in ("largest", "mean"):
        return call.answer.dim() == 2
    if kind == "addition":
        other = call.get(1, "other", None)
        return isinstance(other, Tensor) and other.shape == given.shape and given.dim() == 4
    return True


# ---------------------------------------------------------------- the table
class _Table:
    """Layers as they happen. field: what the places of the last one see."""

    def __init__(self) -> None:
        self.layers: list[Layer] = []
        self._field: Field | None = Field()
        self._counted: set[int] = set()
        self._names: dict[str, int] = {}

    def take(self, one: _Happened) -> None:
        kind, about, name = _described(one)
        for call in one.calls:
            self._field = seen_through(self._field, call)
        if one.output.dim() != 4:
            self._field = None
        shape = one.output.shape
        counts = {}
        if one.module is not None and id(one.module) not in self._counted:
            self._counted.add(id(one.module))
            counted = count_parameters(one.module)
            counts = {
                "trainable": counted.trainable,
                "statistics": counted.statistics,
                "frozen": counted.frozen,
            }
        self.layers.append(
            Layer(
                len(self.layers) + 1,
                one.path or self._numbered(name),
                kind,
                about,
                (int(shape[2]), int(shape[3]), int(shape[1]))
                if len(shape) == 4
                else tuple(map(int, shape[1:])),
                field=self._field,
                **counts,
            )
        )

    def _numbered(self, name: str) -> str:
        self._names[name] = self._names.get(name, 0) + 1
        return f"{name}_{self._names[name]}"


def _described(one: _Happened) -> tuple[str, str, str]:
    """(kind, what it does in words, its name where no module names it)."""
    if one.module is None:
        return _function(one.calls[0])
    by_name = {call.name: call for call in one.calls}
    after = [words for call in one.calls if (words := _activation(call))]
    if "conv2d" in by_name:
        return "convolution", ", ".join([*_convolution(by_name["conv2d"]), *after]), ""
    if "linear" in by_name:
        return "dense", ", ".join([tr("dense"), *after]), ""
    if "batch_norm" in by_name:
        return "normalisation", tr("batch normalisation"), ""
    if "prelu" in by_name:
        return "activation", "PReLU", ""
    return "other", type(one.module).__name__, ""


def _convolution(call: Call) -> list[str]:
    weight, stride, groups = call.arguments[1], two(call.get(3, "stride", 1)), call.get(6, "groups", 1)
    sides = {"height": weight.shape[2], "width": weight.shape[3]}
    depthwise = groups > 1 and groups == weight.shape[0]
    words = [
        tr("depthwise convolution {height} × {width}", **sides)
        if depthwise
        else tr("convolution {height} × {width}", **sides)
    ]
    return words + ([tr("stride {n}", n=max(stride))] if max(stride) > 1 else [])


def _activation(call: Call) -> str:
    kind = _BETWEEN.get(call.name, "")
    if kind == "leaky_relu":
        return f"leaky ReLU {call.get(1, 'negative_slope', 0.01):g}"
    plain = {
        "relu": "ReLU",
        "relu6": "ReLU6",
        "silu": "SiLU",
        "gelu": "GELU",
        "elu": "ELU",
        "sigmoid": "sigmoid",
        "tanh": "tanh",
    }
    return plain.get(kind, "softmax" if kind == "softmax" else "")


def _function(call: Call) -> tuple[str, str, str]:
    kind = _BETWEEN[call.name]
    if words := _activation(call):
        return "activation", words, kind
    if kind in ("max_pool", "average_pool"):
        down, across = two(call.get(1, "kernel_size", 1))
        sides = {"height": down, "width": across}
        if kind == "max_pool":
            return "pooling", tr("max pooling {height} × {width}", **sides), kind
        return "pooling", tr("average pooling {height} × {width}", **sides), kind
    if kind == "largest":
        return "pooling", tr("largest of each map"), kind
    if kind == "mean":
        return "pooling", tr("mean of each map"), kind
    if kind == "dropout":
        return "dropout", tr("dropout {rate}", rate=f"{call.get(1, 'p', 0.5):g}"), kind
    words = {
        "flatten": tr("flatten"),
        "addition": tr("added to what came before"),
        "resizing": tr("enlarged"),
    }[kind]
    return kind, words, kind
