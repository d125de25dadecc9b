"""The whole cycle in a browser, in both languages: give pictures, look, correct, learn, see what became of it."""

import csv
import shutil
import time

import pytest

import vistazo
from vistazo import language
from vistazo.engine.runs import read_json
from vistazo.language import tr
from vistazo.studio.state import state_of


def give(page, studio, folder):
    """Type where the folder is, and come to the page of its check."""
    page.goto(studio.url + "new")
    page.get_by_text(tr("Type where it is")).click()
    page.get_by_label(tr("Folder or file")).fill(str(folder))
    page.keyboard.press("Enter")
    page.wait_for_url("**/check/*")
    page.get_by_role("link", name=tr("Next: let it learn")).wait_for()


def learn(page, name, axe):
    page.get_by_role("link", name=tr("Next: let it learn")).click()
    page.get_by_label(tr("A quick try")).check()
    assert axe(page) == []
    page.get_by_label(tr("Name of the model")).fill(name)
    page.get_by_role("button", name=tr("Begin to learn")).click()
    page.wait_for_url(f"**/run/{name}")


def until(found, seconds=240):
    """What `found` gives, once it is something."""
    ends = time.monotonic() + seconds
    while not (value := found()):
        assert time.monotonic() < ends, "waited in vain"
        time.sleep(0.05)
    return value


@pytest.mark.parametrize("lang", ["en", "es"])
def test_the_whole_cycle(lang, studio, clothes, visit, axe):
    page = visit()
    page.goto(studio.url)
    page.get_by_role("link", name={"en": "English", "es": "Español"}[lang]).click()
    with language.speaking(lang):
        assert page.get_by_role("heading", level=1).text_content() == tr("My models")
        assert page.evaluate("document.documentElement.lang") == lang
        assert axe(page) == []
        give(page, studio, clothes)
        leave_out(page, studio)
        assert axe(page) == []
        learn(page, f"model-{lang}", axe)
        run = studio.runs / f"model-{lang}"
        if lang == "en":
            pauses_closes_and_comes_back(page, run, axe)
        page.locator("iframe.made").wait_for()
        assert axe(page) == []
        sees_results(page, run)
    assert read_json(run / "config.json")["settings"]["corrections"].rpartition("#")[0].endswith("review.csv")
    assert (
        sum(read_json(run / "metrics.json")["counts"][part] for part in ("train", "validation", "test"))
        == 199
    )


def leave_out(page, studio):
    """By click, what was found: review.csv says so at once."""
    kind = page.locator("details.finding").filter(has_text=tr("copies under several classes"))
    kind.locator("summary").click()
    card = kind.locator(".card").first
    card.locator("img").wait_for()
    out = card.get_by_role("button", name=tr("Leave out"))
    out.click()
    page.get_by_text(tr("Left out: {out}. Given another class: {changed}.", out=1, changed=0)).wait_for()
    assert out.get_attribute("aria-pressed") == "true"
    review = studio.runs / ".studio" / "checks" / page.url.rpartition("/")[2] / "review.csv"
    with open(review, encoding="utf-8-sig", newline="") as file:
        assert sum(row["action"] == "exclude" for row in csv.DictReader(file)) == 1


def pauses_closes_and_comes_back(page, run, axe):
    """Closing the page stops nothing; the page that is opened again finds the run as it is."""
    page.get_by_role("button", name=tr("Pause")).click()
    until(lambda: state_of(run).state == "paused")
    address = page.url
    page.goto("about:blank")
    page.goto(address)
    page.get_by_role("status").filter(has_text=tr("Paused")).wait_for()
    assert state_of(run).state == "paused"
    assert axe(page) == []
    page.get_by_role("button", name=tr("Go on")).click()
    until(lambda: state_of(run).state != "paused")


def sees_results(page, run):
    """The figures with their interval, and the report whose matrix opens pictures."""
    page.get_by_text(tr("All figures")).click()
    assert page.locator("dl.facts dt").filter(has_text=tr("95 % interval")).count() >= 1
    report = page.frame_locator("iframe.made")
    cell = report.locator(".matrix a").first
    cell.click()
    report.locator(":target img").first.wait_for()
    assert (run / "model.vistazo").exists()


@pytest.mark.slow
def test_a_run_stops_and_goes_on_from_its_page(studio, clothes, visit):
    page = visit()
    give(page, studio, clothes)
    page.get_by_role("link", name="Next: let it learn").click()
    page.get_by_label("The usual").check()
    page.get_by_label("Name of the model").fill("stopped")
    page.get_by_role("button", name="Begin to learn").click()
    page.wait_for_url("**/run/stopped")
    run = studio.runs / "stopped"
    until(lambda: (run / "history.jsonl").exists())
    page.get_by_role("button", name="Stop").click()
    page.get_by_role("status").filter(has_text="Stopped").wait_for()
    assert state_of(run).state == "stopped"
    page.get_by_role("button", name="Go on").click()
    until(lambda: state_of(run).state == "training")
    page.get_by_role("button", name="Stop").click()
    until(lambda: state_of(run).state == "stopped")


def test_a_run_that_failed_says_why_and_goes_on_when_the_fault_is_mended(
    studio, clothes, visit, axe, tmp_path
):
    given, away, run = tmp_path / "clothes", tmp_path / "away", studio.runs / "mended"
    shutil.copytree(clothes, given)
    vistazo.train(given, filters="8,16", epochs=1, threads=1, out=run, quiet=True)
    shutil.rmtree(run / "checkpoints", ignore_errors=True)
    (run / "model.vistazo").unlink()  # as if it had been killed at its first step
    given.rename(away)
    page = visit()
    page.goto(studio.url + "run/mended")
    page.get_by_role("button", name="Go on").click()
    page.get_by_role("alert").filter(has_text=str(given)).wait_for()
    assert state_of(run).state == "failed"
    page.get_by_role("link", name="All my models").last.wait_for()
    assert axe(page) == []
    away.rename(given)
    page.get_by_role("button", name="Go on").click()
    page.locator("iframe.made").wait_for()
    assert (run / "model.vistazo").exists()


def test_a_folder_that_is_sent_arrives_whole(studio, clothes, visit):
    page = visit()
    page.goto(studio.url + "new")
    page.locator("input[type=file][webkitdirectory]").set_input_files(str(clothes))
    page.wait_for_url("**/check/*")
    page.get_by_role("heading", name="Worth a look").wait_for()
    (sent,) = (studio.runs / ".studio" / "uploads").glob("*/clothes")
    names = sorted(str(one.relative_to(clothes)) for one in clothes.rglob("*.png"))
    assert sorted(str(one.relative_to(sent)) for one in sent.rglob("*.png")) == names
    assert all((sent / name).read_bytes() == (clothes / name).read_bytes() for name in names)


@pytest.mark.slow
def test_what_other_verbs_make_stands_on_the_tabs_of_a_run(studio, clothes, visit, axe, verb):
    for name in ("one", "two"):
        run = studio.runs / name
        assert (
            verb("train", clothes, "--recipe", "quick", "--epochs", "2", "--out", run, "--no-open").code == 0
        )
    page = visit()
    for tab, ask in (("seen", "Show it for some pictures"), ("map", "Draw the map"), ("similar", "")):
        page.goto(f"{studio.url}run/one?tab={tab}")
        (page.get_by_role("button", name=ask) if ask else page.locator(".sample").first).click()
        page.frame_locator("iframe.made").locator("h1").wait_for()
        assert page.frame_locator("iframe.made").locator("img, .map").count() > 0
        assert axe(page) == []
    page.goto(studio.url)
    page.get_by_label("compare one").check()
    page.get_by_label("compare two").check()
    page.get_by_role("button", name="Compare").click()
    page.locator("table.beside").wait_for()
    assert page.locator("table.beside thead th").all_text_contents() in (["one", "two"], ["two", "one"])
    assert page.locator("figure svg").count() == 1
    assert axe(page) == []
