"""What a run leaves behind: the figures of each part, the report and, last of all, the model."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

import vistazo
from vistazo import bundle as bundles
from vistazo.bundle import Bundle
from vistazo.classification import leaks, rate_testing, report, several, transfer, why
from vistazo.classification.beside import Beside, comparison
from vistazo.classification.classifier import Classifier
from vistazo.classification.config import ClassificationConfig
from vistazo.classification.data import Data
from vistazo.classification.evaluating.settling import Settled
from vistazo.classification.proposing import proposal
from vistazo.classification.recipes import Decided
from vistazo.classification.transfer import HeadAlone
from vistazo.engine.device import Compute
from vistazo.engine.fitting import Fitted
from vistazo.engine.parameters import count_parameters
from vistazo.engine.progress import Progress
from vistazo.engine.range_test import RangeTest
from vistazo.engine.runs import Run
from vistazo.language import tr

__all__ = ["Measured", "keep", "measure"]


@dataclass(frozen=True)
class Measured:
    """A part as the final model sees it. probabilities: (pictures, classes). single: accuracy with one view.

    scores: of each view, (views, pictures, classes). right: (pictures,) whether every answer is right.
    """

    figures: dict[str, Any]
    probabilities: npt.NDArray[np.float64]
    scores: npt.NDArray[np.float32]
    right: npt.NDArray[np.bool_]
    single: float | None


def measure(
    model: Classifier, data: Data, part: str, scores: npt.NDArray[np.float32] | None = None
) -> Measured | None:
    """The figures of a part as the model stands; None where the part is empty. scores: where they are known."""
    if not len(data.rows(part)):
        return None
    scores = model.view_scores(data.part(part)) if scores is None else scores
    figures, probabilities = model.measure(scores, data.labels(part))
    if model.thresholds is None:
        right = probabilities.argmax(1) == data.labels(part)
    else:
        right = (several.answers(probabilities, np.array(model.thresholds)) == data.labels(part)).all(1)
    return Measured(figures, probabilities, scores, right, figures["single_view_accuracy"])


def _leak(data: Data, measured: Measured | None) -> leaks.Leak | None:
    """The test figure without near copies of pictures learnt from, where there are any."""
    return None if measured is None else leaks.measure(data.index, measured.right)


def keep(
    run: Run,
    config: ClassificationConfig,
    data: Data,
    decided: Decided,
    compute: Compute,
    model: Classifier,
    fitted: Fitted,
    measured: Mapping[str, Measured | None],
    settled: Settled,
    other: Beside | None,
    head_alone: HeadAlone | None,
    progress: Progress,
    tested: RangeTest | None = None,
) -> None:
    """Write the report, the figures and, last of all, the model."""
    parameters = count_parameters(model.network)
    figures = {part: None if one is None else one.figures for part, one in measured.items()}
    counted = {**asdict(parameters), "total": parameters.total}
    told = {
        "task": "classification",
        "parameters": counted,
        "epochs": len(fitted.history),
        "kept_epoch": fitted.epoch,
        "ended": fitted.reason,
        "metrics": figures,
        "counts": {part: len(data.rows(part)) for part in ("train", "validation", "test", "out")},
        "broken": [{"file": one.where, "reason": one.reason} for one in data.broken],
    }
    told |= settled.told(measured)
    leak = _leak(data, measured["test"])
    if leak:
        told["near_copies"] = leak.to_json()
    if head_alone:
        told["head_alone"] = asdict(head_alone)
    if other:
        told["beside"] = {"recipe": other.recipe, **other.told}
    run.write("metrics.json", json.dumps(told, indent=2, ensure_ascii=False) + "\n")
    part = "test" if measured["test"] else "validation"
    proposed = proposal(run, config, data)
    shown = measured[part]
    answers = None if shown is None else settled.answers(model, data, part, shown)
    # A time that was given is for the training: what takes longer is left to `vistazo evaluate`.
    asked = None if answers is None else why.ask(model, answers, seed=config.seed, whole=not config.time)
    page = report.build(
        report.Told(
            name=run.folder.name,
            data=data.index,
            part=part,
            labels=data.labels(part),
            pixels=data.part(part),
            probabilities=None if shown is None else shown.probabilities,
            figures=figures,
            history=fitted.history,
            kept_epoch=fitted.epoch,
            reason=fitted.reason,
            settings={name: value for name, value in config.model_dump().items() if value is not None},
            decided=asdict(decided),
            parameters=counted,
            sentences=data.sentences,
            broken=data.broken,
            environment=compute.environment(vistazo.__version__),
            seconds=run.spent(),
            comparison=comparison(config, told, part, other, run.folder),
            thresholds=model.thresholds,
            proposal=proposed,
            leak=leak.sentence() if leak else "",
            transfer=transfer.told(head_alone, run) if head_alone else (),
            answers=answers,
            said=settled.sentences(),
            why=asked.sections() if asked else (),
            rate=rate_testing.section(tested) if tested else None,
        )
    )
    run.write("report.html", page)
    settings = config.identity()
    bundles.save(
        Bundle(
            task="classification",
            model=decided.model,
            arguments=decided.arguments,
            preprocessing={
                "height": data.size[0],
                "width": data.size[1],
                "channels": data.size[2],
                "mean": model.normaliser.mean,
                "std": model.normaliser.std,
                "resize": "cover-crop-antialias-2",
                "background": config.background,
            },
            facts={
                "classes": list(data.index.classes),
                "views": [list(one) for one in model.views],
                "objective": model.objective,
                **({"loss_arguments": dict(model.loss_arguments)} if model.loss_arguments else {}),
                **settled.facts(),
                **(
                    {
                        "several": True,
                        "thresholds": list(model.thresholds),
                        "smoothing": model.smoothing,
                    }
                    if model.thresholds
                    else {}
                ),
            },
            training={
                "settings": settings,
                "decided": asdict(decided),
                "compute": asdict(compute),
                "versions": {"vistazo": vistazo.__version__, "torch": torch.__version__},
                "parameters": counted,
                "counts": told["counts"],
            },
            metrics=figures,
            fingerprint=run.config["data"]["fingerprint"],
            tensors={name: one.detach().cpu() for name, one in model.network.state_dict().items()},
        ),
        run.model,
    )
    progress.say(
        tr("{reason}; the weights of epoch {epoch} were kept", reason=fitted.reason, epoch=fitted.epoch)
    )
    for sentence in (*settled.sentences(), *filter(None, [proposed])):
        progress.say(sentence)
