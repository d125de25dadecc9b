"""The ways out in a real browser: downloads, an ONNX file with its proof, a service that is started and stopped."""

import json
import shlex
import shutil
import socket
import time
import urllib.request
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from vistazo import tasks
from vistazo.studio import services


@pytest.fixture(scope="module")
def run(studio, drawn, tmp_path_factory):
    """A network of a few numbers, trained for one epoch."""
    source = drawn.write_digits(tmp_path_factory.mktemp("given") / "ways", 20)
    settings = {"filters": "8,16", "epochs": 1, "precision": "fp32", "layout": "contiguous", "threads": 1}
    tasks.train(source, task="classification", out=studio.runs / "ways", quiet=True, **settings)
    return studio.runs / "ways"


@pytest.fixture
def page(studio, run, visit):
    page = visit(width=360)
    page.goto(f"{studio.url}run/ways?tab=exporting")
    page.get_by_role("button", name="Download the model").wait_for()
    return page


def listens(address) -> bool:
    place = urlsplit(address)
    with socket.socket() as one:
        return one.connect_ex((place.hostname, place.port)) == 0


def test_the_model_is_downloaded_whole(page, run, axe):
    with page.expect_download() as waited:
        page.get_by_role("button", name="Download the model").click()
    assert waited.value.suggested_filename == "ways.vistazo"
    assert waited.value.path().read_bytes() == (run / "model.vistazo").read_bytes()
    assert axe(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    tabs, first = page.locator(".tabs").bounding_box(), page.locator(".vz-panel h2").first.bounding_box()
    assert first["y"] - tabs["y"] - tabs["height"] < 30


def test_a_service_is_started_asked_and_stopped(page, run, studio, drawn, axe):
    page.get_by_role("button", name="Start the service").click()
    line = page.locator(".vz-exporting pre")
    line.wait_for()
    words = shlex.split(line.inner_text())
    address = words[-1]
    assert words[0] == "curl" and address.startswith("http://127.0.0.1:")
    assert axe(page) == []
    picture = next((run.parents[1]).parent.rglob("ways/7/0.png"), None)
    assert picture is not None
    asked = urllib.request.Request(address, picture.read_bytes(), {"Content-Type": "image/png"})
    with urllib.request.urlopen(asked, timeout=60) as answer:
        told = json.load(answer)
    assert told["predictions"][0]["class"] in drawn.NAMES
    page.reload()  # the service outlives the page
    page.get_by_text(address, exact=True).wait_for()
    page.get_by_role("button", name="Stop the service").click()
    page.get_by_role("button", name="Start the service").wait_for()
    assert not listens(address)


def test_an_export_is_proven_or_its_sentence_told(page, run):
    assert page.get_by_label("Precision").locator("option").count() == 3
    page.get_by_role("button", name="Export", exact=True).click()
    page.get_by_role("button", name="Download the file").wait_for()
    assert "same answer" in page.locator(".vz-exporting").inner_text()
    with page.expect_download() as waited:
        page.get_by_role("button", name="Download the file").click()
    assert waited.value.suggested_filename == "ways-fp32.onnx"
    assert waited.value.path().stat().st_size > 1000


@pytest.mark.parametrize("kill", [False, True])
def test_services_end_with_the_studio_that_started_them(run, opens, visit, kill):
    studio = opens()
    shutil.copytree(run, studio.runs / "ways")
    page = visit()
    page.goto(f"{studio.url}run/ways?tab=exporting")
    page.get_by_role("button", name="Start the service").click()
    line = page.locator(".vz-exporting pre")
    line.wait_for()
    address = shlex.split(line.inner_text())[-1]
    assert listens(address)
    page.context.close()
    studio.process.kill() if kill else studio.process.terminate()
    studio.process.wait(60)
    until = time.monotonic() + (30 if kill else 0)  # it sees for itself that the studio was killed
    while listens(address) and time.monotonic() < until:
        time.sleep(0.1)
    assert not listens(address)


def test_a_service_that_will_not_start_says_why(tmp_path):
    damaged = tmp_path / "run" / "model.vistazo"
    damaged.parent.mkdir()
    damaged.write_bytes(b"nothing")
    descriptors = Path("/dev/fd")
    before = len(list(descriptors.iterdir()))
    with pytest.raises(services.RunError) as told:
        services.start(damaged.parent, damaged)
    for _ in range(100):  # its reader sees the end of its words a moment later
        if len(list(descriptors.iterdir())) <= before:
            break
        time.sleep(0.05)
    assert len(list(descriptors.iterdir())) <= before
    assert "model.vistazo" in str(told.value) and "\n" not in str(told.value)
    assert services.running(damaged.parent) is None
