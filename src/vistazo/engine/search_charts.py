"""The drawings of a search's page: learning curves, parallel coordinates, the figure against each name.

Each is one SVG element as a text; whatever stands in a name or a value is escaped. Colours and strokes are classes of
`report.html.j2`, so that a drawing is right on white and on black.
"""

import html
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from vistazo.engine.reports import clean, number, ticks
from vistazo.engine.search import DONE, Space, Study, Trial, Value
from vistazo.engine.search_axes import Axis, figure_axis, values_axis
from vistazo.engine.search_figures import figured, finite, recipe, winner
from vistazo.engine.search_verdict import in_words, typed
from vistazo.language import tr

__all__ = ["COLOURS", "curves", "legend", "parallel", "slices"]

COLOURS = 5  # steps from the worst fifth (1) to the best (5), told by lightness too
_LETTER = 6.6  # width of a letter of 12 pixels, about
_MANY = 100  # lines beyond which each is drawn lighter
_CROWD = 14  # pixels that two labels need


def _escaped(text: str) -> str:
    return html.escape(clean(text))


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"


# ---------------------------------------------------------------- pieces of SVG
@dataclass
class _Sheet:
    """What is drawn so far, in the units of its view."""

    width: float
    height: float
    told: str
    parts: list[str] = field(default_factory=list)

    def text(
        self, x: float, y: float, words: str, anchor: str = "start", kind: str = "", most: int = 40
    ) -> None:
        whole = f"<title>{_escaped(words)}</title>" if len(words) > most else ""
        kind = f' class="{kind}"' if kind else ""
        self.parts.append(
            f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{kind}>{_escaped(_cut(words, most))}{whole}</text>'
        )

    def path(self, path: str, kind: str) -> None:
        self.parts.append(f'<path class="{kind}" d="{path}"/>')

    def named(self, path: str, kind: str, words: str) -> None:
        """A path that tells what it is where the pointer rests."""
        self.parts.append(f'<path class="{kind}" d="{path}"><title>{_escaped(words)}</title></path>')

    def svg(self) -> str:
        size = f"0 0 {self.width:.0f} {self.height:.0f}"
        if self.width > 880:  # moved sideways rather than made too small to read
            size += f'" style="min-width: {0.85 * self.width:.0f}px'
        return (
            f'<svg viewBox="{size}" role="img" aria-label="{_escaped(self.told)}">\n'
            + "\n".join(self.parts)
            + "\n</svg>"
        )


def _told(study: Study, one: Trial, names: Sequence[str] = ()) -> str:
    """A trial in words, with the values of `names`, or all: what the pointer tells."""
    values = ", ".join(
        f"{name} {typed(value)}" for name, value in one.values.items() if name in (names or one.values)
    )
    figure = in_words(study.metric, one.figure)
    return tr(
        "trial {n}: {figure}, {epochs} epochs; {values}",
        n=one.number,
        figure=figure,
        epochs=one.epochs,
        values=values,
    )


def _kind(study: Study, one: Trial) -> str:
    """The class of a trial: best, recipe, done or stopped (and whatever is not done)."""
    if one.number == study.best:
        return "best"
    if one.origin == "recipe":
        return "recipe"
    return "done" if one.state == DONE else "stopped"


_ORDER = ("stopped", "done", "recipe", "best")  # what is drawn last lies on top


def _in_order(study: Study, trials: Sequence[Trial]) -> list[Trial]:
    return sorted(trials, key=lambda one: (_ORDER.index(_kind(study, one)), one.number))


def _grid(sheet: _Sheet, axis: Axis, left: float, right: float, top: float, bottom: float) -> None:
    for at, words in axis.labels:
        y = bottom - at * (bottom - top)
        sheet.path(f"M{left:.1f} {y:.1f}H{right:.1f}", "grid")
        sheet.text(left - 7, y + 4, words, "end")


def _clip(
    sheet: _Sheet, name: str, left: float, right: float, top: float, bottom: float, *, many: bool
) -> str:
    """Opens a group that is cut off at the box; many: of lines so many that each is drawn lighter."""
    box = (
        f'<rect x="{left:.1f}" y="{top - 4:.1f}" width="{right - left:.1f}" height="{bottom - top + 8:.1f}"/>'
    )
    sheet.parts.append(f'<clipPath id="{name}">{box}</clipPath>')
    kind = "many" if many else "few"
    return f'<g clip-path="url(#{name})" class="{kind}">'


# ---------------------------------------------------------------- learning curves
def curves(study: Study) -> tuple[str, int]:
    """All learning curves, and how many of their points lie beyond the axis; '' where there is no point."""
    trials = [one for one in study.trials if any(map(finite, one.curve))]
    points = [value for one in trials for value in one.curve if value is not None and math.isfinite(value)]
    if not points:
        return "", 0
    axis = figure_axis(study, points)
    left = 14 + _LETTER * max(len(words) for _, words in axis.labels)
    right, top, bottom = 770.0, 12.0, 320.0
    longest = max(len(one.curve) for one in trials)
    sheet = _Sheet(880, 360, tr("Learning curves of {n} trials", n=len(trials)))
    _grid(sheet, axis, left, right, top, bottom)

    def across(epoch: int) -> float:
        return (left + right) / 2 if longest == 1 else left + (epoch - 1) / (longest - 1) * (right - left)

    for mark in ticks(1, longest, 8, whole=True) if longest > 1 else [1.0]:
        if 1 <= mark <= longest:
            sheet.path(f"M{across(int(mark)):.1f} {bottom}v4", "grid")
            sheet.text(across(int(mark)), bottom + 18, number(int(mark)), "middle")
    sheet.text((left + right) / 2, 355, tr("epoch"), "middle")
    sheet.parts.append(_clip(sheet, "curves", left - 4, right + 4, top, bottom, many=len(trials) > _MANY))
    for one in _in_order(study, trials):
        path, pen = "", "M"
        for epoch, value in enumerate(one.curve, 1):
            if value is None or not math.isfinite(value):
                pen = "M"
                continue
            path += f"{pen}{across(epoch):.1f} {bottom - axis.place(value) * (bottom - top):.1f}"
            path += "h.1" if pen == "M" else ""  # a point that stands alone is seen too
            pen = "L"
        alone = " alone" if path.count("L") == 0 else ""
        sheet.named(path, f"try {_kind(study, one)}{alone}", _told(study, one))
    sheet.parts.append("</g>")
    _label_curves(sheet, study, lambda value: bottom - axis.place(value) * (bottom - top), right, bottom)
    return sheet.svg(), sum(map(axis.outside, points))


def _label_curves(
    sheet: _Sheet, study: Study, down: Callable[[float], float], right: float, bottom: float
) -> None:
    """The names of the best and of the recipe beside their ends, apart from one another."""
    first, default = winner(study), recipe(study)
    places: list[tuple[float, str, str]] = []
    for one, kind in ((first, "best"), (default if default is not first else None, "recipe")):
        ends = [value for value in (one.curve if one else ()) if value is not None and math.isfinite(value)]
        if one and ends:
            name = tr("best: {n}", n=one.number) if kind == "best" else tr("recipe: {n}", n=one.number)
            places.append((min(max(down(ends[-1]), 16.0), bottom), name, kind))
    if len(places) == 2 and abs(places[0][0] - places[1][0]) < _CROWD:
        apart = 8 if places[0][0] >= places[1][0] else -8
        shift = max(0.0, max(place + 8 for place, *_ in places) - bottom)
        places = [
            (places[0][0] + apart - shift, *places[0][1:]),
            (places[1][0] - apart - shift, *places[1][1:]),
        ]
    for y, name, kind in places:
        sheet.text(right + 9, y + 4, name, kind=f"of-{kind}", most=16)


# ---------------------------------------------------------------- parallel coordinates
def legend(study: Study) -> list[tuple[int, str]]:
    """The colours in use and the figures each stands for, the best first: (step, 'from – to')."""
    steps = _steps(study)
    found = []
    for step in range(COLOURS, 0, -1):
        held = sorted(
            one.figure for one in figured(study) if steps[one.number] == step and one.figure is not None
        )
        if held:
            ends = [in_words(study.metric, value) for value in (held[0], held[-1])]
            found.append((step, ends[0] if ends[0] == ends[1] else " – ".join(ends)))
    return found


def _steps(study: Study) -> dict[int, int]:
    """The colour of each trial with a figure: its fifth of the ranking; equal figures have one colour."""
    sign = -1 if study.lower_is_better else 1
    held = sorted({sign * one.figure for one in figured(study) if one.figure is not None})
    step = {value: COLOURS - (len(held) - 1 - at) * COLOURS // len(held) for at, value in enumerate(held)}
    return {one.number: step[sign * one.figure] for one in figured(study) if one.figure is not None}


def parallel(study: Study, metric_title: str) -> str:
    """One upright axis a name and one of the figure; a line a trial with a figure. '' where there is none."""
    trials, steps = figured(study), _steps(study)
    if not trials:
        return ""
    top, bottom, below, width = 62.0, 330.0, 352.0, max(880.0, 120.0 * (len(study.space) + 1))
    values = [one.figure for one in trials if one.figure is not None]
    axes = [
        (name, values_axis(space, [one.values[name] for one in trials if name in one.values]))
        for name, space in study.space.items()
    ]
    axes.append((metric_title, figure_axis(study, values)))
    left, right = 60.0, width - 76
    places = [left + at * (right - left) / (len(axes) - 1) for at in range(len(axes))]
    sheet = _Sheet(width, 364, tr("{n} trials over {names}", n=len(trials), names=", ".join(study.space)))
    sheet.parts.append(_clip(sheet, "parallel", 0, width, top, below, many=len(trials) > _MANY))

    def weight(one: Trial) -> tuple[int, int, int]:
        return max(0, _ORDER.index(_kind(study, one)) - 1), steps[one.number], one.number

    for one in sorted(trials, key=weight):
        held: list[Value | None] = [one.values.get(name) for name, _ in axes[:-1]] + [one.figure]
        points = []
        for value, (_, axis), x in zip(held, axes, places, strict=True):
            y = below if value is None else bottom - min(max(axis.place(value), -0.02), 1.02) * (bottom - top)
            points.append(f"{x:.1f} {y:.1f}")
        path = "M" + "L".join(points)
        kind = _kind(study, one)
        kind = kind if kind in ("best", "recipe") else f"q{steps[one.number]}"
        sheet.named(path, f"try {kind}", _told(study, one))
    sheet.parts.append("</g>")
    for at, ((name, axis), x) in enumerate(zip(axes, places, strict=True)):
        _upright(sheet, name, axis, x, top, bottom, high=at % 2 == 1)
        if at < len(study.space) and any(name not in one.values for one in trials):
            sheet.text(x + 5, below + 4, tr("not set"), kind="over")
    return sheet.svg()


def _upright(
    sheet: _Sheet, name: str, axis: Axis, x: float, top: float, bottom: float, *, high: bool
) -> None:
    """An axis with its name; every other name stands a line higher, for long ones to have room."""
    sheet.path(f"M{x:.1f} {top:.1f}V{bottom:.1f}", "axis")
    sheet.text(x, 18 if high else 38, name, "middle", "name-of-axis", most=30)
    last = math.inf
    for at, words in axis.labels:
        y = bottom - at * (bottom - top)
        if abs(last - y) >= _CROWD:
            sheet.text(x + 5, y + 4, words, kind="over", most=11)
            last = y


# ---------------------------------------------------------------- slices
def slices(study: Study) -> list[tuple[str, str, int, int]]:
    """Per name (name, drawing, trials, how many of them beyond the axis); names without a trial are left out."""
    trials, found = figured(study), []
    if not trials:
        return []
    axis = figure_axis(study, [one.figure for one in trials if one.figure is not None])
    for name, space in study.space.items():
        held = [one for one in trials if name in one.values]
        if held:
            beyond = sum(one.figure is not None and axis.outside(one.figure) for one in held)
            found.append((name, _slice(study, name, held, axis, space), len(held), beyond))
    return found


def _slice(study: Study, name: str, trials: Sequence[Trial], axis: Axis, space: Space) -> str:
    scale = values_axis(space, [one.values[name] for one in trials])
    left = 14 + _LETTER * max(len(words) for _, words in axis.labels)
    right, top, bottom = 426.0, 12.0, 206.0
    sheet = _Sheet(440, 250, tr("figure against {name}", name=name))
    _grid(sheet, axis, left, right, top, bottom)
    inset = left + 12, right - 14
    end = -math.inf
    for at, words in scale.labels:
        x, short = inset[0] + at * (inset[1] - inset[0]), _cut(words, 12)
        half = _LETTER * len(short) / 2
        if x - half > end + 4:
            sheet.path(f"M{x:.1f} {bottom}v4", "grid")
            sheet.text(min(max(x, half), 438 - half), bottom + 18, words, "middle", most=12)
            end = x + half
    sheet.text((left + right) / 2, 245, name, "middle", most=50)
    for one in _in_order(study, trials):
        if one.figure is None:
            continue
        x = inset[0] + scale.place(one.values[name]) * (inset[1] - inset[0])
        if space.kind == "choice":  # those of one choice side by side, in a fixed order
            x += ((one.number * 0.618034) % 1 - 0.5) * min(16.0, 120 / max(1, len(scale.labels)))
        y = bottom - min(max(axis.place(one.figure), -0.03), 1.03) * (bottom - top)
        sheet.named(_mark(_kind(study, one), x, y), f"spot {_kind(study, one)}", _told(study, one, [name]))
    return sheet.svg()


def _mark(kind: str, x: float, y: float) -> str:
    """A shape for each kind, so that colour is never the only difference."""
    if kind == "best":
        return f"M{x - 5:.1f} {y - 5:.1f}h10v10h-10z"
    if kind == "recipe":
        return f"M{x:.1f} {y - 6:.1f}l6 6-6 6-6-6z"
    return f"M{x - 3.2:.1f} {y:.1f}a3.2 3.2 0 1 0 6.4 0a3.2 3.2 0 1 0-6.4 0z"
