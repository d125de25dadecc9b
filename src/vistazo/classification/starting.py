"""Parts of a run that begins from a model: what the model has learnt must not be what it is tested on. Torch-free."""

from collections.abc import Collection
from pathlib import Path

import numpy as np
import numpy.typing as npt

from vistazo.errors import ConfigError
from vistazo.language import tr
from vistazo.pictures.index import OUT, TEST, TRAIN, VALIDATION, Index, read_index
from vistazo.pictures.splits import join_copies, require_every_class

__all__ = ["INDEX", "at_hand", "learnt", "require_unlearnt", "tested", "with_parts_of"]

Hashes = npt.NDArray[np.bytes_]

INDEX = "index.parquet"
# What a part that the source names must not hold: pictures that the earlier run had in these.
_FORBIDDEN = {TEST: (TRAIN, VALIDATION), VALIDATION: (TRAIN,)}


def at_hand(model: Path) -> bool:
    """Whether the model lies in the folder of its run, which knows the pictures that it was trained on."""
    return (model.parent / INDEX).exists()


def learnt(model: Path) -> Hashes:
    """Hashes of the pictures a model was trained on or chosen by; none where its run's folder is not at hand."""
    parts = _parts(model)
    return np.concatenate((parts[TRAIN], parts[VALIDATION]))


def tested(model: Path) -> Hashes:
    """Hashes of the pictures a model was tested on; none where its run's folder is not at hand."""
    return _parts(model)[TEST]


def require_unlearnt(tested: Hashes, model: Path) -> None:
    """Raise ConfigError where the model has learnt from a picture that a fold or another seed would test."""
    known = int(np.isin(tested, learnt(model)).sum())
    if known:
        raise ConfigError(
            tr(
                "{path} has learnt from {n} of the pictures that would be tested, so its figures would flatter: "
                "leave out --from, or --folds and --repeats.",
                path=model,
                n=known,
            )
        )


def with_parts_of(index: Index, model: Path, *, named: Collection[str]) -> tuple[Index, list[str]]:
    """The same pictures, none of which is tested after the model has learnt from it.

    Among parts that were drawn, pictures that the model's run had, and those of their groups, have the part they had
    there. named: parts that the source names itself; they keep what the model does not know, the rest is left out.
    Returns what to tell beside. Raises ConfigError where nothing would be left to test, TooFewExamples where
    a class would have nothing left to train on.
    """
    before, sentences = _parts(model), []
    split, unit = index.split.copy(), join_copies(index.group, index.hash)
    drawn = np.isin(
        index.split, [part for part in (TRAIN, VALIDATION, TEST) if part == TRAIN or part not in named]
    )
    for part in (TEST, VALIDATION, TRAIN):  # where a group was in several, the last one named here holds
        if part in named and part != TRAIN:
            continue
        known = (index.hash != b"") & np.isin(index.hash, before[part])
        split[drawn & np.isin(unit, unit[known])] = part
    moved = int((split != index.split).sum())
    if moved:
        sentences.append(tr("As {path} has learnt from some of them, {n} pictures are in the part they had there.",
                            path=model, n=moved))  # fmt: skip
    for part, forbidden in _FORBIDDEN.items():
        here = split == part
        known = (index.hash != b"") & np.isin(index.hash, np.concatenate([before[one] for one in forbidden]))
        taken = here & np.isin(unit, unit[known]) if part in named else np.zeros_like(here)
        if part == TEST and taken.any() and taken.sum() == here.sum():
            raise ConfigError(
                tr(
                    "{path} has learnt from every picture of the test part, so no figure would be true: begin from "
                    "another model, or leave out --from.",
                    path=model,
                )
            )
        split[taken] = OUT
        if taken.any():
            sentences.append(
                tr(
                    "Left out: {n} pictures of your own parts that {path} has learnt from.",
                    path=model,
                    n=int(taken.sum()),
                )
            )
    require_every_class(index, split)
    return index.replace(split=split), sentences


def _parts(model: Path) -> dict[str, Hashes]:
    beside = model.parent / INDEX
    if not at_hand(model):
        return dict.fromkeys((TRAIN, VALIDATION, TEST), np.zeros(0, "S32"))
    index = read_index(beside)
    return {part: index.hash[index.split == part] for part in (TRAIN, VALIDATION, TEST)}
