"""Probabilities become answers: what a trained classifier and an exported one say alike. Torch-free.

Shape suffixes: N pictures, K classes.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt

from vistazo.classification import several
from vistazo.engine.serving import Serving
from vistazo.errors import SourceError, UsageError
from vistazo.language import tr
from vistazo.pictures import decoding
from vistazo.pictures.stores import reason_of

if TYPE_CHECKING:
    from vistazo.classification.evaluating.unknowing import Unknowing
    from vistazo.classification.sorting import Sorter

__all__ = ["Answering"]

Pixels = npt.NDArray[np.uint8]


class Answering(Serving):
    """What `Classifier` and `Exported` inherit: they have these, and their probabilities.

    classes: K names. size: (height, width, channels) pictures are brought to. thresholds: where a picture may have
    several labels, the probability from which on each is answered. unknowing: from which confidence on an answer counts
    as known. background: what transparent pictures are laid over. hash: SHA-256 of the .vistazo file, hexadecimal.
    """

    classes: tuple[str, ...]
    size: tuple[int, int, int]
    thresholds: tuple[float, ...] | None
    unknowing: "Unknowing | None"
    background: str
    hash: str
    task: ClassVar[str] = "classification"
    pictures: ClassVar[dict[str, Any]] = {}

    def probabilities(self, pixels_NHWC: Any) -> npt.NDArray[np.float64]:
        """(N, K) probabilities of pictures already at this model's size, uint8 (N, height, width, channels)."""
        raise NotImplementedError

    @property
    def several(self) -> bool:
        """Whether a picture may be answered with several labels, or none."""
        return self.thresholds is not None

    @property
    def columns(self) -> dict[str, type]:
        """The values of an answer that a table holds."""
        plain = {"file": str, "class": str, "probability": float}
        known = {"known": bool} if self.unknowing else {}
        return {**plain, "classes": str} if self.several else {**plain, **known}

    def answer(self, name: str, row_K: npt.NDArray[Any], top: int) -> dict[str, Any]:
        """What the probabilities of a picture say: {"file", "class", "probability", "top"}.

        With "classes" where a picture may have several labels and "known" where the model may say that it does not.
        """
        (found,) = self.answers([name], row_K[None], [top])
        return found

    def answers(
        self, names: Sequence[str], rows_NK: npt.NDArray[Any], tops: Sequence[int]
    ) -> list[dict[str, Any]]:
        """`answer` for several pictures at once."""
        order_NK = np.argsort(-rows_NK, axis=1, kind="stable")
        found = []
        for name, row, order, top in zip(names, rows_NK.tolist(), order_NK.tolist(), tops, strict=True):
            ranked = [[self.classes[at], round(row[at], 6)] for at in order[:top]]
            answer: dict[str, Any] = {
                "file": name,
                "class": ranked[0][0],
                "probability": ranked[0][1],
                "top": ranked,
            }
            if self.unknowing is not None:
                answer["known"] = bool(row[order[0]] >= self.unknowing.threshold)
            found.append(answer)
        if self.thresholds is not None:  # most probable first, as in "top"
            given_NK = several.answers(rows_NK, np.array(self.thresholds))
            for answer, order, given in zip(found, order_NK, given_NK, strict=True):
                answer["classes"] = [self.classes[at] for at in order if given[at]]
        return found

    def predict(
        self, files: Any, *, top: int = 5, every: str | None = None, sort_into: str | Path | None = None
    ) -> Iterator[dict[str, Any]]:
        """An answer for each picture of files, folders, archives, videos or arrays, in order and as they are read.

        Yields {"file", "class", "probability", "top"}, with "classes" where a picture may have several labels and
        "known" where the model may say that it does not know; or, for what cannot be read, {"file", "reason"}.
        sort_into: a folder that gets a copy of each picture in a folder of its class; "copies" tells where.
        """
        # Only here: a service decodes what it is sent, and reads no folders.
        from vistazo.classification.sorting import Sorter
        from vistazo.pictures import sources
        from vistazo.pictures.every import interval

        sorter = None if sort_into is None else Sorter(Path(sort_into), self.classes)
        if not isinstance(files, np.ndarray) and not files:
            raise UsageError(tr("Name the pictures to answer for: vistazo predict MODEL PICTURE..."))
        height, width, channels = self.size
        waiting: list[tuple[str, Pixels | str]] = []
        originals: list[bytes | Pixels] = []  # of those waiting that can be read, where they are to be sorted
        given_files = [files] if isinstance(files, (str, Path, np.ndarray)) else files
        for name, given in sources.iterate_files(given_files, every=interval(every)):
            answer: Pixels | str
            if isinstance(given, str):
                answer = given
            else:
                try:
                    answer = decoding.decode(
                        given, height=height, width=width, channels=channels, background=self.background
                    )
                except (SourceError, OSError, MemoryError) as error:
                    answer = reason_of(error)
            waiting.append((name, answer))
            if sorter and not isinstance(answer, str) and not isinstance(given, str):
                originals.append(given)
            if len(waiting) == (8 if sorter else 64):  # originals may be of many megabytes each
                yield from _sorted(self._answers(waiting, top), originals, sorter)
                waiting, originals = [], []
        yield from _sorted(self._answers(waiting, top), originals, sorter)

    def _answers(self, waiting: list[tuple[str, Pixels | str]], top: int) -> Iterator[dict[str, Any]]:
        good = [one for _, one in waiting if not isinstance(one, str)]
        rows = iter(self.probabilities(np.stack(good)) if good else ())
        for name, one in waiting:
            if isinstance(one, str):
                yield {"file": name, "reason": one}
            else:
                yield self.answer(name, next(rows), top)


def _sorted(
    answers: Iterator[dict[str, Any]], originals: list[bytes | Pixels], sorter: "Sorter | None"
) -> Iterator[dict[str, Any]]:
    """The same answers, each picture copied to where its answer says."""
    left = iter(originals)
    for answer in answers:
        if sorter and "reason" not in answer:
            answered = answer.get("classes", [answer["class"]] if answer.get("known", True) else [])
            answer["copies"] = sorter.place(answer["file"], next(left), answered)
        yield answer
