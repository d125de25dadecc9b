"""`vistazo export` of a classifier: one graph from uint8 pictures of any size to probabilities, and its proof.

Shape suffixes: V views, N pictures, C channels, H height, W width, K classes.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

import vistazo
from vistazo.classification import quantising, several
from vistazo.classification.classifier import Classifier, moved
from vistazo.classification.evaluating import reading
from vistazo.classification.exported import Exported, exported_from
from vistazo.classification.own_parts import own_part
from vistazo.engine import export as engine
from vistazo.engine import onnx_file
from vistazo.engine.export import FP16, INT8, Proof
from vistazo.errors import SourceError, VistazoError
from vistazo.language import tr
from vistazo.pictures import decoding
from vistazo.pictures.holding import PictureArray
from vistazo.pictures.index import TEST
from vistazo.pictures.sizing import INPUT, RULE, SIZED, sizing
from vistazo.pictures.stores import Pixels, Store

__all__ = ["Examples", "export", "graph_of", "prove"]

OUTPUT = "probabilities"
TIE = 1e-5  # probabilities nearer to one another are a tie: fp32 sums them in another order
ORIGINALS = 24  # pictures that are also given to the graph at their own size
LEVELS = 1  # of 255: how far the graph's scaling may be from Pillow's
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Examples:
    """Labelled pictures that prove an export. pixels: at the model's size. truth: as `reading.truth` gives it.

    store, rows_N: where the originals are.
    """

    pixels: PictureArray
    truth: npt.NDArray[Any]
    store: Store
    rows_N: npt.NDArray[np.int64]


def export(
    model: Classifier,
    out: Path,
    *,
    verify: Any,
    precision: str,
    say: Callable[[str], None],
) -> dict[str, Any]:
    """Write the model as an .onnx file, and prove it; {"file", "agreement", "largest_difference", "accuracy", ...}.

    verify: labelled pictures to prove it on; None for the test part of the model's run. precision: 'fp32'; 'fp16',
    whose weights take half the space; 'int8'. say: takes lines of progress.
    Raises, with no file written: ConfigError, UsageError, DiskError, MissingExtra before anything is computed;
    SourceError of verify; VistazoError where an operator cannot be exported or the proof fails.
    """
    engine.require_possible(out, precision)
    calibrating = quantising.calibration(model) if precision == INT8 else np.zeros(0, np.uint8)
    examples = _examples(model, verify)
    say(tr("exporting the network {model} in {precision}", model=model.model, precision=precision))
    network = _network(model)
    if precision == FP16:
        network = quantising.halved(network)
    if precision == INT8:
        network = quantising.quantised(network, calibrating)
    graph = _joined(network, model)
    facts = _facts(model)
    exported = exported_from(onnx_file.session_of(engine.serialised(graph), out), facts, out)
    say(tr("proving it on {n} pictures", n=len(examples.truth)))
    proof = prove(model, exported, examples)
    if precision != INT8:  # what that may lose is measured on all examples, not on these few
        _require_alike(proof.more["at_their_own_size"], spared=int(precision == FP16))
    return engine.finish(out, graph, facts, proof, precision, hash=model.hash)


def _examples(model: Classifier, verify: Any) -> Examples:
    """The pictures of the proof. Raises ConfigError where there are none."""
    if verify is None:
        own = own_part(model, TEST)
        if own is None:
            raise engine.ask_to_verify()
        return Examples(own.pixels, own.truth, own.store, own.rows_N)
    found = reading.find(model, verify, split=None, classes=None, every=None)
    truth, known = reading.truth(model, found.index, found.rows_N)
    at = np.flatnonzero(known)
    if not len(at):
        raise SourceError(
            tr("{source} has no pictures of the classes that this model knows.", source=found.index.source)
        )
    return Examples(found.pixels.take(at), truth[at], found.store, found.rows_N[at])


# ---------------------------------------------------------------- the graph
class _Answering(nn.Module):
    """From pictures at the model's size to probabilities: normalised, every view, the objective's answer."""

    def __init__(self, model: Classifier) -> None:
        super().__init__()
        self.network = model.network
        self._model = model
        mean, std = (
            torch.tensor(one)[:, None, None] for one in (model.normaliser.mean, model.normaliser.std)
        )
        self.register_buffer("mean", mean)
        self.register_buffer("std", std)

    mean: Tensor
    std: Tensor

    def forward(self, pixels_NCHW: Tensor) -> Tensor:
        """uint8 (N, C, H, W) to float32 (N, K)."""
        model = self._model
        pictures = (pixels_NCHW.float() - self.mean) / self.std
        views = [moved(pictures, *view) for view in model.views]
        # All views in one pass: one network in the file, and one picture fills the processor better.
        with torch.enable_grad():  # without, a network may walk over its batch in slices, as only torch can
            scores = self.network(torch.cat(views) if len(views) > 1 else pictures)
        scores_NK = scores.float().reshape(len(views), -1, len(model.classes)).mean(0)
        return model.answer_of(scores_NK).float()


def _network(model: Classifier) -> Any:
    """The ONNX graph from SIZED, uint8 (N, C, height, width), to probabilities float32 (N, K)."""
    height, width, channels = model.size
    example = torch.zeros((2, channels, height, width), dtype=torch.uint8)
    device = next(model.network.parameters()).device
    try:
        return engine.traced(_Answering(model).cpu(), [example], [SIZED], OUTPUT)
    finally:
        model.network.to(device)


def _joined(network: Any, model: Classifier) -> Any:
    """The rule of size before the network: from INPUT, uint8 (N, H, W, C) of any size, to probabilities."""
    height, width, channels = model.size
    opset = next(one.version for one in network.opset_import if one.domain in ("", "ai.onnx"))
    before = sizing(height=height, width=width, channels=channels, opset=opset)
    joined = type(network)()
    joined.CopyFrom(network)
    del joined.graph.node[:]
    joined.graph.node.extend([*before.graph.node, *network.graph.node])
    joined.graph.initializer.extend(before.graph.initializer)
    joined.graph.value_info.extend(before.graph.output)
    del joined.graph.input[:]
    joined.graph.input.extend(before.graph.input)
    return joined


def graph_of(model: Classifier) -> Any:
    """The onnx.ModelProto of a classifier in fp32, from INPUT to probabilities; nothing is proved or written."""
    return _joined(_network(model), model)


def _facts(model: Classifier) -> dict[str, Any]:
    height, width, channels = model.size
    known = model.unknowing
    return {
        "task": model.task,
        "model": model.model,
        "classes": list(model.classes),
        "preprocessing": {
            "height": height,
            "width": width,
            "channels": channels,
            "mean": list(model.normaliser.mean),
            "std": list(model.normaliser.std),
            "resize": "cover-crop-antialias-2",
        },
        "input": {"name": INPUT, "type": "uint8", "shape": ["N", "H", "W", channels]},
        "output": {"name": OUTPUT, "type": "float32", "shape": ["N", len(model.classes)]},
        "rule": RULE,
        "views": [list(view) for view in model.views],
        "thresholds": None if model.thresholds is None else list(model.thresholds),
        "temperature": model.temperature,
        "unknowing": None if known is None else {"threshold": known.threshold, "error": known.error},
        "background": model.background,
        "objective": model.objective,
        "version": vistazo.__version__,
    }


# ---------------------------------------------------------------- the proof
def prove(model: Classifier, exported: Exported, examples: Examples) -> Proof:
    """What both answer to the same pictures, and how far the graph's own scaling is from ours.

    Raises VistazoError where that is more than one level.
    """
    ours, theirs = model.probabilities(examples.pixels), exported.probabilities(examples.pixels)
    same, ties = _compared(model, ours, theirs)
    return Proof(
        examples=len(ours),
        agreement=float(same.mean()),
        ties=int(ties.sum()),
        largest_difference=float(np.abs(ours - theirs).max()),
        accuracy={
            "model": float(model.figures(ours, examples.truth)["accuracy"]),
            "exported": float(model.figures(theirs, examples.truth)["accuracy"]),
        },
        more={"at_their_own_size": _scaling(model, exported, examples)},
    )


def _compared(
    model: Classifier, ours: Floats, theirs: Floats
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """(N,) whether two answers are the same; and, where not, whether the model held both for equally probable."""
    if model.thresholds is None:
        mine, other, rows = ours.argmax(1), theirs.argmax(1), np.arange(len(ours))
        same = mine == other
        return same, ~same & (ours[rows, mine] - ours[rows, other] < TIE)
    thresholds = np.array(model.thresholds)
    apart = several.answers(ours, thresholds) != several.answers(theirs, thresholds)
    near = np.abs(ours - thresholds) < TIE
    return ~apart.any(1), apart.any(1) & ~(apart & ~near).any(1)


def _scaling(model: Classifier, exported: Exported, examples: Examples) -> dict[str, Any]:
    """Some originals given to the graph at their own size, beside the same pixels brought to size by Pillow."""
    height, width, channels = model.size
    given: list[tuple[Pixels, Pixels]] = []
    for at in np.unique(np.linspace(0, len(examples.rows_N) - 1, ORIGINALS).astype(np.int64)):
        whole = _whole(examples.store, int(examples.rows_N[at]), channels)
        if whole is not None and whole.shape[:2] != (height, width):
            sized = decoding.decode(whole, height=height, width=width, channels=channels)
            given.append((whole, sized))
    if not given:  # the pictures have the model's size: these are scaled for the proof
        for at, side in enumerate((2 * height + 1, 3 * height + 2)):
            small = np.asarray(examples.pixels[at % len(examples.pixels)])
            whole = decoding.decode(small, height=side, width=2 * side, channels=channels)
            given.append((whole, decoding.decode(whole, height=height, width=width, channels=channels)))
    scaler = onnx_file.session_of(
        engine.serialised(sizing(height=height, width=width, channels=channels, opset=18)), Path(SIZED)
    )
    levels, apart, same, ties = 0, 0.0, 0, 0
    for whole, sized in given:
        (found,) = scaler.run(None, {INPUT: whole[None]})
        levels = max(levels, int(np.abs(found[0].transpose(1, 2, 0).astype(int) - sized).max()))
        ours = model.probabilities(np.stack([sized]))  # a copy: torch takes no read-only array
        theirs = exported.probabilities(whole[None])
        apart = max(apart, float(np.abs(ours - theirs).max()))
        (alike,), (tie,) = _compared(model, ours, theirs)
        same += int(alike)
        if not alike and not tie:
            # A level of difference in the pixels may turn the model's own answer: asked with the graph's pixels, then.
            (alike,), (tie,) = _compared(
                model, model.probabilities(found.transpose(0, 2, 3, 1).copy()), theirs
            )
            tie |= alike
        ties += int(tie)
    if levels > LEVELS:
        raise VistazoError(
            tr(
                "No file was written: the exported model scales pictures otherwise than Vistazo, by {n} of 255 levels.",
                n=levels,
            )
        )
    return {"examples": len(given), "same": same, "ties": ties, "levels": levels, "largest_difference": apart}


def _require_alike(told: dict[str, Any], *, spared: int) -> None:
    """Raise VistazoError where too few pictures are answered alike at their own size: no file is written then.

    spared: how many may differ. Of so few pictures 99.9 % are all, and half precision may turn one that is doubtful.
    """
    if told["same"] + told["ties"] < engine.LEAST * told["examples"] - spared:
        raise VistazoError(
            tr(
                "No file was written: of {n} pictures at their own size, the exported model answers only {same} as the "
                "model does.",
                n=told["examples"],
                same=told["same"] + told["ties"],
            )
        )


def _whole(store: Store, row: int, channels: int) -> Pixels | None:
    """A picture's own pixels, upright, (height, width, channels); None where it has transparency or cannot be read."""
    try:
        data = store.read(row)
        pixels = data if isinstance(data, np.ndarray) else decoding.upright(*decoding.stored(data))
    except (SourceError, OSError, MemoryError):
        return None
    shaped = pixels[:, :, None] if pixels.ndim == 2 else pixels
    if shaped.shape[2] not in (1, 3):
        return None
    return decoding.decode(shaped, height=shaped.shape[0], width=shaped.shape[1], channels=channels)
