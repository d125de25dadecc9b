"""`vistazo serve`: a port, the models, and answers until somebody asks it to end."""

import contextlib
import errno
import gc
import os
import secrets
import socket
import threading
from collections.abc import Callable, Sequence
from typing import Any

from vistazo import platform
from vistazo.config import build
from vistazo.errors import MissingExtra, SourceError, UsageError, VistazoError
from vistazo.language import reason_of_system, tr
from vistazo.serving.models import Shelf, file_of, fill, named
from vistazo.serving.settings import LOOPBACK, ServeSettings

__all__ = ["Refusal", "serve", "serve_here", "settings_from"]

Told = dict[str, Any]
# Requests and connections free themselves; refused ones, with their exceptions, leave a cycle now and then. To look for
# them at every 700 objects, as is usual, takes 4 % of the time.
_COLLECTED = (10_000, 5, 5)


class Refusal(VistazoError):
    """A service that will not start as it was asked to."""


def settings_from(values: dict[str, Any]) -> ServeSettings:
    """The settings; a token that was not given comes from VISTAZO_TOKEN. Raises ConfigError."""
    values = {name: value for name, value in values.items() if value is not None}
    token = os.environ.get("VISTAZO_TOKEN", "").strip()
    return build(ServeSettings, {**({"token": token} if token else {}), **values})


def serve(
    models: Sequence[str | os.PathLike[str]] | dict[str, Any],
    settings: ServeSettings,
    *,
    words: Sequence[str] = (),
    ready: Callable[[Told], None] = lambda told: None,
    quiet: bool = False,
    while_input: bool = False,
) -> Told:
    """Serve until SIGTERM or Ctrl-C; gives {"url", "models", "pid"}, which `ready` is told when it listens.

    models: MODEL words, or {name: a loaded model}. words: of the command, for the sentence of a refusal.
    while_input: end, too, when standard input does: a pipe ends with the process that holds its other end, killed or
    not.
    Raises Refusal for an open address without a token, SourceError for a busy port, VistazoError for a model.
    """
    _require_token(settings, [str(one) for one in models], words)
    _require_packages()
    files: dict[str, Any] = (
        dict(models) if isinstance(models, dict) else dict(named([os.fspath(one) for one in models]))
    )
    if not files:
        raise UsageError(tr("Name a model to serve: vistazo serve MODEL..."))
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(contextlib.closing(_bound(settings)))
        platform.wait_quietly()
        shelf = Shelf(settings)
        stack.callback(shelf.close)
        shelf.begin([file_of(one) for one in files.values() if isinstance(one, (str, os.PathLike))])
        from vistazo.serving.app import create
        from vistazo.serving.connections import Server, configured
        from vistazo.serving.limits import Rules
        from vistazo.serving.logs import Log
        from vistazo.serving.looking import require_index

        fill(shelf, files)
        if settings.index is not None:
            require_index(settings.index, [served for _, served in shelf.items()])
        log = Log(requests=not quiet)
        app = create(shelf, settings, rules=Rules.of(settings, log=log))
        told = {
            "url": _address(listener),
            "models": [
                {"name": name, "task": served.endpoint.task, "hash": served.hash}
                for name, served in shelf.items()
            ],
            "pid": os.getpid(),
        }

        def draining() -> None:
            app.answering.draining = True
            log.event("info", "the service is about to stop")

        server = Server(
            configured(app, settings), settings, draining, lambda: app.answering.busy, lambda: ready(told)
        )
        # What was imported and loaded stays: walking through it would hold up a request for 50 ms now and then.
        thresholds = gc.get_threshold()
        gc.collect()
        gc.freeze()
        gc.set_threshold(*_COLLECTED)
        if while_input:
            threading.Thread(target=_wait_for_end_of_input, args=(server.stop,), daemon=True).start()
        try:
            server.run(sockets=[listener])
        except SystemExit as error:  # uvicorn's word for a start that failed; its own log is silent
            raise RuntimeError("the application did not start") from error
        finally:
            gc.set_threshold(*thresholds)
            gc.unfreeze()
        log.event("info", "the service has stopped")
        log.flush()
    return told


def _wait_for_end_of_input(then: Callable[[], None]) -> None:
    # Not sys.stdin: a thread that waits within it holds a lock that the interpreter wants as it ends.
    with contextlib.suppress(OSError):
        while os.read(0, 4096):
            pass
    then()


def serve_here(models: Any, **settings: Any) -> None:
    """Serve from Python until SIGTERM or Ctrl-C; the address is printed when it listens.

    models: what `vistazo serve` takes, one or several; a loaded model; or {name: either}. settings: its options.
    Raises VistazoError, each in one sentence.
    """
    found = settings_from(settings)

    def ready(told: Told) -> None:
        names = ", ".join(one["name"] for one in told["models"])
        print(tr("Serving {names} at {url}", names=names, url=told["url"]), flush=True)  # noqa: T201

    if isinstance(models, (str, os.PathLike)):
        models = [models]
    elif hasattr(models, "predict"):
        path = getattr(models, "path", None)
        name = "model" if path is None else next(iter(named([os.fspath(path)])))
        models = {name: models}
    serve(models, found, ready=ready)


def _bound(settings: ServeSettings) -> socket.socket:
    """A socket on the address, not listening yet. Raises SourceError in one sentence."""
    host, port = settings.host.strip("[]"), settings.port
    try:
        family, _, _, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise SourceError(
            tr(
                "Cannot listen on {host}: {reason}. Check --host.",
                host=host,
                reason=reason_of_system(error),
            )
        ) from None
    try:
        if not hasattr(socket, "SO_EXCLUSIVEADDRUSE"):  # where that is, SO_REUSEADDR would share the port
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.bind(address)
        listener.listen(2048)
    except OSError as error:
        listener.close()
        if error.errno in (errno.EADDRINUSE, getattr(errno, "WSAEADDRINUSE", -1)):
            raise SourceError(
                tr("Port {port} is in use by another program. Choose another with --port, or 0 for a free one.",
                   port=port)
            ) from None  # fmt: skip
        raise SourceError(
            tr(
                "Cannot listen on {host}, port {port}: {reason}.",
                host=host,
                port=port,
                reason=reason_of_system(error),
            )
        ) from None
    return listener


def _require_token(settings: ServeSettings, models: Sequence[str], words: Sequence[str]) -> None:
    """Raise Refusal, with the command and a fresh token, for an address that others reach and no token."""
    if settings.token is not None or settings.host.strip("[]") in LOOPBACK:
        return
    import shlex

    token = secrets.token_urlsafe(24).replace("-", "x").replace("_", "y")
    given = list(words) or [*models, "--host", settings.host, "--port", str(settings.port)]
    command = shlex.join(["vistazo", "serve", *given, "--token", token])
    raise Refusal(
        tr("{host} can be reached by others, so the service needs a token. Start it with: {command}",
           host=settings.host, command=command)
    )  # fmt: skip


def _require_packages() -> None:
    try:
        import fastapi  # noqa: F401
        import httptools  # noqa: F401
        import uvicorn  # noqa: F401
    except ImportError:
        raise MissingExtra(
            tr("The service needs fastapi, uvicorn and httptools: pip install 'vistazo[serve]'.")
        ) from None


def _address(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host
    return f"http://{shown}:{port}"
