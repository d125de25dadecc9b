"""What other programs read: CSV that parses, LaTeX that compiles whatever a class is called."""

import csv
import io
import re
import shutil
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vistazo.engine import results

NASTY = [
    "a & b",
    "50 %",
    "$x_1$",
    "C:\\pictures",
    "{curly}",
    "~home^2",
    "#1",
    "<b>",
    "año",
    "Çédille øæß",
    "中文",
    "√|\"'",
    "naïve í",
]


def test_a_csv_gives_back_what_was_written():
    text = results.to_csv(["name", "value"], [["a,b", 0.5], ['say "no"', None], ["two\nlines", 3]])
    assert list(csv.reader(io.StringIO(text))) == [
        ["name", "value"],
        ["a,b", "0.5"],
        ['say "no"', ""],
        ["two\nlines", "3"],
    ]


@pytest.mark.parametrize(
    ("text", "latex"),
    [
        ("año", r"a\~{n}o"),
        ("avión í", r"avi\'{o}n \'{\i}"),
        ("Müller & 50 %", r"M\"{u}ller \& 50 \%"),
        ("a_b{c}", r"a\_b\{c\}"),
        ("\\", r"\textbackslash{}"),
        ("façade ž ß", r"fa\c{c}ade \v{z} \ss{}"),
        ("an\u0303o", r"a\~{n}o"),  # as macOS writes it
        ("中", "[U+4E2D]"),
        ("two\nlines\ttab", "two lines tab"),
        ("\u202e", "[U+202E]"),
    ],
)
def test_a_name_is_set_by_any_latex(text, latex):
    assert results.latex_text(text) == latex


@given(st.text())
@settings(max_examples=300, deadline=None)
def test_whatever_a_name_holds_nothing_special_is_left(text):
    found = results.latex_text(text)
    assert found.isascii()
    bare = re.sub(r"\\[&%#_{}$]|\$\\(cdot|times|pm|surd)\$|\$\^\\circ\$", "", found)  # what was escaped
    bare = re.sub(r"\\(text\w+|ss|ae|AE|oe|OE|o|O|l|L|i|dots)\{\}", "", bare)
    bare = re.sub(r"\\[`'^~=u.\"rHvc]\{(\\[ij]|[A-Za-z])\}", "", bare)
    assert not re.search(r"[\\{}$&#_%^]", bare), found


def parsed(tex):
    """The tabulars of a file as lists of rows of cells; fails where environments or columns do not match."""
    tables = []
    for sides, body in re.findall(r"\\begin\{tabular\}\{(\w+)\}\n(.*?)\\end\{tabular\}", tex, re.DOTALL):
        rows = [line for line in body.splitlines() if not re.fullmatch(r"\\(top|mid|bottom)rule", line)]
        cells = [re.split(r"(?<!\\) & ", row.removesuffix(r" \\")) for row in rows]
        assert all(row.endswith(r" \\") for row in rows)
        assert all(len(row) == len(sides) for row in cells)
        tables.append(cells)
    assert tex.count(r"\begin{") == tex.count(r"\end{") == len(tables)
    return tables


def document():
    rows = [[name, "1"] for name in NASTY]
    first = results.latex_table(["class", "n & m"], [rows, [["all", "9"]]], "lr")
    return results.latex_document("made of 100 %\nand a second line", [first, first])


def test_a_document_has_its_tables_with_rules_and_groups():
    tex = document()
    one, two = parsed(tex)
    assert one == two
    assert one[0] == ["class", r"n \& m"]
    assert len(one) == len(NASTY) + 2
    for rule in ("toprule", "midrule", "bottomrule"):
        assert rf"\providecommand{{\{rule}}}{{\hline}}" in tex
        assert tex.index(rf"\providecommand{{\{rule}}}") < tex.index(r"\begin{tabular}")
    assert tex.count("\\midrule\n") == 4
    assert all(line.startswith("% ") for line in tex.splitlines()[:2])


TEX = next(filter(shutil.which, ("pdflatex", "xelatex", "lualatex", "tectonic")), None)


@pytest.mark.skipif(TEX is None, reason="no LaTeX on this machine")
@pytest.mark.parametrize("preamble", ["", r"\usepackage{booktabs}"])
def test_the_document_compiles(tmp_path, preamble):
    (tmp_path / "results.tex").write_text(document(), encoding="utf-8")
    whole = rf"\documentclass{{article}}{preamble}\begin{{document}}\input{{results}}\end{{document}}"
    (tmp_path / "paper.tex").write_text(whole, encoding="utf-8")
    words = [TEX, "paper.tex"] if TEX == "tectonic" else [TEX, "-halt-on-error", "paper.tex"]
    ended = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120)
    assert ended.returncode == 0, ended.stdout[-2000:]
    assert (tmp_path / "paper.pdf").exists()
