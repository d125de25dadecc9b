"""Figures for other programs: a CSV file for spreadsheets and scripts, a LaTeX table for a paper."""

import csv
import io
import unicodedata
from collections.abc import Sequence

__all__ = ["latex_document", "latex_table", "latex_text", "to_csv"]

Cell = str | int | float | None

_SPECIAL = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#", "_": r"\_", "%": r"\%",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "|": r"\textbar{}", '"': "''", "ß": r"\ss{}", "æ": r"\ae{}", "Æ": r"\AE{}", "œ": r"\oe{}", "Œ": r"\OE{}",
    "ø": r"\o{}", "Ø": r"\O{}", "ł": r"\l{}", "Ł": r"\L{}", "ı": r"\i{}", "¿": "?`", "¡": "!`", "–": "--",
    "—": "---", "‘": "`", "’": "'", "“": "``", "”": "''", "\u00a0": "~", "·": r"$\cdot$", "×": r"$\times$",
    "±": r"$\pm$", "√": r"$\surd$", "°": r"$^\circ$", "…": r"\dots{}",
}  # fmt: skip
_ACCENTS = {
    "\u0300": "`", "\u0301": "'", "\u0302": "^", "\u0303": "~", "\u0304": "=", "\u0306": "u", "\u0307": ".",
    "\u0308": '"', "\u030a": "r", "\u030b": "H", "\u030c": "v", "\u0327": "c",
}  # fmt: skip


def to_csv(headings: Sequence[str], rows: Sequence[Sequence[Cell]]) -> str:
    """Lines of a CSV file: commas, points in numbers, an empty cell for None; quotes where a name needs them."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerows([list(headings), *(["" if one is None else one for one in row] for row in rows)])
    return text.getvalue()


def latex_text(text: str) -> str:
    """Plain ASCII that LaTeX sets as `text`, whatever a name holds: special signs escaped, accents as commands.

    A sign that LaTeX's standard fonts lack, such as one of another script, is told by its number: [U+4E2D].

    >>> latex_text("Año_1 & 50 %")
    'A\\\\~{n}o\\\\_1 \\\\& 50 \\\\%'
    """
    return "".join(map(_letter, unicodedata.normalize("NFC", text)))


def _letter(sign: str) -> str:
    if sign in _SPECIAL:
        return _SPECIAL[sign]
    if " " <= sign <= "~":
        return sign
    if sign.isspace():
        return " "
    base, *marks = list(unicodedata.normalize("NFD", sign))
    if base.isascii() and base.isalpha() and len(marks) == 1 and marks[0] in _ACCENTS:
        command = _ACCENTS[marks[0]]
        dotless = rf"\{base}" if base in "ij" and command not in "c." else base
        return rf"\{command}{{{dotless}}}"
    return f"[U+{ord(sign):04X}]"


def latex_table(headings: Sequence[str], groups: Sequence[Sequence[Sequence[str]]], sides: str) -> str:
    r"""A tabular with booktabs' rules; a rule parts the groups of rows. Cells are plain words, escaped here.

    sides: one 'l' or 'r' a column.
    """
    lines = [rf"\begin{{tabular}}{{{sides}}}", r"\toprule", _row(headings)]
    for rows in groups:
        lines += [r"\midrule", *map(_row, rows)]
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}"]) + "\n"


def latex_document(note: str, tables: Sequence[str]) -> str:
    r"""A file for `\input`: a note as a comment, then the tables. It compiles without the package booktabs too."""
    rules = [rf"\providecommand{{\{name}}}{{\hline}}" for name in ("toprule", "midrule", "bottomrule")]
    comment = ["% " + latex_text(line) for line in note.splitlines()]
    return "\n".join([*comment, *rules]) + "\n" + "\n\\bigskip\n\n".join(tables)


def _row(cells: Sequence[str]) -> str:
    return " & ".join(map(latex_text, cells)) + r" \\"
