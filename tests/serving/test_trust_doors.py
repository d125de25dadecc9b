"""Who may come in: where the server listens, tokens, hosts and origins, on every route and method. Rows 2 and 3."""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from trust import contract, raw, service, uploads

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="sockets are looked at as Linux tells them")

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")
# What other servers of models had, and were attacked by: loading, deleting, training, management.
ELSEWHERE = (
    "/v1/models/clothes",
    "/v1/models/clothes/load",
    "/v1/models/clothes/unload",
    "/v1/models",
    "/v2/models",
    "/models",
    "/v1/train",
    "/admin",
    "/shutdown",
    "/reload",
    "/debug",
    "/files",
    "/static/../../../etc/passwd",
    "/redoc",
    "/docs",
    "/docs/oauth2-redirect",
    "//evil.example/",
    "/.git/config",
)
OPEN = {"/healthz", "/readyz"}


def routes(port, **headers):
    """(path with the model's name filled in, methods) of the service's own description."""
    told = raw.ask(port, "GET", "/openapi.json", headers=headers).json()
    return {path.replace("{name}", "clothes"): set(one) for path, one in told["paths"].items()}


# ---------------------------------------------------------------- where it listens
@pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="only Linux tells its sockets so")
def test_it_listens_on_this_machine_alone(served):
    assert service.listening(served.pid) == [f"127.0.0.1:{served.port}"]


def refused(shelf, tmp_path, *words, env=None, code=1):
    """`vistazo serve` that must refuse: its sentence."""
    command = [sys.executable, "-m", "vistazo", "serve", f"clothes={shelf['clothes']}", *words]
    clean = {name: value for name, value in os.environ.items() if name != "VISTAZO_TOKEN"}
    said = subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=120,
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        env={**clean, "PYTHONPATH": str(service.SOURCE), "LANGUAGE": "en", **(env or {})},
        check=False,
    )
    assert said.returncode == code, (said.returncode, said.stderr)
    assert "Traceback" not in said.stderr
    assert said.stdout == ""
    return said.stderr.strip()


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "some.name.example"])
def test_elsewhere_it_does_not_start_without_a_token(shelf, tmp_path, host):
    port = str(service.free_port())
    said = refused(shelf, tmp_path, "--host", host, "--port", port)
    assert host in said
    assert len(said.splitlines()) <= 2
    token = re.search(r"--token[ =](\S{20,})", said)
    assert token, said
    again = re.search(r"--token[ =](\S{20,})", refused(shelf, tmp_path, "--host", host, "--port", port))
    assert again[1] != token[1], "the token is the same each time"


def test_a_token_that_is_empty_is_none(shelf, tmp_path):
    port = str(service.free_port())
    here = ("--host", "0.0.0.0", "--port", port)
    assert "--token" in refused(shelf, tmp_path, *here, env={"VISTAZO_TOKEN": ""})
    for empty in ("", "  "):  # a script's variable that is not set, most likely
        assert "--token" in refused(shelf, tmp_path, *here, "--token", empty, code=2)


def test_the_command_of_the_refusal_starts_a_server_that_wants_its_token(shelf, tmp_path):
    port = service.free_port()
    said = refused(shelf, tmp_path, "--host", "0.0.0.0", "--port", str(port))
    command = next(
        line for line in re.split(r"(?=vistazo serve )|\n", said) if line.startswith("vistazo serve")
    )
    words = shlex.split(command)
    last = max(at for at, word in enumerate(words) if word.startswith("--token")) + 1
    words = [word.rstrip(".") for word in words[2 : last + 1]]
    token = words[-1].removeprefix("--token=")
    place = tmp_path / "server"
    one = service.start([], *words, folder=place)
    try:
        # the port stands in the command, so the one that `start` adds before it is not the one that counts
        assert raw.ask(port, "GET", "/v1/models").status == 401
        assert raw.ask(port, "GET", "/v1/models", headers={"Authorization": f"Bearer {token}"}).status == 200
        assert [where.rpartition(":")[0] for where in service.listening(one.pid)] == ["0.0.0.0"]
    finally:
        one.end()


# ---------------------------------------------------------------- tokens
def test_without_its_token_no_route_and_no_method_does_anything(guarded, its_token):
    known = routes(guarded.port, Authorization=f"Bearer {its_token}")
    assert len(known) >= 6, known
    body = uploads.picture()
    for path in sorted({*known, *ELSEWHERE}):
        for method in METHODS:
            for headers in ({}, {"Authorization": "Bearer wrong"}):
                sent = body if method in ("POST", "PUT", "PATCH") else b""
                reply = raw.ask(guarded.port, method, path, sent, {"Content-Type": "image/png", **headers})
                if path in OPEN and method in ("GET", "HEAD"):
                    assert reply.status == 200
                    continue
                assert reply.status in ((401, 405) if path in OPEN else (401,)), (method, path, reply.status)
                assert reply.status != 401 or reply.headers["www-authenticate"].startswith("Bearer")
                assert contract.faults(reply) == [], (method, path)


def test_with_its_token_only_what_is_described_can_be_done(guarded, its_token):
    allowed = {"Authorization": f"Bearer {its_token}", "Content-Type": "image/png"}
    known = routes(guarded.port, Authorization=f"Bearer {its_token}")
    before = raw.ask(guarded.port, "GET", "/v1/models", headers=allowed).json()
    for path in sorted({*known, *ELSEWHERE}):
        for method in METHODS:
            described = method.lower() in known.get(path, ()) or (
                method == "HEAD" and "get" in known.get(path, ())
            )
            if described or (path == "/openapi.json" and method in ("GET", "HEAD")):
                continue
            sent = uploads.picture() if method in ("POST", "PUT", "PATCH") else b""
            reply = raw.ask(guarded.port, method, path, sent, allowed)
            if path == "/docs" and reply.status == 200:
                continue  # it may be left out of the description, and be there
            assert reply.status in (404, 405), (method, path, reply.status, reply.body[:300])
            assert contract.faults(reply) == [], (method, path)
    assert raw.ask(guarded.port, "GET", "/v1/models", headers=allowed).json() == before


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Bearer",
        "Bearer ",
        "Bearer {t}x",
        "Bearer {half}",
        "Basic {t}",
        "{t}",
        "Bearer {t} {t}",
        "Bearer\t",
        "Bearer ñ€",
        "Bearer " + "a" * 5000,
        "Bearer {t}, Bearer {t}",
        "Token {t}",
    ],
)
def test_only_the_token_itself_is_the_token(guarded, its_token, header):
    text = header.format(t=its_token, half=its_token[:-1])
    sent = text.encode("utf-8").decode("latin-1")
    with raw.Connection(guarded.port) as connection:
        reply = connection.ask("GET", "/v1/models", headers={"Authorization": sent} if sent else {})
    assert reply.status == 401, (header, reply.status)
    assert its_token.encode() not in reply.body


def test_a_token_in_the_address_or_in_a_cookie_is_no_token(guarded, its_token):
    for path, headers in (
        (f"/v1/models?token={its_token}", {}),
        (f"/v1/models?access_token={its_token}", {}),
        ("/v1/models", {"Cookie": f"token={its_token}"}),
        ("/v1/models", {"X-Token": its_token}),
    ):
        assert raw.ask(guarded.port, "GET", path, headers=headers).status == 401


def test_the_scheme_is_read_in_any_case(guarded, its_token):
    for scheme in ("Bearer", "bearer", "BEARER"):
        headers = {"Authorization": f"{scheme} {its_token}"}
        assert raw.ask(guarded.port, "GET", "/v1/models", headers=headers).status == 200


def test_two_tokens_in_one_request_are_refused(guarded, its_token):
    head = f"GET /v1/models HTTP/1.1\r\nHost: 127.0.0.1:{guarded.port}\r\n"
    for order in (("wrong", its_token), (its_token, "wrong")):
        with raw.Connection(guarded.port) as connection:
            lines = "".join(f"Authorization: Bearer {one}\r\n" for one in order)
            connection.send((head + lines + "\r\n").encode())
            assert connection.reply().status in (400, 401)


# ---------------------------------------------------------------- hosts
GOOD_HOSTS = (
    "127.0.0.1:{port}",
    "localhost:{port}",
    "LocalHost:{port}",
    "[::1]:{port}",
    "127.0.0.1",
    "localhost",
)
EVIL_HOSTS = (
    "evil.example",
    "evil.example:{port}",
    "127.0.0.1.evil.example:{port}",
    "localhost.evil.example",
    "evil.localhost.example",
    "127.0.0.1:{port}@evil.example",
    "evil.example#127.0.0.1",
    "127.0.0.1 evil.example",
    "[::1].evil.example",
    "2130706433",
    "0x7f000001",
    "0.0.0.0:{port}",
    "169.254.169.254",
    "127.0.0.1,evil.example",
    "<script>alert(1)</script>",
    "*",
)


@pytest.mark.parametrize("host", GOOD_HOSTS)
def test_its_own_names_are_its_hosts(served, host):
    reply = raw.ask(served.port, "GET", "/v1/models", headers={"Host": host.format(port=served.port)})
    assert (reply.status, contract.faults(reply)) == (200, [])


@pytest.mark.parametrize("host", EVIL_HOSTS)
def test_a_page_that_was_bound_to_another_name_is_refused(served, host):
    """DNS rebinding: the browser's Host is still the attacker's name."""
    reply = raw.ask(served.port, "GET", "/v1/models", headers={"Host": host.format(port=served.port)})
    assert reply.status in (400, 403), (reply.status, reply.body)
    assert "clothes" not in reply.body.decode()
    if host.startswith("evil.example") and "#" not in host:
        assert reply.status == 403
        assert "--allow-host evil.example" in reply.json()["error"]
    assert contract.faults(reply) == []


def test_a_foreign_host_is_refused_on_every_route_and_method(served):
    for path in sorted({*routes(served.port), *ELSEWHERE}):
        for method in METHODS:
            sent = uploads.picture() if method in ("POST", "PUT", "PATCH") else b""
            reply = raw.ask(
                served.port, method, path, sent, {"Host": "evil.example", "Content-Type": "image/png"}
            )
            assert reply.status == 403 or path in OPEN, (method, path, reply.status)
            assert contract.faults(reply) == [], (method, path)


def test_no_other_header_speaks_for_the_host(served):
    others = {"X-Forwarded-Host": "127.0.0.1", "Forwarded": "host=127.0.0.1", "X-Original-Host": "localhost"}
    assert raw.ask(served.port, "GET", "/v1/models", headers={"Host": "evil.example", **others}).status == 403
    told = {"X-Forwarded-Host": "evil.example", "X-Forwarded-For": "1.2.3.4", "X-Forwarded-Proto": "https"}
    assert raw.ask(served.port, "GET", "/v1/models", headers=told).status == 200


def test_no_host_and_two_hosts_are_refused(served):
    for head in (
        b"GET /v1/models HTTP/1.1\r\n\r\n",
        b"GET /v1/models HTTP/1.0\r\n\r\n",
        b"GET /v1/models HTTP/1.1\r\nHost:\r\n\r\n",
        b"GET /v1/models HTTP/1.1\r\nHost: 127.0.0.1\r\nHost: evil.example\r\n\r\n",
        b"GET /v1/models HTTP/1.1\r\nHost: evil.example\r\nHost: 127.0.0.1\r\n\r\n",
        b"GET http://evil.example/v1/models HTTP/1.1\r\nHost: evil.example\r\n\r\n",
    ):
        with raw.Connection(served.port) as connection:
            connection.send(head)
            reply = connection.reply()
        assert reply is None or reply.status in (400, 403), (head, reply)


# ---------------------------------------------------------------- origins
EVIL_ORIGINS = (
    "https://evil.example",
    "null",
    "http://127.0.0.1.evil.example",
    "http://evil.example:{port}",
    "file://",
    "http://127.0.0.1:1",
    "http://localhost:{port}.evil.example",
    "chrome-extension://abc",
    "http://[bad",
)


@pytest.mark.parametrize("origin", EVIL_ORIGINS)
def test_a_page_of_another_origin_is_refused_on_every_route_and_method(served, origin):
    origin = origin.format(port=served.port)
    for path in sorted(routes(served.port)):
        for method in METHODS:
            sent = uploads.picture() if method in ("POST", "PUT", "PATCH") else b""
            headers = {"Origin": origin, "Content-Type": "image/png", "Access-Control-Request-Method": "POST"}
            reply = raw.ask(served.port, method, path, sent, headers)
            assert reply.status == 403 or path in OPEN, (method, path, reply.status)
            assert contract.faults(reply) == [], (method, path)


def test_its_own_origin_is_answered(served, good_picture):
    for origin in (f"http://127.0.0.1:{served.port}", f"http://localhost:{served.port}"):
        host = origin.removeprefix("http://")
        headers = {"Origin": origin, "Host": host, "Content-Type": "image/png"}
        assert raw.ask(served.port, "POST", "/v1/models/clothes/predict", good_picture, headers).status == 200


# ---------------------------------------------------------------- names are data
def test_hostile_names_of_classes_stay_data(guarded, its_token, hostile_name):
    allowed = {"Authorization": f"Bearer {its_token}"}
    told = raw.ask(guarded.port, "GET", "/v1/models", headers=allowed)
    classes = {one["name"]: one["classes"] for one in told.json()["models"]}["hostile"]
    assert set(classes) == {hostile_name, "../../../etc/passwd"}
    reply = raw.ask(
        guarded.port,
        "POST",
        "/v1/models/hostile/predict",
        uploads.picture(),
        {**allowed, "Content-Type": "image/png"},
    )
    assert {name for name, _ in reply.json()["predictions"][0]["top"]} == set(classes)
    for one in (told, reply, raw.ask(guarded.port, "GET", "/openapi.json", headers=allowed)):
        assert one.headers["content-type"].startswith("application/json")
        assert contract.faults(one) == []
    page = raw.ask(guarded.port, "GET", "/docs", headers=allowed)
    assert hostile_name.encode() not in page.body
    metrics = raw.ask(guarded.port, "GET", "/metrics", headers=allowed)
    assert hostile_name.encode() not in metrics.body


@pytest.mark.parametrize(
    "name",
    [
        "<img src=x onerror=alert(1)>.png",
        "../../../etc/passwd",
        "a\\..\\b.png",
        "x" * 3000,
        "ñandú 🦜.png",
        "%00.png",
        "; rm -rf",
    ],
)
def test_hostile_names_of_files_stay_data(served, name, good_picture):
    quoted = name.replace('"', "%22")
    body, headers = raw.multipart((quoted, good_picture), (quoted, b"this is no picture"))
    reply = raw.ask(served.port, "POST", "/v1/models/clothes/predict", body, headers)
    assert reply.status in (200, 400, 413, 422), reply.body[:300]
    assert contract.faults(reply) == []
    if reply.status == 200:
        told = reply.json()
        assert [len(told["predictions"]), len(told["unreadable"])] == [1, 1]
        # the name as it was sent or its beginning, or the number; nothing that was looked up in the server's folders
        shown = told["unreadable"][0]["file"]
        assert name.startswith(shown) or shown == "2"


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("abc-1.2_Z", True),
        ("a" * 64, True),
        ("a" * 65, False),
        ("<b>", False),
        ("a b", False),
        ('a"b', False),
        ("é", False),
        ("..%0d%0aX: y", False),
    ],
)
def test_a_request_keeps_its_id_where_that_is_a_plain_word(served, sent, kept):
    value = sent.encode("utf-8").decode("latin-1")
    reply = raw.ask(served.port, "GET", "/v1/models/nowhere", headers={"X-Request-Id": value})
    assert (reply.headers["x-request-id"] == sent) is kept
    assert contract.faults(reply) == []


def test_a_browser_runs_nothing_of_what_it_is_shown(served, hostile_name):
    import shutil

    program = shutil.which("chromium")
    if program is None:
        pytest.skip("chromium is not installed")
    sync_api = pytest.importorskip("playwright.sync_api")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        try:
            page = browser.new_page()
            asked = []
            page.on("request", lambda one: asked.append(one.url))
            for path in (
                "/docs",
                "/openapi.json",
                "/v1/models",
                f"/{hostile_name}",
                f"/v1/models/{hostile_name}",
            ):
                page.goto(f"http://127.0.0.1:{served.port}{path}", wait_until="load", timeout=120_000)
                assert page.evaluate("typeof canary") == "undefined"
                assert page.locator("img[onerror]").count() == 0
            assert [url for url in asked if not url.startswith(f"http://127.0.0.1:{served.port}/")] == []
        finally:
            browser.close()


# ---------------------------------------------------------------- what the log tells
def test_the_log_tells_no_token_and_no_body_and_cannot_be_written_into(guarded, its_token):
    allowed = {"Authorization": f"Bearer {its_token}", "Content-Type": "application/json"}
    secret = b"a-secret-of-the-body"
    raw.ask(guarded.port, "POST", "/v1/models/clothes/predict", b'{"pictures": ["' + secret + b'"]}', allowed)
    raw.ask(guarded.port, "GET", f"/v1/models?token={its_token}")
    raw.ask(guarded.port, "GET", "/v1/models", headers={"Authorization": "Bearer a-wrong-secret"})
    raw.ask(guarded.port, "GET", '/%0a{"level":"forged"}', headers={"X-Request-Id": 'a","level":"forged'})
    text = guarded.log.read_text(encoding="utf-8")
    for word in (its_token, secret.decode(), "a-wrong-secret"):
        assert word not in text
    lines = guarded.log_lines()
    assert lines
    assert all(one.get("level") != "forged" for one in lines)
    wanted = {"time", "level", "request", "method", "route", "model", "status", "milliseconds", "bytes"}
    assert any(wanted <= set(one) for one in lines), lines[-1]
    assert all(json.dumps(one) for one in lines)
