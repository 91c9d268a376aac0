"""Run a function in a child process, so that nothing it meets can stop the tests: no crash, no hang, no flood."""

from __future__ import annotations

import faulthandler
import gc
import json
import os
import resource
import select
import signal
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

End = Literal["answered", "died", "hung", "raised"]
KIBIBYTE = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Child:
    """The end of a child process.

    Attributes:
        end: Way in which it ended.
        answer: Return value of the function, by way of JSON; a text that says why there is none.
        peak: The most memory that it held, in bytes.
        begun: The memory that it held when it began, of this process, in bytes; 0 if it gave no answer.
    """

    end: End
    answer: Any
    peak: int
    begun: int = 0


def in_child(function: Callable[[], Any], *, seconds: float = 20.0) -> Child:
    """Run a function in a fork, and return what became of it.

    Args:
        function: Returns something that JSON can express.
        seconds: Time after which the child is ended.
    """
    # A decoder among the garbage, if the fork searched it, would wait for threads that are in the parent alone.
    gc.collect()
    reader, writer = os.pipe()
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if not pid:
        os.close(reader)
        _answer(function, writer)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        said, in_time = _read(pipe.fileno(), time.monotonic() + seconds)
    if not in_time:
        os.kill(pid, signal.SIGKILL)
    _, status, usage = os.wait4(pid, 0)
    peak = usage.ru_maxrss * KIBIBYTE
    if not in_time:
        return Child(end="hung", answer=f"not done in {seconds:g} s", peak=peak)
    if os.WIFSIGNALED(status):
        return Child(end="died", answer=signal.Signals(os.WTERMSIG(status)).name, peak=peak)
    if not said:
        return Child(end="died", answer=f"exit code {os.waitstatus_to_exitcode(status)}", peak=peak)
    end, answer, begun = json.loads(said)
    return Child(end=end, answer=answer, peak=peak, begun=begun)


def _answer(function: Callable[[], Any], writer: int) -> None:
    # Whatever happens, the child must not return into the tests of its parent, nor print what it died of.
    faulthandler.disable()
    begun = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * KIBIBYTE
    try:
        said = ["answered", function()]
    except BaseException:
        said = ["raised", traceback.format_exc()]
    try:
        rest = json.dumps([*said, begun]).encode()
        while rest:
            rest = rest[os.write(writer, rest) :]
    finally:
        os._exit(0)


def _read(pipe: int, until: float) -> tuple[bytes, bool]:
    said = b""
    while (left := until - time.monotonic()) > 0:
        if select.select([pipe], [], [], left)[0]:
            piece = os.read(pipe, 1 << 16)
            if not piece:
                return said, True
            said += piece
    return said, False
