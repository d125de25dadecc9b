"""A real `vistazo studio`, a real browser, and pictures that come with the package."""

import gzip
import http.client
import importlib.util
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest
from PIL import Image

import vistazo

DEMO = Path(vistazo.__file__).parent / "classification" / "demo"
CLASSES = {0: "T-shirt", 1: "Trouser", 5: "Sandal", 8: "Bag"}
SECONDS = 240  # a browser may wait for; a machine that is busy elsewhere takes its time


@pytest.fixture(scope="session")
def clothes(tmp_path_factory) -> Path:
    """200 pictures of the demo, a folder for each of four classes, and one copy that is to be found."""
    folder = tmp_path_factory.mktemp("given") / "clothes"
    with gzip.open(DEMO / "train-images-idx3-ubyte.gz") as file:
        pictures = np.frombuffer(file.read()[16:], np.uint8).reshape(-1, 28, 28)
    with gzip.open(DEMO / "train-labels-idx1-ubyte.gz") as file:
        labels = np.frombuffer(file.read()[8:], np.uint8)
    for number, name in CLASSES.items():
        (folder / name).mkdir(parents=True)
        for row in np.flatnonzero(labels == number)[:50]:
            Image.fromarray(pictures[row]).save(folder / name / f"{row:04d}.png")
    first = sorted((folder / "Bag").iterdir())[0]
    sorted((folder / "Sandal").iterdir())[-1].unlink()
    shutil.copy(first, folder / "Sandal" / "copy.png")
    return folder


@pytest.fixture(scope="session")
def drawn() -> Any:
    """What drawn.py draws: digits, a series of sales, a table of flats."""
    spec = importlib.util.spec_from_file_location("drawn", Path(__file__).with_name("drawn.py"))
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@dataclass(frozen=True)
class Open:
    """A studio that answers."""

    url: str
    runs: Path
    process: "subprocess.Popen[str]"


Opens = Callable[..., Open]


@pytest.fixture(scope="session")
def opens(tmp_path_factory) -> Iterator[Opens]:
    """Start a studio as a process of its own: opens("--folder", FOLDER)."""
    pytest.importorskip("nicegui")
    started = []

    def start(*words: str) -> Open:
        runs = tmp_path_factory.mktemp("studio") / "runs"
        command = [
            sys.executable,
            "-m",
            "vistazo",
            "studio",
            "--port",
            "0",
            "--json",
            "--runs",
            str(runs),
            *words,
        ]
        errors = open(runs.parent / "errors.txt", "w")  # noqa: SIM115
        environment = {
            **os.environ,
            "PYTHONPATH": str(DEMO.parents[2]),
            "OMP_NUM_THREADS": "1",
            "LANGUAGE": "en",
        }
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True, env=environment)
        errors.close()
        started.append(process)
        line = process.stdout.readline()
        assert line, (runs.parent / "errors.txt").read_text()
        return Open(json.loads(line)["url"], runs, process)

    yield start
    for process in started:
        process.terminate()
        process.wait(30)
        process.stdout.close()


@pytest.fixture(scope="session")
def studio(opens, clothes) -> Open:
    """One studio for many tests, which may read what the tests made."""
    return opens("--folder", str(clothes.parent))


@pytest.fixture
def ask() -> Callable[..., Any]:
    """(status, headers, text) of one request: ask(studio, "/path", "POST", body, Origin=...)."""

    def request(studio: Open, path: str = "/", method: str = "GET", body: Any = None, **headers: str) -> Any:
        connection = http.client.HTTPConnection(urlsplit(studio.url).netloc, timeout=60)
        connection.request(method, path, body=body, headers=headers)
        answer = connection.getresponse()
        told = answer.status, dict(answer.getheaders()), answer.read().decode("utf-8", "replace")
        connection.close()
        return told

    return request


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Chromium; the test is skipped where there is none."""
    api = pytest.importorskip("playwright.sync_api")
    program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    with api.sync_playwright() as playwright:
        try:
            camera = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
            found = playwright.chromium.launch(executable_path=program, args=["--no-sandbox", *camera])
        except api.Error:
            pytest.skip("there is no Chromium on this machine: pages are not tested")
        yield found
        found.close()


@pytest.fixture
def visit(browser) -> Iterator[Callable[..., Any]]:
    """A new page of the browser: visit(width=360). No script may fail on it, and no other host may be asked."""
    faults: list[str] = []
    contexts = []

    def new(*, width: int = 1280, height: int = 900) -> Any:
        context = browser.new_context(viewport={"width": width, "height": height}, locale="en")
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(SECONDS * 1000)
        page.on("console", lambda one: one.type == "error" and faults.append(f"console: {one.text}"))
        page.on("pageerror", lambda error: faults.append(f"script: {error}"))
        page.on("request", lambda one: _outside(one.url) and faults.append(f"asked outside: {one.url}"))
        page.on("websocket", lambda one: _outside(one.url) and faults.append(f"asked outside: {one.url}"))
        return page

    yield new
    for context in contexts:
        context.close()
    assert faults == []


def _outside(address: str) -> bool:
    return not address.startswith(("http://127.0.0.1:", "ws://127.0.0.1:", "data:", "blob:"))


@pytest.fixture
def axe() -> Callable[[Any], list[str]]:
    """What a screen reader or a keyboard would stumble over on a page, and how badly."""
    found = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()

    def run(page: Any) -> list[str]:
        told = found.run(page, options={"iframes": False}).response["violations"]
        return [
            f"{one['impact']} {one['id']}: {one['nodes'][0]['html'][:200]}"
            for one in told
            if one["impact"] in ("serious", "critical")
        ]

    return run
