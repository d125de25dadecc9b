"""What a report says of co-occurrence bias."""

from vistazo.classification.explaining.bias import Bias, ClassBias
from vistazo.engine.reports import Block, Cell, Picture, Pictures, Section, Table, Text, number, percent
from vistazo.language import tr
from vistazo.pictures import drawing

__all__ = ["section"]


def section(bias: Bias) -> Section:
    """What stands beside the thing: sentences of what was found, a table of all classes, examples."""
    blocks: list[Block] = [Text("\n\n".join([*_told(bias), _method(bias)]))]
    blocks += [Pictures(pictures) for pictures in map(_examples, bias.findings) if pictures]
    blocks.append(_table(bias))
    return Section(tr("What stands beside the thing"), blocks)


def _told(bias: Bias) -> list[str]:
    if not bias.findings:
        return [tr("No class was found whose answers come from one place beside the thing.")]
    return [one.sentence() for one in bias.findings]


def _method(bias: Bias) -> str:
    return tr(
        "Looked for on {n} pictures. When all but the region that a picture's answer comes from (Grad-CAM++, layer "
        "{layer}) is replaced by the same place of a picture of another class, {kept} of answers survive; when only "
        "that region is replaced, {replaced}.",
        n=number(bias.pictures),
        layer=bias.layer,
        kept=percent(bias.kept),
        replaced=percent(bias.replaced),
    )


def _examples(one: ClassBias) -> list[Picture]:
    if one.example is None:
        return []
    before, after = one.example
    return [
        Picture(drawing.png(drawing.enlarge(before)), [one.name, tr("answered '{name}'", name=one.name)]),
        Picture(
            drawing.png(drawing.enlarge(after)),
            [tr("only that place of it"), tr("still answered '{name}'", name=one.name)],
        ),
    ]


def _table(bias: Bias) -> Table:
    headings = [
        tr("class"),
        tr("pictures"),
        tr("only its region kept"),
        tr("only its region replaced"),
        tr("area of the region"),
        tr("one place"),
        tr("only that place kept"),
    ]
    rows: list[list[Cell]] = []
    for one in bias.classes:
        where = tr(one.place) if one.place else "–"
        shares = [percent(value) for value in (one.kept, one.replaced, one.area)]
        rows.append([one.name, one.pictures, *shares, where, percent(one.turned) if one.place else "–"])
    return Table(headings, rows, align="lrrrrlr")
