"""Run ``covos stream`` on a video, as a file or through a pipe, and check what must hold of any, however damaged."""

from __future__ import annotations

import contextlib
import io
import os
import sys
import threading
from itertools import pairwise
from pathlib import Path
from typing import Any
from unittest import mock

import av

from children import in_child
from covos import cli
from covos.model import Model
from faults.invariants import CODES, MEMORY, SECONDS, Looked
from faults.media_mutants import CHANGES, INPUTS, PACKETS_GONE, PACKETS_GONE_AT_KEY, Unseen

KINDS = (
    "mkv", "mkv, live", "webm", "mp4", "mp4, fragments", "ts, sound", "mpg", "flv, h264", "nut", "y4m", "h264", "hevc",
    "m2v", "mjpeg", "gif", "ogg", "avi",
)  # fmt: skip
"""Kinds of files that are sent as a stream."""
SEEKING = {"mp4"}
"""Suffixes of files that may need their end first, which a pipe does not give."""

UNSEEN = (
    Unseen(kinds=KINDS, changes=("cut",), why="nothing tells if the end of a stream is its end"),
    Unseen(
        kinds=tuple(each for each in KINDS if each not in {"ts, sound", "mpg", "y4m"}),
        changes=tuple(f"{each}, a pipe" for each in (*CHANGES, PACKETS_GONE, PACKETS_GONE_AT_KEY) if each != "cut"),
        why="nobody walks through what comes from a pipe: readers find the next readable place without a word",
    ),
)
"""Losses in streams that may go unseen, beside those in files."""


def is_unseen(kind: str, change: str, *, as_pipe: bool) -> bool:
    """Return True if a loss by a change is one of the list."""
    made = set(change.split(" and "))
    made |= {f"{each}, a pipe" for each in made} if as_pipe else set()
    return any(kind in each.kinds and made & set(each.changes) for each in UNSEEN)


def look_at_stream(path: Path, target: Path, *, model: Model, intact: Any, as_pipe: bool) -> Looked:
    """Send a video through the command in a child process, and compare what comes out with a plain decoder's frames.

    Args:
        path: The video.
        target: File for the output, which is removed first and last.
        model: Segments it.
        intact: All that a plain decoder gave of the video before it was damaged.
        as_pipe: True if the command reads it from a pipe, False if by its name.
    """
    target.unlink(missing_ok=True)
    child = in_child(lambda: _run(path, target, model=model, as_pipe=as_pipe), seconds=SECONDS)
    try:
        if child.end != "answered":
            return Looked(code=-1, broken=(f"the process {child.end}: {child.answer}",))
        if (taken := child.peak - child.begun) > MEMORY:
            return Looked(code=-1, broken=(f"it took {taken >> 20} MB",))
        return _judged(path, target, child.answer, intact=intact, as_pipe=as_pipe)
    finally:
        target.unlink(missing_ok=True)


def _run(path: Path, target: Path, *, model: Model, as_pipe: bool) -> dict[str, Any]:
    said = io.StringIO()
    if as_pipe:
        _feed(path.read_bytes())
    with mock.patch("covos.model.load_model", return_value=model), contextlib.redirect_stderr(said):
        code = cli.main(["stream", "-" if as_pipe else str(path), str(target), "--show", "mask", "-q"])
    return {"code": code, "said": said.getvalue(), "plain": INPUTS.decode_plainly(path).count}


def _feed(content: bytes) -> None:
    reader, writer = os.pipe()
    os.dup2(reader, 0)
    sys.stdin = os.fdopen(0)

    def write() -> None:
        with contextlib.suppress(OSError), os.fdopen(writer, "wb") as pipe:
            pipe.write(content)

    threading.Thread(target=write, daemon=True).start()


class _Pipe(io.RawIOBase):
    """Bytes that come once, as those of a pipe do."""

    def __init__(self, content: bytes) -> None:
        self._rest = io.BytesIO(content)

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        return self._rest.read(size)


def _opens(path: Path) -> bool:
    """Return True if a plain decoder opens what comes through a pipe, of which it knows no name."""
    try:
        with av.open(_Pipe(path.read_bytes()), metadata_errors="replace") as container:
            return bool(container.streams.video)
    except (av.FFmpegError, ValueError, OSError):
        return False


def _judged(path: Path, target: Path, answer: dict[str, Any], *, intact: Any, as_pipe: bool) -> Looked:
    code, said = answer["code"], answer["said"]
    broken = [] if code in CODES else [f"exit code {code}: {said}"]
    times: list[float] = []
    if target.exists():
        try:
            with av.open(str(target)) as container:
                times = [float(frame.time or 0) for frame in container.decode(video=0)]
        except av.FFmpegError as error:
            broken.append(f"the output cannot be read: {error}")
    if any(after <= before for before, after in pairwise(times)):
        broken.append(f"times do not rise: {times}")
    if code == 0 and not times:
        broken.append("exit code 0 and no frame")
    plain = 0 if as_pipe and (path.suffix.removeprefix(".") in SEEKING or not _opens(path)) else answer["plain"]
    return Looked(
        code=code,
        frames=len(times),
        lost=max(0, intact.count - len(times)) if code == 0 else 0,
        withheld=max(0, plain - len(times)),
        told=code == 4,
        alarm=False,
        broken=tuple(broken),
    )
