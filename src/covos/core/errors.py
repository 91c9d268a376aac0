"""Every error that covos raises on purpose, as one tree.

    CovosError                      exit code   meaning
    ├── UsageError                  2           the call itself is wrong (an option, a name, an existing output)
    ├── InputError                  3           an input cannot be read or makes no sense
    │   ├── SourceError                         a video, a folder of frames or an image
    │   ├── AnnotationError                     a mask or an annotation tree
    │   └── CheckpointError                     a weights file
    ├── IncompleteError             4           partly done: the rest is on disk and listed in the report
    │   └── CancelledError                      a job was cancelled
    └── EnvironmentProblem          5           disk, memory, device or a missing optional package

Each error says *what* happened, *why*, and how to *fix* it, one line each. The command line prints these
three lines and exits with ``exit_code``; 1 is left for bugs of ours, 130 for an interruption. A remedy that has other
words on the command line than in Python has both (`covos.core.words`), and whoever shows it takes its own.
"""

from __future__ import annotations

import difflib
import errno
import traceback
from functools import partial
from typing import TYPE_CHECKING, ClassVar

from covos.core.words import Words

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


class CovosError(Exception):
    """Base of all errors that are raised on purpose.

    Attributes:
        what: The failure, one line, naming the file or value.
        why: The reason, one line.
        remedy: What the user can do, one line, in the words of each door.
        exit_code: The exit status that the command line ends with.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, what: str, *, why: str, fix: str | Words) -> None:
        self.what = what
        self.why = why
        self.remedy = Words.of(fix)
        super().__init__(what, why, self.fix)

    @property
    def fix(self) -> str:
        """The remedy in the words of Python."""
        return self.remedy.python

    def __reduce__(self) -> tuple[object, ...]:
        # The keyword-only arguments make the default pickling of exceptions fail; workers send errors home.
        # Notes have the traceback of a bug that a worker met.
        notes = {"__notes__": self.__notes__} if hasattr(self, "__notes__") else None
        return partial(type(self), self.what, why=self.why, fix=self.remedy), (), notes

    def __str__(self) -> str:
        return f"{printable(self.what)}\n  why: {printable(self.why)}\n  fix: {printable(self.fix)}"


class UsageError(CovosError):
    """The call is wrong: an option, an unknown name, an output that exists."""

    exit_code = 2


class InputError(CovosError):
    """An input cannot be read or makes no sense."""

    exit_code = 3


class SourceError(InputError):
    """A video, a folder of frames or an image cannot be read."""


class AnnotationError(InputError):
    """A mask or an annotation tree cannot be read or does not fit its frames."""


class CheckpointError(InputError):
    """A weights file cannot be read or does not fit the model."""


class IncompleteError(CovosError):
    """Part of the work is done and on disk; the report lists what is missing."""

    exit_code = 4


class CancelledError(IncompleteError):
    """A job was cancelled."""


class EnvironmentProblem(CovosError):  # noqa: N818 - Python has an EnvironmentError
    """The machine lacks something: disk space, memory, a device, an optional package."""

    exit_code = 5


_MACHINE = {
    errno.EACCES, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOSPC,
    errno.EPERM, errno.EROFS,
}  # fmt: skip
"""Errors of the operating system that are no bug of ours, wherever they come up."""


_NAMES = {errno.ELOOP, errno.ENAMETOOLONG, errno.ENOTDIR}
"""Errors of names that no file can have."""
_SHOWN = 120
_WHERE = Words("; --debug shows where it happened", python="")


def reworded(error: CovosError, change: Callable[[str], str]) -> CovosError:
    """Return an error of the same class, with a change of each of its texts."""
    return type(error)(change(error.what), why=change(error.why), fix=error.remedy.changed(change))


def explained(error: BaseException) -> CovosError:
    """Return any error as one of ours: itself, the machine's refusal, or a bug (exit code 1)."""
    if isinstance(error, CovosError):
        return error
    if is_out_of_memory(error):
        return EnvironmentProblem(
            "out of memory",
            why=refusal(error),
            fix="close other programs, or use a smaller input" + _WHERE,
        )
    if isinstance(error, OSError) and error.errno in _NAMES:
        name = f"{error.filename or 'a name'}"
        return UsageError(
            f"{name if len(name) < _SHOWN else name[:_SHOWN] + '...'} cannot be used",
            why=error.strerror or type(error).__name__,
            fix="check the name of the file",
        )
    if isinstance(error, OSError) and error.errno in _MACHINE:
        return EnvironmentProblem(
            f"the system refused: {error.filename or 'an operation'}",
            why=error.strerror or type(error).__name__,
            fix="check free space and permissions" + _WHERE,
        )
    bug = CovosError(
        f"{type(error).__name__}: {error}",
        why="this is a bug of ours, not yours",
        fix=Words(
            "run the command again with --debug, and report what it prints",
            python="report it with the traceback",
            page="report it with the log of the server",
        ),
    )
    bug.add_note("".join(traceback.format_exception(error)))  # it may be sent home from a worker
    return bug


_REFUSED = (
    "can't allocate memory",  # torch's allocator
    "Cannot allocate memory",  # the system, in torch's and other libraries' words
    "std::bad_alloc",
    "CUDA error: out of memory",
    "ALLOC_FAILED",  # cuBLAS and cuDNN
    "could not create a memory object",  # oneDNN, which does not say more
    "could not create a primitive",
    "can't start new thread",  # there is no room for its stack
    "failed to map segment",  # a library that is loaded
    "Failed to allocate memory",  # ONNX Runtime
)
"""Words by which libraries say that there is no memory, in errors of no class of their own."""
_NO_MEMORY_OF_OPENCV = -4


def is_out_of_memory(error: BaseException) -> bool:
    """Tell if an error says that the memory ran out: that of the processor or of a GPU."""
    # Neither torch nor OpenCV is imported to ask it.
    return (
        isinstance(error, MemoryError)
        or type(error).__name__ == "OutOfMemoryError"
        or (isinstance(error, OSError) and error.errno == errno.ENOMEM)
        or (_is_of_library(error) and any(words in str(error) for words in _REFUSED))
        or (type(error).__module__ == "cv2" and getattr(error, "code", None) == _NO_MEMORY_OF_OPENCV)
    )


def _is_of_library(error: BaseException) -> bool:
    # Errors of ONNX Runtime are none of Python's own kinds.
    return isinstance(error, RuntimeError | ImportError) or type(error).__module__.startswith("onnxruntime.")


def refusal(error: BaseException) -> str:
    """Return the words of an error that says that the memory ran out, in one short line."""
    text = (str(error) or "the machine refused more").splitlines()[0]
    return text if len(text) < _SHOWN else f"{text[:_SHOWN]}..."


def printable(text: str) -> str:
    """Return a text for one line of a terminal: line ends, and all codes that a file may be named with, are escaped."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def one_of(name: object, choices: Iterable[object]) -> str:
    """Return the remedy for a name that is none of the choices: the nearest of them if one is near, and all."""
    every = [str(choice) for choice in choices]
    close = difflib.get_close_matches(str(name), every, n=1)
    return (f"did you mean {close[0]}? " if close else "") + f"use one of: {', '.join(every) or 'none'}"


def listed(names: Iterable[object], *, shown: int = 3) -> str:
    """Return the first few names for one line of a message, and how many more there are; "none" if there is none."""
    every = [str(name) for name in names]
    more = len(every) - shown
    return (", ".join(every[:shown]) or "none") + (f" and {more} more" if more > 0 else "")
