"""A threshold of knowing, found later: a copy of the model's file that has it."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from vistazo import bundle as bundles
from vistazo.classification import starting
from vistazo.classification.evaluating.reading import Found
from vistazo.errors import ConfigError
from vistazo.language import tr
from vistazo.pictures.index import TEST

if TYPE_CHECKING:
    from vistazo.classification.classifier import Classifier

__all__ = ["on_test_part", "require_possible", "require_untested", "save"]


def require_possible(model: "Classifier", path: Path, dont_know: str | None) -> None:
    """Raise ConfigError where nothing could be written there, before anything is measured."""
    if dont_know is None:
        raise ConfigError(
            tr("--save-as writes the threshold of --dont-know: give both, as in --dont-know 5%.")
        )
    if model.path is None:
        raise ConfigError(tr("This model was never in a file, so there is none to copy."))
    if path.suffix != ".vistazo" or path.exists():
        raise ConfigError(tr("--save-as {path} must be a new file that ends in .vistazo.", path=path))
    if not path.parent.is_dir():
        raise ConfigError(tr("There is no folder {path}. Make it, or choose another.", path=path.parent))


def on_test_part(model: "Classifier", found: Found) -> bool:
    """Whether any of the pictures is of the source's test part, or of that of the model's own run, drawn or named."""
    if (found.index.split[found.rows_N] == TEST).any():
        return True
    return model.path is not None and bool(
        np.isin(found.index.hash[found.rows_N], starting.tested(model.path)).any()
    )


def require_untested(model: "Classifier", found: Found) -> None:
    """Raise ConfigError for a test part: what a threshold was chosen on measures nothing any more."""
    if on_test_part(model, found):
        raise ConfigError(
            tr(
                "--save-as does not choose a threshold on a test part, which would then measure nothing any more. Name "
                "another with --split, or give other labelled pictures."
            )
        )


def save(model: "Classifier", path: Path, threshold: float | None, error: float) -> str | None:
    """Write the copy and give its path; None, and nothing written, where no threshold keeps to the error.

    Raises DiskError.
    """
    if threshold is None or model.path is None:
        return None
    bundle = bundles.load(model.path)
    facts = {**bundle.facts, "unknowing": {"threshold": threshold, "error": error}}
    bundles.save(replace(bundle, facts=facts), path)
    return str(path)
