"""HTTP for clients that are slow, up to a bound: none holds a connection by doing nothing.

The server library waits for ever for the rest of a head, and for a client that does not read; the ASGI side sees
neither. Bodies are bounded in `covos.serve.guard`.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any, ClassVar

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol


class PatientProtocol(H11Protocol):
    """A connection that is closed if a head does not come to its end, or what was sent is not read.

    Attributes:
        head: Seconds for a head, from the connection or from its first byte; then 408.
        unread: Seconds in which a client must read some of what waits for it.
    """

    head: ClassVar[float] = 15.0
    unread: ClassVar[float] = 60.0

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self._head_timer: asyncio.TimerHandle | None = None
        self._unread_timer: asyncio.TimerHandle | None = None
        self._is_new = True

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as the base has it
        """Wait for a first head."""
        super().connection_made(transport)
        self._watch_head()

    def data_received(self, data: bytes) -> None:
        """Take what came, and wait for the rest of a head that has begun."""
        super().data_received(data)
        self._watch_head()

    def on_response_complete(self) -> None:
        """Wait for the rest of the next head, if some of it has come."""
        self._is_new = False
        super().on_response_complete()
        self._watch_head()

    def _watch_head(self) -> None:
        begun = self._is_new or bool(self.conn.trailing_data[0])
        if self.conn.their_state is not h11.IDLE or not begun or self.transport.is_closing():
            self._stop_head()
        elif self._head_timer is None:  # one timer for the whole head, however its bytes trickle in
            self._head_timer = self.loop.call_later(self.head, self._refuse)

    def _refuse(self) -> None:
        self._head_timer = None
        if self.transport.is_closing():
            return
        # A browser opens connections beforehand, and would take this for the answer to its next request.
        if self.conn.trailing_data[0]:
            said = {
                "type": "about:blank",
                "title": "the request comes too slowly",
                "status": 408,
                "detail": f"its head did not end within {self.head:g} seconds",
                "fix": "send it again",
            }
            body = json.dumps(said).encode("ascii")
            headers = [
                (b"content-type", b"application/problem+json"),
                (b"content-length", str(len(body)).encode("ascii")),
                (b"connection", b"close"),
            ]
            answer = h11.Response(status_code=408, headers=headers, reason=b"Request Timeout")
            for event in (answer, h11.Data(data=body), h11.EndOfMessage()):
                self.transport.write(self.conn.send(event) or b"")
        self.transport.close()

    def pause_writing(self) -> None:
        """Wait for a client that does not read."""
        super().pause_writing()
        self._unread_timer = self._unread_timer or self.loop.call_later(self.unread, self.transport.abort)

    def resume_writing(self) -> None:
        """Go on: it has read."""
        super().resume_writing()
        self._stop_unread()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._stop_head()
        super().connection_lost(exc)
        self._stop_unread()

    def _stop_head(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _stop_unread(self) -> None:
        if self._unread_timer is not None:
            self._unread_timer.cancel()
            self._unread_timer = None
