"""A real model is tried in a real browser: files, a drawing with the mouse, the webcam."""

import base64
import io
import time

import numpy as np
import pytest
from PIL import Image

from vistazo import language, tasks
from vistazo.language import tr

NASTY = "<img src=x onerror=alert(1)>.png"


@pytest.fixture(scope="module")
def run(studio, drawn, clothes):
    """A small network that has learnt 0, 1 and 7 from 150 pictures, as MNIST has them."""
    source = drawn.write_digits(clothes.parent / "digits")  # where the studio may read
    settings = {"filters": "8,16", "epochs": 10, "precision": "fp32", "layout": "contiguous", "threads": 1}
    tasks.train(source, task="classification", out=studio.runs / "digits", quiet=True, **settings)
    return studio.runs / "digits"


@pytest.fixture
def panel(studio, run, visit):
    """panel(width=360): the panel of that model, opened in the browser."""

    def opened(lang: str = "en", **size):
        page = visit(**size)
        page.context.add_cookies([{"name": "vistazo_language", "value": lang, "url": studio.url}])
        page.goto(f"{studio.url}run/{run.name}?tab=trying")
        page.locator(".vz-paper").wait_for()
        return page

    return opened


def draw(page, corners):
    """Draw a line through these places of the paper with the mouse."""
    paper = page.locator(".vz-paper")
    paper.scroll_into_view_if_needed()
    box = paper.bounding_box()
    for number, (x, y) in enumerate(corners):
        page.mouse.move(box["x"] + x / 256 * box["width"], box["y"] + y / 256 * box["height"], steps=4)
        if not number:
            page.mouse.down()
    page.mouse.up()


def small(corners):
    """The same drawing in a corner of the paper, at half the size."""
    return [(x / 2, y / 2 + 120) for x, y in corners]


@pytest.mark.parametrize("lang", ["en", "es"])
def test_digits_drawn_with_the_mouse_are_recognised(lang, panel, drawn, axe):
    page = panel(lang, width=1280 if lang == "en" else 360)
    with language.speaking(lang):
        assert "119" in page.locator(".vz-draw .vz-soft").first.text_content()  # training pictures, measured
        said = page.locator(".vz-draw .vz-said")
        for name in drawn.NAMES:
            draw(page, drawn.SHAPES[name] if lang == "en" else small(drawn.SHAPES[name]))
            page.locator(".vz-draw .vz-said", has_text=f"{name} ").wait_for()
            assert said.text_content().startswith(f"{name} ")
            if name != drawn.NAMES[-1]:
                page.get_by_role("button", name=tr("Clear")).click()
                said.wait_for(state="detached")
        page.get_by_role("button", name=tr("Where does the answer come from?")).click()
        page.get_by_role("img", name=tr("What speaks for {name}", name="7")).wait_for()
        page.get_by_role("button", name=tr("Undo")).click()
        said.wait_for(state="detached")
    assert page.evaluate("document.documentElement.scrollWidth") <= page.viewport_size["width"]
    assert axe(page) == []


def test_files_are_answered_and_what_cannot_be_read_is_told(panel, tmp_path, drawn):
    page = panel()
    good = tmp_path / NASTY
    Image.fromarray(drawn.digit("7", np.random.default_rng(5))).save(good)
    text = tmp_path / "text.png"
    text.write_text("this is no picture")
    huge = tmp_path / "huge.png"
    Image.new("1", (10_000, 10_000)).save(huge)
    page.locator(".vz-drop input").set_input_files([good, text, huge])
    page.locator(".vz-files .vz-answer").wait_for()
    assert page.locator(".vz-files .vz-answer").count() == 1
    shown = page.locator(".vz-files .vz-answer").inner_text()
    assert NASTY in shown and "7 " in shown  # as a name, not as an element
    assert page.locator('img[src="x"]').count() == 0
    wrong = page.locator(".message.wrong").inner_text()
    assert "text.png: it is no picture in a known format" in wrong
    assert "huge.png: it has too many pixels" in wrong


def test_too_many_and_too_large_files_are_told_before_they_are_read(panel, studio, ask, tmp_path):
    page = panel()
    many = [tmp_path / f"{one}.png" for one in range(101)]
    for one in many:
        one.write_bytes(b"x")
    addresses = []
    page.on("request", lambda one: one.method == "POST" and addresses.append(one.url))
    page.locator(".vz-drop input").set_input_files(many)
    page.get_by_text("At most 100 files at once; give them in parts.").wait_for()
    assert addresses == []
    page.locator(".vz-drop input").set_input_files(many[:1])
    page.get_by_text("0.png: it is no picture in a known format").wait_for()
    path = addresses[0].replace(studio.url.rstrip("/"), "")
    status, _, _ = ask(studio, path, "POST", None, **{"Content-Length": str(10**10)})
    assert status == 413
    status, _, _ = ask(studio, path, "POST", b"x", Origin="http://evil.example")
    assert status == 403


def test_the_webcam_starts_by_a_click_answers_and_stops(panel):
    page = panel()
    assert page.evaluate("document.querySelector('video').srcObject") is None
    page.get_by_role("button", name="Start the webcam").click()
    page.get_by_role("button", name="Answer now").click()
    page.locator(".vz-webcam .vz-answer").wait_for()
    page.evaluate("window.frames_seen = 0; new MutationObserver(() => window.frames_seen++)"
                  ".observe(document.querySelector('.vz-webcam'), {childList: true, subtree: true})")  # fmt: skip
    page.get_by_label("Answer all the time").check()
    page.wait_for_function("window.frames_seen >= 3")
    track = "document.querySelector('video').srcObject.getVideoTracks()[0]"
    assert page.evaluate(f"window.kept = {track}; window.kept.readyState") == "live"
    # Another tab of the browser hides the page.
    page.evaluate("Object.defineProperty(document, 'hidden', {value: true});"
                  "document.dispatchEvent(new Event('visibilitychange'))")  # fmt: skip
    page.get_by_role("button", name="Start the webcam").wait_for()
    assert page.evaluate("window.kept.readyState") == "ended"
    assert not page.get_by_role("button", name="Answer now").is_visible()
    last = page.locator(".vz-webcam .vz-said").text_content()
    time.sleep(0.6)
    assert page.locator(".vz-webcam .vz-said").text_content() == last


def test_a_long_name_of_a_class_leaves_the_pictures_in_a_grid(studio, run, visit):
    page = visit()
    page.goto(f"{studio.url}run/{run.name}?tab=similar")
    page.locator(".sample img").first.wait_for()
    page.locator(".sample span").first.evaluate(
        "(one) => one.textContent = 'a class of a long name '.repeat(9)"
    )
    sizes = page.locator(".sample").evaluate_all("(all) => all.map((one) => one.offsetWidth)")
    assert len(sizes) > 3 and len(set(sizes)) == 1


def refuse(page, name):
    """From here on the browser lends no camera, for that reason."""
    page.evaluate("(name) => { navigator.mediaDevices.getUserMedia ="
                  "() => Promise.reject(new DOMException('', name)); }", name)  # fmt: skip


def test_a_camera_that_may_not_be_used_is_told(panel):
    page = panel()
    refuse(page, "NotAllowedError")
    page.get_by_role("button", name="Start the webcam").click()
    page.get_by_text("The browser was not allowed to use the camera; allow it in its address bar.").wait_for()
    refuse(page, "NotFoundError")
    page.get_by_role("button", name="Start the webcam").click()
    page.get_by_text("No camera was found. Plug one in, or choose a picture.").wait_for()


def test_the_light_of_the_paper_can_be_turned(panel, drawn):
    page = panel()
    draw(page, drawn.SHAPES["7"])
    seen = page.locator(".vz-draw .vz-seen")
    seen.wait_for()
    before = seen.get_attribute("src")
    page.get_by_label("Light lines on a dark ground").uncheck()
    page.wait_for_function("(was) => document.querySelector('.vz-draw .vz-seen').src !== was", arg=before)
    assert _corner(before) < 20 and _corner(seen.get_attribute("src")) > 235


def _corner(address):
    with Image.open(io.BytesIO(base64.b64decode(address.partition(",")[2]))) as picture:
        return picture.convert("L").getpixel((0, 0))
