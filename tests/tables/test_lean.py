"""Tables without pyarrow: whatever a file holds, the small functions and pyarrow tell the same of it."""

import contextlib
import subprocess
import sys

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from vistazo.errors import VistazoError
from vistazo.tables.config import TableConfig

from .lean_reading import in_both_ways

CELLS = st.one_of(
    st.sampled_from(["", "1", "1.5", "1,5", "1.234,5", "-3 €", "(1,200)", "12 %", "1e5", "08001", "12345678901234567"]),
    st.sampled_from(["03/04/2024", "2024-03-04", "4 de mayo de 2024", "Mar 3, 2024", "20240301", "31/02/2024",
                     "2024-03-04T10:20:30Z", "3/4/24 5:06 pm", "2024-03-04 10:00 +02:00"]),
    st.sampled_from(["Total", "n/a", "-", "inf", "sí", "Ávila", "İ", "\u00a0x\u2009"]),
    st.sampled_from(['"', '""', 'a"b', "a;b", "a\tb", "two\nlines"]),
    st.text(max_size=6),
)  # fmt: skip


@example(rows=[["\ufeff1", "2"]], separator=",", ending="\n", quoted=False)  # a file behind another's names
@example(rows=[["ABRİL 2024", "NİL"], ["ΝΑΣ", "ΣΑΣ"]], separator=";", ending="\n", quoted=False)
@settings(
    max_examples=300,
    derandomize=True,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    rows=st.lists(st.lists(CELLS, min_size=1, max_size=4), min_size=1, max_size=12),
    separator=st.sampled_from(",;\t"),
    ending=st.sampled_from(["\n", "\r\n", "\r"]),
    quoted=st.booleans(),
)
def test_any_text_of_cells_is_read_alike(tmp_path, rows, separator, ending, quoted):
    def written(cell):
        return '"' + cell.replace('"', '""') + '"' if quoted else cell

    lines = [separator.join(map(written, row)) for row in rows]
    text = ending.join(["a" + separator + "b", *lines]) + ending
    path = tmp_path / "t.csv"
    path.write_bytes(text.encode("utf-8", "replace"))
    with contextlib.suppress(VistazoError):  # with the same sentence in both ways
        in_both_ways(path, TableConfig())


PROGRAM = """
import csv, sys, types
from pathlib import Path
csv.field_size_limit(2**31 - 1)  # as the folder sets it
sys.modules["pyarrow"] = None  # whoever imports it fails
from vistazo.tables import lean
from vistazo.tables.config import TableConfig
arrow = sys.modules["vistazo.tables.arrow"] = types.ModuleType("vistazo.tables.arrow")
arrow.pa, arrow.pc, arrow.arrow_csv = lean.pa, lean.pc, lean.arrow_csv
from vistazo.tables.reading import read_table
table = read_table(Path(sys.argv[1]), TableConfig(separator="comma"))
peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))  # ru_maxrss may be the parent's
print(len(table), int(peak.split()[1]) // 1024)
"""


def wide(rows, columns):
    """Cells of a few letters, all different."""
    cells = ("".join(chr(97 + at // 26**place % 26) for place in range(4)) for at in range(rows * columns))
    return [",".join(next(cells) for _ in range(columns)) for _ in range(rows)]


@pytest.mark.skipif(sys.platform != "linux", reason="the memory of a process is read as Linux tells it")
@pytest.mark.parametrize(
    ("names", "lines"),
    [
        pytest.param("a,b", ["12,ab"] * 1_000_000, id="a million rows"),
        pytest.param(",".join(f"c{at}" for at in range(100)), wide(4000, 100), id="a hundred columns"),
        pytest.param("a,b", ["1," + "’" * 2_600_000], id="a cell of one sign"),
    ],
)
def test_a_body_as_large_as_may_be_sent_takes_no_pyarrow_and_little_memory(tmp_path, names, lines):
    """A request of a few MB must not become a hundred times as large."""
    path = tmp_path / "t.csv"
    path.write_text("\n".join([names, *lines, ""]))
    words = [sys.executable, "-c", PROGRAM, str(path)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=250, check=False)
    assert done.returncode == 0, done.stderr
    rows, megabytes = map(int, done.stdout.split())
    assert rows == len(lines)
    assert megabytes < 250
