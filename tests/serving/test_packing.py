"""The folder of `vistazo export --service`: what is in it, what is refused, and that it answers alone."""

import hashlib
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
pytest.importorskip("fastapi")

import onnx

import vistazo
from vistazo import tasks
from vistazo.engine import onnx_file
from vistazo.errors import BundleDamaged, DiskError
from vistazo.serving import packing

from .packed import CLASSES, blocked, exported, posted, started

ROOT = Path(__file__).parents[2]
ABSENT = ("torch", "pyarrow", "safetensors", "jinja2", "platformdirs", "filelock", "onnx", "pytest")


def quiet(sentence):
    """Nobody is told."""


def pixels(count=9, side=12, seed=1):
    return np.random.default_rng(seed).integers(0, 256, (count, side, side), np.uint8)


def png(picture):
    out = io.BytesIO()
    Image.fromarray(picture).save(out, "PNG")
    return out.getvalue()


@pytest.fixture(scope="module")
def packed(tmp_path_factory):
    """The folder of a tiny classifier, and what packing told."""
    place = tmp_path_factory.mktemp("packed")
    model = exported(place / "sky.onnx")
    told = packing.pack(model, place / "Mi Servicio", say=quiet)
    return place / "Mi Servicio", told, model


# ---------------------------------------------------------------- what is in it
def test_the_folder_holds_the_model_the_code_and_what_starts_it(packed):
    folder, told, model = packed
    assert sorted(one.name for one in folder.iterdir()) == [
        ".dockerignore", "Dockerfile", "LICENSE", "README.md", "model.onnx", "requirements.txt", "vistazo",
        "vistazo.service",
    ]  # fmt: skip
    assert (folder / "model.onnx").read_bytes() == model.read_bytes()
    assert (folder / "vistazo/locale/es/LC_MESSAGES/vistazo.mo").stat().st_size > 1000
    assert not list(folder.rglob("*.po")) + list(folder.rglob("__pycache__"))
    files = [one for one in folder.rglob("*") if one.is_file()]
    assert (told["files"], told["bytes"]) == (len(files), sum(one.stat().st_size for one in files))
    assert told["task"] == "classification"
    assert told["bytes"] - model.stat().st_size < 2_500_000


def test_the_code_is_that_of_the_package_but_for_the_list_of_verbs(packed):
    folder, _, _ = packed
    ours = Path(vistazo.__file__).parent
    differing = [
        file.relative_to(folder / "vistazo").as_posix()
        for file in sorted((folder / "vistazo").rglob("*"))
        if file.is_file() and file.read_bytes() != (ours / file.relative_to(folder / "vistazo")).read_bytes()
    ]
    assert differing == ["commands/__init__.py"]


def test_no_module_of_the_folder_needs_torch_or_pyarrow_to_be_imported(packed):
    folder, _, _ = packed
    for file in (folder / "vistazo").rglob("*.py"):
        text = file.read_text(encoding="utf-8")
        assert not re.search(r"^(import|from) (torch|pyarrow|safetensors)\b", text, re.MULTILINE), file
    assert not (folder / "vistazo/classification/classifier.py").exists()
    assert not (folder / "vistazo/serving/packing.py").exists()


def test_nothing_of_this_computer_is_in_the_papers(packed, tmp_path):
    folder, _, _ = packed
    for name in ("Dockerfile", "README.md", "requirements.txt", "vistazo.service"):
        text = (folder / name).read_text(encoding="utf-8")
        assert str(Path.home()) not in text.replace("/root/", "") or Path.home() == Path("/")
        assert str(folder.parent) not in text
        assert not re.search(r"--index-url|--extra-index|--find-links|@[A-Z_]+@", text), name
    lock = (folder / "requirements.txt").read_text(encoding="utf-8")
    assert "://" not in lock
    assert "://" not in re.sub(r"http://127\.0\.0\.1:8000", "", (folder / "README.md").read_text())


def test_the_readme_has_both_languages_the_figures_of_the_proof_and_no_names_of_classes(packed):
    folder, told, _ = packed
    text = (folder / "README.md").read_text(encoding="utf-8")
    assert "## Español" in text
    assert "## English" in text
    assert text.count(told["ask"]) == 2
    assert text.count(told["start"].removeprefix("python ")) == 2
    assert "| `200` |" in text
    assert "| `100.00 %` |" in text
    assert "ab" * 32 in text
    assert "<b>" not in text
    assert "# mi-servicio" in text


def test_the_image_runs_as_somebody_else_and_says_whether_it_is_well(packed):
    text = (packed[0] / "Dockerfile").read_text(encoding="utf-8")
    assert re.search(r"^FROM python:\$\{PYTHON\}-slim$", text, re.MULTILINE)
    assert re.search(r"^ARG PYTHON=3\.\d+\.\d+$", text, re.MULTILINE)
    assert text.index("USER 10001") < text.index("ENTRYPOINT")
    assert "--require-hashes" in text
    told = re.search(r'CMD \["python", "-c", "(.*)"\]', text)
    compile(told[1], "healthcheck", "exec")
    for line in re.findall(r"^COPY (.*) \S+$", text, re.MULTILINE):
        assert all((packed[0] / name).exists() for name in line.split())


def test_the_unit_is_hardened(packed):
    text = (packed[0] / "vistazo.service").read_text(encoding="utf-8")
    for line in (
        "DynamicUser=yes",
        "NoNewPrivileges=yes",
        "ProtectSystem=strict",
        "PrivateTmp=yes",
        "MemoryMax=512M",
        "CapabilityBoundingSet=",
        "IPAddressDeny=any",
    ):
        assert f"\n{line}\n" in text, line
    assert "ExecStart=/opt/mi-servicio/.venv/bin/python -m vistazo serve model.onnx" in text


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
def test_systemd_reads_the_unit_and_finds_it_safe(packed, tmp_path):
    """The unit is told as systemd would start it, but for the program, which is not installed at /opt here."""
    text = (packed[0] / "vistazo.service").read_text(encoding="utf-8")
    unit = tmp_path / "mi-servicio.service"
    unit.write_text(re.sub(r"/opt/mi-servicio/\.venv/bin/python", sys.executable, text), encoding="utf-8")
    said = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True, check=False)
    assert "mi-servicio" not in said.stderr, said.stderr
    judged = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--no-pager", "--threshold=25", unit],
        capture_output=True,
        text=True,
        check=False,
    )
    assert judged.returncode == 0, judged.stdout[-2000:] + judged.stderr


# ---------------------------------------------------------------- the locks
@pytest.mark.parametrize(
    ("name", "group"),
    [("pictures.txt", "service"), ("tables.txt", "service-tables")],
    ids=["pictures", "tables"],
)
def test_a_lock_of_the_service_pins_its_group_with_hashes_and_no_torch(name, group):
    text = (ROOT / "src/vistazo/serving/locks" / name).read_text(encoding="utf-8")
    assert "://" not in text
    lines = re.sub(r"^#.*\n", "", text).replace("\\\n", " ").splitlines()
    assert all(re.match(r"[\w.-]+==[\w.]+ .*--hash=sha256:[0-9a-f]{64}", line) for line in lines)
    pinned = {line.partition("==")[0] for line in lines}
    groups = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["dependency-groups"]
    asked = [one for one in groups["service-answers"] + groups[group] if isinstance(one, str)]
    assert {re.match(r"[\w-]+", one)[0] for one in asked} <= pinned
    assert not pinned & {"torch", "sympy", "onnx", "setuptools", "safetensors"}
    assert not pinned & ({"pillow", "pyarrow"} if name == "tables.txt" else {"google-re2", "pyarrow"})


def test_the_versions_of_the_service_are_those_that_are_tested():
    tested = (ROOT / "requirements/dev.txt").read_text(encoding="utf-8")
    for name in ("pictures.txt", "tables.txt"):
        text = (ROOT / "src/vistazo/serving/locks" / name).read_text(encoding="utf-8")
        for one in re.findall(r"^[\w.-]+==[\w.]+", text, re.MULTILINE):
            assert re.search(rf"^{re.escape(one)}\b", tested, re.MULTILINE), one


def test_a_model_of_another_task_is_refused_by_the_folder_in_one_sentence(packed, tmp_path):
    """And one that was not exported, where torch is there to read it."""
    folder, _, model = packed
    environment = {**os.environ, "PYTHONPATH": str(folder), "VISTAZO_LANG": "en"}
    facts = {**onnx_file.metadata_of(model.read_bytes(), model), "task": "forecasting"}
    graph = onnx.load(model)
    del graph.metadata_props[:]
    other = tmp_path / "sales.onnx"
    other.write_bytes(onnx_file.seal(graph.SerializeToString(), facts))
    words = [sys.executable, "-m", "vistazo", "serve", str(other), "--port", "0"]
    done = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2, done
    assert "model of series needs is not in this installation" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("task", ["classification", "tabular", "forecasting"])
def test_what_the_code_imports_at_once_is_in_the_lock(task):
    if not (ROOT / "src/vistazo" / task / "exported.py").exists():
        pytest.skip("models of this task are not exported yet")
    found = packing.needed(task)
    lock = "pictures.txt" if task == "classification" else "tables.txt"
    text = (ROOT / "src/vistazo/serving/locks" / lock).read_text(encoding="utf-8")
    pinned = set(re.findall(r"^([\w.-]+)==", text, re.MULTILINE))
    homes = metadata.packages_distributions()
    for package in found.packages:
        assert {one.lower().replace("_", "-") for one in homes[package]} & pinned, package
    # Where a function asks for one of these, it is for something a service does not do, or does better with it.
    rarely = {
        "av",
        "pi_heif",
        "fsspec",
        "platformdirs",
        "filelock",
        "safetensors",
        "jinja2",
        "pyarrow",
        "openpyxl",
    }
    of_pictures = set() if task == "classification" else {"PIL", "cykooz_resizer", "simplejpeg"}
    for package in found.later - rarely - of_pictures:
        assert {one.lower().replace("_", "-") for one in homes[package]} & pinned, package


# ---------------------------------------------------------------- what is refused
def test_a_folder_with_anything_in_it_is_refused_and_left_alone(packed, tmp_path):
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken/letter.txt").write_text("mine")
    with pytest.raises(DiskError, match=r"letter\.txt"):
        packing.pack(packed[2], tmp_path / "taken", say=quiet)
    assert [one.name for one in tmp_path.rglob("*")] == ["taken", "letter.txt"]
    with pytest.raises(DiskError, match="not empty"):
        packing.pack(packed[2], packed[0], say=quiet)


def test_a_file_in_the_place_of_the_folder_is_refused(packed, tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(DiskError, match="is a file"):
        packing.pack(packed[2], tmp_path / "file", say=quiet)
    assert (tmp_path / "file").read_text() == "mine"


def test_a_file_that_is_no_exported_model_leaves_nothing(tmp_path):
    (tmp_path / "text.onnx").write_text("no model")
    for name in ("text.onnx", "nowhere.onnx"):
        with pytest.raises(BundleDamaged, match=re.escape(name)):
            packing.pack(tmp_path / name, tmp_path / "service", say=quiet)
    assert [one.name for one in tmp_path.iterdir()] == ["text.onnx"]


def test_a_disk_that_fills_up_leaves_nothing(packed, tmp_path, monkeypatch):
    def full(path, parts):
        if path.name == "model.onnx":
            raise OSError(28, "No space left on device")
        path.write_bytes(b"".join(parts))

    monkeypatch.setattr(packing.platform, "replace_file", full)
    with pytest.raises(DiskError, match="full"):
        packing.pack(packed[2], tmp_path / "service", say=quiet)
    assert list(tmp_path.iterdir()) == []


def test_an_interrupt_leaves_nothing(packed, tmp_path, monkeypatch):
    def stopped(path, parts):
        raise KeyboardInterrupt

    monkeypatch.setattr(packing.platform, "replace_file", stopped)
    with pytest.raises(KeyboardInterrupt):
        packing.pack(packed[2], tmp_path / "service", say=quiet)
    assert list(tmp_path.iterdir()) == []


def test_who_comes_first_keeps_the_place(packed, tmp_path, monkeypatch):
    place, put = tmp_path / "service", packing._put

    def late(made, wanted):
        (place / "another").mkdir(parents=True)
        put(made, wanted)

    monkeypatch.setattr(packing, "_put", late)
    with pytest.raises(DiskError, match="another"):
        packing.pack(packed[2], place, say=quiet)
    assert [one.name for one in tmp_path.rglob("*")] == ["service", "another"]


def test_an_empty_folder_is_filled(packed, tmp_path):
    (tmp_path / "new").mkdir()
    heard = []
    packing.pack(packed[2], tmp_path / "new", say=heard.append)
    assert (tmp_path / "new/model.onnx").exists()
    assert len(heard) == 1
    assert not [one for one in tmp_path.iterdir() if one.name != "new"]


# ---------------------------------------------------------------- it answers alone
def test_the_folder_answers_as_the_model_does_where_there_is_no_torch_and_no_pyarrow(packed, tmp_path):
    folder, _, model = packed
    own = tasks.load(model)
    pictures = [*pixels(), *pixels(3, side=31, seed=2)]
    files = []
    for at, picture in enumerate(pictures):
        files.append(tmp_path / f"{at}.png")
        files[-1].write_bytes(png(picture))
    expected = list(own.predict(files, top=3))
    environment = blocked(tmp_path / "blocked", ABSENT)
    with started(folder, environment) as told:
        assert [one["name"] for one in told["models"]] == ["model"]
        assert told["models"][0]["hash"] == hashlib.sha256(model.read_bytes()).hexdigest()
        for file, answer in zip(files, expected, strict=True):
            status, said = posted(f"{told['url']}/v1/models/model/predict?top=3", file.read_bytes())
            assert status == 200, said
            for one in (answer, *said["predictions"]):
                one.pop("file", None)
            assert said["predictions"] == [answer]
        status, said = posted(f"{told['url']}/v1/models/model/predict", b"no picture at all")
        assert status == 422, said
        assert told["process"].poll() is None
        assert set(answer) >= {"class", "probability", "top", "known"}
        assert answer["class"] in CLASSES
    assert told["process"].returncode == 0


def test_the_folder_speaks_spanish(packed, tmp_path):
    environment = blocked(tmp_path / "blocked", ABSENT)
    command = [sys.executable, "-m", "vistazo", "servir", "nada.onnx", "--idioma", "es", "--json"]
    said = subprocess.run(
        command, cwd=packed[0], env=environment, capture_output=True, text=True, check=False
    )
    assert said.returncode == 1, said.stderr
    assert "nada.onnx" in json.loads(said.stdout)["error"]
    assert json.loads(said.stdout)["error"].startswith("No ")


def test_a_model_that_needs_torch_is_refused_there_in_one_sentence(packed, tmp_path):
    (tmp_path / "own.vistazo").write_bytes(b"anything")
    command = [
        sys.executable,
        "-m",
        "vistazo",
        "serve",
        str(tmp_path / "own.vistazo"),
        "--port",
        "0",
        "--json",
    ]
    said = subprocess.run(
        command,
        cwd=packed[0],
        env=blocked(tmp_path / "blocked", ABSENT),
        capture_output=True,
        text=True,
        check=False,
    )
    assert said.returncode == 1, said.stderr
    assert re.search(r"own\.vistazo needs torch.*vistazo export", json.loads(said.stdout)["error"])
    assert "Traceback" not in said.stderr


def test_every_module_of_the_folder_can_be_imported_there(packed, tmp_path):
    """What cannot be imported without torch should not have come along; `__main__` would start the program."""
    names = sorted(
        ".".join(file.relative_to(packed[0]).with_suffix("").parts).removesuffix(".__init__")
        for file in (packed[0] / "vistazo").rglob("*.py")
        if file.name != "__main__.py"
    )
    code = f"import importlib, sys\nfor name in {names!r}: importlib.import_module(name)\nprint(sorted(sys.modules))"
    said = subprocess.run(
        [sys.executable, "-c", code],
        cwd=packed[0],
        env=blocked(tmp_path / "blocked", ABSENT),
        capture_output=True,
        text=True,
        check=False,
    )
    assert said.returncode == 0, said.stderr
    assert len(names) > 40
