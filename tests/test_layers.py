"""Imports run one way, and asking costs nothing: what only looks needs no torch."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

TORCH_FREE = (
    "vistazo",
    "vistazo.errors",
    "vistazo.platform",
    "vistazo.language",
    "vistazo.registry",
    "vistazo.config",
    "vistazo.bundle",
    "vistazo.tasks",
    "vistazo.tuning",
    "vistazo.cli",
    "vistazo.commands",
    "vistazo.engine.runs",
    "vistazo.engine.answers",
    "vistazo.engine.progress",
    "vistazo.engine.reports",
    "vistazo.classification.config",
    "vistazo.classification.recipes",
    "vistazo.pictures.augments",
    "vistazo.pictures.index",
    "vistazo.pictures.sources",
    "vistazo.pictures.splits",
    "vistazo.pictures.decoding",
)
HEAVY = ("torch", "torchvision", "sklearn", "pyarrow", "pandas", "matplotlib")


def loaded_after(statement: str) -> set[str]:
    """Top-level modules of a fresh interpreter after a statement."""
    code = f"{statement}\nimport json, sys\nprint(json.dumps(sorted(sys.modules)))"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    return set(json.loads(said.stdout.splitlines()[-1]))


def test_imports_run_one_way():
    """The contracts stand in pyproject.toml; they tell which import breaks which."""
    pytest.importorskip("importlinter")
    code = "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports(no_cache=True))"
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr


@pytest.mark.parametrize("module", TORCH_FREE)
def test_what_only_reads_or_asks_imports_no_torch(module):
    assert "torch" not in loaded_after(f"import {module}")


def test_importing_the_package_loads_nothing_heavy():
    loaded = loaded_after("import vistazo")
    assert not loaded & {*HEAVY, "numpy", "pydantic", "click", "rich"}


def test_the_public_names_are_there_without_torch():
    loaded = loaded_after("import vistazo; vistazo.train, vistazo.load, vistazo.resume")
    assert not loaded & set(HEAVY)


@pytest.mark.parametrize(
    "words",
    [
        pytest.param(["--help"], id="help"),
        pytest.param(["--version"], id="version"),
        pytest.param(["train", "--help"], id="help of train"),
        pytest.param(["recipes"], id="recipes"),
        pytest.param(["train", "nowhere-at-all"], id="a source that is not there"),
        pytest.param(["train", ".", "--epochs", "0"], id="a setting out of bounds"),
        pytest.param(["tune", "--help"], id="help of tune"),
        pytest.param(["tune", "nowhere-at-all", "--search", "rate=1,2"], id="a search of nothing"),
        pytest.param(["predict", "nowhere.vistazo", "x.png"], id="a model that is not there"),
    ],
)
def test_a_command_that_trains_nothing_loads_no_torch(words):
    loaded = loaded_after(f"from vistazo.cli import main\nmain({words!r})")
    assert not loaded & set(HEAVY)


def test_torchvision_is_never_asked_for():
    for file in (ROOT / "src").rglob("*.py"):
        text = file.read_text(encoding="utf-8")
        assert "import torchvision" not in text, file
        assert "from torchvision" not in text, file


def test_only_platform_asks_which_system_it_runs_on():
    allowed = {"platform.py"}
    for file in (ROOT / "src").rglob("*.py"):
        text = file.read_text(encoding="utf-8")
        if file.name not in allowed:
            assert "sys.platform" not in text, file
            assert "os.name ==" not in text, file
