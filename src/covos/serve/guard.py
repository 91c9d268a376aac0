"""The guard: one layer around the whole server, through which every request and every answer goes.

It refuses what a page of another site, a stranger or a flood would send, counts the bytes of bodies before anything
parses them, and makes every error a problem in words (RFC 9457).
"""

from __future__ import annotations

import hmac
import json
import logging
import time
from collections.abc import Awaitable, Callable, MutableMapping
from http.cookies import CookieError, SimpleCookie
from typing import Any, TypeAlias
from urllib.parse import urlsplit

from covos.core.errors import CovosError, EnvironmentProblem, InputError, UsageError
from covos.serve.desk import BusyError, NotThereError, NotYetError, TooLargeError

Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
App: TypeAlias = Callable[[Message, Receive, Send], Awaitable[None]]

COOKIE = "covos-token"
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
LOCAL = ("127.0.0.1", "localhost", "[::1]")
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; media-src 'self' blob:; "
    "connect-src 'self'; worker-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = (
    (b"content-security-policy", POLICY.encode("ascii")),
    (b"x-content-type-options", b"nosniff"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"referrer-policy", b"no-referrer"),
)
_STATUS: tuple[tuple[type[CovosError], int], ...] = (
    (NotThereError, 404),
    (NotYetError, 409),
    (BusyError, 429),
    (TooLargeError, 413),
    (UsageError, 400),
    (InputError, 422),
    (EnvironmentProblem, 503),
)
RETRY_AFTER = 30
"""Seconds after which a client that was told to wait may come again."""
_log = logging.getLogger("covos.serve")


def status_of(error: CovosError) -> int:
    """Return the HTTP status of an error."""
    return next((status for kind, status in _STATUS if isinstance(error, kind)), 500)


def problem(status: int, *, what: str, why: str, fix: str, **more: Any) -> bytes:
    """Return the body of an error: what happened, why, and what helps."""
    content = {"type": "about:blank", "title": what, "status": status, "detail": why, "fix": fix, **more}
    return json.dumps(content).encode("utf-8")


class _BodyTooLargeError(Exception):
    """More came than may come."""


class Guard:
    """The ASGI layer.

    Args:
        app: The server within.
        hosts: Names of the server, without ports; others are refused, as a page of another site could bind its own
            name to this address. Empty allows any.
        token: The word that clients must know; empty where none is needed.
        largest: Bytes of a body, at most; of an upload, ``largest_upload``.
        largest_upload: Bytes of a body that is a form.
        done: Called with method, route, status and seconds of each request.
    """

    def __init__(
        self,
        app: App,
        *,
        hosts: tuple[str, ...] = LOCAL,
        token: str = "",
        largest: int = 16 << 20,
        largest_upload: int,
        done: Callable[[str, str, int, float], None] = lambda *_: None,
    ) -> None:
        self._app, self._hosts, self._token = app, frozenset(hosts), token
        self._largest, self._largest_upload, self._done = largest, largest_upload, done

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        began, status = time.monotonic(), 500
        started = False

        async def answer(message: Message) -> None:
            nonlocal status, started
            if message["type"] == "http.response.start":
                started, status = True, message["status"]
                message = {**message, "headers": [*message.get("headers", ()), *_HEADERS]}
            await send(message)

        async def refuse(number: int, body: bytes, *more: tuple[bytes, bytes]) -> None:
            kind = [(b"content-type", b"application/problem+json"), (b"content-length", str(len(body)).encode())]
            await answer({"type": "http.response.start", "status": number, "headers": [*kind, *more]})
            await answer({"type": "http.response.body", "body": body})

        try:
            if (refused := self._refusal(scope, headers)) is not None:
                number, what, why, fix = refused
                await refuse(number, problem(number, what=what, why=why, fix=fix))
                return
            await self._app(scope, self._counted(headers, receive), answer)
        except _BodyTooLargeError:
            if not started:
                body = problem(413, what="the body is too large", why=self._limit(headers), fix="send less")
                await refuse(413, body, (b"connection", b"close"))
        except CovosError as error:
            if not started:
                number = status_of(error)
                wait = ((b"retry-after", str(RETRY_AFTER).encode()),) if number == 429 else ()
                await refuse(number, problem(number, what=error.what, why=error.why, fix=error.fix), *wait)
        except Exception:
            _log.exception("%s %s failed", scope["method"], scope["path"])
            if not started:
                await refuse(500, problem(500, what="this is a bug of covos", why="see the log", fix="report it"))
        finally:
            route = getattr(scope.get("route"), "path", "") or "other"
            self._done(scope["method"], route, status, time.monotonic() - began)

    def _limit(self, headers: dict[str, str]) -> str:
        return f"{self._most(headers):,} bytes are the most"

    def _most(self, headers: dict[str, str]) -> int:
        is_form = headers.get("content-type", "").startswith("multipart/form-data")
        return self._largest_upload if is_form else self._largest

    def _counted(self, headers: dict[str, str], receive: Receive) -> Receive:
        most, came = self._most(headers), 0
        stated = headers.get("content-length", "")
        too_large = stated.isdecimal() and int(stated) > most

        async def count() -> Message:
            nonlocal came
            if too_large:
                raise _BodyTooLargeError
            message = await receive()
            came += len(message.get("body", b""))
            if came > most:
                raise _BodyTooLargeError
            return message

        return count

    def _refusal(self, scope: Message, headers: dict[str, str]) -> tuple[int, str, str, str] | None:
        host = headers.get("host", "")
        name = host.rsplit(":", 1)[0] if not host.endswith("]") else host
        if self._hosts and name not in self._hosts:
            return 400, "this server has another name", f"it was asked for as {host[:80]!r}", "use its own address"
        if scope["method"] not in SAFE:
            origin, site = headers.get("origin"), headers.get("sec-fetch-site", "none")
            if (origin is not None and urlsplit(origin).netloc != host) or site not in {"same-origin", "none"}:
                return 403, "pages of other sites may not do this", "the request comes from one", "use covos's own page"
        path = scope["path"]
        if self._token and path.startswith("/api/") and path != "/api/token" and not self._knows_token(headers):
            return 401, "this server wants its token", "none came, or another", "open the address that it printed"
        return None

    def _knows_token(self, headers: dict[str, str]) -> bool:
        kind, _, given = headers.get("authorization", "").partition(" ")
        if kind.lower() != "bearer":
            try:
                morsel = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
            except CookieError:
                return False
            given = "" if morsel is None else morsel.value
        return hmac.compare_digest(given.encode("utf-8"), self._token.encode("utf-8"))
