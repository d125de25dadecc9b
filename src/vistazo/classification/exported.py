"""An exported classifier: the answers of its .onnx file, by onnxruntime. Torch-free.

Shape suffixes: N pictures, K classes.
"""

import math
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from vistazo.classification.answering import Answering
from vistazo.classification.evaluating.unknowing import Unknowing
from vistazo.engine.onnx_file import OnnxFile
from vistazo.errors import BundleDamaged, TooFewExamples
from vistazo.language import tr

__all__ = ["Exported", "exported_from", "open_model"]

CHUNK = 64  # pictures answered at once, or fewer where they are larger than 64 x 64


@dataclass(frozen=True, eq=False)
class Exported(Answering):
    """A classifier in an .onnx file.

    session: onnxruntime's. facts: the file's metadata. What else there is, `Answering` tells.
    """

    session: Any
    classes: tuple[str, ...]
    size: tuple[int, int, int]
    background: str
    hash: str
    path: Path
    thresholds: tuple[float, ...] | None = None
    unknowing: Unknowing | None = None
    facts: dict[str, Any] = field(default_factory=dict)

    def probabilities(self, pixels_NHWC: Any) -> npt.NDArray[np.float64]:
        """(N, K) probabilities of uint8 pictures (N, height, width, channels) of this model's size or any other."""
        found = np.empty((len(pixels_NHWC), len(self.classes)), dtype=np.float64)
        height, width = pixels_NHWC.shape[1:3]
        at_once = max(1, min(CHUNK, CHUNK * 64 * 64 // max(1, height * width)))
        name = self.session.get_inputs()[0].name
        for first in range(0, len(pixels_NHWC), at_once):
            chunk = np.ascontiguousarray(pixels_NHWC[first : first + at_once])
            found[first : first + at_once] = self.session.run(None, {name: chunk})[0]
        return found

    def trained_on(self) -> npt.NDArray[np.bytes_]:
        """No hashes: an exported file does not know the pictures its model was trained on."""
        return np.zeros(0, "S32")

    def evaluate(
        self, source: Any, *, split: str | None = None, classes: str | None = None, every: str | None = None
    ) -> dict[str, Any]:
        """Figures on a source: its test part where it has one, else all of it, trained on or not.

        The figures of `Classifier.evaluate`, without slices, pages or a second model: for those ask the model itself.
        Raises SourceError, ConfigError where pictures have several labels and the answers one.
        """
        from vistazo.classification import metrics, several
        from vistazo.classification.evaluating import measuring, reading
        from vistazo.classification.evaluating.answers import Answers
        from vistazo.classification.evaluating.telling import nothing_measured

        found = reading.find(self, source, split=split, classes=classes, every=every)
        truth, known = reading.truth(self, found.index, found.rows_N)
        at = np.flatnonzero(known)
        if not len(at):
            raise TooFewExamples(nothing_measured())
        pixels, labels = found.pixels.take(at), truth[at]
        rows = self.probabilities(pixels)
        if self.thresholds is None:
            figures = {**metrics.measure(rows, labels), **measuring.further(rows, labels)}
        else:
            thresholds = np.array(self.thresholds)
            figures = several.measure(rows, labels, thresholds)
            figures |= measuring.further_of_labels(rows, labels, thresholds)
        figures["single_view_accuracy"] = None  # the graph tells the mean of all views
        where = tuple(found.index.where[row] for row in found.rows_N[at].tolist())
        answers = Answers(self.classes, where, labels, rows, pixels, thresholds=self.thresholds)
        note = tr("An exported file does not know what its model was trained on: measure it on new pictures.")
        return {
            "part": found.part,
            "metrics": figures,
            "classes": measuring.by_class(answers),
            "left_out": {"trained_on": 0},
            "unreadable": [{"file": one.where, "reason": one.reason} for one in found.broken],
            "notes": [*found.notes, *([note] if found.part == "all" else [])],
        }


def open_model(file: OnnxFile) -> Exported:
    """The classifier in an exported file. Raises BundleDamaged where its parts do not fit together."""
    return exported_from(file.session, file.facts, file.path)


def exported_from(session: Any, facts: dict[str, Any], path: Path) -> Exported:
    """A classifier from a session and its metadata. path: named in what is raised, and kept.

    Raises BundleDamaged where they do not fit together.
    """
    try:
        told, classes = facts["preprocessing"], tuple(facts["classes"])
        size = (int(told["height"]), int(told["width"]), int(told["channels"]))
        thresholds, background = facts.get("thresholds"), str(facts["background"])
        # The checksum only says that nobody changed the file by accident: a forged one has a good checksum.
        if not classes or not all(isinstance(one, str) for one in classes) or min(size) < 1:
            raise ValueError("classes or size")
        if not re.fullmatch(r"white|black|#[0-9a-fA-F]{6}", background):
            raise ValueError("background")
        if thresholds is not None:
            thresholds = tuple(float(one) for one in thresholds)
            if len(thresholds) != len(classes) or not all(0 <= one <= 1 for one in thresholds):
                raise ValueError("thresholds")
        inputs, outputs = session.get_inputs(), session.get_outputs()
        if [one.type for one in inputs] != ["tensor(uint8)"] or inputs[0].shape[3:] != [size[2]]:
            raise ValueError("input")
        if len(outputs) != 1 or outputs[0].shape[1:] != [len(classes)]:
            raise ValueError("output")
        return Exported(
            session=session,
            classes=classes,
            size=size,
            background=background,
            hash=str(facts.get("hash", "")),
            path=path,
            thresholds=thresholds,
            unknowing=_unknowing(facts.get("unknowing")),
            facts=facts,
        )
    except (KeyError, TypeError, ValueError) as error:
        raise BundleDamaged(
            tr("{path} does not hold together ({reason}).", path=path, reason=error)
        ) from None


def _unknowing(told: dict[str, Any] | None) -> Unknowing | None:
    if told is None:
        return None
    found = Unknowing(float(told["threshold"]), float(told["error"]))
    if not (math.isfinite(found.threshold) and 0 <= found.threshold <= 1 and 0 < found.error < 1):
        raise ValueError("unknowing")
    return found
