"""The connection to a Ray cluster: made, made again where Ray's own server did not start, and told if it is lost."""

from __future__ import annotations

import socket
import sys
import time
from typing import Any

from covos.core.errors import EnvironmentProblem

_PATIENCE = 10.0
"""Seconds in which the head of a cluster answers."""
_TRIES = 3
"""How often a connection is begun whose server did not start."""
_PAUSE = 1.0
"""Seconds between two of them."""
_CLIENT = "ray://"
"""Addresses of Ray's client, which has a server of its own on the head of the cluster."""
_UNSTARTED = (
    "Starting Ray client server failed",
    "Proxy failed to Connect to backend",
    "ZombieProcess",
    "NoSuchProcess",
)
"""Ray's words for a server that ended as it began. The next one mostly starts."""


def connect(ray: Any, address: str) -> None:
    """Connect to a cluster; nothing is left of a connection that fails.

    Args:
        ray: The package.
        address: As ``ray.init`` takes it.

    Raises:
        EnvironmentProblem: The cluster cannot be reached.
    """
    _refuse_silent(address)
    for left in reversed(range(_TRIES)):
        try:
            ray.init(
                address=address,
                log_to_driver=False,
                logging_level="error",
                include_dashboard=False if address == "local" else None,
            )
        except (ConnectionError, RuntimeError, ValueError) as error:
            if address.startswith(_CLIENT):
                ray.shutdown()  # else Ray still takes itself for a client
                if left and any(words in str(error) for words in _UNSTARTED):
                    time.sleep(_PAUSE)
                    continue
            raise _unreached(address, _words(error)) from error
        return


def disconnections() -> tuple[type[Exception], ...]:
    """Return the errors by which Ray tells that its client has lost the cluster; they are none of Ray's own."""
    grpc = sys.modules.get("grpc")  # a client has loaded it; nobody else needs it
    return (ConnectionError,) if grpc is None else (ConnectionError, grpc.RpcError)


def lost(address: str, error: Exception) -> EnvironmentProblem:
    """Return what ends a batch whose connection is lost.

    Args:
        address: Of the cluster.
        error: One of `disconnections`.
    """
    return EnvironmentProblem(
        f"the connection to the cluster {address} is lost",
        why=_words(error),
        fix="run the same command again: clips that are done stay done; if it is lost again, see Ray's logs",
    )


def _words(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def _refuse_silent(address: str) -> None:
    """Refuse an address at which nobody answers: Ray would try for minutes."""
    host, colon, port = address.removeprefix(_CLIENT).rpartition(":")
    if not (colon and port.isascii() and port.isdigit()):
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=_PATIENCE).close()
    except (OSError, OverflowError) as error:
        raise _unreached(address, str(error)) from error


def _unreached(address: str, why: str) -> EnvironmentProblem:
    return EnvironmentProblem(
        f"the cluster {address} cannot be reached", why=why, fix="check the address; local takes this machine alone"
    )
