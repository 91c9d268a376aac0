"""The address of a server, and who may ask at it."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Final

HOST: Final = "127.0.0.1"
PORT: Final = 8080
BACKEND_PORT: Final = 9090
"""Port of a backend of Label Studio, which looks for one there."""
LOCAL: Final = ("127.0.0.1", "localhost", "[::1]")
"""Names by which a browser of this machine asks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """The place where a server listens.

    Attributes:
        host: Name or number of a network interface.
        port: 0 takes a free one.
        token: The word that clients must know; made up where others can reach the server and none is given.
        names: Further names by which the server is asked for, such as that of a proxy before it.
    """

    host: str = HOST
    port: int = PORT
    token: str = ""
    names: tuple[str, ...] = ()

    @property
    def is_local(self) -> bool:
        """True if this machine alone can reach it."""
        return self.host in {"127.0.0.1", "::1", "localhost"}

    @property
    def in_url(self) -> str:
        """The host as it stands in the address of a page; ``localhost`` by its number, which needs no look-up."""
        host = HOST if self.host == "localhost" else self.host
        return f"[{host}]" if ":" in host else host

    @property
    def hosts(self) -> tuple[str, ...]:
        """All names of the server; none where it may have any."""
        return (*LOCAL, *self.names) if self.is_local or self.names else ()

    def word(self) -> str:
        """Return the token; a new one where others can reach the server and none is given."""
        return self.token or ("" if self.is_local else secrets.token_urlsafe(24))
