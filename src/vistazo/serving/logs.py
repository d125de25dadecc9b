"""What a service tells of its work: one JSON object a line on standard error; never a body, never a token.

Lines are gathered and written by a thread of their own, so that a slow reader of the log never holds up an answer.
"""

import json
import sys
import threading
import time
import traceback
from collections import Counter, deque
from collections.abc import Mapping
from time import perf_counter
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from vistazo.serving.visits import Visit

__all__ = ["Log"]

_EVERY = 0.2  # seconds between two writes
_MOST = 50_000  # lines that may wait for a slow reader; more are counted and dropped


class Log:
    """Where a service's lines go. to: a stream, standard error by default. requests: whether each one is told."""

    def __init__(self, to: TextIO | None = None, *, requests: bool = True) -> None:
        self._to, self._requests = to, requests
        self._lines: deque[str] = deque()
        self._dropped = 0
        self._turned: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._writing = threading.Lock()
        self._timer: threading.Thread | None = None
        self._wake = threading.Event()

    def request(self, scope: Mapping[str, Any], visit: "Visit") -> None:
        """One line for a request that was answered."""
        if not self._requests and visit.status < 500:
            return
        method = scope.get("method", "WEBSOCKET")
        plain = method if method.isalpha() and len(method) < 20 else "?"
        elapsed = (perf_counter() - visit.began) * 1000
        # Written by hand: json.dumps takes as long as all the rest. Routes are ours, names of models checked.
        self._put(
            f'{{"time":"{_now()}","level":"{"info" if visit.status < 500 else "error"}","request":"{visit.request}",'
            f'"method":"{plain}","route":"{visit.label}","model":"{visit.model}","status":{visit.status},'
            f'"milliseconds":{elapsed:.3f},"bytes":{visit.received}}}'
        )

    def turned_away(self, model: str) -> None:
        """A request that a crowd left no room for: told together with the others, as a flood is not to fill a disk."""
        if not self._requests:
            return
        if not self._turned:
            self._begin()
        self._turned[model] += 1

    def event(self, level: str, message: str, **facts: Any) -> None:
        """A line for something that happened: a model reloaded, a start, an end."""
        told = {"time": _now(), "level": level, "message": message, **facts}
        self._put(json.dumps(told, ensure_ascii=True))

    def fault(self, visit: "Visit | None" = None, error: BaseException | None = None) -> None:
        """An exception, by default the one being handled, with its traceback; clients never see it."""
        name = {} if visit is None else {"request": visit.request}
        found = error or sys.exception()
        self.event("error", "".join(traceback.format_exception(found, limit=-20)) if found else "", **name)

    def flush(self) -> None:
        """Write what waits, now."""
        with self._writing:
            with self._lock:
                lines, dropped = list(self._lines), self._dropped
                turned, self._turned = self._turned, Counter()
                self._lines.clear()
                self._dropped = 0
            for model, count in turned.items():
                told = {"time": _now(), "level": "warning", "message": f"{count} requests were turned away",
                        "model": model, "status": 429, "count": count}  # fmt: skip
                lines.append(json.dumps(told))
            if dropped:
                lines.append(
                    json.dumps({"time": _now(), "level": "warning", "message": f"{dropped} lines dropped"})
                )
            if lines:
                try:
                    stream = self._to or sys.stderr
                    stream.write("\n".join(lines) + "\n")
                    stream.flush()
                except (OSError, ValueError, AttributeError):  # nobody reads it any more
                    pass

    def _put(self, line: str) -> None:
        if len(self._lines) >= _MOST:
            self._dropped += 1
            return
        self._lines.append(line)
        self._begin()

    def _begin(self) -> None:
        """Have the thread write, soon."""
        if self._timer is None:
            with self._lock:
                if self._timer is None:
                    self._timer = threading.Thread(target=self._write, daemon=True, name="vistazo-log")
                    self._timer.start()
        if not self._wake.is_set():
            self._wake.set()

    def _write(self) -> None:
        while True:
            self._wake.wait()
            time.sleep(_EVERY)
            self._wake.clear()
            self.flush()


_second = (0, "")


def _now() -> str:
    """UTC with milliseconds; the part before them is made once a second."""
    global _second
    now = time.time()
    whole = int(now)
    if _second[0] != whole:
        _second = (whole, time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(whole)))
    return f"{_second[1]}.{int((now - whole) * 1000):03d}Z"
