"""The confusion matrix as a picture-book: a click on a cell shows its pictures, by the page's own links."""

import numpy as np
import numpy.typing as npt

from vistazo.classification.evaluating.answers import Answers
from vistazo.engine.reports import Block, Gallery, Group, Matrix, Picture, Text, number, percent
from vistazo.language import tr
from vistazo.pictures import drawing

__all__ = ["EACH", "MOST", "blocks", "chosen", "hardest"]

EACH, MOST = 24, 1000  # pictures of a cell, and of all cells
WIDEST = 100  # classes of a matrix; of more, those with the most mistakes


def blocks(answers: Answers) -> list[Block]:
    """The matrix with counts and shares, and the pictures of its cells."""
    counts = answers.confusion
    shown = hardest(counts, WIDEST)
    cells = chosen(answers, shown)
    place = {int(label): at for at, label in enumerate(shown)}
    groups = [
        Group(
            Matrix.anchor(place[row], place[column]),
            _title(answers, row, column),
            [_picture(answers, one) for one in rows],
        )
        for (row, column), rows in cells.items()
    ]
    found: list[Block] = []
    if len(shown) < len(counts):
        found.append(
            Text(
                tr(
                    "Of {all} classes, the {n} with the most mistakes are shown; metrics.json and the table of classes "
                    "have them all.",
                    all=number(len(counts)),
                    n=number(len(shown)),
                )
            )
        )
    found.append(
        Matrix(
            [answers.classes[at] for at in shown],
            counts[np.ix_(shown, shown)].tolist(),
            tr("class"),
            tr("answer"),
            linked=[(place[row], place[column]) for row, column in cells],
            shares=True,
        )
    )
    hint = tr(
        "A click on a cell shows its pictures: mistakes the surest first, right answers the least sure first; at most "
        "{each} of a cell and {most} in all.",
        each=EACH,
        most=number(MOST),
    )
    return [*found, Gallery(groups, hint)]


def hardest(counts_KK: npt.NDArray[np.int64], most: int) -> npt.NDArray[np.int64]:
    """The classes with the most mistakes, as class or as answer, in their own order; all where they are few enough."""
    if len(counts_KK) <= most:
        return np.arange(len(counts_KK))
    wrong_K = counts_KK.sum(0) + counts_KK.sum(1) - 2 * counts_KK.diagonal()
    return np.sort(np.argsort(-wrong_K, kind="stable")[:most])


def chosen(answers: Answers, shown: npt.NDArray[np.int64]) -> dict[tuple[int, int], list[int]]:
    """Rows of pictures for each cell (class, answer), wrong ones first: of large cells and small ones alike.

    Each cell gets its first picture before any gets its second, the mistakes before the right answers.
    """
    label_N, answer_N, right_N = answers.labels, answers.answers, answers.right
    inside = np.isin(label_N, shown) & np.isin(answer_N, shown)
    rows = np.flatnonzero(inside)
    sure = np.where(right_N[rows], answers.confidence[rows], -answers.confidence[rows])
    cell = label_N[rows] * len(answers.classes) + answer_N[rows]
    order = np.lexsort((sure, cell))
    rows, cell = rows[order], cell[order]
    first = np.r_[0, np.flatnonzero(np.diff(cell)) + 1] if len(cell) else np.zeros(0, dtype=np.int64)
    size = np.diff(np.r_[first, len(cell)])
    rank = np.arange(len(cell)) - np.repeat(first, size)
    good = rank < EACH
    rows, rank, large = rows[good], rank[good], np.repeat(size, size)[good]
    kept = rows[np.lexsort((-large, rank, right_N[rows]))[:MOST]]
    found: dict[tuple[int, int], list[int]] = {}
    wanted = frozenset(kept.tolist())
    for row in rows.tolist():  # cell by cell
        if row in wanted:
            found.setdefault((int(label_N[row]), int(answer_N[row])), []).append(row)
    return found


def _title(answers: Answers, row: int, column: int) -> str:
    counts = answers.confusion
    values = {"name": answers.classes[row], "n": number(int(counts[row, column]))}
    if row == column:
        return tr("{name} recognised ({n})", **values)
    return tr("{name} taken for {answer} ({n})", answer=answers.classes[column], **values)


def _picture(answers: Answers, row: int) -> Picture:
    share = percent(float(answers.confidence[row]))
    return Picture(drawing.thumbnail(answers.pixels[row]), [share, answers.where[row]])
