"""What the README tells people to type works, and both languages tell the same."""

import csv
import gzip
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vistazo.commands import ALIASES, VERBS
from vistazo.commands.options import shared_options

ROOT = Path(__file__).parents[1]
DEMO = ROOT / "src" / "vistazo" / "classification" / "demo"
KINDS = {"shirts": 0, "trousers": 1, "shoes": 7}  # Fashion-MNIST: t-shirt, trouser, sneaker
PICTURES_A_CLASS = 60


def commands(name: str) -> list[tuple[str, bool]]:
    """Every `vistazo` command in the fenced blocks of a README, and whether it is marked slow."""
    text = (ROOT / name).read_text(encoding="utf-8")
    found = []
    for block in re.findall(r"```(?:console|bash)\n(.*?)```", text, re.DOTALL):
        for line in block.splitlines():
            command, _, remark = line.removeprefix("$ ").partition("  #")
            if re.match(r"(python -m )?vistazo\b", command):
                found.append((command.strip(), "slow" in remark or "lento" in remark))
    return found


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with what the README speaks of: `pictures`, a folder a class, and `new`, without labels."""
    folder = tmp_path_factory.mktemp("ten minutes")
    with gzip.open(DEMO / "train-images-idx3-ubyte.gz") as file:
        pixels = np.frombuffer(file.read(), np.uint8, offset=16).reshape(-1, 28, 28)
    with gzip.open(DEMO / "train-labels-idx1-ubyte.gz") as file:
        labels = np.frombuffer(file.read(), np.uint8, offset=8)
    (folder / "new").mkdir()
    for name, label in KINDS.items():
        (folder / "pictures" / name).mkdir(parents=True)
        *ours, new = pixels[labels == label][: PICTURES_A_CLASS + 1]
        for number, picture in enumerate(ours):
            Image.fromarray(picture).save(folder / "pictures" / name / f"{name}-{number:03}.png")
        Image.fromarray(new).save(folder / "new" / f"{name}.png")
    _write_tables(folder)
    (folder / "photo.png").write_bytes((folder / "new" / "shoes.png").read_bytes())
    return folder


def _write_tables(folder: Path) -> None:
    """`sales.csv`, a series with closed Sundays; `clients.csv` and `new_clients.csv`, without what is to be told."""
    generator = np.random.default_rng(0)
    days = [
        day
        for day in np.arange("2024-01-01", "2025-01-01", dtype="datetime64[D]")
        if (int(day.astype(int)) + 3) % 7 < 6
    ]
    lines = [f"{day},{60 + 30 * (at % 6) + generator.integers(0, 20)}" for at, day in enumerate(days)]
    (folder / "sales.csv").write_text("\n".join(["date,units", *lines]), encoding="utf-8")
    for name, rows in (("clients.csv", 300), ("new_clients.csv", 5)):
        lines = ["months,plan,calls" + (",left" if name == "clients.csv" else "")]
        for _ in range(rows):
            months, calls = generator.integers(1, 60), generator.integers(0, 9)
            plan = generator.choice(["basic", "family", "firm"])
            left = "yes" if calls * 6 + generator.normal(0, 4) > months else "no"
            lines.append(f"{months},{plan},{calls}" + (f",{left}" if name == "clients.csv" else ""))
        (folder / name).write_text("\n".join(lines), encoding="utf-8")


def run(command: str, place: Path) -> subprocess.CompletedProcess[str]:
    words = shlex.split(command)
    words = words[3:] if words[0] == "python" else words[1:]
    return subprocess.run(
        [sys.executable, "-m", "vistazo", *words],
        cwd=place, capture_output=True, text=True, encoding="utf-8", check=False, timeout=280,
    )  # fmt: skip


ENGLISH = [command for command, slow in commands("README.md") if not slow]


def test_the_readme_has_commands():
    assert {shlex.split(one)[1] for one in ENGLISH if one.startswith("vistazo")} >= {
        "demo", "train", "resume", "evaluate", "predict", "models", "recipes", "check", "reproduce",
    }  # fmt: skip


@pytest.mark.timeout(500)
def test_the_commands_of_the_readme_work_in_their_order(place):
    for command in ENGLISH:
        ended = run(command, place)
        assert ended.returncode == 0, f"{command}\n{ended.stdout}\n{ended.stderr}"
    with (place / "answers.csv").open(encoding="utf-8", newline="") as file:
        assert len(list(csv.DictReader(file))) == len(KINDS)
    assert (place / "runs" / "clothes" / "report.html").stat().st_size > 10_000


def in_english(command: str) -> str:
    """A command with Spanish words for the verb and the options, in English."""
    words = shlex.split(command)
    at = words.index("vistazo") + 1
    words[at] = ALIASES.get(words[at], words[at])
    flags = {}
    for one in (*VERBS[words[at]].parameters(), *shared_options()):
        flags |= dict.fromkeys(one.opts, one.opts[0])
    return shlex.join(flags.get(word, word) for word in words)


def neutral(command: str) -> str:
    """The same, with the names a reader would choose in either language joined."""
    names = {
        "fotos": "pictures", "nuevas": "new", "foto.png": "photo.png", "respuestas.csv": "answers.csv",
        "ventas.csv": "sales.csv", "pronostico.csv": "forecast.csv", "pronostico.svg": "forecast.svg",
        "runs/ventas": "runs/sales", "clientes.csv": "clients.csv",
        "clientes_nuevos.csv": "new_clients.csv",
        "runs/clientes": "runs/clients", "baja": "left", "runs/ropa": "runs/clothes", "runs/corta": "runs/short",
        "revision": "review", "revision/review.csv": "review/review.csv", "runs/revisada": "runs/checked",
        "evaluacion": "evaluation", "por-que": "why", "dentro": "inside", "visto": "seen", "nucleos": "kernels",
        "leccion": "lesson",
        "runs/hallada": "runs/found", "runs/tasa": "runs/rate",
        "ropa.onnx": "clothes.onnx", "mi-servicio": "my-service",
        "ordenadas": "sorted", "runs/otra": "runs/again", "runs/girada": "runs/turned",
    }  # fmt: skip
    return shlex.join(names.get(word, word) for word in shlex.split(in_english(command)))


def test_both_languages_tell_the_same_commands_in_the_same_order():
    english = [(neutral(command), slow) for command, slow in commands("README.md")]
    spanish = [(neutral(command), slow) for command, slow in commands("README.es.md")]
    assert spanish == english


@pytest.mark.parametrize("name", ["README.md", "README.es.md"])
def test_links_inside_the_project_lead_somewhere(name):
    text = (ROOT / name).read_text(encoding="utf-8")
    for link in re.findall(r"\]\((?!https?:|#)([^)#]+)", text):
        assert (ROOT / link).exists(), link


def test_the_python_example_of_the_readme_runs(place):
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    example = re.search(r"```python\n(.*?)```", text, re.DOTALL)
    assert example
    ended = subprocess.run(
        [sys.executable, "-c", example[1]],
        cwd=place,
        capture_output=True,
        text=True,
        check=False,
        timeout=280,
    )
    assert ended.returncode == 0, ended.stderr
    assert "photo.png" in ended.stdout or "shoes" in ended.stdout, ended.stdout
