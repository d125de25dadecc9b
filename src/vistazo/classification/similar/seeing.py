"""The verbs of a classifier that go by what its network sees, and not by what it answers."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from vistazo.classification.classifier import Classifier

__all__ = ["Seeing"]

Say = Callable[[str], None]


def _silently(sentence: str) -> None:
    pass


def _whole(model: "Seeing") -> "Classifier":
    return cast("Classifier", model)


class Seeing:
    """What `Classifier` inherits. Paths may be text; `index` is the folder of an index, by default the model's own."""

    def features(self, pictures: Any) -> npt.NDArray[np.float32]:
        """(N, D) float32: what the network's last linear layer is given, the mean over the model's test-time views.

        pictures: uint8 (N, height, width, channels) at the model's size, or files, folders and arrays as `predict`
        takes them. Raises SourceError where one of them cannot be read.
        """
        from vistazo.classification.similar import reading
        from vistazo.classification.similar.features import look
        from vistazo.errors import SourceError
        from vistazo.language import tr

        model = _whole(self)
        if (
            isinstance(pictures, np.ndarray)
            and pictures.shape[1:] == model.size
            and pictures.dtype == np.uint8
        ):
            return look(model, pictures).features_ND
        found, unreadable = reading.given(model, pictures)
        if unreadable:
            raise SourceError(tr("{file} cannot be read ({reason}).", **unreadable[0]))
        pixels = [one.pixels for one in found]
        return look(model, np.stack(pixels) if pixels else np.zeros((0, *model.size), np.uint8)).features_ND

    def embed(
        self,
        source: Any,
        *,
        out: str | Path = "embeddings",
        seed: int = 0,
        classes: str | None = None,
        every: str | None = None,
        say: Say = _silently,
    ) -> dict[str, Any]:
        """Features of a source as a table, maps and a page in the folder `out`; see `similar.embedding.embed`."""
        from vistazo.classification.similar import embedding

        return embedding.embed(
            _whole(self), source=source, out=Path(out), seed=seed, classes=classes, every=every, say=say
        )

    def search(
        self,
        source: Any = None,
        files: Any = (),
        *,
        index: str | Path | None = None,
        add: Any = None,
        remove: Sequence[str] = (),
        top: int = 10,
        itself: bool = False,
        out: str | Path | None = None,
        classes: str | None = None,
        every: str | None = None,
        say: Say = _silently,
    ) -> dict[str, Any]:
        """The nearest pictures of a source to each file; see `similar.searching.search`."""
        from vistazo.classification.similar import searching

        return searching.search(
            _whole(self),
            source=source,
            files=files,
            place=None if index is None else Path(index),
            add=add,
            take_out=[remove] if isinstance(remove, str) else list(remove),
            top=top,
            itself=itself,
            out=None if out is None else Path(out),
            classes=classes,
            every=every,
            say=say,
        )

    def enrol(self, name: str, files: Any, *, index: str | Path | None = None) -> dict[str, Any]:
        """Make somebody or something known by pictures; see `similar.enrolling.enrol`."""
        from vistazo.classification.similar import enrolling
        from vistazo.classification.similar.indexing import default_place

        return enrolling.enrol(
            _whole(self), Path(index) if index else default_place(_whole(self)), name, files
        )

    def forget(self, name: str, *, index: str | Path | None = None) -> dict[str, Any]:
        """Take a name that was enrolled out again."""
        from vistazo.classification.similar import enrolling
        from vistazo.classification.similar.indexing import default_place

        return enrolling.forget(_whole(self), Path(index) if index else default_place(_whole(self)), name)

    def identify(
        self,
        files: Any,
        *,
        false_accept: float | str = 0.01,
        strangers: Any = None,
        top: int = 5,
        index: str | Path | None = None,
    ) -> dict[str, Any]:
        """Who or what is on each picture, or nobody known; see `similar.enrolling.identify`."""
        from vistazo.classification.similar import enrolling
        from vistazo.classification.similar.indexing import default_place

        return enrolling.identify(
            _whole(self),
            Path(index) if index else default_place(_whole(self)),
            files,
            false_accept=enrolling.share(false_accept),
            strangers=strangers,
            top=top,
        )
