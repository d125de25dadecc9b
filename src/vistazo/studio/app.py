"""The app: NiceGUI on FastAPI behind the entrance, and the process that serves it on this computer alone."""

import os
import signal
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vistazo import language
from vistazo.errors import MissingExtra, RunError
from vistazo.language import tr
from vistazo.studio import state
from vistazo.studio.settings import StudioSettings

if TYPE_CHECKING:
    from collections.abc import Callable

    from fastapi import FastAPI

__all__ = ["address", "create", "fault", "listening", "nowhere", "serve"]

HOST = "127.0.0.1"


def create(settings: StudioSettings) -> "FastAPI":
    """The studio as an app. Raises MissingExtra without NiceGUI, SourceMissing, DiskError."""
    studio = state.create(settings)
    os.environ.setdefault("NICEGUI_STORAGE_PATH", str(studio.own / "pages"))  # before it is imported
    try:
        from fastapi import FastAPI
        from nicegui import app as pages
        from nicegui import ui
    except ImportError:
        raise MissingExtra(
            tr("The studio needs the package nicegui. Install it with: pip install 'vistazo[studio]'")
        ) from None
    from vistazo.studio import files, services, tables, uploading
    from vistazo.studio.entrance import Entrance
    from vistazo.studio.pages import checked, comparing, learning, run, runs, source

    app = FastAPI(title="Vistazo", openapi_url=None, docs_url=None, redoc_url=None)
    files.add(app, studio)
    uploading.add(app, studio)
    for page in (runs, source, checked, learning, run, comparing, tables):
        page.add(studio)
    ui.run_with(
        app,
        title="Vistazo",
        favicon=Path(__file__).parent / "studio.svg",
        dark=None,
        tailwind=False,
        reconnect_timeout=10.0,
        show_welcome_message=False,
    )
    pages.on_shutdown(services.stop_all)
    pages.on_page_exception(lambda: fault(studio))
    pages.add_exception_handler(404, _unknown(studio))
    app.add_middleware(
        Entrance, hosts=settings.allow_host or (), token=settings.token, speaks=language.current()
    )
    return app


def fault(studio: state.Studio) -> None:
    """The page instead of one that failed: one sentence, and nothing of what went wrong inside."""
    from vistazo.studio.parts import Message, frame, link

    with frame(studio, tr("This page cannot be shown")):
        said = tr(
            "This is a fault of Vistazo, not yours. The window in which the studio was started tells more."
        )
        Message(alert=True).say(said, wrong=True)
        link(tr("All my models"), "/", kind="primary")


def _unknown(studio: state.Studio) -> "Callable[[Any, Exception], Any]":
    """What answers an address that no page has: NiceGUI's own page for that speaks English alone."""
    from fastapi.responses import PlainTextResponse
    from nicegui import Client, ui

    async def answer(request: Any, error: Exception) -> Any:
        if request.url.path.startswith("/_nicegui"):
            return PlainTextResponse("404", 404)
        with Client(ui.page(""), request=request) as client:
            nowhere(studio)
        return client.build_response(request, 404)

    return answer


def nowhere(studio: state.Studio) -> None:
    """The page of an address that no page has."""
    from vistazo.studio.parts import frame, link, words

    with frame(studio, tr("There is no such page.")):
        words("p", tr("Perhaps the address was typed wrong, or what it showed has been deleted."))
        link(tr("All my models"), "/", kind="primary")


def listening(port: int) -> socket.socket:
    """A socket of this computer alone. Raises RunError where the port is taken."""
    found = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        found.bind((HOST, port))
        found.listen(128)  # who asks before the pages are ready waits for them
    except OSError:
        found.close()
        raise RunError(
            tr(
                "Port {port} is in use. Choose another: vistazo studio --port {other}",
                port=port,
                other=port + 1,
            )
        ) from None
    return found


def address(listener: socket.socket, settings: StudioSettings) -> str:
    """What to type into a browser."""
    plain = f"http://{HOST}:{listener.getsockname()[1]}/"
    return f"{plain}?token={settings.token}" if settings.token else plain


def serve(app: "FastAPI", listener: socket.socket, tell: "Callable[[], None]") -> None:
    """Answer until a signal ends it. Runs that were started go on. tell: called once a signal would end it well."""
    import uvicorn

    config: Any = uvicorn.Config(
        app, log_level="warning", timeout_graceful_shutdown=2, ws="websockets-sansio"
    )
    server = uvicorn.Server(config)

    def end(*_: object) -> None:
        """A signal that comes before uvicorn listens to them, or that it raises once more at its end."""
        server.should_exit = True

    for one in (signal.SIGINT, signal.SIGTERM):
        signal.signal(one, end)
    tell()
    server.run(sockets=[listener])
