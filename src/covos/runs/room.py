"""Estimate the room that a run takes, in memory and on disk: before it begins, and where there was too little.

The numbers are those of `benchmarks/memory.py`, rounded; sizes on disk are those of the formats, or of what is written.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from covos.core.errors import EnvironmentProblem, is_out_of_memory, refusal
from covos.core.memory import free_address_space, free_memory
from covos.core.progress import counted
from covos.core.types import SourceInfo
from covos.formats.table import expected_sizes, parse_format, spoken_size

NETWORK = 520_000_000
"""Bytes that covos-lite takes on a processor while it finds, whatever the size of the frames.

Here and below it is OpenVINO and ONNX Runtime that take so much, as they keep the memory of their calls. torch takes
less.
"""
FOLLOWER = 840_000_000
"""Bytes that covos-follow takes beside it, for one object: of the larger views in which a small one is followed."""
FURTHER = 120_000_000
"""Bytes for each further object."""
PER_PIXEL = 200
"""Bytes for each pixel of a frame: of those that wait for the network, and for the writers of the default formats."""
LEAST_ADDRESS_SPACE = 500_000_000
"""Address space beyond that of the libraries. With less, these end the process rather than raise an error."""
_ROW = 200
"""Bytes of a frame in the report, at the least."""
_BLOCK = 4096
_PAGES = 200_000
"""Bytes of the report and of its page, beside the rows."""
_SPARE = 1.1
"""Room that is asked for, in parts of what is expected: an estimate that is a little short helps nobody."""
_LARGE = 1280 * 720
NO_FILES_LEFT = "it takes no more files, though it has room (df -i shows how many)"
_MANY = {"a picture a frame", "a label map a frame", "a picture a frame and object"}


def memory_needed(info: SourceInfo, *, objects: int = 0) -> int:
    """Estimate the bytes of memory that a run takes beside its libraries.

    Args:
        info: Of its source.
        objects: Objects that are followed; 0 where the subject is found.
    """
    return _networks(objects) + PER_PIXEL * info.height * info.width


def _networks(objects: int) -> int:
    return NETWORK + (FOLLOWER + FURTHER * (objects - 1) if objects else 0)


def memory_notes(info: SourceInfo, *, objects: int = 0) -> tuple[str, ...]:
    """Warn of frames for which the memory may not do; the arguments are those of `memory_needed`."""
    needed = memory_needed(info, objects=objects)
    free = min((each for each in (free_memory(), free_address_space()) if each is not None), default=needed)
    if needed <= free:
        return ()
    return (f"{_spoken_need(info, objects)}, and {spoken_size(free)} are free: it may run out",)


def refuse_little_memory(info: SourceInfo) -> None:
    """Refuse a limit on the address space that leaves too little for any frames.

    Raises:
        EnvironmentProblem: There is such a limit.
    """
    space = free_address_space()
    if space is not None and space < LEAST_ADDRESS_SPACE:
        raise EnvironmentProblem(
            "out of memory before the first frame",
            why=f"a limit (ulimit -v) leaves {spoken_size(space)} of address space beside the libraries, and "
            f"{spoken_size(LEAST_ADDRESS_SPACE)} are the least; {_spoken_need(info, 0)}",
            fix="raise the limit",
        )


@contextmanager
def explaining_memory(info: SourceInfo, *, objects: int) -> Iterator[None]:
    """Say in the error of a run whose memory ran out, for good, how much it needs: see `memory_needed`.

    Raises:
        EnvironmentProblem: In place of any error that says so.
    """
    try:
        yield
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        smaller = ", or scale the video down (to 1280 x 720, say)" if info.height * info.width > _LARGE else ""
        raise EnvironmentProblem(
            "out of memory",
            why=f"{refusal(error)}; {_spoken_need(info, objects)}",
            fix=f"close other programs, raise the limit on memory if there is one{smaller}",
        ) from error


def _spoken_need(info: SourceInfo, objects: int) -> str:
    followed = f", which follow {counted(objects, 'object')}" if objects else ""
    return (
        f"frames of {info.width} x {info.height} take about {spoken_size(memory_needed(info, objects=objects))} of "
        f"memory, {spoken_size(_networks(objects))} of it for the networks{followed}"
    )


def refuse_small_disk(formats: Sequence[str], *, info: SourceInfo, folder: Path) -> None:
    """Refuse a disk that certainly does not hold the results: with a block for each file, and a row for each frame.

    Raises:
        EnvironmentProblem: It does not; or it has not as many files left.
    """
    here = folder.absolute()
    place = next(each for each in (here, *here.parents) if os.path.lexists(each))
    many = sum(parse_format(name)[0].shape in _MANY for name in formats)
    files = many * info.frame_count
    least = _ROW * info.frame_count + _BLOCK * files
    if many and without_files_left(place):
        raise EnvironmentProblem(
            f"{folder}: the disk cannot hold the results",
            why=NO_FILES_LEFT,
            fix="remove files, or write to another disk",
        )
    free = shutil.disk_usage(place).free + bytes_below(here)
    if free < least:
        likely = max(least, sum(expected_sizes(formats, info=info).values()))
        raise EnvironmentProblem(
            f"{folder}: the disk cannot hold the results",
            why=f"{spoken_size(free)} are free, and {counted(info.frame_count, 'frame')} take "
            f"{spoken_size(least)} at the least, about {spoken_size(likely)} in all",
            fix="free some space, write to another disk, or choose fewer formats",
        )


def disk_needed(formats: Sequence[str], *, info: SourceInfo, frames: int, written: int, left: int) -> str:
    """Say how much more room a run needs that met a full disk.

    Args:
        formats: Of the run.
        info: Of its source.
        frames: Frames that were written.
        written: Bytes that they took, those of unfinished files among them.
        left: Bytes that are still there.
    """
    count = max(frames, info.frame_count)
    expected = sum(expected_sizes(formats, info=info).values())
    # Encoders hold much back, and give it at the end: the beginning of a run shows too little.
    grown = round(written / frames * count) if frames and written else 0
    reports = _ROW * count + _PAGES  # they come last, and are in neither
    more = max(round(_SPARE * (max(expected, grown) + reports)) - left, _BLOCK)
    return f"about {spoken_size(more)} more are needed for all {counted(count, 'frame')}"


def without_files_left(folder: Path) -> bool:
    """Return True if a disk takes no more files, however much room it has: some count them."""
    if not hasattr(os, "statvfs"):
        return False
    try:
        disk = os.statvfs(folder)
    except OSError:
        return False
    return disk.f_files > 0 and disk.f_favail == 0


def bytes_below(folder: Path) -> int:
    """Return the bytes that all files in a folder take on the disk; 0 if it is not there."""
    total = 0
    for root, _, names in os.walk(folder):
        for name in names:
            try:
                found = os.lstat(os.path.join(root, name))  # noqa: PTH118 - a path for each file is slow
                # Disks give whole blocks; files with holes take fewer than they are long.
                total += 512 * found.st_blocks if hasattr(found, "st_blocks") else found.st_size
            except OSError:  # removed meanwhile
                continue
    return total
