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
    assert status == 403 and "start the studio with --allow-host evil.example" in text
    status, _, text = ask(studio, "/upload", "POST", Origin="http://evil.example")
    assert status == 403 and "service" not in text and "--allow-origin" not in text
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


@pytest.fixture(scope="module")
def guarded_studio(opens, clothes):
    """A studio that asks for a token."""
    return opens("--folder", str(clothes), "--token", "a-long-secret")


def test_with_a_token_nothing_is_answered_without_it(ask, guarded_studio):
    studio = guarded_studio
    assert studio.url.endswith("/?token=a-long-secret")
    for path in (
        "/",
        "/new",
        "/studio/studio.js",
        "/upload",
        "/_nicegui_ws/socket.io/?EIO=4&transport=polling",
    ):
        for method in ("GET", "POST", "PUT"):
            status, _, text = ask(studio, path, method)
            assert status == 401 and "This studio asks for a token" in text
    assert ask(studio, "/?token=a-long-secre")[0] == 401
    assert upgrade(ask, studio) == 403  # closed before it was opened
    status, headers, _ = ask(studio, "//evil.example/?token=a-long-secret")
    assert status == 303 and headers["location"] == "/evil.example/"
    assert "HttpOnly" in headers["set-cookie"] and "SameSite=Strict" in headers["set-cookie"]
    mine = headers["set-cookie"].split(";")[0]
    assert (
        mine == f"vistazo_token_{urlsplit(studio.url).port}=a-long-secret"
    )  # another studio's stands beside it
    others = 'theme={"dark":true}; a[0]=ñ; vistazo_token_1=another-secret; b'
    for cookies in (mine, f"{others}; {mine}", f"{mine}; {others}"):
        assert ask(studio, "/", Cookie=cookies)[0] == 200
    assert ask(studio, "/", Cookie=others)[0] == 401
    assert ask(studio, "/", Authorization="Bearer a-long-secret")[0] == 200


@pytest.mark.parametrize(
    ("asked", "location"),
    [
        ("/run/a%C3%B1o%201", "/run/a%C3%B1o%201"),
        ("/a%0d%0aSet-Cookie:%20x=1", "/a%0D%0ASet-Cookie%3A%20x%3D1"),
        ("/%09/evil.example", "/%09/evil.example"),
        ("/%5Cevil.example/", "/evil.example/"),
        ("/run/a?tab=map", "/run/a?tab=map"),
    ],
)
def test_the_token_leads_on_to_the_page_that_was_asked_for_and_nowhere_else(
    ask, guarded_studio, asked, location
):
    joined = "&" if "?" in asked else "?"
    status, headers, _ = ask(guarded_studio, f"{asked}{joined}token=a-long-secret")
    assert status == 303 and headers["location"] == location
    assert headers["set-cookie"].startswith("vistazo_token_")


@pytest.mark.parametrize("back", ["//evil.example", "/\\evil.example", "https://evil.example"])
def test_changing_the_language_leads_back_to_the_studio_alone(ask, studio, back):
    status, headers, _ = ask(studio, f"/language/es?back={back}")
    assert status == 303
    assert headers["location"].startswith("/") and not headers["location"].startswith(("//", "/\\"))


def test_a_folder_outside_is_refused_in_one_sentence(studio, visit, axe):
    page = visit(width=360, height=740)
    page.goto(studio.url + "new")
    page.get_by_text("Type where it is").click()
    page.get_by_role("button", name="Use this", exact=True).click()
    page.get_by_role("alert").filter(has_text="Type where the folder or the file is.").wait_for()
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


@pytest.mark.parametrize(
    ("lang", "heading", "back"),
    [("en", "There is no such page.", "All my models"), ("es", "No existe esa página.", "Todos mis modelos")],
)
def test_an_address_that_no_page_has_is_told_in_the_language_in_force(
    ask, studio, browser, lang, heading, back
):
    assert ask(studio, "/nada")[0] == ask(studio, "/_nicegui/nada")[0] == 404
    with browser.new_context() as context:  # its console tells of the status 404
        context.add_cookies([{"name": "vistazo_language", "value": lang, "url": studio.url}])
        page = context.new_page()
        page.goto(studio.url + "nada")
        page.get_by_role("heading", name=heading).wait_for()
        page.get_by_role("link", name=back).click()
        page.wait_for_url(studio.url)


@pytest.mark.parametrize(("lang", "said"), [("en", "Connection lost."), ("es", "Se perdió la conexión.")])
def test_a_page_whose_studio_has_ended_says_so_in_its_language(opens, clothes, browser, lang, said):
    studio = opens("--folder", str(clothes))
    with browser.new_context() as context:  # its console tells of each try to connect again
        context.add_cookies([{"name": "vistazo_language", "value": lang, "url": studio.url}])
        page = context.new_page()
        page.goto(studio.url + "new")
        page.get_by_role("heading", level=1).wait_for()
        page.wait_for_function("window.socket && window.socket.connected")
        studio.process.terminate()
        page.locator("#popup", has_text=said).wait_for(timeout=60_000)
        assert "econnect" not in page.locator("#popup").inner_text()


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
