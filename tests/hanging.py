"""The work of a batch's process that hangs; a module of its own, which processes import."""

from __future__ import annotations

import time
from multiprocessing.connection import Connection
from pathlib import Path


def fetch(connection: Connection, scratch: str) -> None:
    """Fetch a clip, and hang."""
    Path(scratch, "clip.mp4").write_bytes(b"a video")
    connection.send("fetched")
    while True:
        time.sleep(60)
