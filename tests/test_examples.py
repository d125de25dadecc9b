"""The worked examples run, on the real series where it is at hand."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[1]


def run(program: str, *words: object) -> str:
    ended = subprocess.run(
        [sys.executable, str(ROOT / "examples" / program), *map(str, words)],
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
        timeout=280,
        env={**os.environ, "LANGUAGE": "en", "PYTHONPATH": str(ROOT / "src")},
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def test_exclusive_or_is_solved_by_every_seed_with_65_parameters(tmp_path):
    assert "solved by 3 of 3 seeds with 65 parameters" in run("xor/xor.py", "--out", tmp_path, "--seeds", 3)


@pytest.mark.slow
def test_exclusive_or_is_solved_by_20_of_20_seeds(tmp_path):
    assert "solved by 20 of 20 seeds" in run("xor/xor.py", "--out", tmp_path)


def test_the_sales_example_shows_every_network_beside_every_rule(tmp_path):
    """On a series of its own, shorter than the tutorial's: a week's pattern, closed on Sundays."""
    generator = np.random.default_rng(0)
    days = np.arange("2023-01-01", "2024-01-20", dtype="datetime64[D]")
    open_days = [day for day in days if (int(day.astype(int)) + 3) % 7 < 6]
    lines = [f"{day},{80 + 20 * (at % 6) + generator.integers(0, 15)}" for at, day in enumerate(open_days)]
    (tmp_path / "sales.csv").write_text("\n".join(lines), encoding="utf-8")
    said = run("ventas/ventas.py", tmp_path / "sales.csv", "--out", tmp_path / "runs")
    for name in ("st1", "stmv", "ste", "tide", "dlinear", "lstm", "transformer", "ridge", "weekday × month"):
        assert name in said
    assert (tmp_path / "runs" / "week-tide" / "report.html").stat().st_size > 10_000


@pytest.mark.slow
def test_the_sales_example_runs_on_the_tutorials_series(real_data, tmp_path):
    said = run("ventas/ventas.py", real_data / "ventas" / "time_series.csv", "--out", tmp_path)
    assert "The next week:" in said
    assert "2018-12-01" in said  # the first day after the series
