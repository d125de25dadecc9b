"""The server opens no connection to anywhere, whatever it is asked. Row 5."""

import base64
import json
import re
import sys

import pytest
from trust import raw, uploads

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="strace is Linux's")


def ask_everything(port):
    """One request of every kind there is; the statuses."""
    png = uploads.picture()
    form, form_headers = raw.multipart(("a.png", png), ("http://evil.example/a.png", png))
    link = json.dumps({"pictures": ["http://evil.example/a.png", base64.b64encode(png).decode()]}).encode()
    svg = b'<svg xmlns="http://www.w3.org/2000/svg"><image href="http://evil.example/a.png"/></svg>'
    as_json, clothes = {"Content-Type": "application/json"}, "/v1/models/clothes"
    asked = [
        ("GET", "/healthz", b"", {}), ("GET", "/readyz", b"", {}), ("GET", "/metrics", b"", {}),
        ("GET", "/openapi.json", b"", {}), ("GET", "/docs", b"", {}), ("GET", "/v1/models", b"", {}),
        ("POST", f"{clothes}/predict", png, {"Content-Type": "image/png"}),
        ("POST", f"{clothes}/predict", form, form_headers), ("POST", f"{clothes}/predict", link, as_json),
        ("POST", f"{clothes}/predict", svg, {"Content-Type": "image/svg+xml"}),
        ("POST", f"{clothes}/explain", png, {"Content-Type": "image/png"}),
        ("POST", f"{clothes}/similar", png, {"Content-Type": "image/png"}),
        ("POST", "/v1/models/rows/predict", b'{"rows": [{"size": 1.0, "colour": "http://evil.example"}]}', as_json),
        ("POST", "/v1/models/rows/predict", b"size,colour\n1,red\n", {"Content-Type": "text/csv"}),
        ("POST", "/v1/models/shop/predict", b"day,sold\n2024-01-01,1\n", {"Content-Type": "text/csv"}),
        ("GET", "/nowhere", b"", {"Referer": "http://evil.example/", "X-Forwarded-For": "1.2.3.4"}),
    ]  # fmt: skip
    return [raw.ask(port, *one).status for one in asked]


def test_python_of_the_server_opens_no_connection(served):
    assert all(status < 500 for status in ask_everything(served.port))
    assert not served.outgoing.exists(), served.outgoing.read_text()


def test_the_system_sees_no_connection_of_the_server(traced):
    ask_everything(traced.port)
    trace = (traced.temporary.parent / "trace").read_text(errors="replace")
    assert "recvfrom(" in trace or "read(" in trace or "readv(" in trace, "nothing was traced"
    inet = re.compile(r"(connect|sendto|sendmsg|sendmmsg)\(.*sa_family=AF_INET6?,")
    assert [line for line in trace.splitlines() if inet.search(line)] == []


def test_the_hook_sees_a_connection(tmp_path):
    """The list of outgoing connections is one that can fill."""
    import subprocess

    from trust import service

    code = service.WATCHED.partition("from vistazo.cli")[0]
    code += (
        "import socket\ntry: socket.create_connection(('127.0.0.1', 9), timeout=1)\nexcept OSError: pass\n"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "told")], check=True)
    assert "socket.connect ('127.0.0.1', 9)" in (tmp_path / "told").read_text()
