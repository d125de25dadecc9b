"""The page of a check: whole in itself, safe whatever names say, and true to review.csv."""

import base64
import hashlib
import html
import io
import json
import re
import shutil
import subprocess
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from vistazo.language import speaking
from vistazo.pictures import health, looking, review_page, reviewing
from vistazo.pictures.health import Finding
from vistazo.pictures.sources import read_source

HOSTILE = "<script>alert(1)</script>'\"&amp;{{ 7*7 }}"


class Reader(HTMLParser):
    """The tags and attributes of a page, and the text of its scripts."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.scripts, self._inside = [], [], False
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag == "script":
            self.scripts.append("")
            self._inside = True

    def handle_endtag(self, tag):
        self._inside = self._inside and tag != "script"

    def handle_data(self, data):
        if self._inside:
            self.scripts[-1] += data


@pytest.fixture
def animals(folder_of_pictures, tmp_path):
    folder = folder_of_pictures(tmp_path / "animals", "cat", "ñu", each=4)
    shutil.copy(folder / "cat" / "a0x.png", folder / "cat" / "zz.png")
    shutil.copy(folder / "cat" / "a1x.png", folder / "ñu" / "zz.png")
    Image.new("RGB", (20, 24)).save(folder / "ñu" / "=black.png")
    (folder / "cat" / "cut.jpg").write_bytes(b"\xff\xd8\xff")
    return folder


def checked(source, fix=()):
    found = read_source(source, classes_file=None)
    looks = looking.look(found.store, size=looking.sight(found.store), threads=1)
    findings = health.examine(found.index, looks, found.broken, ())
    rows = reviewing.rows_of(findings, fix)
    return found, findings, rows


def page_of(source, fix=()):
    found, findings, rows = checked(source, fix)
    page = review_page.build(found.index, found.store, findings, rows, name="x", movable=True, threads=2)
    return page, findings, rows


def test_it_holds_the_rows_of_the_review_and_a_card_for_each(animals):
    page, findings, rows = page_of(animals, fix=("blank",))
    told = Reader(page)
    data = json.loads(told.scripts[0])
    assert data["rows"] == [[row.path, row.finding, row.suggestion, row.action] for row in rows]
    cards = [tag for name, tag in told.tags if name == "li" and "card" in (tag.get("class") or "")]
    assert [int(card["data-row"]) for card in cards] == list(range(len(rows)))
    assert [card["class"] for card in cards].count("card chosen") == 1
    headings = [tag["id"] for name, tag in told.tags if name == "h2"]
    assert headings == [kind for kind in health.KINDS if any(one.kind == kind for one in findings)]


def test_it_asks_for_nothing_from_outside_and_runs_one_script_named_by_its_hash(animals):
    page, *_ = page_of(animals)
    told = Reader(page)
    policy = next(
        tag["content"] for name, tag in told.tags if tag.get("http-equiv") == "Content-Security-Policy"
    )
    mine = base64.b64encode(hashlib.sha256(told.scripts[1].encode()).digest()).decode()
    assert (
        policy == f"default-src 'none'; style-src 'unsafe-inline'; img-src data:; script-src 'sha256-{mine}'"
    )
    for _, tag in told.tags:
        assert not any(name.startswith("on") for name in tag)
        assert all(tag.get(name, "data:").startswith(("data:", "#")) for name in ("src", "href"))
    assert "http" not in re.sub(r"http-equiv", "", page)
    assert len(told.scripts) == 2


def test_a_picture_and_the_one_it_copies_stand_side_by_side(animals):
    page, findings, _ = page_of(animals)
    copies = [one for one in findings if one.beside >= 0]
    shown = re.findall(r'<div class="shown">(.*?)</div>', page, re.DOTALL)
    assert sum(part.count("<img") == 2 for part in shown) == len(copies) >= 3
    data = re.search(r'src="data:image/png;base64,([^"]+)"', page)[1]
    assert Image.open(io.BytesIO(base64.b64decode(data))).size == (24, 20)


def test_every_control_can_be_reached_and_is_named(animals):
    told = Reader(page_of(animals)[0])
    for name, tag in told.tags:
        assert "tabindex" not in tag
        if name == "select" and tag.get("class") != "action":
            assert tag["aria-label"]
        if name == "img":
            assert tag["alt"]
    assert ("html", {"lang": "en"}) in told.tags


def test_hostile_names_are_text(tmp_path, picture):
    folder = tmp_path / "s"
    for name in (HOSTILE.replace("/", "_"), "b"):
        (folder / name).mkdir(parents=True)
        for at in range(3):
            (folder / name / f"{at}.png").write_bytes(picture(at))
    page, findings, rows = page_of(folder)
    assert [one.kind for one in findings] == ["conflict"] * 6
    told = Reader(page)
    assert len(told.scripts) == 2
    assert json.loads(told.scripts[0])["rows"][0][0] == rows[0].path
    offered = {tag["value"] for name, tag in told.tags if name == "option"}
    assert f"relabel:{HOSTILE.replace('/', '_')}" in offered
    assert "{{ 7*7 }}" in page and ">49<" not in page


def test_more_than_are_shown_are_in_the_rows_all_the_same(animals, monkeypatch):
    monkeypatch.setattr(review_page, "SHOWN", 1)
    page, _, rows = page_of(animals)
    told = Reader(page)
    assert len(json.loads(told.scripts[0])["rows"]) == len(rows)
    assert page.count('<li class="card') < len(rows)
    assert "1 more are in review.csv." in page


def test_a_suspected_label_offers_its_class_first_and_all_others(animals):
    found, _, _ = checked(animals)
    findings = [Finding("suspected-label", found.index.where[0], "x", "relabel:ñu", 0)]
    rows = reviewing.rows_of(findings, ())
    page = review_page.build(found.index, found.store, findings, rows, name="x", movable=True, threads=1)
    card = page[page.index('<li class="card') :]
    assert re.findall(r'<option value="([^"]*)"', card)[:5] == [
        "keep",
        "exclude",
        "move",
        "relabel:ñu",
        "relabel:cat",
    ]
    assert '<option value="suggestion">' in page


def test_where_nothing_was_found_it_says_so(folder_of_pictures, tmp_path):
    page, *_ = page_of(folder_of_pictures(tmp_path / "s", "a", "b", each=3))
    assert "Nothing was found." in page


def test_a_picture_that_went_away_in_the_meantime_has_a_card_without_it(animals):
    found, findings, rows = checked(animals)
    for path in animals.rglob("*.png"):
        path.unlink()
    page = review_page.build(found.index, found.store, findings, rows, name="x", movable=True, threads=1)
    assert "<img" not in page and page.count('<li class="card') == len(rows)


def test_it_speaks_the_language_in_force(animals):
    with speaking("es"):
        assert '<html lang="es">' in page_of(animals)[0]


def test_a_picture_of_odd_shape_is_shown_whole(photographs, tmp_path):
    for name in "ab":
        (tmp_path / name).mkdir()
        for at, pixels in enumerate(photographs(6, seed=ord(name))):
            Image.fromarray(pixels).save(tmp_path / name / f"{at}.png")
    Image.fromarray(np.resize(photographs(1)[0], (40, 400, 3))).save(tmp_path / "a" / "long.png")
    page, _, _ = page_of(tmp_path)
    sizes = [
        Image.open(io.BytesIO(base64.b64decode(data))).size
        for data in re.findall(r"data:image/jpeg;base64,([^\"]+)", page)
    ]
    assert (160, 16) in sizes


@pytest.mark.slow
def test_in_a_browser_choices_become_the_review(animals, tmp_path):
    """Chromium opens the page from the disk; a script of this test ticks, chooses and saves."""
    program = shutil.which("chromium")
    if not program:
        pytest.skip("no Chromium here")
    page, _, rows = page_of(animals)
    page = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", page)
    drive = """<script>
    const make = URL.createObjectURL;
    const show = (text) => { document.title = JSON.stringify(text) };
    URL.createObjectURL = (file) => { file.text().then(show); return make(file) };
    const section = document.querySelector("section.kind[aria-labelledby=duplicate]");
    section.querySelector(".all").click();
    section.querySelector(".action").value = "move";
    section.querySelector(".apply").click();
    const select = document.querySelector("section[aria-labelledby=blank] .card select");
    select.value = "exclude";
    select.dispatchEvent(new Event("change"));
    document.getElementById("save").click();
    </script></body>"""
    (tmp_path / "page.html").write_text(page.replace("</body>", drive), encoding="utf-8")
    words = [
        program,
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--virtual-time-budget=3000",
        "--dump-dom",
    ]
    said = subprocess.run(
        [*words, (tmp_path / "page.html").as_uri()], capture_output=True, check=True, timeout=120
    )
    title = re.search(r"<title>(.*?)</title>", said.stdout.decode(), re.DOTALL)[1]
    text = json.loads(html.unescape(title))
    (tmp_path / "review.csv").write_text(text, encoding="utf-8", newline="")
    wanted = {"duplicate": "move", "blank": "exclude"}
    told = [(row.path, row.finding, row.action) for row in reviewing.read(tmp_path / "review.csv")]
    assert told == [(row.path, row.finding, wanted.get(row.finding, "keep")) for row in rows]
