"""The page of a check: what was found, with pictures, and what to do about each to be chosen and saved as review.csv.

One HTML file that needs nothing else and works from the disk. Its only script is ours (`review.js`), named by its hash;
whatever stands in a file's or a class's name is text.
"""

import base64
import hashlib
import io
import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from vistazo.engine.reports import clean, number
from vistazo.errors import SourceError
from vistazo.language import current, mark, tr
from vistazo.pictures import decoding
from vistazo.pictures.health import KINDS, PATHLESS, Finding, named
from vistazo.pictures.index import Index
from vistazo.pictures.reviewing import Row
from vistazo.pictures.stores import Store

__all__ = ["EXPLAINED", "build", "thumbnail"]

SHOWN = 200  # pictures of a kind that are shown
SIDE = 160  # pixels of a picture on the page, on its longer side
FEW = 30  # classes up to which each suspected picture can be given any of them by itself

EXPLAINED = {
    "broken": mark("They cannot be opened, and training leaves them out."),
    "empty": mark("Files without any content, from a copy or a download that failed."),
    "not-a-picture": mark(
        "Files of another kind. Training does not use them; where they are in the way, move them."
    ),
    "leak": mark(
        "A picture that is learnt from has a copy among those that measure, so the figures flatter. Suggested is to "
        "leave out the one that is learnt from."
    ),
    "conflict": mark(
        "The same picture with different answers. Suggested is what most of its copies say, or to leave it out."
    ),
    "duplicate": mark("Another file holds the same bytes. Training keeps them in one part."),
    "near-duplicate": mark(
        "The same picture compressed again, made smaller or larger, or one very like it. "
        "Training keeps them in one part."
    ),
    "suspected-label": mark(
        "Models that had not seen a picture answered with another class. The most suspect come first."
    ),
    "blank": mark("One colour, with nothing to recognise."),
    "dark": mark("Hardly any light, even where the picture is brightest."),
    "over-exposed": mark("White, or nearly so, over most of the picture."),
    "blurred": mark("Far less sharp than the other pictures of this source."),
    "tiny": mark("Far smaller than the other pictures of this source."),
    "odd-shape": mark("Far longer or taller than the others: more than half of it is cut away in training."),
    "imbalance": mark(
        "Few pictures beside the most common class. Training draws them more often; more pictures help more."
    ),
}
_LABELS = ("conflict", "suspected-label")  # kinds that another class may mend


def build(
    index: Index,
    store: Store,
    findings: Sequence[Finding],
    rows: Sequence[Row],
    *,
    name: str,
    movable: bool,
    threads: int,
) -> str:
    """The page, as one HTML text.

    rows: what `reviewing.rows_of` made of the findings. name: of the source. movable: whether its pictures are files
    that can be moved.
    """
    import jinja2
    from markupsafe import Markup

    folder = Path(__file__).parent
    script = (folder / "review.js").read_text(encoding="utf-8")
    words = _words()
    if not movable:
        del words["move"], words["moves"]
    data = {"rows": [[row.path, row.finding, row.suggestion, row.action] for row in rows], "words": words}
    about = [one for one in findings if one.kind not in PATHLESS]
    row_of = {id(one): at for at, one in enumerate(about)}
    thumbnail = _Thumbnails(store, findings, threads)
    sections = [
        _section(kind, [one for one in findings if one.kind == kind], index, rows, row_of, thumbnail, words)
        for kind in KINDS
        if any(one.kind == kind for one in findings)
    ]
    environment = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True, finalize=clean)
    page: str = environment.from_string((folder / "review.html.j2").read_text(encoding="utf-8")).render(
        lang=current(),
        title=tr("Pictures of {name}, checked", name=name),
        subtitle=tr(
            "{n} pictures, {findings} findings", n=number(len(index)), findings=number(len(findings))
        ),
        words=words,
        classes=[_exact(name) for name in index.classes],
        sections=sections,
        rows=Markup(json.dumps(data).replace("<", "\\u003c")),
        script=Markup(script),
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
    )
    return page


def _words() -> dict[str, str]:
    return {
        "how": tr(
            "Nothing is changed by this page. Choose what to do about each picture, save review.csv, and train with: "
            "vistazo train SOURCE --corrections review.csv"
        ),
        "moves": tr("Files marked to be moved are moved by: vistazo check SOURCE --move review.csv"),
        "without": tr(
            "This browser runs no scripts: write your choices into the column action of review.csv."
        ),
        "contents": tr("What was found"),
        "healthy": tr("Nothing was found."),
        "all": tr("tick all shown"),
        "action": tr("action"),
        "apply": tr("apply to ticked"),
        "suggestion": tr("as suggested"),
        "keep": tr("leave it as it is"),
        "exclude": tr("exclude"),
        "relabel": tr("relabel"),
        "move": tr("move the file"),
        "save": tr("Save review.csv"),
        "nothing": tr("nothing chosen yet"),
        "saved": tr(
            "Saved among your downloads. Train with it, or put it in place of the one beside this page."
        ),
    }


def _section(
    kind: str,
    findings: Sequence[Finding],
    index: Index,
    rows: Sequence[Row],
    row_of: dict[int, int],
    thumbnail: "_Thumbnails",
    words: dict[str, str],
) -> dict[str, Any]:
    explained = EXPLAINED[kind]
    section: dict[str, Any] = {
        "kind": kind,
        "name": named(kind),
        "count": number(len(findings)),
        "explained": tr(explained),
        "labels": kind in _LABELS,
        "suggests": any(one.suggestion.startswith("relabel:") for one in findings),
    }
    if kind in PATHLESS:
        return {**section, "lines": [f"{one.path}: {one.detail}" for one in findings]}
    section["cards"] = [
        _card(one, index, rows, row_of[id(one)], thumbnail, words) for one in findings[:SHOWN]
    ]
    if len(findings) > SHOWN:
        section["more"] = tr("{n} more are in review.csv.", n=number(len(findings) - SHOWN))
    return section


def _card(
    one: Finding, index: Index, rows: Sequence[Row], row: int, thumbnail: "_Thumbnails", words: dict[str, str]
) -> dict[str, Any]:
    choices = [(name, words[name]) for name in words if name in ("keep", "exclude", "move")]
    offered = [one.suggestion.removeprefix("relabel:")] if one.suggestion.startswith("relabel:") else []
    if one.kind in _LABELS and len(index.classes) <= FEW:
        offered = list(dict.fromkeys([*offered, *index.classes]))
    choices += [(f"relabel:{name}", f"{words['relabel']}: {name}") for name in offered]
    shown = [(one.row, one.path), *([(one.beside, index.where[one.beside])] if one.beside >= 0 else [])]
    pictures = [
        {**picture, "alt": path, "caption": path.rpartition("/")[2] if at else ""}
        for at, (number_of, path) in enumerate(shown)
        if (picture := thumbnail(number_of))
    ]
    return {
        "row": row,
        "path": one.path,
        "detail": one.detail,
        "action": rows[row].action,
        "choices": [(_exact(value), name) for value, name in choices],
        "pictures": pictures,
    }


def _exact(value: str) -> Any:
    """A value that the script compares: escaped, and otherwise as it is."""
    from markupsafe import escape

    return escape(value)


class _Thumbnails:
    """Small pictures of the rows that the page shows, as data of its own; {} where one cannot be decoded."""

    def __init__(self, store: Store, findings: Sequence[Finding], threads: int) -> None:
        wanted: dict[int, None] = {}
        for kind in KINDS:
            for one in [one for one in findings if one.kind == kind][:SHOWN]:
                wanted |= dict.fromkeys(row for row in (one.row, one.beside) if row >= 0)
        with ThreadPoolExecutor(threads) as pool:
            self._of = dict(zip(wanted, pool.map(partial(thumbnail, store), wanted), strict=True))

    def __call__(self, row: int) -> dict[str, Any]:
        return self._of.get(row, {})


def thumbnail(store: Store, row: int) -> dict[str, Any]:
    """A small picture of a row: "source", an address that holds it, and "small"; {} where it cannot be decoded."""
    from PIL import Image

    try:
        data = store.read(row)
        height, width = decoding.dimensions(data)
        scale = min(1.0, SIDE / max(height, width))
        pixels = decoding.decode(
            data, height=max(1, round(height * scale)), width=max(1, round(width * scale)), channels=3
        )
    except (SourceError, OSError, MemoryError):
        return {}
    file = io.BytesIO()
    small = max(height, width) < SIDE // 2
    # Few pixels are shown large, and every one of them counts.
    Image.fromarray(np.ascontiguousarray(pixels)).save(file, "PNG" if small else "JPEG", quality=80)
    kind = "png" if small else "jpeg"
    return {
        "source": f"data:image/{kind};base64," + base64.b64encode(file.getvalue()).decode(),
        "small": small,
    }
