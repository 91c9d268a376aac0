"""The refusals of the HTTP API: every error is a problem in words, with its status."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.routing import Match

from covos.core.errors import CovosError, EnvironmentProblem, explained
from covos.serve.desk import Desk
from covos.serve.guard import (
    BodyTooLargeError,
    BodyTooSlowError,
    ServerEndsError,
    misspelt,
    problem,
    problem_of,
    status_of,
)
from covos.serve.log import log_error

REFUSALS = {
    400: "It makes no sense here.",
    401: "The token is missing.",
    403: "It comes from a page of another site.",
    404: "It is not there.",
    408: "It came too slowly.",
    409: "It cannot be done now.",
    410: "It has expired.",
    413: "It is too large.",
    415: "It is of another kind.",
    422: "It cannot be read.",
    429: "Too much is waiting.",
    500: "It is a bug of covos.",
    503: "The machine refuses.",
}
"""The statuses of errors, for the description."""


def add_refusals(app: FastAPI, desk: Desk) -> None:
    """Answer every error as a problem: what happened, why, and what helps."""

    @app.exception_handler(CovosError)
    def _refused(_: Request, error: CovosError) -> Response:
        if status_of(error) >= 500:
            log_error(error)
        return problem_of(desk.in_public(error))

    @app.exception_handler(BodyTooLargeError)
    def _flooded(_: Request, error: BodyTooLargeError) -> Response:
        return problem(413, what="the body is too large", why=f"{error.most:,} bytes are the most", fix="send less")

    @app.exception_handler(BodyTooSlowError)
    def _slow(_: Request, error: BodyTooSlowError) -> Response:
        answer = problem(408, what=error.detail, why="its bytes did not come in time", fix="send it again")
        answer.headers["connection"] = "close"
        return answer

    @app.exception_handler(ServerEndsError)
    def _ends(_: Request, error: ServerEndsError) -> Response:
        return problem(503, what=error.detail, why="it was stopped", fix="start it again, and send it anew")

    @app.exception_handler(HTTPException)
    def _unknown(request: Request, error: HTTPException) -> Response:
        why = "there is nothing of this name" if error.status_code == 404 else "the server cannot answer this"
        answer = problem(error.status_code, what=str(error.detail), why=why, fix="see /openapi.json")
        answer.headers.update(error.headers or {})
        if error.status_code == 405:  # the error knows the methods of one route alone
            answer.headers["allow"] = ", ".join(_methods(app, request.scope))
        return answer

    app.exception_handler(RequestValidationError)(misspelt)
    app.exception_handler(ValidationError)(misspelt)

    @app.exception_handler(Exception)
    def _bug(_: Request, error: Exception) -> Response:
        if isinstance(found := explained(error), EnvironmentProblem):  # the disk is full, say
            return problem_of(desk.in_public(found))
        return problem(500, what="this is a bug of covos", why=type(error).__name__, fix="report it, with the log")


def _methods(app: FastAPI, scope: MutableMapping[str, Any]) -> list[str]:
    """Return the methods that an address takes."""

    def takes(method: str) -> bool:
        return any(route.matches({**scope, "method": method})[0] is Match.FULL for route in app.routes)

    return [method for method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS") if takes(method)]
