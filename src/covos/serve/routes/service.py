"""Requests about the server itself: the page, its health, its numbers, the token."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Final

from fastapi import APIRouter, Response
from fastapi import Body as BodyOf
from fastapi.responses import FileResponse
from fastapi.staticfiles import StaticFiles
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from covos._version import __version__
from covos.core.errors import UsageError
from covos.formats.table import FORMATS
from covos.serve.desk import Desk
from covos.serve.guard import COOKIE, is_token
from covos.serve.metrics import Metrics

STATIC = Path(__file__).parents[1] / "static"


_TYPES: Final = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml", ".html": "text/html"}
"""Kinds of the page's files. Windows may know others of them, with which browsers run no module."""


class FreshFiles(StaticFiles):
    """Files that browsers ask for again: else they mix modules of two versions."""

    def file_response(self, full_path: Any, *given: Any, **named: Any) -> Response:
        """Answer with the file, or with 304 if it is the same."""
        answer = super().file_response(full_path, *given, **named)
        answer.headers["cache-control"] = "no-cache"
        if (kind := _TYPES.get(Path(full_path).suffix)) and "content-type" in answer.headers:
            answer.headers["content-type"] = f"{kind}; charset=utf-8"
        return answer


def service_router(desk: Desk, *, token: str, example: Path | None, metrics: Metrics) -> APIRouter:
    """Return the page, and the description of the server itself."""
    router = APIRouter()

    @router.head("/", include_in_schema=False)
    @router.get("/", include_in_schema=False)
    def page() -> Response:
        return FileResponse(STATIC / "index.html", media_type=_TYPES[".html"], headers={"cache-control": "no-cache"})

    @router.get("/favicon.ico", include_in_schema=False)
    def icon() -> Response:
        return Response(status_code=204)

    @router.head("/health", include_in_schema=False)
    @router.get("/health")
    async def health() -> dict[str, str]:
        """Tell that the server is alive."""
        return {"status": "ok", "version": __version__}

    @router.head("/metrics", include_in_schema=False)
    @router.get("/metrics", include_in_schema=False)
    def numbers() -> Response:
        metrics.look(desk)
        return Response(generate_latest(metrics.registry), media_type=CONTENT_TYPE_LATEST)

    @router.post("/api/token", include_in_schema=False)
    def log_in(given: Annotated[str, BodyOf(embed=True, alias="token")]) -> Response:
        if not is_token(given, token):
            raise UsageError("this is not the token", why="the server printed another", fix="copy it again")
        answer = Response(status_code=204)
        answer.set_cookie(COOKIE, token, httponly=True, samesite="strict")
        return answer

    @router.get("/api/info")
    def info() -> dict[str, Any]:
        """Tell what this server can do."""
        return {
            "version": __version__,
            "formats": list(FORMATS),
            "example": example is not None,
            "media": desk.rules.media is not None,
            "opening": None if desk.opening is None else {"name": desk.opening.name, "job": desk.opening.job},
            "limits": {"upload": desk.rules.upload, "quota": desk.rules.quota, "waiting": desk.rules.waiting},
        }

    return router
