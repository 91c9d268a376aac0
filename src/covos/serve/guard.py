"""The guard: one layer around the whole server, through which every request and every answer goes.

It refuses what a page of another site, a stranger or a flood would send, and counts the bytes of bodies before anything
parses them. Every refusal is a problem in words (RFC 9457).
"""

from __future__ import annotations

import asyncio
import hmac
import json
import time
from base64 import b64decode
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import suppress
from http.cookies import CookieError, SimpleCookie
from typing import Any, TypeAlias
from urllib.parse import urlsplit

from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from covos.core.errors import CancelledError, CovosError, EnvironmentProblem, InputError, UsageError
from covos.core.fault_words import fault_words
from covos.serve.address import LOCAL
from covos.serve.errors import RETRY_AFTER, BusyError, ExpiredError, NotThereError, NotYetError, TooLargeError
from covos.serve.log import Answered

Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
App: TypeAlias = Callable[[Message, Receive, Send], Awaitable[None]]

COOKIE = "covos-token"
FILES = ("multipart/form-data", "application/offset+octet-stream")
"""Kinds of bodies that are files."""
SLOWEST = 1024
"""Bytes a second that a body has to come with, after the first while."""
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
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
    (ExpiredError, 410),
    (BusyError, 429),
    (TooLargeError, 413),
    (UsageError, 400),
    (InputError, 422),
    (EnvironmentProblem, 503),
    (CancelledError, 503),
)
_LOOK = 0.5
"""Seconds between two looks, while a body comes, if the server ends."""
PROBLEM: dict[str, Any] = {
    "application/problem+json": {
        "schema": {
            "type": "object",
            "required": ["type", "title", "status", "detail", "fix"],
            "properties": {
                "type": {"type": "string"},
                "title": {"type": "string", "description": "What happened."},
                "status": {"type": "integer"},
                "detail": {"type": "string", "description": "Why."},
                "fix": {"type": "string", "description": "What helps."},
            },
        }
    }
}
"""The content of a refusal, as the description of the API has it."""


def status_of(error: CovosError) -> int:
    """Return the HTTP status of an error."""
    return next((status for kind, status in _STATUS if isinstance(error, kind)), 500)


def problem(status: int, *, what: str, why: str, fix: str) -> Response:
    """Return the answer that an error gives: what happened, why, and what helps."""
    content = {"type": "about:blank", "title": what, "status": status, "detail": why, "fix": fix}
    wait = {"retry-after": str(RETRY_AFTER)} if status in {429, 503} else {}
    return Response(json.dumps(content), status, media_type="application/problem+json", headers=wait)


def problem_of(error: CovosError) -> Response:
    """Return the answer that one of our errors gives."""
    return problem(status_of(error), what=error.what, why=error.why, fix=error.remedy.page)


def misspelt(_: Request, error: RequestValidationError | ValidationError) -> Response:
    """Return the answer to a request that is not as the API's description says."""
    found = [": ".join(filter(None, (".".join(map(str, each["loc"])), fault_words(each)))) for each in error.errors()]
    return problem(422, what="the request cannot be read", why="; ".join(found[:4]), fix="see /openapi.json")


def is_token(given: str, token: str) -> bool:
    """Tell if a word is the token; the time that it takes tells nothing of it. JSON may hold half characters."""
    return hmac.compare_digest(given.encode("utf-8", "surrogatepass"), token.encode("utf-8", "surrogatepass"))


class BodyTooLargeError(HTTPException):
    """More bytes came than may come; raised where the body is read."""

    def __init__(self, most: int) -> None:
        super().__init__(413, "the body is too large")
        self.most = most


class BodyTooSlowError(HTTPException):
    """A body does not come to its end; raised where it is read."""

    def __init__(self) -> None:
        super().__init__(408, "the body comes too slowly")


class ServerEndsError(HTTPException):
    """The server ends while a body comes; raised where it is read."""

    def __init__(self) -> None:
        super().__init__(503, "the server ends")


class Guard:
    """The ASGI layer.

    Args:
        app: The server within.
        hosts: Names of the server, without ports; others are refused, as a page of another site could bind its own
            name to this address. Empty allows any.
        token: The word that clients must know; empty where none is needed.
        guarded: What the addresses that need it begin with.
        largest: Bytes of a body, at most; of an upload, ``largest_upload``.
        largest_upload: Bytes of a body that is a file.
        patience: Seconds to wait for a body, and for each `SLOWEST` bytes that came of it as many as a second more.
        done: Called with each request that was answered.

    Attributes:
        closing: True once the server ends: whoever still sends gets this answer.
        failed: The error that kept the server within from its start, if one did.
    """

    def __init__(
        self,
        app: App,
        *,
        hosts: tuple[str, ...] = LOCAL,
        token: str = "",
        guarded: str = "/api/",
        largest: int = 16 << 20,
        largest_upload: int,
        patience: float = 30.0,
        done: Callable[[Answered], None] = lambda _: None,
    ) -> None:
        self._app, self._hosts, self._token = app, frozenset(map(str.lower, hosts)), token
        self._largest, self._largest_upload, self._done = largest, largest_upload, done
        self._patience, self._guarded = patience, guarded
        self.closing = False
        self.failed: Exception | None = None

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            try:
                await self._app(scope, receive, send)
            except Exception as error:
                self.failed = error
                raise
            return
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        began, status = time.monotonic(), 500

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message = {**message, "headers": [*message.get("headers", ()), *_HEADERS]}
            await send(message)

        try:
            if (refused := self._refusal(scope, headers)) is not None:
                number, what, why, fix = refused
                await problem(number, what=what, why=why, fix=fix)(scope, receive, answer)
                return
            await self._app(scope, self._counted(headers, receive), answer)
        except asyncio.CancelledError:  # uvicorn's patience with what is open is over
            if not self.closing:
                raise
        finally:
            route = getattr(scope.get("route"), "path", "") or "other"
            client = ":".join(map(str, scope.get("client") or ("unknown",)))
            seconds = time.monotonic() - began
            self._done(Answered(scope["method"], route, scope["path"], client, status, seconds))

    def _most(self, headers: dict[str, str]) -> int:
        is_file = headers.get("content-type", "").startswith(FILES)
        return self._largest_upload if is_file else self._largest

    def _counted(self, headers: dict[str, str], receive: Receive) -> Receive:
        most, came = self._most(headers), 0
        stated = headers.get("content-length", "")
        too_large = stated.isdecimal() and int(stated) > most
        began, over = 0.0, False

        async def count() -> Message:
            nonlocal began, came, over
            if too_large:
                raise BodyTooLargeError(most)
            if over:  # the next message is that the client is gone, which may take as long as it likes
                return await receive()
            began = began or time.monotonic()  # whoever waited for an answer before was not slow
            last = min(began + self._patience + came / SLOWEST, time.monotonic() + self._patience)
            while (left := last - time.monotonic()) > 0:
                if self.closing:
                    raise ServerEndsError
                with suppress(TimeoutError):
                    message = await asyncio.wait_for(receive(), min(_LOOK, left))
                    break
            else:
                raise BodyTooSlowError
            came += len(message.get("body", b""))
            over = not message.get("more_body", False)
            if came > most:
                raise BodyTooLargeError(most)
            return message

        return count

    def _refusal(self, scope: Message, headers: dict[str, str]) -> tuple[int, str, str, str] | None:
        host = headers.get("host", "").lower()
        name = host.rsplit(":", 1)[0] if not host.endswith("]") else host
        if self._hosts and name not in self._hosts:
            return 400, "this server has another name", f"it was asked for as {host[:80]!r}", "use its own address"
        if scope["method"] not in SAFE:
            origin, site = headers.get("origin"), headers.get("sec-fetch-site", "none")
            if (origin is not None and urlsplit(origin).netloc.lower() != host) or site not in {"same-origin", "none"}:
                return 403, "pages of other sites may not do this", "the request comes from one", "use covos's own page"
        path = scope["path"]
        is_open = not path.startswith(self._guarded) or path in {"/api/token", "/health"}
        if self._token and not is_open and not self._knows_token(headers):
            return 401, "this server wants its token", "none came, or another", "open the address that it printed"
        return None

    def _knows_token(self, headers: dict[str, str]) -> bool:
        kind, _, given = headers.get("authorization", "").partition(" ")
        if kind.lower() == "basic":  # programs that know no other way send it as the password
            with suppress(ValueError):
                given = b64decode(given).decode("utf-8").partition(":")[2]
        elif kind.lower() != "bearer":
            try:
                morsel = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
            except CookieError:
                return False
            given = "" if morsel is None else morsel.value
        return is_token(given, self._token)
