"""Pictures in, answers out: over real sockets, with a model that can be computed by hand."""

import base64
import concurrent.futures
import gzip
import io
import json
import socket
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

sys.path.insert(0, str(Path(__file__).parent))

from served_fakes import Grey, multipart, png, running


@pytest.fixture(scope="module")
def server():
    with running({"grey": Grey(), "second": Grey()}, limit_mb=0.2) as one:
        yield one


def test_a_raw_picture_is_answered(server):
    status, headers, told = server.predict(png(51))
    assert status == 200
    assert told["model"] == "grey"
    assert told["hash"] == "a" * 64
    assert told["unreadable"] == []
    assert told["predictions"] == [
        {"file": "picture", "class": "dark", "probability": 0.8, "top": [["dark", 0.8], ["light", 0.2]]}
    ]
    assert headers["x-request-id"] == told["request"]
    assert headers["cache-control"] == "no-store"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["content-security-policy"].startswith("default-src 'none'")


@pytest.mark.parametrize(
    "kind", ["image/png", "application/octet-stream", "image/whatever; q=1", "IMAGE/PNG"]
)
def test_every_type_of_raw_picture_is_read(server, kind):
    assert server.predict(png(), kind)[0] == 200


def test_a_picture_without_a_type_is_read(server):
    assert server.ask("POST", "/v1/models/grey/predict", png())[0] == 200


def test_a_form_of_several_files_is_answered_in_order_and_names_what_is_no_picture(server):
    body, kind = multipart(("a.png", png(0)), ("notes.png", b"a text"), ("ñ <b>.png", png(255)))
    status, _, told = server.predict(body, kind)
    assert status == 200
    assert [(one["file"], one["class"]) for one in told["predictions"]] == [
        ("a.png", "dark"),
        ("ñ <b>.png", "light"),
    ]
    assert told["unreadable"] == [{"file": "notes.png", "reason": "it is no picture in a known format"}]


def test_pictures_in_json_are_answered(server):
    texts = [base64.b64encode(png(level)).decode() for level in (0, 255)]
    texts.append("data:image/png;base64," + texts[0])
    status, _, told = server.predict(
        json.dumps({"pictures": texts}).encode(), "application/json", query="?top=1"
    )
    assert status == 200
    assert [one["top"] for one in told["predictions"]] == [[["dark", 1.0]], [["light", 1.0]], [["dark", 1.0]]]


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"", "image/png", 422),
        (b"a text", "image/png", 422),
        (png()[:40], "image/png", 422),
        (png(), "text/plain", 415),
        (png(), "application/x-www-form-urlencoded", 415),
        (b"{", "application/json", 400),
        (b"[]", "application/json", 422),
        (b'{"pictures": "x"}', "application/json", 422),
        (b'{"pictures": []}', "application/json", 422),
        (b'{"pictures": ["???"]}', "application/json", 422),
        (b'{"pictures": [NaN]}', "application/json", 400),
        (b'{"pictures": [1e999]}', "application/json", 400),
        (b'{"pictures": [' + b"9" * 5000 + b"]}", "application/json", 400),
        (b"[" * 100_000, "application/json", 400),
        (b'\xff{"pictures": []}', "application/json", 400),
        (b"--x", "multipart/form-data; boundary=x", 400),
        (b"--x\r\n", "multipart/form-data; boundary=x", 400),
        (b"--x--\r\n", "multipart/form-data; boundary=x", 422),
        (b"no boundary", "multipart/form-data", 400),
        (b"x" * 200_001, "image/png", 413),
    ],
)
def test_what_cannot_be_read_is_told_in_one_sentence(server, body, kind, status):
    found, headers, told = server.predict(body, kind)
    assert found == status
    assert set(told) == {"error", "request"}
    assert told["request"] == headers["x-request-id"]
    assert "\n" not in told["error"] and told["error"].endswith(".")


def test_what_curl_says_of_a_file_is_answered_with_what_to_say_instead(server):
    status, _, told = server.predict(png(), "application/x-www-form-urlencoded")
    assert status == 415
    assert told["error"].endswith(
        "With curl, add -H 'Content-Type: image/jpeg', or send the file by -F file=@FILE."
    )


def test_malformed_json_is_told_in_the_language_that_was_asked_for(server):
    status, _, told = server.predict(b'{"pictures": [,]}', "application/json", Accept_Language="es")
    assert status == 400
    assert told["error"] == "El cuerpo JSON está mal formado: no es JSON en el carácter 15."


def test_a_packed_body_is_refused_as_such(server):
    status, headers, told = server.predict(gzip.compress(png()), Content_Encoding="gzip")
    assert status == 415
    assert headers["accept-encoding"] == "identity"
    assert "Content-Encoding" in told["error"]
    assert server.predict(png(), Content_Encoding="Identity")[0] == 200


def test_a_picture_of_very_many_pixels_is_refused_before_it_is_decoded(server):
    out = io.BytesIO()
    Image.fromarray(np.zeros((10_000, 10_000), np.uint8)).save(out, "PNG")
    status, _, told = server.predict(out.getvalue())
    assert status == 422
    assert "too many pixels" in told["error"]


@pytest.mark.parametrize("top", ["0", "-1", "x", "1.5", "99999999999", "", "%FF"])
def test_a_parameter_that_is_no_whole_number_is_refused(server, top):
    assert server.predict(png(), query=f"?top={top}")[0] == 422


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1/models/grey/predict", 405),
        ("DELETE", "/v1/models/grey/predict", 405),
        ("POST", "/v1/models/none/predict", 404),
        ("POST", "/v1/models/grey/train", 404),
        ("POST", "/v1/models/grey/explain", 404),
        ("POST", "/v1/models/grey/similar", 404),
        ("POST", "/v1/models", 405),
        ("GET", "/", 404),
        ("GET", "/docs", 404),
        ("GET", "/v1/models/..%2f..%2fetc/predict", 404),
    ],
)
def test_routes_that_are_not_there(server, method, path, status):
    found, headers, told = server.ask(method, path, b"" if method == "GET" else png())
    assert found == status
    assert set(told) == {"error", "request"}
    assert found != 405 or headers["allow"]


def test_the_service_tells_its_models(server):
    told = server.ask("GET", "/v1/models")[2]["models"]
    assert [one["name"] for one in told] == ["grey", "second"]
    assert told[0] == {
        "name": "grey", "task": "classification", "hash": "a" * 64, "classes": ["dark", "light"],
        "reads": ["image/*", "application/octet-stream", "multipart/form-data", "application/json"],
        "explain": False, "similar": False,
    }  # fmt: skip


def test_it_lives_and_is_ready(server):
    assert server.ask("GET", "/healthz")[2] == {"status": "ok"}
    assert server.ask("GET", "/readyz")[0] == 200
    assert server.ask("HEAD", "/readyz")[0] == 200


def test_errors_are_in_the_language_that_was_asked_for(server):
    headers = {"Content-Type": "image/png", "Accept-Language": "de, es-MX;q=0.8, en;q=0.5"}
    spanish = server.ask("POST", "/v1/models/grey/predict", b"", headers)[2]["error"]
    english = server.ask("POST", "/v1/models/grey/predict", b"", {**headers, "Accept-Language": "en"})[2][
        "error"
    ]
    assert "vacío" in spanish or "está" in spanish  # the reason is of the catalogue already
    assert english == "Nothing that was sent could be read: the file is empty."


@pytest.mark.parametrize(
    ("sent", "kept"),
    [("abc-1.2_Z", True), ("x" * 64, True), ("x" * 65, False), ("a b", False), ("<b>", False)],
)
def test_a_request_keeps_the_name_that_the_client_gave_it(server, sent, kept):
    headers = server.ask("GET", "/healthz", None, {"X-Request-Id": sent})[1]
    assert (headers["x-request-id"] == sent) is kept


def test_every_request_is_a_line_of_the_log_without_its_body(server):
    server.predict(png(77), X_Request_Id="looked-for")
    (line,) = server.logged(lambda one: one.get("request") == "looked-for")
    assert set(line) == {
        "time",
        "level",
        "request",
        "method",
        "route",
        "model",
        "status",
        "milliseconds",
        "bytes",
    }
    assert (line["route"], line["model"], line["status"]) == ("/v1/models/{name}/predict", "grey", 200)
    assert line["bytes"] == len(png(77))


def test_the_figures_are_what_prometheus_reads(server):
    from prometheus_client.parser import text_string_to_metric_families

    server.predict(png())
    text = server.ask("GET", "/metrics")[2].decode()
    found = {one.name: one for one in text_string_to_metric_families(text)}
    asked = [one for one in found["vistazo_requests"].samples if one.labels["status"] == "200"]
    assert any(one.labels["model"] == "grey" and one.value >= 1 for one in asked)
    assert found["vistazo_request_seconds"].type == "histogram"
    assert {one.value for one in found["vistazo_queue"].samples} == {0}


def test_a_fault_of_the_model_tells_no_secret_and_spares_the_others():
    model = Grey()
    with running({"grey": model}) as server:
        model.fails = True
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            told = list(pool.map(server.predict, [png(13 if at == 3 else 100) for at in range(8)]))
        assert [status for status, _, _ in told] == [500 if at == 3 else 200 for at in range(8)]
        assert "secret" not in json.dumps(told[3][2])
        assert server.logged(lambda one: "secret" in one.get("message", ""))


def test_many_at_once_are_answered_each_with_its_own(server):
    def asked(level):
        return server.predict(png(level))[2]["predictions"][0]["top"]

    levels = [at % 256 for at in range(0, 512, 7)]
    with concurrent.futures.ThreadPoolExecutor(12) as pool:
        for level, told in zip(levels, pool.map(asked, levels), strict=True):
            assert dict(told)["light"] == round(level / 255, 6)


def test_a_client_that_asks_before_it_sends_is_told_to_go_on():
    """As curl does with larger files: the head, and the body once the service has said 100 Continue."""
    body = png() + b" " * 2_000_000
    with running({"grey": Grey()}) as server:
        head = "POST /v1/models/grey/predict HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: image/png\r\n"
        head += f"Content-Length: {len(body)}\r\nExpect: 100-continue\r\n\r\n"
        with socket.create_connection(("127.0.0.1", server.port), timeout=10) as client:
            client.sendall(head.encode())
            assert client.recv(100).startswith(b"HTTP/1.1 100 ")
            client.sendall(body)
            assert client.recv(100).startswith(b"HTTP/1.1 200 ")
