"""Clips of every container, and seeded mutants of their bytes."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av

from loaded import damage_inputs

INPUTS: Any = damage_inputs()
COUNT = 16
"""Frames of a clip."""
_MPEG = {"g": "8", "qscale": "3", "flags": "+qscale", "global_quality": "354"}
KINDS: dict[str, Any] = {
    **INPUTS.KINDS,
    # Sound that is decoded and encoded again on its way into an overlay.
    "mkv, mp2": INPUTS.Kind(suffix="mkv", codec="mpeg4", options=_MPEG, audio="mp2"),
    "mpg, sound": INPUTS.Kind(suffix="mpg", codec="mpeg2video", options=_MPEG, audio="mp2"),
    "avi, pcm": INPUTS.Kind(suffix="avi", codec="mpeg4", options=_MPEG, audio="pcm_s16le"),
    "mov, pcm": INPUTS.Kind(suffix="mov", codec="mpeg4", options=_MPEG, audio="pcm_s16be"),
    "flv, sound": INPUTS.Kind(suffix="flv", codec="flv", options=_MPEG, audio="aac"),
}


_TELLING_ORDER = {"libx264", "libx265", "mpeg2video"}
"""Codecs whose pictures tell their place in the order of display."""
PACKETS_GONE = "packets gone"
PACKETS_GONE_AT_KEY = "packets gone before a key frame"


@dataclass(frozen=True, slots=True, kw_only=True)
class Unseen:
    """Losses of which nothing in the file tells.

    Attributes:
        kinds: Kinds of files.
        changes: Changes to their bytes, each by itself or beside another.
        why: Says why nothing tells.
    """

    kinds: tuple[str, ...]
    changes: tuple[str, ...]
    why: str


UNSEEN = (
    Unseen(
        kinds=("mjpeg",),
        changes=("cut", "bytes gone", "zeros", "noise", "blocks swapped", "a length changed", "bits flipped"),
        why="bare photographs one after another: two halves make one, and none tells its number",
    ),
    Unseen(
        kinds=("h264", "h264, one key frame", "hevc", "m2v", "ts", "ts, mpeg2", "m2ts, mpeg2"),
        changes=("cut",),
        why="a stream without a length, cut between two pictures",
    ),
    Unseen(
        kinds=tuple(KINDS),
        changes=(PACKETS_GONE_AT_KEY,),
        why="the order of pictures begins anew at a key frame: the gap before it looks like a pause",
    ),
    Unseen(
        kinds=("flv", "flv, h264", "flv, sound"),
        changes=("a length changed", "bits flipped"),
        why="the stated duration was changed to a shorter one, or the first tag to one of another kind",
    ),
)
UNSEEN += (
    Unseen(
        kinds=tuple(name for name, kind in KINDS.items() if kind.codec not in _TELLING_ORDER),
        changes=(PACKETS_GONE,),
        why="their pictures tell no order: a gap in time looks like a pause",
    ),
)
"""All losses that may go unseen, and no others: docs/damage.md lists them for users."""


def is_unseen(kind: str, change: str) -> bool:
    """Return True if a loss by a change, as `mutant` names it, is one of the list."""
    made = set(change.split(" and "))
    return any(kind in each.kinds and made & set(each.changes) for each in UNSEEN)


def clip_of(kind: str, folder: Path) -> Path:
    """Write an intact clip."""
    made: Path = INPUTS.make_clip(KINDS[kind], folder, count=COUNT)
    return made


Change = Callable[[bytearray, random.Random], None]


def _place(data: bytearray, chance: random.Random, *, most: float = 0.12) -> slice:
    size = chance.randint(1, max(1, round(len(data) * most)))
    start = chance.randrange(max(1, len(data) - size))
    return slice(start, start + size)


def _flip(data: bytearray, chance: random.Random) -> None:
    for _ in range(chance.choice((1, 1, 2, 5, 20))):
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)


def _cut(data: bytearray, chance: random.Random) -> None:
    del data[chance.randint(len(data) // 8, len(data) - 1) :]


def _remove(data: bytearray, chance: random.Random) -> None:
    del data[_place(data, chance)]


def _zero(data: bytearray, chance: random.Random) -> None:
    place = _place(data, chance)
    data[place] = bytes(place.stop - place.start)


def _noise(data: bytearray, chance: random.Random) -> None:
    place = _place(data, chance)
    data[place] = chance.randbytes(place.stop - place.start)


def _repeat(data: bytearray, chance: random.Random) -> None:
    place = _place(data, chance)
    data[place.stop : place.stop] = data[place]


def _swap(data: bytearray, chance: random.Random) -> None:
    one, other = sorted((_place(data, chance, most=0.08), _place(data, chance, most=0.08)), key=lambda at: at.start)
    if one.stop <= other.start:
        data[:] = (
            data[: one.start] + data[other] + data[one.stop : other.start] + data[one] + data[other.stop :]
        )  # fmt: skip


def _length(data: bytearray, chance: random.Random) -> None:
    """Change a number that may be the length of something: one that, from where it stands, ends inside the file."""
    order = chance.choice(("big", "little"))
    size = chance.choice((2, 4, 4, 4, 8))
    for _ in range(200):
        at = chance.randrange(max(1, len(data) - size))
        value = int.from_bytes(data[at : at + size], order)  # type: ignore[arg-type]
        if 4 <= value <= len(data) - at:
            new = chance.choice(
                (0, 1, value - 1, value + 1, 2 * value, value // 2, (1 << 8 * size) - 1, 1 << 8 * size - 1)
            )
            data[at : at + size] = min(new, (1 << 8 * size) - 1).to_bytes(size, order)  # type: ignore[arg-type]
            return


CHANGES: dict[str, Change] = {
    "bits flipped": _flip,
    "cut": _cut,
    "bytes gone": _remove,
    "zeros": _zero,
    "noise": _noise,
    "a block twice": _repeat,
    "blocks swapped": _swap,
    "a length changed": _length,
}


def mutant(content: bytes, seed: str) -> tuple[str, bytes]:
    """Return how a clip was changed, and its bytes; the same for the same seed."""
    chance, data = random.Random(seed), bytearray(content)
    names = [chance.choice(list(CHANGES)) for _ in range(chance.choice((1, 1, 1, 2)))]
    for name in names:
        CHANGES[name](data, chance)
    return " and ".join(names), bytes(data)


def without_packets(clip: Path, target: Path, seed: str) -> str | None:
    """Copy a clip without one to three packets in its midst; return how it was changed, None if it cannot be copied."""
    chance = random.Random(seed)
    try:
        with av.open(str(clip)) as container, av.open(str(target), "w") as copy:
            stream = copy.add_stream_from_template(container.streams.video[0])
            packets = [packet for packet in container.demux(video=0) if packet.size]
            first = chance.randrange(2, max(3, len(packets) - 6))
            del packets[first : first + chance.randint(1, 3)]
            change = PACKETS_GONE_AT_KEY if packets[first].is_keyframe else PACKETS_GONE
            for packet in packets:
                packet.stream = stream
                copy.mux(packet)
    except (av.FFmpegError, ValueError):  # a container that is not written, or takes no such codec
        return None
    return change
