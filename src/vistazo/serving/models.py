"""The models of a service: found, loaded, and loaded anew when their file is replaced."""

import contextlib
import hashlib
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vistazo import platform
from vistazo.engine import runs
from vistazo.errors import UsageError, VistazoError
from vistazo.language import reason_of_system, tr
from vistazo.serving.admission import Admission
from vistazo.serving.batching import Batcher
from vistazo.serving.distant import DistantPictures, ModelProcess
from vistazo.serving.endpoints import Endpoint, endpoint_for
from vistazo.serving.settings import ServeSettings

__all__ = ["Served", "Shelf", "file_of", "fill", "named", "served_models"]

_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")
_Stamp = tuple[int, int, int]


@dataclass(eq=False)
class Served:
    """A model as it answers now. stamp, digest: of the file that it was loaded from."""

    endpoint: Endpoint
    batcher: Batcher[Any]
    admission: Admission
    path: Path | None
    stamp: _Stamp | None
    digest: str = ""

    @property
    def distant(self) -> DistantPictures | None:
        """The endpoint, where it computes in another process."""
        return self.endpoint if isinstance(self.endpoint, DistantPictures) else None

    @property
    def hash(self) -> str:
        """SHA-256 of the model's file."""
        return self.endpoint.hash


class Shelf:
    """The models of a service, by name. told: called with the model's name and the size of each batch.

    process: where those of pictures compute, once `begin` has started it; without, all compute here.
    """

    def __init__(
        self, settings: ServeSettings, told: Callable[[str, int], None] = lambda name, size: None
    ) -> None:
        self._settings, self._told = settings, told
        self._models: dict[str, Served] = {}
        self._refused: dict[str, _Stamp | None] = {}  # replaced files that could not be used, told once each
        self._gone: set[str] = set()  # models whose file is not there, told once each
        self.process: ModelProcess | None = None

    def __len__(self) -> int:
        return len(self._models)

    def get(self, name: str) -> Served | None:
        """The model of that name as it answers now."""
        return self._models.get(name)

    def items(self) -> list[tuple[str, Served]]:
        """Names and models, in the order they were given."""
        return list(self._models.items())

    def on_batch(self, told: Callable[[str, int], None]) -> None:
        """Who is told of batches from here on."""
        self._told = told

    def begin(self, paths: Sequence[Path]) -> None:
        """Start the process in which models of pictures compute, where there are any and a core for it."""
        from vistazo.tasks import task_of

        pictures = [one for one in paths if task_of(one) == "classification"]
        if pictures and platform.spare_core():
            with contextlib.suppress(OSError):
                self.process = ModelProcess.start(torch=any(one.suffix != ".onnx" for one in pictures))

    def begin_again(self) -> dict[str, VistazoError]:
        """A new process for one that ended, with the files as they are now; which of them cannot be used, and why.

        Such a model answers when its file is replaced again. Raises VistazoError where there is none that can be used,
        OSError where there is no room for a process.
        """
        assert self.process is not None
        self.process.close()
        distant = {name: one.path for name, one in self.items() if one.distant is not None and one.path}
        torch = any(path.suffix != ".onnx" for path in distant.values())
        process, failed = ModelProcess.start(torch=torch), {}
        try:
            for name, path in distant.items():
                try:
                    self._models[name] = self._loaded(name, path, process)
                except VistazoError as error:
                    failed[name] = error
            if len(failed) == len(distant):
                raise next(iter(failed.values()))
        except BaseException:
            process.close()
            raise
        self.process = process
        return failed

    def close(self) -> None:
        """Let go of threads and processes."""
        for _, served in self.items():
            served.batcher.close()
        if self.process is not None:
            self.process.close()

    def open(self, name: str, path: Path) -> None:
        """Load the model in a file under a name. Raises VistazoError, each in one sentence."""
        self._models[name] = self._loaded(name, path)

    def put(self, name: str, model: Any) -> None:
        """Serve a model that is loaded already."""
        path = getattr(model, "path", None)
        digest = _digest(path) if path is not None and Path(path).is_file() else ""
        self._models[name] = self._served(name, self._near(model, digest), digest, None, None)

    def changed(self) -> list[str]:
        """The names of models whose file is another by now, and was not refused already."""
        found = []
        for name, served in self.items():
            if served.path is None:
                continue
            stamp = _stamp(served.path)
            if stamp is not None and stamp != served.stamp and stamp != self._refused.get(name):
                found.append(name)
        return found

    def gone(self) -> list[str]:
        """The names of models whose file is there no longer, each once until it is there again."""
        gone = {name for name, one in self.items() if one.path is not None and _stamp(one.path) is None}
        new, self._gone = gone - self._gone, gone
        return sorted(new)

    def reload(self, name: str) -> Served | None:
        """Load the file of a model anew; what was asked of the old one, it still answers.

        None where the contents are the same, or where the process that would load them is being started again: later,
        then. Raises VistazoError where the file cannot be used: the old one stays.
        """
        old = self._models[name]
        assert old.path is not None
        process = self.process
        if old.distant is not None and process is not None and not process.ready:
            return None
        stamp = _stamp(old.path)
        try:
            lives = old.distant is None or old.distant.process.alive
            if lives and _digest(old.path) == old.digest:
                old.stamp = stamp
                return None
            new = self._loaded(name, old.path)
        except Exception:
            if process is not None and not process.alive:
                return None  # it ended meanwhile, which says nothing of the file
            self._refused[name] = stamp
            raise
        self._models[name] = new
        return new

    def _loaded(self, name: str, path: Path, process: ModelProcess | None = None) -> Served:
        from vistazo import tasks

        stamp = _stamp(path)
        digest = _digest(path)
        threads = self._settings.threads
        process = process or self.process
        if process is not None and tasks.task_of(path) == "classification":
            return self._served(name, process.open(path, digest, threads), digest, path, stamp)
        return self._served(name, self._near(tasks.load(path), digest), digest, path, stamp)

    def _near(self, model: Any, digest: str) -> Endpoint:
        endpoint = endpoint_for(model, digest, threads=self._settings.threads)
        endpoint.warm()
        return endpoint

    def _served(
        self, name: str, endpoint: Endpoint, digest: str, path: Path | None, stamp: _Stamp | None
    ) -> Served:
        admission = Admission(self._settings.queue, endpoint.least)

        def told(size: int, seconds: float) -> None:
            self._told(name, size)
            admission.answered(seconds)

        batcher: Batcher[Any] = Batcher(
            endpoint.answer,
            most=endpoint.most,
            inline=endpoint.inline,
            told=told,
            settle=endpoint.settle,
            full=lambda: admission.full,
            distant=endpoint.send if isinstance(endpoint, DistantPictures) else None,
        )
        return Served(endpoint, batcher, admission, path, stamp, digest)


def named(words: Sequence[str]) -> dict[str, Path]:
    """{name: file} of the MODEL words of a command: a file, a run folder, 'last', or NAME=one of these.

    Raises UsageError for two models of one name or a name that no address can hold, RunError where nothing is there.
    """
    found: dict[str, Path] = {}
    for word in words:
        name, equals, rest = word.partition("=")
        if not equals or not _NAME.fullmatch(name) or Path(word).exists():
            if equals and not Path(word).exists() and Path(rest or "?").exists():
                raise _bad_name(name)
            name, rest = "", word
        path = file_of(rest)
        if not name:
            plain = path.parent.resolve().name if path.name == runs.MODEL else path.stem
            name = re.sub(r"[^A-Za-z0-9._-]+", "-", plain).strip("-.")[:64] or "model"
        if name in (".", ".."):
            raise UsageError(tr("A model cannot be called {name}. Name it: NAME=PATH.", name=name))
        if name in found:
            raise UsageError(
                tr("Two models are called {name}. Name them apart: one={first} two={second}.",
                   name=name, first=found[name], second=path)
            )  # fmt: skip
        found[name] = path
    return found


def file_of(word: str | os.PathLike[str]) -> Path:
    """The file that a MODEL word means. Raises RunError."""
    return runs.model_file(word)


def served_models(models: "Shelf | Mapping[str, Any]", settings: ServeSettings) -> Shelf:
    """The shelf of models that are loaded, or are files."""
    if isinstance(models, Shelf):
        return models
    shelf = Shelf(settings)
    fill(shelf, models)
    return shelf


def fill(shelf: Shelf, models: Mapping[str, Any]) -> None:
    """Put models on a shelf that are loaded, or are files. Raises VistazoError."""
    for name, model in models.items():
        if not _NAME.fullmatch(name):
            raise _bad_name(name)
        if isinstance(model, (str, os.PathLike)):
            shelf.open(name, file_of(model))
        else:
            shelf.put(name, model)


def _bad_name(name: str) -> UsageError:
    return UsageError(
        tr("A model cannot be called {name}: a name is part of an address, of 1 to 64 letters without accents, digits "
           "and . _ -", name=repr(name[:80]))
    )  # fmt: skip


def _stamp(path: Path) -> _Stamp | None:
    try:
        told = path.stat()
    except OSError:
        return None
    return told.st_mtime_ns, told.st_size, told.st_ino


def _digest(path: Path) -> str:
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise VistazoError(
            tr("{path} cannot be read ({reason}).", path=path, reason=reason_of_system(error))
        ) from None
