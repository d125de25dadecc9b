"""What every answer of the service owes, whatever was asked."""

import re
from pathlib import Path
from typing import Any

from trust.raw import Reply

STATUSES = frozenset({200, 204, 304, 400, 401, 403, 404, 405, 408, 411, 413, 414, 415, 422, 429, 431, 503})
IDENTITY = re.compile(r"[A-Za-z0-9._-]{1,64}")
# A traceback, a place in the server's own file system, or an address in memory
LEAKS = re.compile(rb"Traceback|site-packages|File \"|\.py\b|/tmp/|/home/|/root/|/usr/|object at 0x|\x00")


def faults(reply: Reply, *, places: tuple[Path, ...] = ()) -> list[str]:
    """What an answer lacks or tells too much; empty where it is as agreed."""
    found = []
    if reply.status not in STATUSES:
        found.append(f"status {reply.status}")
    for name, part in (
        ("x-content-type-options", "nosniff"),
        ("cache-control", "no-store"),
        ("content-security-policy", "default-src '"),
    ):
        if part not in reply.headers.get(name, ""):
            found.append(f"{name}: {reply.headers.get(name)}")
    if not IDENTITY.fullmatch(reply.headers.get("x-request-id", "")):
        found.append(f"x-request-id: {reply.headers.get('x-request-id')}")
    if "access-control-allow-origin" in reply.headers:
        found.append(f"access-control-allow-origin: {reply.headers['access-control-allow-origin']}")
    if reply.status in (429, 503) and not reply.headers.get("retry-after", "").isdigit():
        found.append("no Retry-After")
    if reply.status >= 400:
        found += _error_faults(reply)
        leak = LEAKS.search(reply.body)
        if leak:
            found.append(f"it tells {leak[0]!r}")
    found += [f"it names {place}" for place in places if str(place).encode() in reply.body]
    return found


def _error_faults(reply: Reply) -> list[str]:
    kind = reply.headers.get("content-type", "")
    if not kind.startswith("application/json"):
        return [f"an error as {kind}"]
    if not reply.body:  # the answer to HEAD
        return []
    told: Any = reply.json()
    if not isinstance(told, dict) or set(told) - {"predictions", "unreadable", "model", "hash"} != {
        "error",
        "request",
    }:
        return [f"an error of {told!r:.300}"]
    if not told["error"] or "\n" in told["error"] or len(told["error"]) > 600:
        return [f"no sentence: {told['error']!r:.300}"]
    if told["request"] != reply.headers.get("x-request-id"):
        return ["the request's id in the body is another than in the header"]
    return []
