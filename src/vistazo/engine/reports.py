"""One report → a self-contained HTML page, plain text for the terminal, a dictionary for JSON.

    Report ─ Section ─┬─ Headline   the one figure to read first
                      ├─ Text       paragraphs
                      ├─ Facts      name: value
                      ├─ Table      headings and rows
                      ├─ Curves     lines over a common x
                  ├─ Drawing    an SVG element made elsewhere
                      ├─ Matrix     how often each class was answered for each
                      ├─ Pictures   pictures with captions
                      └─ Gallery    groups of pictures, each shown when something that links to it is clicked

A report knows no task: classes and pictures arrive as words, numbers and PNG bytes, the words in
the language in force. The page (`report.html.j2`) has no script and asks no network; whatever
stands in a name is escaped.
"""

import datetime
import html
import math
import re
from base64 import b64encode
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from numbers import Integral, Real
from pathlib import Path
from typing import Any

from vistazo.language import current, tr

__all__ = [
    "Block",
    "Cell",
    "Curves",
    "Drawing",
    "Facts",
    "Gallery",
    "Group",
    "Headline",
    "Matrix",
    "Picture",
    "Pictures",
    "Report",
    "Section",
    "Table",
    "Text",
    "class_lines",
    "clean",
    "named",
    "number",
    "percent",
    "ticks",
    "ticks_in_words",
    "to_html",
    "to_json",
    "to_notebook",
    "to_svg",
    "to_terminal",
]

Cell = str | int | float | None
_Scale = Callable[[float], float]


# ---------------------------------------------------------------- what a report is made of
@dataclass(frozen=True)
class Headline:
    """The one figure to read first, its name, and what qualifies it, one thing a line."""

    value: str
    label: str
    detail: str = ""


@dataclass(frozen=True)
class Text:
    """Paragraphs, parted by an empty line."""

    text: str


@dataclass(frozen=True)
class Facts:
    """Pairs of a name and its value."""

    pairs: Sequence[tuple[str, Cell]]

    def __post_init__(self) -> None:
        _require(all(len(pair) == 2 for pair in self.pairs), "a fact is a name and a value")


@dataclass(frozen=True)
class Table:
    """Headings and rows. Numbers are written in the language in force; None is shown as a dash.

    align: one 'l' or 'r' per column; columns of numbers stand to the right by themselves. folded: on the page, words
    that open the table when they are clicked.
    """

    headings: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    align: str = ""
    folded: str = ""

    def __post_init__(self) -> None:
        columns = len(self.headings)
        _require(all(len(row) == columns for row in self.rows), f"every row has {columns} cells")
        _require(self.align == "" or len(self.align) == columns, f"align has {columns} letters")
        _require(set(self.align) <= {"l", "r"}, "align is made of 'l' and 'r'")

    @property
    def sides(self) -> str:
        """One 'l' or 'r' per column."""
        if self.align:
            return self.align
        columns = [[row[at] for row in self.rows] for at in range(len(self.headings))]
        return "".join("l" if any(isinstance(cell, str) for cell in column) else "r" for column in columns)


@dataclass(frozen=True)
class Curves:
    """Named lines over a common x; None, NaN and infinity are gaps.

    bands: under a line's name, the low and high ends of an area around it. dates: x counts days since 1970-01-01.
    wide: drawn over the whole width of the page. holds: values that the y axis shows whatever the lines do.
    """

    x: Sequence[float]
    series: Mapping[str, Sequence[float | None]]
    x_label: str
    y_label: str
    bands: Mapping[str, tuple[Sequence[float | None], Sequence[float | None]]] = field(default_factory=dict)
    dates: bool = False
    wide: bool = False
    holds: Sequence[float] = ()

    def __post_init__(self) -> None:
        _require(all(map(math.isfinite, self.x)), "x is finite")
        _require(all(map(math.isfinite, self.holds)), "what the axis holds is finite")
        _require(
            all(len(line) == len(self.x) for line in self.series.values()), f"lines have {len(self.x)} points"
        )
        _require(
            all(len(end) == len(self.x) for ends in self.bands.values() for end in ends),
            f"bands have {len(self.x)} points",
        )
        _require(self.bands.keys() <= self.series.keys(), "a band lies around a line")


@dataclass(frozen=True)
class Drawing:
    """A drawing under its caption: one SVG element as a text, in which names are escaped already.

    wide: over the whole width of the page; where that is narrow it may be moved sideways instead of becoming tiny.
    note: small words beneath. colours: (class, words) of each colour used.
    """

    caption: str
    svg: str
    wide: bool = False
    note: str = ""
    colours: Sequence[tuple[str, str]] = ()

    def __post_init__(self) -> None:
        _require(self.svg.startswith("<svg ") and self.svg.endswith("</svg>"), "a drawing is one SVG element")


@dataclass(frozen=True)
class Matrix:
    """How often each class (row) was given each answer (column); the diagonal is right.

    rows, columns: what the rows and the columns are, such as 'class' and 'answer'.
    linked: cells (row, column) with a group of pictures in a Gallery, under `anchor`. shares: whether a cell tells its
    share of the row too, where there is room.
    """

    labels: Sequence[str]
    counts: Sequence[Sequence[int]]
    rows: str
    columns: str
    linked: Sequence[tuple[int, int]] = ()
    shares: bool = False

    @staticmethod
    def anchor(row: int, column: int) -> str:
        """What links a cell to its pictures."""
        return f"cell-{row}-{column}"

    def __post_init__(self) -> None:
        size = len(self.labels)
        square = len(self.counts) == size and all(len(row) == size for row in self.counts)
        _require(square, f"{size} labels need {size} x {size} counts")
        _require(all(count >= 0 for row in self.counts for count in row), "a count is 0 or more")


@dataclass(frozen=True)
class Picture:
    """A PNG or JPEG file's bytes and its caption, the first line the weightiest."""

    png: bytes
    caption: Sequence[str]

    def __post_init__(self) -> None:
        _require(
            self.png.startswith((b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff")),
            "a picture is a PNG or JPEG file's bytes",
        )
        _require(not isinstance(self.caption, str), "a caption is a sequence of lines")


@dataclass(frozen=True)
class Pictures:
    """Pictures side by side; large: at their own size, as far as the page is wide."""

    pictures: Sequence[Picture]
    large: bool = False


@dataclass(frozen=True)
class Group:
    """Pictures under a title. anchor: what a link to them is called; letters, digits and '-'."""

    anchor: str
    title: str
    pictures: Sequence[Picture]


@dataclass(frozen=True)
class Gallery:
    """Groups of pictures, of which one at a time is shown: the one that was clicked on. hint: says so."""

    groups: Sequence[Group]
    hint: str


Block = Headline | Text | Facts | Table | Curves | Drawing | Matrix | Pictures | Gallery


@dataclass(frozen=True)
class Section:
    """Blocks under a title, which may be empty."""

    title: str
    blocks: Sequence[Block]


@dataclass(frozen=True)
class Report:
    """Sections under a title; the subtitle says of what and when."""

    title: str
    sections: Sequence[Section]
    subtitle: str = ""


def _require(holds: bool, rule: str) -> None:
    if not holds:
        raise ValueError(rule)


# ---------------------------------------------------------------- numbers in words
def number(value: float | None, digits: int = 3) -> str:
    """`value` in the language in force: 1,234 or 0.913 in English, 1234 or 0,913 in Spanish; None is a dash.

    Whole numbers (int) are written whole, others with `digits` decimals.
    """
    if value is None or not math.isfinite(value):
        return "–"
    text = f"{value:,}" if isinstance(value, int | Integral) else f"{value:,.{digits}f}"
    if current() != "es":
        return text
    text = text.translate({ord(","): "\u00a0", ord("."): ","})  # Spanish parts thousands by a space,
    return text.replace("\u00a0", "") if abs(value) < 10_000 else text  # and only from five digits on


def percent(share: float | None, digits: int = 1) -> str:
    """A share in [0, 1] as '91.3%' or, in Spanish, '91,3 %'.

    What is not quite all or nothing says so, '>99.9%' or '<0.1%', instead of being rounded to it.
    """
    if share is None or not math.isfinite(share):
        return "–"
    sign, step = "", 10.0**-digits
    value = 100.0 * share
    if 0 < value < step / 2:
        sign, value = "<", step
    elif 100 - step / 2 <= value < 100:
        sign, value = ">", 100 - step
    return sign + number(float(value), digits) + ("\u00a0%" if current() == "es" else "%")


def _cell(value: Cell) -> str:
    return value if isinstance(value, str) else number(value)


def named(values: Mapping[str, Any]) -> list[tuple[str, Cell]]:
    """Facts from a mapping whose names are messages: its names and values in words."""
    return [
        (tr(name), (tr("yes") if value else tr("no")) if isinstance(value, bool) else str(value))
        for name, value in values.items()
    ]


# ---------------------------------------------------------------- the page
_UNSHOWABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]")


def clean(value: Any) -> Any:
    """A value for a page: of a text, without control, direction-turning and half characters, as a name may hold."""
    return _UNSHOWABLE.sub("\ufffd", value) if type(value) is str else value


def to_html(report: Report) -> str:
    """One HTML file that needs nothing else."""
    blocks = [block for section in report.sections for block in section.blocks]
    names = list(
        dict.fromkeys(name for block in blocks if isinstance(block, Curves) for name in block.series)
    )
    sections = [
        {"title": section.title, "blocks": [_view(block, names) for block in section.blocks]}
        for section in report.sections
    ]
    page: str = _template().render(report=report, sections=sections, lang=current(), cell=_cell)
    return page


# A picture that stands alone has its colours with it; they are those of the page on white paper.
_ALONE = (
    "text{fill:#57606a;font:12px system-ui,sans-serif}.grid{stroke:#d8dee4;stroke-width:1}"
    ".line{fill:none;stroke-width:2;stroke-linejoin:round;stroke:var(--k)}.band{fill:var(--k);opacity:.18}"
    ".mark{fill:var(--k);stroke:#fff;stroke-width:1}.name{fill:var(--k);font-weight:600}"
    ".k1{--k:#0063a8}.k2{--k:#b84a00}.k3{--k:#00704f}.k4{--k:#9b3f7e}.k2 .line{stroke-dasharray:7 4}"
    ".k3 .line{stroke-dasharray:2 4}.k4 .line{stroke-dasharray:9 3 2 3}"
)


def to_notebook(page: str) -> str:
    """A whole page in a frame of its own, as a notebook shows it: neither's styles touch the other."""
    return f'<iframe srcdoc="{html.escape(page)}" sandbox style="width: 100%; height: 45rem; border: 0"></iframe>'


def to_svg(curves: Curves) -> str:
    """One drawing as an SVG file of its own. Raises ValueError where there is no point to draw."""
    view = _view(curves, list(curves.series))
    if view["plot"] is None:
        raise ValueError("there is nothing to draw")
    module: Any = _template().make_module(
        {"report": Report("", []), "sections": [], "lang": current(), "cell": _cell}
    )
    return str(module.drawing(view, style=_ALONE)).strip() + "\n"


def _template() -> Any:
    import jinja2

    environment = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True, finalize=clean)
    return environment.from_string(Path(__file__).with_name("report.html.j2").read_text(encoding="utf-8"))


def _view(block: Block, names: Sequence[str]) -> dict[str, Any]:
    """What the template needs of a block."""
    view: dict[str, Any] = {"kind": type(block).__name__, "block": block}
    if isinstance(block, Text):
        view["paragraphs"] = [part for part in block.text.split("\n\n") if part.strip()]
    elif isinstance(block, Curves):
        view["nothing"] = tr("There is nothing to draw yet.")
        view |= {"plot": _plot(block, names), "summary": "; ".join(_ends(block))}
    elif isinstance(block, Matrix):
        view["most_often"] = tr("Most often confused:")
        view["legend"] = tr(
            "Blue: recognised. Orange: confused. The stronger the colour, the larger the share of the row."
        )
        view |= {"lines": _heat(block), "confusions": _confusions(block, 5), "size": _size(len(block.labels))}
    elif isinstance(block, Pictures):
        view["pictures"] = _shown(block.pictures)
    elif isinstance(block, Gallery):
        view["groups"] = [(one.anchor, one.title, _shown(one.pictures)) for one in block.groups]
        view["close"] = tr("close")
    return view


def _shown(pictures: Sequence[Picture]) -> list[dict[str, Any]]:
    kinds = (("jpeg" if one.png.startswith(b"\xff\xd8\xff") else "png") for one in pictures)
    return [
        {
            "source": f"data:image/{kind};base64," + b64encode(one.png).decode(),
            "caption": one.caption,
        }
        for one, kind in zip(pictures, kinds, strict=True)
    ]


# ---------------------------------------------------------------- matrices
def _size(classes: int) -> str:
    """How a matrix is drawn: with figures in its cells, or by colour alone."""
    return "figures" if classes <= 20 else "small-cells" if classes <= 50 else "tiny"


def _heat(matrix: Matrix) -> list[tuple[str, list[tuple[int, str, str, str, str]]]]:
    """Per row its label and cells (count, class of colour, tooltip, link, share)."""
    lines, linked = [], frozenset(matrix.linked)
    for row, label in enumerate(matrix.labels):
        total = sum(matrix.counts[row])
        cells = []
        for column, count in enumerate(matrix.counts[row]):
            # the root lets a few mistakes among many stand out
            level = math.ceil(10 * math.sqrt(count / total)) if count else 0
            colour = f"{'right' if row == column else 'wrong'} h{level}" if count else ""
            link = matrix.anchor(row, column) if (row, column) in linked else ""
            share = percent(count / total, 0) if count and matrix.shares else ""
            cells.append((count, colour, _told(matrix, row, column, total) if count else "", link, share))
        lines.append((label, cells))
    return lines


def _told(matrix: Matrix, row: int, column: int, total: int) -> str:
    count = matrix.counts[row][column]
    values = {"count": number(count), "total": number(total), "share": percent(count / total)}
    if row == column:
        return tr("{name} recognised: {count} of {total} ({share})", name=matrix.labels[row], **values)
    names = {"name": matrix.labels[row], "answer": matrix.labels[column]}
    return tr("{name} taken for {answer}: {count} of {total} ({share})", **names, **values)


def _confusions(matrix: Matrix, most: int) -> list[str]:
    """The largest counts off the diagonal, in words."""
    cells = [
        (-count, row, column)
        for row, counts in enumerate(matrix.counts)
        for column, count in enumerate(counts)
        if count and row != column
    ]
    return [_told(matrix, row, column, sum(matrix.counts[row])) for _, row, column in sorted(cells)[:most]]


# ---------------------------------------------------------------- curves
_WIDTH, _HEIGHT, _TOP, _BOTTOM = 440, 250, 12, 40
_LINE, _NAME = 15, 20  # height of a label and its most letters
_MARKED = 30  # with more points than this, markers would hide the line
_MARKS = (  # a shape for each line, so that colour is never the only difference
    "M-3.5 0a3.5 3.5 0 1 0 7 0a3.5 3.5 0 1 0-7 0z",
    "M-3.2-3.2h6.4v6.4h-6.4z",
    "M0-4.2 4 3H-4z",
    "M0-4.5 4.5 0 0 4.5-4.5 0z",
)


def _finite(line: Sequence[float | None]) -> list[float]:
    return [value for value in line if value is not None and math.isfinite(value)]


def _significant(value: float) -> str:
    """`value` with about three figures."""
    return number(float(value), max(0, min(6, 2 - math.floor(math.log10(abs(value))))) if value else 0)


def _whole_or_not(value: float) -> str:
    return number(int(value)) if float(value).is_integer() else _significant(value)


def _ends(curves: Curves) -> list[str]:
    """Each line in words: where it starts and ends."""
    told = []
    for name, line in curves.series.items():
        if values := _finite(line):
            first, last = _significant(values[0]), _significant(values[-1])
            told.append(f"{name}: {last}" if len(values) == 1 else f"{name}: {first} → {last}")
    return told


def ticks(low: float, high: float, most: int, whole: bool) -> list[float]:
    """An axis' marks: round numbers (1, 2 or 5 times a power of ten) from `low` to `high` or one step beyond."""
    rough = max((high - low) / most, 1 if whole else 0)
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(times * power for times in (1, 2, 5, 10) if times * power >= rough * (1 - 1e-9))
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [float(f"{at * step:.12g}") for at in range(first, last + 1)]


def ticks_in_words(marks: Sequence[float]) -> list[str]:
    """The marks of an axis in the language in force, all with as many decimals as their step needs."""
    if len(marks) == 1:
        return [_whole_or_not(marks[0])]
    step = marks[1] - marks[0]
    digits = max(0, -math.floor(math.log10(step) + 1e-9))
    return [number(round(one), 0) if digits == 0 else number(float(one), digits) for one in marks]


def _plot(curves: Curves, names: Sequence[str]) -> dict[str, Any] | None:
    """Where everything stands in the drawing, in its own units; None without any point.

    names: those of all lines of the report, so that a name has one colour and mark throughout.
    """
    lines = {name: line for name, line in curves.series.items() if _finite(line)}
    if not lines:
        return None
    bands = {name: ends for name, ends in curves.bands.items() if name in lines}
    values = [value for line in lines.values() for value in _finite(line)]
    values += [value for ends in bands.values() for end in ends for value in _finite(end)]
    low, high = min((*values, *curves.holds)), max((*values, *curves.holds))
    if high - low <= 1e-9 * max(abs(low), abs(high), 1e-9):  # one point, or a flat line
        room = abs(low) / 10 or 1.0
        low, high = low - room, high + room
    y_ticks = ticks(low, high, 5, whole=False)
    y_words = ticks_in_words(y_ticks)
    left = 14 + 6.6 * max(map(len, y_words))
    width = _WIDTH * 2 if curves.wide else _WIDTH
    right = width - 14 - 7.8 * min(max(map(len, lines)), _NAME)
    bottom = _HEIGHT - _BOTTOM

    whole = all(float(value).is_integer() for value in curves.x)
    start, end = min(curves.x), max(curves.x)
    x_ticks = [start]
    if end > start:
        found = _months(start, end) if curves.dates else ticks(start, end, 6, whole)
        x_ticks = [tick for tick in found if start <= tick <= end]
    else:
        start, end = start - 1, end + 1

    told_x = _date_word if curves.dates else _whole_or_not
    x_words = [_date_word(tick) for tick in x_ticks] if curves.dates else ticks_in_words(x_ticks)

    def across(x: float) -> float:
        return round(left + (x - start) / (end - start) * (right - left), 1)

    def down(y: float) -> float:
        return round(bottom - (y - y_ticks[0]) / (y_ticks[-1] - y_ticks[0]) * (bottom - _TOP), 1)

    ends = [down(_finite(line)[-1]) for line in lines.values()]
    drawn = []
    for (name, line), label in zip(lines.items(), _apart(ends, bottom), strict=True):
        points = [(x, y) for x, y in zip(curves.x, line, strict=True) if y is not None and math.isfinite(y)]
        marks = [
            (across(x), down(y), f"{curves.x_label} {told_x(x)}, {name}: {_significant(y)}")
            for x, y in points
        ]
        look = names.index(name) % len(_MARKS)
        drawn.append(
            {
                "name": name,
                "short": _cut(name, _NAME, "…"),
                "label": label,
                "look": look + 1,
                "mark": _MARKS[look],
                "path": _path(curves.x, line, across, down),
                "marks": marks if len(marks) <= _MARKED else [],
            }
        )
    return {
        "width": width,
        "height": _HEIGHT,
        "left": round(left, 1),
        "right": round(right, 1),
        "bottom": bottom,
        "x_ticks": list(zip(map(across, x_ticks), x_words, strict=True)),
        "y_ticks": list(zip(map(down, y_ticks), y_words, strict=True)),
        "lines": drawn,
        "bands": [
            {
                "name": name,
                "look": names.index(name) % len(_MARKS) + 1,
                "path": _area(curves.x, *ends, across, down),
            }
            for name, ends in bands.items()
        ],
    }


def _months(start: float, end: float) -> list[float]:
    """The first days of months from `start` to `end`, about six of them; single days where the span is short."""
    if end - start < 60:
        return ticks(start, end, 6, whole=True)
    first, last = (datetime.date(1970, 1, 1) + datetime.timedelta(days=int(day)) for day in (start, end))
    months = (last.year - first.year) * 12 + last.month - first.month
    step = next((one for one in (1, 2, 3, 6, 12, 24, 60, 120) if months / one <= 7), 240)
    found = range(first.year * 12 + first.month - 1, last.year * 12 + last.month, 1)
    days = (datetime.date(one // 12, one % 12 + 1, 1) for one in found if one % step == 0)
    return [float((day - datetime.date(1970, 1, 1)).days) for day in days]


def _date_word(day: float) -> str:
    return str(datetime.date(1970, 1, 1) + datetime.timedelta(days=int(day)))


def _area(
    x: Sequence[float],
    low: Sequence[float | None],
    high: Sequence[float | None],
    across: _Scale,
    down: _Scale,
) -> str:
    """The area between two lines as an SVG path; where either has a gap, it has one too."""
    told, piece = "", []
    for at, bottom, top in [*zip(x, low, high, strict=True), (0.0, None, None)]:
        if bottom is not None and top is not None and math.isfinite(bottom) and math.isfinite(top):
            piece.append((across(at), down(bottom), down(top)))
            continue
        if len(piece) > 1:
            there = "L".join(f"{at} {top}" for at, _, top in piece)
            back = "L".join(f"{at} {bottom}" for at, bottom, _ in reversed(piece))
            told += f"M{there}L{back}z"
        piece = []
    return told


def _path(x: Sequence[float], line: Sequence[float | None], across: _Scale, down: _Scale) -> str:
    """The line as an SVG path; it is lifted over gaps."""
    steps, pen = [], "M"
    for x_value, y_value in zip(x, line, strict=True):
        if y_value is None or not math.isfinite(y_value):
            pen = "M"
            continue
        steps.append(f"{pen}{across(x_value)} {down(y_value)}")
        pen = "L"
    return "".join(steps)


def _apart(heights: Sequence[float], bottom: float) -> list[float]:
    """The heights, moved as little as needed for labels not to overlap."""
    order = sorted(range(len(heights)), key=heights.__getitem__)
    places = list(heights)
    for before, after in pairwise(order):
        places[after] = max(places[after], places[before] + _LINE)
    over = max(0.0, places[order[-1]] - bottom)
    places[order[-1]] -= over
    for after, before in pairwise(reversed(order)):
        places[before] = min(places[before], places[after] - _LINE)
    return [round(place, 1) for place in places]


# ---------------------------------------------------------------- the terminal
_COLUMNS = 78
_ROWS = 10
_WIDEST = 32  # letters of a table's cell
_PLAIN = str.maketrans(
    {"\u00a0": " ", "→": "->", "–": "-", "—": "-", "…": "...", "≤": "<=", "≥": ">=", "×": "x"}
)


def to_terminal(report: Report) -> str:
    """The report's short form in plain text; long tables are cut, pictures are named."""
    parts = [report.title + (f"\n{report.subtitle}" if report.subtitle else "")]
    for section in report.sections:
        blocks = [text for text in map(_plain, section.blocks) if text]
        if blocks:
            title = f"{section.title}\n{'-' * len(section.title)}\n" if section.title else ""
            parts.append(title + "\n\n".join(blocks))
    text: str = clean("\n\n".join(parts))
    return text.replace("\ufffd", "?").translate(_PLAIN) + "\n"


def _plain(block: Block) -> str:
    match block:
        case Headline():
            return "\n".join([f"{block.value}  {block.label}", *block.detail.splitlines()])
        case Text():
            import textwrap

            return "\n\n".join(textwrap.fill(part, _COLUMNS) for part in block.text.split("\n\n"))
        case Facts():
            return _columns([[name, _cell(value)] for name, value in block.pairs], "ll")
        case Table():
            shown = block.rows if len(block.rows) <= _ROWS + 2 else block.rows[:_ROWS]
            return _shortened(
                _columns(
                    [block.headings, *([_cut(_cell(cell), _WIDEST, "...") for cell in row] for row in shown)],
                    block.sides,
                ),
                len(block.rows) - len(shown),
            )
        case Curves():
            return "\n".join([block.y_label, *(f"  {line}" for line in _ends(block))])
        case Matrix():
            return "\n".join(_confusions(block, 5)) or tr("Nothing was confused.")
        case Pictures():
            lines = [" ".join(", ".join(picture.caption).split()) for picture in block.pictures]
            return _shortened("\n".join(lines[:5]), max(0, len(lines) - 5))
        case Gallery() | Drawing():
            return ""


def _shortened(text: str, more: int) -> str:
    return text + "\n" + tr("... and {n} more in the report's page", n=number(more)) if more else text


def _cut(text: str, most: int, mark: str) -> str:
    line = text.replace("\n", " ")
    return line if len(line) <= most else line[: most - len(mark)] + mark


def _columns(rows: Sequence[Sequence[str]], sides: str) -> str:
    """Rows as text, their columns under one another."""
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]

    def line(row: Iterable[str]) -> str:
        cells = zip(row, widths, sides, strict=True)
        return "  ".join(
            cell.rjust(width) if side == "r" else cell.ljust(width) for cell, width, side in cells
        )

    return "\n".join(line(row).rstrip() for row in rows)


def class_lines(classes: Mapping[str, Mapping[str, float]], shown: str) -> list[str]:
    """Precision, recall, F1 and support of each class, one line each under a heading; shown: what support counts."""
    width = max(len(name) for name in classes)
    heading = (tr("precision"), tr("recall"), "F1", shown)
    rows: dict[str, tuple[str, ...]] = {"": heading} | {
        name: tuple(number(one[figure]) for figure in ("precision", "recall", "f1", "support"))
        for name, one in classes.items()
    }
    widths = [max(9, len(one)) for one in heading]
    return [
        f"{name:{width}}  " + "  ".join(f"{cell:>{space}}" for cell, space in zip(cells, widths, strict=True))
        for name, cells in rows.items()
    ]


# ---------------------------------------------------------------- JSON
def to_json(report: Report) -> dict[str, Any]:
    """The report as plain dictionaries, lists, numbers and words; of a picture only its caption."""
    sections = [
        {
            "title": section.title,
            "blocks": [{"kind": type(block).__name__.lower(), **asdict(block)} for block in section.blocks],
        }
        for section in report.sections
    ]
    told: dict[str, Any] = _jsonable(
        {"title": report.title, "subtitle": report.subtitle, "language": current(), "sections": sections}
    )
    return told


def _jsonable(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _jsonable(part) for name, part in value.items() if not isinstance(part, bytes)}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_jsonable(part) for part in value]
    if isinstance(value, Real) and not isinstance(value, bool):  # numpy's numbers too
        return int(value) if isinstance(value, Integral) else float(value) if math.isfinite(value) else None
    return value
