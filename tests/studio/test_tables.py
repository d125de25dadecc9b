"""Series and tables in a real browser: how a file is read, training, the forecast, answers for rows."""

import csv
import time
from urllib.parse import quote

import pytest

from vistazo import language, tasks
from vistazo.language import tr
from vistazo.studio.state import state_of


@pytest.fixture(scope="module")
def given(drawn, clothes):
    """Files where the studio may read."""
    folder = clothes.parent
    drawn.write_sales(folder / "ventas.csv")
    drawn.write_flats(folder / "flats.csv")
    (folder / "broken.csv").write_text("a,b\n")
    return folder


@pytest.fixture(scope="module")
def flats(studio, given):
    """A network that tells a flat's price."""
    settings = {"epochs": 6, "members": 1, "threads": 1}
    tasks.train(given / "flats.csv", target="price", out=studio.runs / "flats", quiet=True, **settings)
    return studio.runs / "flats"


def at(page, studio, path):
    page.goto(f"{studio.url}table?path={quote(str(path))}")


def test_a_csv_of_sales_becomes_a_forecast(studio, given, visit, axe):
    page = visit()
    page.context.add_cookies([{"name": "vistazo_language", "value": "es", "url": studio.url}])
    with language.speaking("es"):
        at(page, studio, given / "ventas.csv")
        button = page.get_by_role("button", name=tr("Begin to learn"))
        button.wait_for()
        columns = page.get_by_role("table").first.inner_text()
        assert "," in columns and "." not in columns.replace("...", "")  # a number's decimals, in Spanish
        assert "fecha" in columns and tr("day/month/year") in columns and tr("decimal comma") in columns
        assert (
            page.get_by_label(tr("Column of dates"), exact=True).locator("option:checked").inner_text()
            == "fecha"
        )
        assert axe(page) == []
        page.get_by_label(tr("Passes over the data")).fill("x")
        button.click()
        page.get_by_text(tr("'{value}' is no whole number; give one such as 7.", value="x")).wait_for()
        page.get_by_label(tr("Passes over the data")).fill("2")
        page.get_by_label(tr("Name of the model")).fill("sales")
        button.click()
        page.wait_for_url("**/run/sales")
        page.get_by_role("link", name=tr("Try it")).click()
        picture = page.locator("img.vz-forecast")
        picture.wait_for()
        assert picture.evaluate("(one) => one.complete && one.naturalWidth > 300")
        assert "2024-07-25" in picture.get_attribute("alt")  # 200 days from 1 January, and a week
        assert state_of(studio.runs / "sales").state == "finished"
        rules = page.get_by_role("table").last.inner_text()
        assert tr("the network") in rules and tr("same season before") in rules
        page.get_by_label(tr("Steps to forecast")).fill("10")
        page.get_by_role("button", name=tr("Forecast"), exact=True).click()
        page.wait_for_function("document.querySelector('.vz-forecast').alt.includes('2024-07-28')")
        with page.expect_download() as waited:
            page.get_by_role("button", name=tr("Download as CSV")).click()
        with open(waited.value.path(), newline="", encoding="utf-8-sig") as file:
            rows = list(csv.DictReader(file))
        assert [len(rows), rows[0]["date"], rows[-1]["date"]] == [10, "2024-07-19", "2024-07-28"]
        assert not list((studio.runs / ".studio").rglob("forecast.csv"))
        page.locator(".vz-drop input").set_input_files(given / "flats.csv")
        page.locator(".message.wrong").get_by_text("fecha").wait_for()  # the columns that it lacks
        assert axe(page) == []
        page.set_viewport_size({"width": 360, "height": 740})
        assert page.evaluate("document.documentElement.scrollWidth") <= 360
        assert at_its_right_end(page.locator(".vz-scroll", has=page.locator(".vz-forecast")))
        page.get_by_text(tr("The steps as a table")).click()
        assert cut_cells(page) == []
        at(page, studio, given / "ventas.csv")
        page.get_by_role("button", name=tr("Begin to learn")).wait_for()
        assert page.evaluate("document.documentElement.scrollWidth") <= 360
        assert cut_cells(page) == []
        page.goto(f"{studio.url}run/sales")
        page.get_by_text(tr("All figures")).click()
        assert page.locator(".facts dd").evaluate_all("(all) => all.every(one => one.offsetWidth > 100)")


def at_its_right_end(scroll):
    """Whether what scrolls sideways shows its right end."""
    return scroll.evaluate(
        "(one) => one.scrollWidth > one.clientWidth && one.lastElementChild.getBoundingClientRect().right"
        " <= one.getBoundingClientRect().right + 1"
    )


def cut_cells(page):
    """Cells without a space, such as a date or a number, that stand in more than one line."""
    lines = "(all) => all.filter((one) => !/ /.test(one.textContent) && one.textContent.length < 40 &&"
    lines += " (() => { const range = document.createRange(); range.selectNodeContents(one);"
    lines += " return new Set([...range.getClientRects()].map((box) => Math.round(box.top))).size > 1; })())"
    return page.locator(".vz-table td, .vz-table th").evaluate_all(lines + ".map((one) => one.textContent)")


def test_a_file_that_cannot_be_read_or_may_not_is_told(studio, given, visit, tmp_path):
    page = visit()
    at(page, studio, given / "broken.csv")
    page.locator(".message.wrong").wait_for()
    assert not page.get_by_role("button", name="Begin to learn").is_visible()
    outside = tmp_path / "<b>outside.csv"
    outside.write_text("a,b\n1,2\n")
    at(page, studio, outside)
    page.get_by_text("lies outside the folders that the studio may read").wait_for()
    assert page.locator(".message b").count() == 0
    at(page, studio, "\0")
    page.locator(".message.wrong").wait_for()


def test_another_way_to_read_is_tried_at_once(studio, given, visit):
    file = given / "dates.csv"
    file.write_text(
        "day,sold\n" + "".join(f"0{m}/0{d}/2024,{m * d}\n" for m in (1, 2, 3) for d in range(1, 9))
    )
    page = visit()
    at(page, studio, file)
    page.locator(".message.wrong").wait_for()  # 01/02/2024 may be two days
    page.get_by_text("Read it otherwise").click()
    page.get_by_label("Order of day, month and year").select_option("mdy")
    page.get_by_role("button", name="Begin to learn").wait_for()
    assert "2024-01-01" in page.get_by_role("table").first.inner_text()


def test_what_a_row_holds_that_is_no_number_is_told_and_a_file_is_called_by_its_name(
    studio, flats, visit, tmp_path
):
    page = visit()
    page.goto(f"{studio.url}run/flats?tab=trying")
    page.get_by_label("rooms").fill("3")
    page.get_by_label("area").fill("large")
    page.get_by_role("button", name="Answer", exact=True).click()
    page.locator(".vz-card").get_by_text("cells of 'area' that were not understood: 1").wait_for()
    other = tmp_path / "weather.csv"
    other.write_text("district,rooms,area\n")
    page.locator(".vz-drop input").set_input_files(other)
    told = page.locator(".message.wrong")
    told.wait_for()
    assert told.inner_text().startswith("weather.csv has no rows below its names.")


def test_only_pictures_offer_smaller_numbers_for_export(studio, flats, visit):
    page = visit()
    page.goto(f"{studio.url}run/flats?tab=exporting")
    page.get_by_role("button", name="Export", exact=True).wait_for()
    assert page.get_by_label("Precision").count() == 0


def test_a_row_that_is_typed_in_and_a_file_are_answered(studio, given, flats, visit, axe):
    page = visit()
    page.goto(f"{studio.url}run/flats?tab=trying")
    page.get_by_label("district").wait_for()
    assert page.locator(".vz-panel").count() == 1  # the model is opened once
    page.get_by_label("district").select_option(label="<b>centre</b>")
    page.get_by_label("rooms").fill("3")
    page.get_by_label("area").fill("66")
    page.get_by_role("button", name="Answer", exact=True).click()
    said = page.locator(".vz-said")
    said.wait_for()
    (told,) = tasks.load(flats).predict([{"district": "<b>centre</b>", "rooms": "3", "area": "66"}])
    assert float(said.inner_text().replace(",", "")) == pytest.approx(told["value"], rel=1e-3)
    page.get_by_role("button", name="Where does the answer come from?").click()
    page.get_by_role("table", name="What each column adds to the usual answer").wait_for()
    assert page.get_by_label("rooms").input_value() == "3"
    page.locator(".vz-drop input").set_input_files(given / "flats.csv")
    with page.expect_download() as waited:
        page.get_by_role("button", name="Download all answers as CSV").click()
    with open(waited.value.path(), newline="", encoding="utf-8-sig") as file:
        rows = list(csv.DictReader(file))
    wanted = list(tasks.load(flats).predict([given / "flats.csv"]))
    assert len(rows) == len(wanted) == 200
    assert float(rows[7]["value"]) == pytest.approx(wanted[7]["value"], rel=1e-9)
    assert rows[0]["file"] == "flats.csv"
    assert axe(page) == []
    given = studio.runs / ".studio" / "given"
    mine = {one.parent for one in given.rglob("answers.csv")}
    assert mine
    page.close()
    ends = time.monotonic() + 60
    while any(one.exists() for one in mine):  # the page may come back for some seconds
        assert time.monotonic() < ends
        time.sleep(0.2)
