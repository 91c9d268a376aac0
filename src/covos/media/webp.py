"""Animated WebP with damage: its whole frames as a file of their own, since its decoder takes all of a file or none."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from PIL import Image

from covos.core.pillow import without_own_limit
from covos.media.source import check_frames, check_pixels
from covos.media.whole_frames import WholeFrames

if TYPE_CHECKING:
    from collections.abc import Iterator

_HEADER = 24
"""Bytes of a frame's chunk before its picture: eight of the chunk, sixteen of the frame (RFC 9649, section 2.7.1.1)."""
_PICTURES = (b"VP8 ", b"VP8L", b"ALPH")
_KNOWN = frozenset({b"VP8X", b"ICCP", b"ANIM", b"ANMF", b"EXIF", b"XMP "})
_ANIMATED, _UNBLENDED = 0x02, 0x02


def is_animated_webp(head: bytes) -> bool:
    """Tell by its beginning if a file is a WebP of several frames, whole or not."""
    return head[:4] == b"RIFF" and head[8:16] == b"WEBPVP8X" and len(head) > 20 and bool(head[20] & _ANIMATED)


def read_frames(content: bytes, *, name: str, doubted: bool = False) -> WholeFrames:
    """Walk through an animated WebP; where its structure is damaged, put its whole frames together again.

    A frame that is damaged counts as one that is lost; how many lie in a place that cannot be read is not known.
    ``doubted`` does so with a sound structure, too: each frame is decoded by itself. Nothing is decoded of a file
    ``name`` that states more pixels or frames than the limits.
    """
    chunks = list(_chunks(content))
    stated = int.from_bytes(content[4:8], "little") + 8
    frames = [chunk for chunk in chunks if chunk is None or chunk[:4] == b"ANMF"]
    durations = tuple(0 if each is None else int.from_bytes(each[20:23], "little") for each in frames)
    if not doubted and None not in frames and len(content) >= stated:
        return WholeFrames(content=content, durations=durations, kept=tuple(range(len(frames))))
    head = b"".join(each for each in chunks if each is not None and each[:4] in (b"VP8X", b"ICCP", b"ANIM"))
    size = head[12:18]  # of the canvas, as VP8X has it
    width, height = _sides(size)
    check_pixels(name, height=height, width=width)
    check_frames(name, len(frames))
    whole = {number: each for number, each in enumerate(frames) if each is not None and _decodes(head, each)}
    patched: set[int] = set()
    is_torn = False
    for number in range(len(frames)):
        frame = whole.get(number)
        is_torn |= frame is None
        if frame is not None and frame[14:20] == size and frame[23] & _UNBLENDED:
            is_torn = False
        if is_torn and frame is not None:
            patched.add(number)
    return WholeFrames(
        content=_file(head + b"".join(whole.values())),
        durations=durations,
        kept=tuple(whole),
        patched=frozenset(patched),
        is_counted=False,
    )


def _chunks(content: bytes) -> Iterator[bytes | None]:
    """Give each chunk with its header; None for what cannot be read, up to the next frame."""
    at = 12
    while at + 8 <= len(content):
        size = int.from_bytes(content[at + 4 : at + 8], "little")
        end = at + 8 + size + size % 2
        is_whole = content[at : at + 4] in _KNOWN and end <= len(content)
        if is_whole and (content[at : at + 4] != b"ANMF" or content[at + _HEADER : at + _HEADER + 4] in _PICTURES):
            yield content[at:end]
            at = end
            continue
        yield None
        at = content.find(b"ANMF", at + 1)
        if at < 0:
            return


def _file(chunks: bytes) -> bytes:
    return b"RIFF" + (len(chunks) + 4).to_bytes(4, "little") + b"WEBP" + chunks


def _sides(sides: bytes) -> tuple[int, int]:
    """Return a width and a height, three bytes each, as a canvas and a frame have them."""
    return int.from_bytes(sides[:3], "little") + 1, int.from_bytes(sides[3:6], "little") + 1


def _decodes(head: bytes, frame: bytes) -> bool:
    """Tell if a frame lies on the canvas and can be decoded.

    It is decoded on a canvas of its own size: one that covers little costs little, however large the canvas is.
    """
    canvas, (width, height) = _sides(head[12:18]), _sides(frame[14:20])
    left, top = (2 * int.from_bytes(frame[at : at + 3], "little") for at in (8, 11))
    if left + width > canvas[0] or top + height > canvas[1]:
        return False
    alone = _file(head[:12] + frame[14:20] + head[18:] + frame[:8] + bytes(6) + frame[14:])
    try:
        with without_own_limit(), Image.open(io.BytesIO(alone), formats=("WEBP",)) as image:
            image.load()
    except (OSError, SyntaxError, ValueError, EOFError):
        return False
    return True
