"""What the pages ask for by address: the style, the script, the language, the pages that other verbs made."""

import html
from pathlib import Path
from typing import TYPE_CHECKING

from vistazo import language
from vistazo.errors import VistazoError
from vistazo.language import tr
from vistazo.studio.entrance import LANGUAGE
from vistazo.studio.state import Studio, own_names

if TYPE_CHECKING:
    from fastapi import FastAPI

__all__ = ["add"]

_HERE = Path(__file__).parent
_OURS = {"studio.css": "text/css; charset=utf-8", "studio.js": "text/javascript; charset=utf-8"}
_MADE = {
    "report": "report.html",
    "explanation": "studio/explanation/explanation.html",
    "map": "studio/map/embeddings.html",
    "similar": "studio/similar/search.html",
}
_STILL = {
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'self'",
}


def add(app: "FastAPI", studio: Studio) -> None:
    """Add the addresses to the app."""
    from fastapi import Response
    from fastapi.responses import PlainTextResponse, RedirectResponse

    @app.get("/studio/{name}", response_model=None)
    def ours(name: str) -> Response:
        if name not in _OURS:
            return PlainTextResponse("404", 404)
        return Response(
            (_HERE / name).read_bytes(), media_type=_OURS[name], headers={"cache-control": "no-cache"}
        )

    @app.get("/made/{name}/{what}", response_model=None)
    def made(name: str, what: str) -> Response:
        """A page of a run that a verb made. It needs nothing else, and nothing in it runs."""
        try:
            file = studio.run(name) / _MADE[what]
            page = own_names(file.read_text(encoding="utf-8"), html.escape)
            return Response(page, media_type="text/html; charset=utf-8", headers=_STILL)
        except (VistazoError, OSError, KeyError, UnicodeDecodeError):
            return PlainTextResponse(tr("There is no such page."), 404)

    @app.get("/language/{code}", response_model=None)
    def speak(code: str, back: str = "/") -> Response:
        """Change the language, and go back to the page that asked, which is one of ours."""
        answer = RedirectResponse("/" + back.lstrip("/\\"), 303)
        if code in language.LANGUAGES:
            answer.set_cookie(LANGUAGE, code, max_age=365 * 24 * 3600, samesite="lax", path="/")
        return answer
