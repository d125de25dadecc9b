"""What is settled on the validation part when training is over: the temperature, and when the model does not know.

Both are computed from the scores that the final network gives, so a run that was interrupted settles the same.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from vistazo.classification.evaluating import slices, unknowing
from vistazo.classification.evaluating.answers import Answers
from vistazo.classification.evaluating.calibration import Temperature, fit_temperature
from vistazo.classification.evaluating.evaluation import answers_of
from vistazo.classification.evaluating.stating import parse
from vistazo.classification.evaluating.telling import stated, threshold_word
from vistazo.classification.evaluating.unknowing import Unknowing
from vistazo.engine.objectives import objectives
from vistazo.engine.reports import number
from vistazo.errors import ConfigError
from vistazo.language import mark, tr

if TYPE_CHECKING:
    from vistazo.classification.classifier import Classifier
    from vistazo.classification.data import Data
    from vistazo.classification.keeping import Measured

__all__ = ["Settled", "require_possible", "settle"]

_SEVERAL = mark("a picture may have several labels, and each is answered from a threshold of its own")
_NO_LOGITS = mark("the loss says of no logits that they could be divided")
_NO_PART = mark("there is no validation part to fit one on")


@dataclass(frozen=True)
class Settled:
    """temperature: with its losses. stated: the share of wrong answers that was asked for, None where it was not.

    unknowing: the threshold that keeps to it, None where none can be shown to.
    """

    temperature: Temperature
    stated: float | None = None
    unknowing: Unknowing | None = None

    def facts(self) -> dict[str, Any]:
        """What the model's file keeps of it."""
        found: dict[str, Any] = {}
        if self.temperature.value != 1:
            found["temperature"] = self.temperature.value
        if self.unknowing is not None:
            found["unknowing"] = {"threshold": self.unknowing.threshold, "error": self.unknowing.error}
        return found

    def told(self, measured: "Mapping[str, Measured | None]") -> dict[str, Any]:
        """What metrics.json says of it."""
        found: dict[str, Any] = {"temperature": self.temperature.to_json()}
        if self.stated is not None:
            parts = {}
            if self.unknowing is not None:
                for part, one in measured.items():
                    if one is not None:
                        confidence = one.probabilities.max(1)
                        parts[part] = unknowing.selective(confidence, one.right, self.unknowing.threshold)
            threshold = None if self.unknowing is None else self.unknowing.threshold
            found["unknowing"] = {"stated": self.stated, "threshold": threshold, **parts}
        return found

    def sentences(self) -> list[str]:
        """What a person is told of it."""
        found = []
        if self.temperature.value != 1:
            found.append(
                tr(
                    "probabilities were calibrated: temperature {value}, validation loss {before} before and "
                    "{after} after",
                    value=number(self.temperature.value, 3),
                    before=number(self.temperature.before, 4),
                    after=number(self.temperature.after, 4),
                )
            )
        if self.stated is not None and self.unknowing is None:
            found.append(
                tr(
                    "no threshold keeps to {error} of wrong answers with certainty, so the model answers every "
                    "picture: accept more, or train longer",
                    error=stated(self.stated),
                )
            )
        if self.unknowing is not None:
            found.append(
                tr(
                    "below probability {threshold} the model says that it does not know; of its other answers at most "
                    "{error} are wrong, with 95 % certainty for pictures like these",
                    threshold=threshold_word(self.unknowing.threshold),
                    error=stated(self.unknowing.error),
                )
            )
        return found

    def answers(self, model: "Classifier", data: "Data", part: str, one: "Measured") -> Answers:
        """The answers to a part, for the report."""
        rows = data.rows(part)
        pixels = data.part(part)
        return answers_of(
            model,
            scores_VNK=one.scores,
            where=tuple(data.index.where[row] for row in rows.tolist()),
            labels=data.labels(part),
            probabilities_NK=one.probabilities,
            pixels=pixels,
            columns={**slices.of_pixels(pixels), **slices.of_index(data.index, rows)},
        )


def require_possible(data: "Data", stated: str | None) -> None:
    """Raise ConfigError where no threshold could keep to the stated error, however good the model: before training."""
    if stated is None:
        return
    if data.several:
        raise ConfigError(
            tr(
                "--dont-know is for pictures of one class each; here a picture may have several labels, and each is "
                "answered from a threshold of its own. Leave it out."
            )
        )
    error, n = parse(stated), len(data.rows("validation"))
    needed = unknowing.fewest(error)
    if n < needed:
        raise ConfigError(
            tr(
                "--dont-know {value} needs {needed} pictures in the validation part to be shown, and there are {n}: "
                "accept more errors, or add pictures.",
                value=stated,
                needed=number(needed),
                n=number(n),
            )
        )


def settle(
    model: "Classifier", data: "Data", scores_VNK: npt.NDArray[np.float32] | None, stated: str | None
) -> tuple["Classifier", Settled]:
    """The model with its temperature and threshold. scores_VNK: of the validation part, None where there is none."""
    if model.several:
        return model, Settled(Temperature(1.0, None, None, _SEVERAL))
    error = None if stated is None else parse(stated)
    if scores_VNK is None:
        return model, Settled(Temperature(1.0, None, None, _NO_PART), error)
    labels = data.labels("validation")
    if hasattr(objectives[model.objective], "logits"):
        fitted = fit_temperature(model.logits(scores_VNK), labels)
    else:
        fitted = Temperature(1.0, None, None, _NO_LOGITS)
    model = replace(model, temperature=fitted.value)
    if error is None:
        return model, Settled(fitted)
    probabilities = model.combine(scores_VNK)
    threshold = unknowing.choose(probabilities.max(1), probabilities.argmax(1) == labels, error)
    found = None if threshold is None else Unknowing(threshold, error)
    return replace(model, unknowing=found), Settled(fitted, error, found)
