"""benchmarks/health.py runs, and counts what it planted; its figures are not looked at here."""

import importlib.util
import json
import sys
import zipfile
from pathlib import Path

import pytest

import vistazo

BENCHMARKS = Path(__file__).resolve().parent.parent / "benchmarks"


@pytest.fixture
def bench(monkeypatch, in_tmp, photographs, encoded):
    """The benchmark with data of its own: 80 pictures of two classes, and 4 photographs."""
    with zipfile.ZipFile(in_tmp / "cifar.zip", "w") as archive:
        for at, pixels in enumerate(photographs(80, height=32, width=32)):
            archive.writestr(f"train/{'ab'[at % 2]}/{at:03}.jpg", encoded(pixels))
    with zipfile.ZipFile(in_tmp / "raccoon.zip", "w") as archive:
        for at, pixels in enumerate(photographs(4, height=192, width=256, seed=1)):
            archive.writestr(f"images/raccoon-{at}.jpg", encoded(pixels))
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    monkeypatch.setenv("PYTHONPATH", str(Path(vistazo.__file__).parents[1]))
    spec = importlib.util.spec_from_file_location("health_benchmark", BENCHMARKS / "health.py")
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "health_benchmark", module)
    spec.loader.exec_module(module)
    for name, path in {
        "SOURCE": "cifar.zip",
        "PHOTOGRAPHS": "raccoon.zip",
        "KEPT": "runs/health.jsonl",
    }.items():
        monkeypatch.setattr(module, name, in_tmp / path)
    monkeypatch.setattr(module, "ROUNDS", 1)
    return module


def lines(folder):
    return [
        json.loads(line)
        for line in (folder / "runs" / "health.jsonl").read_text(encoding="utf-8").splitlines()
    ]


def test_copies_and_time(bench, in_tmp, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["health.py", "duplicates", "speed", "--pictures", "60"])
    bench.main()
    told = lines(in_tmp)
    assert [one["what"] for one in told] == [
        *["duplicates, pictures of 32 x 32"] * 5, *["duplicates, tiles of photographs"] * 5, *["speed"] * 2,
    ]  # fmt: skip
    exact = [one for one in told if one.get("copies") == "exact"]
    assert [one["found"] for one in exact] == [one["planted"] for one in exact]
    assert sum(one["planted"] for one in told[:4]) == 12
    assert all(one["false"] == 0 for one in told if "false" in one)
    assert len(capsys.readouterr().out.splitlines()) == len(told)


@pytest.mark.slow
def test_wrong_labels(bench, in_tmp, monkeypatch):
    pytest.importorskip("cleanlab", reason="the extra [health] is not installed")
    monkeypatch.setattr(bench, "WRONG", 0.05)
    monkeypatch.setattr(sys, "argv", ["health.py", "flips", "--pictures", "60"])
    bench.main()
    (told,) = lines(in_tmp)
    assert (told["flipped"], told["pictures"]) == (3, 60)
    assert told["named"] <= 1


def test_what_is_not_there_is_told(bench, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["health.py", "flip"])
    with pytest.raises(SystemExit, match="there is no 'flip'; there are flips, duplicates, speed"):
        bench.main()
