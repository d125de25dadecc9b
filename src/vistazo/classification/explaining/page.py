"""explanation.html: pictures beside what speaks for their classes."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING

from vistazo.classification.explaining.methods import methods
from vistazo.classification.explaining.overlay import legend
from vistazo.engine.reports import (
    Block,
    Facts,
    Picture,
    Pictures,
    Report,
    Section,
    Table,
    Text,
    number,
    percent,
    to_html,
)
from vistazo.language import tr
from vistazo.pictures import drawing

if TYPE_CHECKING:
    from vistazo.classification.classifier import Classifier
    from vistazo.classification.explaining.explanation import Explained, Explanation

__all__ = ["MOST", "build", "picture_block"]

MOST = 30  # pictures on a page; each photograph takes about 0.4 MB, and a page should open at once


def build(told: Explained, model: Classifier) -> str:
    """The page, one file that needs nothing else."""
    sections = [Section("", _reading(told, model))]
    sections += [Section(_title(one), [picture_block(one)]) for one in told.pictures[:MOST]]
    if told.unreadable:
        rows = [[one["file"], one["reason"]] for one in told.unreadable]
        sections.append(Section(tr("Not explained"), [Table([tr("file"), tr("reason")], rows)]))
    name = model.path.parent.name if model.path else model.model
    return to_html(
        Report(tr("What speaks for each answer"), sections, f"{name} · {datetime.date.today().isoformat()}")
    )


def _title(one: Explanation) -> str:
    return tr("{file}: {answer}", file=one.file.replace("\\", "/").rsplit("/", 1)[-1], answer=one.answer)


def picture_block(one: Explanation) -> Block:
    """The picture, and beside it what speaks for each class shown, as a block of a report."""
    first, *laid = one.panels()
    pictures = [Picture(drawing.png(first), [tr("the picture"), one.file])]
    for name, share, panel, values in zip(one.classes, one.probabilities, laid, one.maps, strict=True):
        caption = [tr("{answer} {share}", answer=name, share=percent(share))]
        if not (values > 0).any():
            caption.append(tr("nothing speaks for it"))
        pictures.append(Picture(drawing.png(panel), caption))
    return Pictures(pictures)


def _reading(told: Explained, model: Classifier) -> list[Block]:
    entry = methods[told.method]
    found: list[Block] = [
        Text(
            tr(
                "The brighter a place, the more it speaks for the class under the picture. Each map is scaled by its "
                "own largest value, so maps say where and not how much; what speaks against a class is not shown."
            )
        ),
        Pictures([Picture(drawing.png(legend()), [tr("little … much")])], large=True),
        Facts(_facts(told, entry.help, entry.source)),
    ]
    if len(model.views) > 1:
        found.append(
            Text(
                tr(
                    "The model averages its answers to {n} views of a picture. What is explained here is the picture "
                    "as it is; the probabilities are those of all views together.",
                    n=len(model.views),
                )
            )
        )
    more = len(told.pictures) - MOST
    if more > 0:
        found.append(Text(tr("{n} more pictures are in this page's folder.", n=number(more))))
    if told.left:
        found.append(
            Text(tr("Only the first {n} pictures were explained; --most takes more.",
                    n=number(len(told.pictures) + len(told.unreadable))))
        )  # fmt: skip
    return found


def _facts(told: Explained, help_text: str, source: str) -> list[tuple[str, str]]:
    facts = [(tr("method"), f"{told.method}: {tr(help_text)}"), (tr("source"), source)]
    choices = told.choices
    if "layer" in choices:
        height, width = choices["map"]
        layer = tr("{name}, a map of {height} x {width}", name=choices["layer"], height=height, width=width)
        facts.append((tr("layer"), layer))
    elif "patch" in choices:
        patch = tr("{side} pixels, moved by {stride}", side=choices["patch"], stride=choices["stride"])
        facts.append((tr("patch"), patch))
    else:
        way = tr("a picture whose pixels all have the level {level} of 255", level=choices["baseline"])
        facts.append((tr("starts from"), way))
    return facts
