"""`vistazo embed`: what a network sees of every picture of a source, as a table, as maps, as distances."""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from vistazo.bundle import disk_sentence
from vistazo.classification import several
from vistazo.classification.classifier import Classifier
from vistazo.classification.similar import between, embedding_page, maps
from vistazo.classification.similar.embedding_page import Laid
from vistazo.classification.similar.features import narrowed, unit
from vistazo.classification.similar.indexing import full_name
from vistazo.classification.similar.maps import Map
from vistazo.classification.similar.pages import write_file
from vistazo.classification.similar.published import knows_classes
from vistazo.classification.similar.reading import labels_of, look_at, read
from vistazo.engine.batches import counter_seed
from vistazo.engine.reports import number, percent
from vistazo.errors import DiskError, TooFewExamples, TooManyBroken
from vistazo.language import tr
from vistazo.pictures.index import Broken, natural_key
from vistazo.pictures.stores import Source

__all__ = ["embed"]

Floats = npt.NDArray[np.float32]
TABLE = "features.parquet"
JUDGED = 10_000  # pictures that distances, outliers and the principal components are computed of
DRAWN = 2_000  # that t-SNE lays out: 15 to 30 s on one core
LEAST = 5  # pictures that t-SNE needs
_SAMPLE = 12  # what the sample is drawn from


@dataclass(frozen=True, eq=False)
class _Sample:
    """Some of the pictures. rows: of the source. features_ND: as in the table. answers: None where it has none."""

    rows: npt.NDArray[np.int64]
    features_ND: Floats
    answers: list[str | None]


def embed(
    model: Classifier,
    *,
    source: Any,
    out: Path,
    seed: int,
    classes: str | None,
    every: str | None,
    say: Callable[[str], None],
) -> dict[str, Any]:
    """Write features.parquet, maps as .png and embeddings.html into the folder `out`.

    Gives {"files", "pictures", "width", "classes", "pairs", "outliers", "unreadable", "notes"}.
    Raises SourceError, TooManyBroken where nothing can be read, DiskError.
    """
    found = read(source, classes=classes, every=every)
    if len(found.index) < 2:
        raise TooFewExamples(tr("A map needs two pictures at least, and there are {n}.", n=len(found.index)))
    broken: list[Broken] = list(found.broken)
    labels = labels_of(found.index)
    path = out / TABLE
    with _written(path) as beside:
        count, width, sample = _look(model, found, labels, beside, seed, broken, say)
        if len(sample.rows) < 2:
            raise TooManyBroken(
                tr(
                    "Fewer than two pictures of {path} can be read; the first that cannot: {file} ({reason}).",
                    path=found.index.source,
                    file=broken[0].where,
                    reason=broken[0].reason,
                )
            )
    shown, notes = _shown_as(labels, sample)
    laid = _lay_out(sample, shown, seed, notes, say)
    told: dict[str, Any] = {"features": str(path)}
    for one in laid.maps:
        name = "map-tsne.png" if one is not laid.maps[0] else "map-pca.png"
        rows = laid.of[one.name]
        drawn = maps.draw(one, laid.class_N[rows], laid.names, one.name)
        told["tsne" if one is not laid.maps[0] else "pca"] = str(write_file(out, name, drawn))
    page = embedding_page.build(model, found, labels, sample.rows, sample.answers, laid, count, notes)
    told["page"] = str(write_file(out, "embeddings.html", page.encode("utf-8", "replace")))
    return {
        "files": told,
        "pictures": count,
        "width": width,
        "classes": list(laid.names),
        "pairs": [
            {"classes": [laid.names[a], laid.names[b]], "distance": round(d, 6)} for a, b, d in laid.pairs
        ],
        "outliers": [
            {
                "file": full_name(found.index.source, found.index.where[int(sample.rows[one.row])]),
                "class": laid.names[int(laid.class_N[one.row])],
                "nearest": laid.names[one.nearest],
                "deviations": round(one.deviations, 2),
            }
            for one in laid.outliers
        ],
        "unreadable": [{"file": one.where, "reason": one.reason} for one in broken],
        "notes": notes,
    }


@contextlib.contextmanager
def _written(path: Path) -> Iterator[Path]:
    """A path beside `path` to write to, which takes its place in the end. Raises DiskError, with neither left."""
    beside = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield beside
        beside.replace(path)
    except BaseException as error:
        with contextlib.suppress(OSError):
            beside.unlink()
        if isinstance(error, OSError):
            raise DiskError(disk_sentence(path, error)) from error
        raise


def _look(
    model: Classifier,
    found: Source,
    labels: list[str | None],
    path: Path,
    seed: int,
    broken: list[Broken],
    say: Callable[[str], None],
) -> tuple[int, int, _Sample]:
    """Write the table block by block; how many pictures, values a picture, and a sample of them."""
    import pyarrow as pa
    from pyarrow import parquet

    random = np.random.default_rng(counter_seed(seed, _SAMPLE))
    wanted = np.zeros(len(labels), np.bool_)
    wanted[random.permutation(len(labels))[:JUDGED]] = True
    writer: Any = None
    rows_of: list[npt.NDArray[np.int64]] = []
    features: list[Floats] = []
    answered: list[str | None] = []
    count = width = 0
    try:
        for looked in look_at(model, found, np.arange(len(labels))):
            broken += looked.broken
            values = narrowed(looked.seen.features_ND)
            width = values.shape[1]
            answers, probabilities = _answers(model, looked.seen.scores_VNK)
            flat = pa.array(values.reshape(-1))
            table = pa.table(
                {
                    "file": pa.array([found.index.where[row] for row in looked.rows.tolist()], pa.string()),
                    "label": pa.array([labels[row] for row in looked.rows.tolist()], pa.string()),
                    "answer": pa.array(answers, pa.string()),
                    "probability": pa.array(probabilities, pa.float64()),
                    "features": pa.FixedSizeListArray.from_arrays(flat, width),
                }
            )
            writer = writer or parquet.ParquetWriter(path, table.schema, compression="zstd")
            writer.write_table(table)
            kept = wanted[looked.rows]
            rows_of.append(looked.rows[kept])
            features.append(values[kept])
            answered += [one for one, keep in zip(answers, kept.tolist(), strict=True) if keep]
            count += len(looked.rows)
            say(tr("looked at {done} of {count} pictures", done=number(count), count=number(len(labels))))
    finally:
        if writer is not None:
            writer.close()
    return count, width, _Sample(np.concatenate(rows_of), np.concatenate(features), answered)


def _answers(model: Classifier, scores_VNK: Floats) -> tuple[list[str | None], list[float | None]]:
    """What the model answers for each picture and how sure it is; None where it knows no classes."""
    if not knows_classes(model):
        return [None] * scores_VNK.shape[1], [None] * scores_VNK.shape[1]
    probabilities = model.combine(scores_VNK)
    best = probabilities.argmax(1)
    sure = probabilities.max(1).tolist()
    if model.thresholds is None:
        return [model.classes[one] for one in best.tolist()], sure
    given = several.answers(probabilities, np.array(model.thresholds))
    names = ["|".join(model.classes[one] for one in np.flatnonzero(row)) or None for row in given]
    return names, sure


def _shown_as(labels: list[str | None], sample: _Sample) -> tuple[list[str | None], list[str]]:
    """The class that each picture of the sample is coloured by, and what has to be said about it."""
    own = [labels[row] for row in sample.rows.tolist()]
    notes = []
    if len(labels) > JUDGED:
        notes.append(
            tr(
                "Distances, outliers and the map of principal components are of {n} pictures, drawn at random.",
                n=number(len(sample.rows)),
            )
        )
    if any(one is not None for one in own):
        return own, notes
    if any(one is not None for one in sample.answers):
        notes.append(tr("The source names no classes: colours and figures go by the model's answers."))
        return sample.answers, notes
    notes.append(
        tr("The source names no classes and the model answers with none: there are maps, and no distances.")
    )
    return own, notes


def _lay_out(
    sample: _Sample,
    shown: list[str | None],
    seed: int,
    notes: list[str],
    say: Callable[[str], None],
) -> Laid:
    names = sorted({one for one in shown if one is not None}, key=natural_key)
    position = {name: at for at, name in enumerate(names)}
    class_N = np.array([-1 if one is None else position[one] for one in shown], dtype=np.int64)
    vectors = unit(sample.features_ND)
    places, share = maps.pca(vectors, 2)
    everything = np.arange(len(vectors))
    detail = tr("two directions hold {share} of all differences", share=percent(float(share.sum()), 0))
    laid = [Map(tr("Principal components"), places, detail)]
    of = {laid[0].name: everything}
    if not maps.sklearn_is_there():
        notes.append(
            tr(
                "The t-SNE map needs the package scikit-learn, and is left out. Install it with: "
                "pip install 'vistazo[explain]'"
            )
        )
    elif len(vectors) >= LEAST:
        some = everything[:DRAWN] if len(vectors) <= DRAWN else _spread(len(vectors), seed)
        say(tr("laying out {n} pictures by t-SNE", n=number(len(some))))
        detail = tr(
            "{n} pictures; what is near is alike, distances between groups mean little", n=number(len(some))
        )
        laid.append(Map(tr("t-SNE"), maps.tsne(vectors[some], seed=seed), detail))
        of[laid[1].name] = some
    known = np.flatnonzero(class_N >= 0)
    distances = between.centroid_distances(between.centres(vectors, class_N, len(names)))
    shares = (
        between.nearest_other(vectors[known], class_N[known], len(names)) if len(known) > 1 else distances
    )
    pairs = [
        (a, b, float(distances[a, b]))
        for a in range(len(names))
        for b in range(a)
        if np.isfinite(distances[a, b])
    ]
    pairs = sorted(((b, a, d) for a, b, d in pairs), key=lambda one: one[2])
    odd = between.outliers(vectors, class_N, len(names)) if names else []
    return Laid(tuple(names), class_N, tuple(laid), of, distances, shares, pairs[:10], odd)


def _spread(count: int, seed: int) -> npt.NDArray[np.int64]:
    """DRAWN of so many, ascending, drawn by the seed."""
    drawn = np.random.default_rng(counter_seed(seed, _SAMPLE, 1)).permutation(count)[:DRAWN]
    return np.sort(drawn).astype(np.int64)
