"""Open files that anybody may have made: the one way to every file that is not a video.

A device, a pipe, a socket or a folder is never opened: it could hang, or never end. Files that are read whole are
bounded, and so are the values and levels of JSON and TOML: see `covos.core.limits`.
"""

from __future__ import annotations

import errno
import io
import json
import os
import re
import stat
import tomllib
from contextlib import contextmanager
from fractions import Fraction
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO, Literal, TypeAlias

from pydantic import BeforeValidator
from pydantic_core import PydanticCustomError

from covos.core.errors import CovosError, InputError
from covos.core.limits import limits, raised, raising
from covos.core.places import Packed, size_of
from covos.core.words import Words

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from covos.core.places import Place

FileLimit: TypeAlias = Literal["bytes", "weights"]
"""The limit on a file's size."""

MAX_TOML = 1 << 20
"""Bytes of a TOML file. People write them by hand; the time that reading takes grows with the square."""

_KINDS = (
    (stat.S_ISDIR, "it is a folder, not a file"),
    (stat.S_ISFIFO, "it is a pipe, which may never end"),
    (stat.S_ISCHR, "it is a device, which may never end"),
    (stat.S_ISBLK, "it is a device, not a file"),
    (stat.S_ISSOCK, "it is a socket, not a file"),
)
_CHUNK = 1 << 20


@contextmanager
def open_guarded(
    file: Place, *, what: str, fix: str | Words, error: type[CovosError] = InputError, limit: FileLimit = "bytes"
) -> Iterator[io.BufferedReader]:
    """Open a file for reading, if it is a regular one and not too large.

    Args:
        file: Links are followed. Of a packed file, its archive was looked at when it was opened.
        what: What has failed if it cannot be opened, for the error.
        fix: The remedy; that of a file that is too large names the limit.
        error: The class of the error.
        limit: Name of the limit on its size.

    Raises:
        CovosError: Of the class ``error``.
    """
    try:
        if isinstance(file, Packed):
            _refuse_size(size_of(file), what=what, error=error, limit=limit)
            opened = file.open()
        else:
            opened = open_regular(file)
    except OSError as fault:
        reason = "there is no such file" if isinstance(fault, FileNotFoundError) else fault.strerror or str(fault)
        mended = "copy its shard again, or pack the data set again" if isinstance(file, Packed) else fix
        raise error(what, why=reason, fix=mended) from fault
    except ValueError as fault:  # a name with a null byte
        raise error(what, why=str(fault), fix=fix) from fault
    with opened:
        if not isinstance(file, Packed):
            _refuse_size(os.fstat(opened.fileno()).st_size, what=what, error=error, limit=limit)
        yield opened


def read_guarded(file: Place, *, what: str, fix: str | Words, error: type[CovosError] = InputError) -> bytes:
    """Read a whole file; arguments and errors as of `open_guarded`, and the limit is that on bytes."""
    most = limits().bytes
    with open_guarded(file, what=what, fix=fix, error=error) as opened:
        content, held = io.BytesIO(), 0
        # Its size may grow, and some of the system's files state none.
        try:
            while held <= most and (part := opened.read(_CHUNK)):
                held += content.write(part)
        except OSError as fault:
            raise error(what, why=fault.strerror or str(fault), fix=fix) from fault
    _refuse_size(held, what=what, error=error, limit="bytes")
    return content.getvalue()


def refuse_irregular(file: Path, *, what: str, fix: str | Words, error: type[CovosError], limit: FileLimit) -> None:
    """Refuse a file as `open_guarded` does, before a library opens it by its name."""
    with open_guarded(file, what=what, fix=fix, error=error, limit=limit):
        pass


def is_there(path: Path) -> bool:
    """Tell if a path leads to something; a name that the system does not take leads nowhere."""
    try:
        return path.exists()
    except OSError:  # too long, or links in a circle
        return False


def open_regular(file: Path) -> io.BufferedReader:
    """Open a file for reading, if it is a regular one, of any size.

    Raises:
        OSError: It cannot be opened, or is of another kind.
    """
    _refuse_irregular(file.stat().st_mode)  # looked at first: opening a device or a pipe may already do something
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
    opened = os.fdopen(os.open(file, flags), "rb")
    try:
        _refuse_irregular(os.fstat(opened.fileno()).st_mode)  # exchanged in between
    except OSError:
        opened.close()
        raise
    return opened


def _refuse_irregular(mode: int) -> None:
    if why := next((why for is_kind, why in _KINDS if is_kind(mode)), ""):
        raise OSError(errno.EINVAL, why)


def _refuse_size(size: int, *, what: str, error: type[CovosError], limit: FileLimit) -> None:
    most = getattr(limits(), limit)
    if size > most:
        raise error(what, why=f"it has more than {most} bytes", fix=raising(limit, max(size, 2 * most)))


def parse_json(content: str | bytes) -> Any:
    """Decode JSON within the limits on values and levels.

    Raises:
        ValueError: It is no JSON, or exceeds a limit; the message says which, and how that is raised.
    """
    brackets = _count(content, "[") + _count(content, "{")
    values = brackets + _count(content, ",")
    if values > limits().values:
        raise ValueError(f"it has more than {limits().values} values; {raised('values', values)}")
    try:
        loaded = json.loads(content)
    except RecursionError:
        raise ValueError(_too_deep()) from None
    if brackets > limits().depth:
        _refuse_depth(loaded)
    return loaded


def parse_toml(content: str) -> dict[str, Any]:
    """Decode TOML of at most `MAX_TOML` characters, within the limit on levels.

    Raises:
        ValueError: It is no TOML, or exceeds a limit.
    """
    if len(content) > MAX_TOML:
        raise ValueError(f"it has {len(content)} characters; of TOML {MAX_TOML} are read, put more into a JSON file")
    try:
        loaded = tomllib.loads(content)
    except RecursionError:
        raise ValueError(_too_deep()) from None
    _refuse_depth(loaded)
    return loaded


def text_of(content: bytes) -> str:
    """Decode UTF-8 as editors save it: a byte-order mark before it is none of the text.

    Raises:
        UnicodeDecodeError: It is not UTF-8.
    """
    return content.decode("utf-8-sig")


def _count(content: str | bytes, character: str) -> int:
    return content.count(character) if isinstance(content, str) else content.count(character.encode())


def _refuse_depth(loaded: object) -> None:
    """Refuse a value of too many levels, which would be met again by whatever walks through it."""
    level, most = [loaded], limits().depth
    for _ in range(most + 1):
        inner = [each for each in level if isinstance(each, dict | list)]
        level = [part for each in inner for part in (each.values() if isinstance(each, dict) else each)]
        if not inner:
            return
    raise ValueError(_too_deep())


def _too_deep() -> str:
    return f"it has more than {limits().depth} levels; {raised('depth')}"


_FRACTION = re.compile(r"\s*[+-]?(\d{1,19}(/\d{1,19})?|\d{0,19}\.\d{1,19}|\d{1,19}\.)\s*", re.ASCII)


def parse_fraction(text: str) -> Fraction:
    """Read ``30000/1001``, ``25`` or ``23.976``; an exponent such as ``1e-999999999`` would take for ever.

    Raises:
        ValueError: It is none of these.
        ZeroDivisionError: The denominator is zero.
    """
    if _FRACTION.fullmatch(text) is None:
        raise ValueError(f"{text[:40]!r} is no fraction such as 30000/1001")
    return Fraction(text.strip())


def _fraction(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        return parse_fraction(value)
    except (ValueError, ZeroDivisionError):
        raise PydanticCustomError("fraction", "should be a fraction such as 30000/1001") from None


SafeFraction = Annotated[Fraction, BeforeValidator(_fraction)]
"""A fraction in a record; as text it is read by `parse_fraction`."""


_END, _END64_AT, _END64 = b"PK\x05\x06", b"PK\x06\x07", b"PK\x06\x06"
_MAX_DIRECTORY = 1 << 22  # bytes, some 60,000 members


def check_zip(file: BinaryIO) -> None:
    """Refuse a zip archive whose table of contents alone would fill the memory; the file stands where it stood.

    Raises:
        ValueError: The table exceeds 4 MiB.
    """
    place = file.tell()
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - (1 << 16) - 64))
    tail = file.read()
    at = tail.rfind(_END)
    directory = int.from_bytes(tail[at + 12 : at + 16], "little") if at >= 0 else 0
    locator = tail[at - 20 : at] if at >= 20 else b""
    if locator.startswith(_END64_AT):
        file.seek(min(int.from_bytes(locator[8:16], "little"), size))
        record = file.read(56)
        # A reader takes the record's number, wherever the other one points.
        directory = int.from_bytes(record[40:48], "little") if record.startswith(_END64) else _MAX_DIRECTORY + 1
    file.seek(place)
    if directory > _MAX_DIRECTORY:
        raise ValueError(f"its table of contents has {directory} bytes, and no archive that is read has so many parts")
