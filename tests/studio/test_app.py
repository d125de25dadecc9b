"""Who may come in, what may be read, and what hostile names do: nothing."""

import http.client
import json
import shutil
import subprocess
import sys
from urllib.parse import urlsplit

import pytest
from PIL import Image

HOSTILE = "<img src=x onerror=window.pwned=1>"


def upgrade(ask, studio, **headers):
    """The status of a request for the pages' websocket."""
    more = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13"}
    more["Sec-WebSocket-Key"] = "dGhlIHNhbXBsZSBub25jZQ=="
    path = "/_nicegui_ws/socket.io/?EIO=4&transport=websocket"
    return ask(studio, path, **{**more, **headers})[0]


def test_only_this_computer_by_its_own_names_is_answered(ask, studio):
    host = urlsplit(studio.url).netloc
    assert ask(studio)[0] == 200
    status, _, text = ask(studio, Host="evil.example")
    assert status == 403 and "--allow-host evil.example" in text
    assert ask(studio, "/upload", "POST", Origin="http://evil.example")[0] == 403
    assert ask(studio, "/upload", "POST", Origin=f"http://{host}")[0] == 200
    for path in ("/", "/new", "/studio/studio.css", "/upload", "/made/a/report", "/language/es", "/nothing"):
        for method in ("GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS"):
            assert ask(studio, path, method, Host="rebound.example:80")[0] == 403


def test_the_websocket_of_the_pages_obeys_host_and_origin(ask, studio):
    host = urlsplit(studio.url).netloc
    assert upgrade(ask, studio, Host="evil.example") == 403
    assert upgrade(ask, studio, Origin="http://evil.example") == 403
    connection = http.client.HTTPConnection(host, timeout=60)
    connection.request(
        "GET", "/_nicegui_ws/socket.io/?EIO=4&transport=polling", headers={"Origin": f"http://{host}"}
    )
    assert connection.getresponse().status == 200
    connection.close()


def test_every_page_says_what_a_browser_may_do_with_it(ask, studio):
    _, headers, _ = ask(studio)
    told = {name.lower(): value for name, value in headers.items()}
    assert "script-src-attr 'none'" in told["content-security-policy"]
    assert "connect-src 'self'" in told["content-security-policy"]
    assert told["x-content-type-options"] == "nosniff"


def test_with_a_token_nothing_is_answered_without_it(ask, opens, clothes):
    studio = opens("--folder", str(clothes), "--token", "a-long-secret")
    assert studio.url.endswith("/?token=a-long-secret")
    for path in (
        "/",
        "/new",
        "/studio/studio.js",
        "/upload",
        "/_nicegui_ws/socket.io/?EIO=4&transport=polling",
    ):
        for method in ("GET", "POST", "PUT"):
            assert ask(studio, path, method)[0] == 401
    assert ask(studio, "/?token=a-long-secre")[0] == 401
    assert upgrade(ask, studio) == 403  # closed before it was opened
    status, headers, _ = ask(studio, "//evil.example/?token=a-long-secret")
    assert status == 303 and headers["location"] == "/evil.example/"
    assert "HttpOnly" in headers["set-cookie"] and "SameSite=Strict" in headers["set-cookie"]
    assert ask(studio, "/", Cookie=headers["set-cookie"].split(";")[0])[0] == 200
    assert ask(studio, "/", Authorization="Bearer a-long-secret")[0] == 200


@pytest.mark.parametrize("back", ["//evil.example", "/\\evil.example", "https://evil.example"])
def test_changing_the_language_leads_back_to_the_studio_alone(ask, studio, back):
    status, headers, _ = ask(studio, f"/language/es?back={back}")
    assert status == 303
    assert headers["location"].startswith("/") and not headers["location"].startswith(("//", "/\\"))


def test_a_folder_outside_is_refused_in_one_sentence(studio, visit, axe):
    page = visit(width=360, height=740)
    page.goto(studio.url + "new")
    page.get_by_text("Type where it is").click()
    page.get_by_label("Folder or file").fill("/etc")
    page.get_by_role("button", name="Use this", exact=True).click()
    page.get_by_role("alert").filter(
        has_text="/etc lies outside the folders that the studio may read"
    ).wait_for()
    assert page.get_by_label("Folder or file").input_value() == "/etc"
    assert axe(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= 360


def test_the_form_is_filled_with_the_keyboard_alone(studio, clothes, visit):
    page = visit()
    page.goto(studio.url + "new")
    page.get_by_role("heading", level=1).wait_for()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    for _ in range(40):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.tagName") == "SUMMARY":
            break
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    page.keyboard.type(str(clothes))
    page.keyboard.press("Tab")
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    page.keyboard.press("Enter")
    page.wait_for_url("**/check/*")


def test_hostile_names_are_names(opens, clothes, visit, tmp_path):
    folder = tmp_path / "given"
    shutil.copytree(clothes / "Bag", folder / HOSTILE)
    shutil.copytree(clothes / "Sandal", folder / "Sandal")
    shutil.copy(next((clothes / "Bag").iterdir()), folder / HOSTILE / "<svg onload=window.pwned=2>.png")
    Image.new("L", (28, 28)).save(folder / "Sandal" / "'onerror='window.pwned=3.png")
    studio = opens("--folder", str(folder))
    (studio.runs / "<b onmouseover=window.pwned=4>").mkdir()
    (studio.runs / "<b onmouseover=window.pwned=4>" / "status.json").write_text("{}")
    page = visit()
    page.goto(studio.url)
    page.get_by_role("link", name="<b onmouseover").wait_for()
    page.goto(studio.url + "new")
    page.get_by_role("button", name=str(folder)).click()
    page.get_by_role("button", name=HOSTILE).wait_for()
    page.get_by_role("button", name="Use this folder").click()
    page.wait_for_url("**/check/*")
    page.get_by_text(HOSTILE).first.wait_for()
    page.get_by_role("link", name="Next: let it learn").wait_for()
    for summary in page.locator("details.finding summary").all():
        summary.click()
    page.locator(".cards .card img").first.wait_for()
    assert page.evaluate("window.pwned") is None


def test_a_studio_that_is_asked_to_end_ends_well(opens, clothes):
    studio = opens("--folder", str(clothes))
    studio.process.terminate()
    assert studio.process.wait(60) == 0


# ---------------------------------------------------------------- a start that cannot be
def test_a_taken_port_is_told_in_one_sentence(studio, tmp_path):
    port = urlsplit(studio.url).port
    said = subprocess.run(
        [sys.executable, "-m", "vistazo", "studio", "--port", str(port), "--json", "--lang", "en"],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert said.returncode == 1
    assert json.loads(said.stdout)["error"].startswith(f"Port {port} is in use.")
    assert not (tmp_path / "runs").exists()
