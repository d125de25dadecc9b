"""Suspected wrong labels: what models that had not seen a picture make of it, beside what it is called.

A pretrained network looks at every picture once. Softmax regressions on what it sees, each fitted without a fifth of
the pictures, answer for that fifth; copies of a picture are in one fifth, or one would tell the label of the other.
cleanlab judges by these answers which labels to doubt (Northcutt, Jiang, Chuang 2021, "Confident Learning",
arXiv:1911.00068).

Shape suffixes: N pictures, F features, K classes.
"""

import time
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from vistazo.classification.linear import fit_held_out
from vistazo.engine.batches import counter_seed
from vistazo.engine.device import Compute
from vistazo.engine.progress import Progress, duration
from vistazo.engine.reports import number, percent
from vistazo.errors import ConfigError, MissingExtra
from vistazo.language import tr
from vistazo.networks.efficientnet_lite import FEATURES, EfficientNetLite0
from vistazo.pictures import decoding, duplicates
from vistazo.pictures.health import Finding
from vistazo.pictures.index import OUT, Index
from vistazo.pictures.loading import Normaliser
from vistazo.pictures.looking import Looks
from vistazo.pictures.stores import Store

__all__ = ["Doubts", "doubt", "find", "require_cleanlab", "require_labels"]

FOLDS = 5
INSIDE = 128  # pixels of the longer side that the network works with; smaller pictures are enlarged to it
SMALLEST = 16  # pixels a side that it works with
MOST = 100_000  # pictures that are judged: what they show takes 2.5 KB each in memory
SLICE = 256  # pictures looked at together
MOST_SHARE = 0.02  # of the pictures that are told: a person has to look at each


@dataclass(frozen=True, eq=False)
class Doubts:
    """How much each label is doubted. order: (N,) positions, the most doubtful first. doubted: how many cleanlab names.

    answers: (N, K) probabilities, by models that had not seen the picture.
    """

    order: NDArray[np.int64]
    doubted: int
    answers: NDArray[np.float64]


def require_cleanlab() -> ModuleType:
    """The package, or MissingExtra with the command that installs it."""
    try:
        import cleanlab.filter
        import cleanlab.rank
    except ImportError:
        raise MissingExtra(
            tr(
                "Looking for wrong labels needs the package cleanlab. Install it with: pip install 'vistazo[health]'"
            )
        ) from None
    module: ModuleType = cleanlab
    return module


def require_labels(index: Index) -> None:
    """Raise ConfigError where pictures do not have one label each."""
    if index.labels is not None:
        raise ConfigError(tr("--labels cannot judge several labels a picture yet; leave it out."))
    if index.boxes is not None:
        raise ConfigError(tr("--labels judges what each box shows: add --task classification."))


def find(
    store: Store, index: Index, looks: Looks, *, compute: Compute, seed: int, progress: Progress
) -> tuple[list[Finding], str]:
    """The pictures whose label is doubted, the most doubtful first, and a sentence about how they were found.

    Raises MissingExtra without cleanlab; ConfigError where pictures have several labels, or fewer than two classes
    have enough pictures.
    """
    require_cleanlab()
    require_labels(index)
    rows, classes = _judged(index, looks)
    if len(classes) < 2:
        raise ConfigError(
            tr("--labels needs {n} pictures of at least two classes; leave it out, or add pictures.", n=FOLDS)
        )
    progress.say(
        tr("looking for wrong labels: a pretrained network looks at {n} pictures", n=number(len(rows)))
    )
    began = time.monotonic()
    features_NF, kept = _features(store, rows, looks.size, compute)
    rows = rows[kept]
    place = np.full(len(index.classes), -1)
    place[classes] = np.arange(len(classes))
    labels = place[index.label[rows]]
    doubts = doubt(features_NF, labels, _folds(looks.small[rows], looks.hash[rows], labels, seed), seed=seed)
    most = min(doubts.doubted, max(1, round(MOST_SHARE * len(rows))))
    findings = []
    for at in doubts.order[:most].tolist():
        answer = int(doubts.answers[at].argmax())
        name, given = index.classes[classes[answer]], index.classes[index.label[rows[at]]]
        if answer == labels[at]:
            continue
        share = percent(float(doubts.answers[at, answer]), 0)
        detail = tr("labelled {given}; models that had not seen it say {name} ({share})", given=given, name=name,
                    share=share)  # fmt: skip
        findings.append(
            Finding("suspected-label", index.where[rows[at]], detail, f"relabel:{name}", int(rows[at]))
        )
    right = float(np.mean(doubts.answers.argmax(1) == labels))
    told = tr(
        "Labels: {n} pictures were judged by models that had not seen them, in {time}; "
        "they answered {share} as labelled.",
        n=number(len(rows)),
        time=duration(time.monotonic() - began),
        share=percent(right),
    )
    return findings, told


def doubt(
    features_NF: Tensor, labels_N: NDArray[np.int64], fold_N: NDArray[np.int64], *, seed: int
) -> Doubts:
    """Which labels are doubtful. fold_N: which pictures are judged together, by models fitted to all others."""
    cleanlab: Any = require_cleanlab()
    targets_NK = F.one_hot(torch.from_numpy(labels_N), int(labels_N.max()) + 1).float()
    answers = (
        fit_held_out(features_NF, targets_NK, torch.from_numpy(fold_N), seed=seed).double().exp().numpy()
    )
    answers /= answers.sum(1, keepdims=True)
    quality = cleanlab.rank.get_label_quality_scores(labels_N, answers, method="self_confidence")
    issues = cleanlab.filter.find_label_issues(labels_N, answers, filter_by="prune_by_noise_rate", n_jobs=1)
    # Those it names come first, by how little of the probability their label has.
    order = np.lexsort((quality, ~issues))
    return Doubts(order, int(issues.sum()), answers)


def _judged(index: Index, looks: Looks) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The rows that are judged, and their classes: those with at least a picture for each fold."""
    use = looks.good & (index.label >= 0) & (index.split != OUT)
    counts = index.counts(use)
    use &= np.isin(index.label, np.flatnonzero(counts >= FOLDS))
    rows = np.flatnonzero(use)
    rows = rows[np.linspace(0, len(rows) - 1, MOST).astype(np.int64)] if len(rows) > MOST else rows
    return rows, np.unique(index.label[rows])


def _folds(
    small_NS: NDArray[np.uint8], hash_N: NDArray[np.bytes_], labels_N: NDArray[np.int64], seed: int
) -> NDArray[np.int64]:
    """(N,) the fold of each, every class spread evenly over them, copies together."""
    drawn = np.random.default_rng(counter_seed(seed, 11)).permutation(len(labels_N))
    order = drawn[np.argsort(labels_N[drawn], kind="stable")]
    fold = np.empty(len(labels_N), dtype=np.int64)
    fold[order] = np.arange(len(labels_N)) % FOLDS
    return fold[duplicates.families(small_NS, hash_N)]


@torch.no_grad()
def _features(
    store: Store, rows: NDArray[np.int64], size: tuple[int, int, int], compute: Compute
) -> tuple[Tensor, NDArray[np.int64]]:
    """(pictures, F) float16 of what the network sees, and which of `rows` could be decoded."""
    (height, width), channels = (max(SMALLEST, side) for side in size[:2]), size[2]
    network = EfficientNetLite0(
        channels=channels, height=height, width=width, classes=2, size=max(INSIDE, height, width), frozen=0
    )
    network.load_published()
    network.eval()
    compute.place(network)  # a module is moved in place
    normaliser = Normaliser([127.0] * channels, [128.0] * channels)
    found = torch.empty((len(rows), FEATURES), dtype=torch.float16)
    kept: list[int] = []
    compute.start()
    for first in range(0, len(rows), SLICE):
        loaded = decoding.load(
            store,
            rows[first : first + SLICE],
            height=height,
            width=width,
            channels=channels,
            threads=compute.threads,
        )
        if not len(loaded.rows):
            continue
        chunk = torch.from_numpy(np.ascontiguousarray(loaded.pixels)).to(compute.device).permute(0, 3, 1, 2)
        with compute.autocast():
            seen = network.features(compute.place(normaliser(chunk)))
        found[len(kept) : len(kept) + len(seen)] = seen.half().cpu()
        kept += (first + np.flatnonzero(np.isin(rows[first : first + SLICE], loaded.rows))).tolist()
    return found[: len(kept)], np.array(kept, dtype=np.int64)
