"""What is damaged: clips of every container, folders of pictures, stills, and videos that are sent as a stream."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from covos.model import Model
from faults import picture_mutants as pictures
from faults import stream_invariants as streams
from faults.invariants import Looked, look_at
from faults.media_mutants import INPUTS, KINDS, clip_of, is_unseen, mutant, without_packets
from faults.picture_invariants import look_at_pictures
from faults.stream_invariants import look_at_stream

_EACH = 8
"""One in so many mutants of a clip lacks whole packets."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """A mutant that was tried.

    Attributes:
        change: How it was changed.
        looked: What became of it.
        unseen: Frames that were lost without a word, and of which nothing in the file can tell.
        made: The file or folder.
    """

    change: str
    looked: Looked
    unseen: int
    made: Path


Lane = Callable[[str], Tried]
"""Makes the mutant of a seed, tries it, and tells what became of it."""


def lane_of(kind: str, folder: Path, *, model: Model) -> Lane:
    """Return the lane of one of `ALL_KINDS`; it works in a folder."""
    return _LANES[kind](folder, model)


def _clips(kind: str) -> Callable[[Path, Model], Lane]:
    def begun(folder: Path, model: Model) -> Lane:
        clip, path = clip_of(kind, folder), folder / f"mutant.{KINDS[kind].suffix}"
        content, intact = clip.read_bytes(), INPUTS.decode_plainly(clip)

        def tried(seed: str) -> Tried:
            change = _changed(content, clip, path, seed)
            looked = look_at(path, folder / "out", model=model, intact=intact)
            return _told(change, looked, path, unseen=is_unseen(kind, change))

        return tried

    return begun


def _streams(kind: str) -> Callable[[Path, Model], Lane]:
    def begun(folder: Path, model: Model) -> Lane:
        clip, path = clip_of(kind, folder), folder / f"mutant.{KINDS[kind].suffix}"
        content, intact = clip.read_bytes(), INPUTS.decode_plainly(clip)

        def tried(seed: str) -> Tried:
            as_pipe = int(seed.rsplit("/", 1)[1]) % 2 == 1
            change = _changed(content, clip, path, seed)
            looked = look_at_stream(path, folder / "out.mkv", model=model, intact=intact, as_pipe=as_pipe)
            unseen = is_unseen(kind, change) or streams.is_unseen(kind, change, as_pipe=as_pipe)
            return _told(f"{change}, {'a pipe' if as_pipe else 'a file'}", looked, path, unseen=unseen)

        return tried

    return begun


def _folders(kind: str, *, is_still: bool) -> Callable[[Path, Model], Lane]:
    def begun(folder: Path, model: Model) -> Lane:
        own, place = pictures.KINDS[kind], folder / "pictures"
        count = 1 if is_still else pictures.COUNT
        intact = [pictures.read_plainly(path) for path in pictures.make_pictures(own, place, count=count)]

        def tried(seed: str) -> Tried:
            paths, gone = pictures.make_pictures(own, place, count=count), set[int]()
            if is_still:
                change, content = mutant(paths[0].read_bytes(), seed)
                paths[0].write_bytes(content)
            else:
                change, gone = pictures.damage_pictures(paths, own, seed)
            source: Any = paths[0] if is_still else place
            found = look_at_pictures(
                source, paths, folder / "out", model=model, intact=intact, gone=gone, checked=own.is_checked
            )
            return Tried(change=change, looked=found.looked, unseen=found.unseen, made=source)

        return tried

    return begun


def _changed(content: bytes, clip: Path, path: Path, seed: str) -> str:
    """Write the mutant of a seed; return how the clip was changed."""
    if int(seed.rsplit("/", 1)[1]) % _EACH == _EACH - 1 and (change := without_packets(clip, path, seed)) is not None:
        return change
    change, data = mutant(content, seed)
    path.write_bytes(data)
    return change


def _told(change: str, looked: Looked, path: Path, *, unseen: bool) -> Tried:
    lost = looked.lost
    return Tried(
        change=change, looked=replace(looked, lost=0) if unseen else looked, unseen=lost if unseen else 0, made=path
    )


_LANES = {
    **{kind: _clips(kind) for kind in KINDS},
    **{f"folder of {kind}": _folders(kind, is_still=False) for kind in pictures.KINDS},
    **{f"still {kind}": _folders(kind, is_still=True) for kind in pictures.KINDS},
    **{f"stream of {kind}": _streams(kind) for kind in streams.KINDS},
}
ALL_KINDS = tuple(_LANES)
"""All that is damaged."""
