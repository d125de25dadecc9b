"""Files that a browser sends into the studio's own folder: one by one, streamed, under names that are checked."""

import os
import re
import secrets
import shutil
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from vistazo.bundle import disk_sentence
from vistazo.errors import SourceError, SourceMissing
from vistazo.language import tr
from vistazo.studio.state import Studio

if TYPE_CHECKING:
    from fastapi import FastAPI

__all__ = ["add", "landed", "placed"]

MOST_BYTES = 20 << 30  # of one file
SPARE = 200 << 20  # bytes that are left free on the disk
_ID = re.compile(r"[0-9a-f]{16}")
_DEEPEST = 12


def placed(folder: Path, name: str) -> Path:
    """Where a file of that name belongs below a folder. Raises SourceError for a name that would leave it."""
    plain = PurePosixPath(name)
    parts = plain.parts
    bad = (
        not parts
        or plain.is_absolute()
        or len(parts) > _DEEPEST
        or any(part in ("..", ".") or len(part.encode("utf-8", "replace")) > 255 for part in parts)
        or re.search(r"[\\:\x00-\x1f]", name) is not None
    )
    if bad:
        raise SourceError(tr("'{name}' is no name that a file can be kept under here.", name=name[:100]))
    return folder.joinpath(*parts)


def landed(studio: Studio, number: str) -> Path:
    """What was sent under a number: the one file, the one folder, or the folder of all. Raises SourceMissing."""
    folder = _folder(studio, number)
    try:
        inside = [one for one in folder.iterdir() if not one.name.startswith(".")]
    except OSError:
        inside = []
    if not inside:
        raise SourceMissing(tr("Nothing arrived; send it again."))
    return inside[0] if len(inside) == 1 else folder


def _folder(studio: Studio, number: str) -> Path:
    if not _ID.fullmatch(number):
        raise SourceMissing(tr("Nothing arrived; send it again."))
    return studio.own / "uploads" / number


def add(app: "FastAPI", studio: Studio) -> None:
    """Add the addresses to the app: POST /upload gives a number, PUT /upload/NUMBER?path=NAME takes a file."""
    from fastapi.responses import JSONResponse
    from starlette.requests import Request

    @app.post("/upload", response_model=None)
    def begin() -> JSONResponse:
        number = secrets.token_hex(8)
        folder = studio.own / "uploads" / number
        try:
            folder.mkdir(parents=True)
        except OSError as error:
            return JSONResponse({"error": disk_sentence(folder.parent, error)}, 507)
        return JSONResponse({"id": number})

    async def take(request: Any, number: str, path: str) -> JSONResponse:
        try:
            folder = _folder(studio, number)
            if not folder.is_dir():
                raise SourceMissing(tr("Nothing arrived; send it again."))
            file = placed(folder, path)
            await _stream(request, file, folder)
        except SourceError as error:
            return JSONResponse({"error": str(error)}, 400)
        except OSError as error:
            return JSONResponse({"error": disk_sentence(Path(PurePosixPath(path).name), error)}, 507)
        return JSONResponse({})

    take.__annotations__["request"] = Request  # imported here, so FastAPI cannot look its name up
    app.put("/upload/{number}", response_model=None)(take)


async def _stream(request: Any, file: Path, folder: Path) -> None:
    """Write the body of a request to a file, whole or not at all. Raises SourceError, OSError."""
    inside = [one for one in file.parents if one.is_relative_to(folder)]
    if file.is_dir() or not all(one.is_dir() for one in inside if one.exists()):
        name = file.relative_to(folder).as_posix()
        raise SourceError(tr("'{name}' is no name that a file can be kept under here.", name=name[:100]))
    file.parent.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(folder).free - SPARE
    beside = folder / f".{secrets.token_hex(6)}.part"
    taken = 0
    try:
        with open(beside, "xb") as out:
            async for piece in request.stream():
                taken += len(piece)
                if taken > min(MOST_BYTES, free):
                    raise SourceError(
                        tr(
                            "{name} is too large for the room on this disk.",
                            name=PurePosixPath(file.name).name,
                        )
                    )
                out.write(piece)
        os.replace(beside, file)
    finally:
        beside.unlink(missing_ok=True)
