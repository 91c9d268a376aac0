"""Decode a live video tolerantly, and count what is lost or damaged in it as it passes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import av
from av.codec.context import Flags

from covos.core.memory import refuse_shortage
from covos.core.progress import counted
from covos.media.container import is_shown
from covos.media.joined import second_file
from covos.media.order_gaps import left_out
from covos.media.picture_order import Place, order_reader
from covos.media.structure import examine
from covos.media.tags import StatedColours

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from av.container import InputContainer
    from av.packet import Packet
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

_LOOKED_AT = 512
"""Pictures whose places are compared together."""
_BESIDE = 32
"""Pictures on each side of those without which their neighbours in display are not known."""
_FAILURES = 32
"""Read errors in a row at which a stream is over."""


@dataclass(slots=True)
class LiveDamage:
    """Counts of a live video so far; its end is left out, since nobody knows how long it should be.

    Attributes:
        undecodable: Packets that gave no picture because they are damaged.
        damaged: Pictures that the decoder has marked, or whose packet the container has.
        silent: Packets that gave no picture, without an error; known at the end.
        left_out: Pictures that are gone, as the order of the others shows.
        read_errors: Places at which the container could not be read.
        breaks: Places at which the structure of a file does not go on; known at the end, and not of a pipe.
        is_cut: True if a file is shorter than it says.
        second: Byte at which another file begins in it, which is not read.
    """

    undecodable: int = 0
    damaged: int = 0
    silent: int = 0
    left_out: int = 0
    read_errors: int = 0
    breaks: int = 0
    is_cut: bool = False
    second: int | None = None
    _places: list[Place | None] = field(default_factory=list)
    _counted: int = 0

    def __str__(self) -> str:
        """Say all that was met; empty if nothing was."""
        said = []
        if missing := self.left_out + self.silent:
            said.append(f"{counted(missing, 'frame')} missing")
        if self.undecodable:
            said.append(f"{counted(self.undecodable, 'packet')} not to be decoded")
        if self.damaged:
            said.append(f"{counted(self.damaged, 'frame')} damaged")
        if self.read_errors:
            said.append(f"{counted(self.read_errors, 'read error')}")
        if self.breaks:
            said.append(f"{counted(self.breaks, 'place')} at which the file does not go on as it must")
        if self.is_cut:
            said.append("the end is missing")
        if self.second is not None:
            said.append(f"another file begins at byte {self.second}, which is not read")
        return ", ".join(said)

    def look_into(self, path: Path) -> None:
        """Walk through a file that was read to its end, as nobody can through a pipe."""
        found = examine(path)
        self.breaks, self.is_cut, self.second = len(found.breaks), found.cut, second_file(path)

    def put(self, place: Place | None) -> None:
        """Take the place of the next packet's picture in the order of display."""
        self._places.append(place)
        if len(self._places) >= _LOOKED_AT:
            self._count(len(self._places) - _BESIDE)
            self._places = self._places[-2 * _BESIDE :]
            self._counted = _BESIDE

    def end(self) -> None:
        """Count to the last picture."""
        self._count(len(self._places))
        self._places.clear()

    def _count(self, end: int) -> None:
        self.left_out += sum(self._counted <= before < end for before in left_out(self._places))


def live_pictures(
    container: InputContainer, stream: VideoStream, *, damage: LiveDamage, from_start: bool
) -> Iterator[VideoFrame]:
    """Yield every picture that can be decoded, as soon as it can; ``damage`` counts along.

    Args:
        container: Fresh.
        stream: Of this container.
        damage: The counts.
        from_start: True if the stream should be whole from its first packet. One that is joined in its midst gives
            rubbish up to its next key frame, which is no damage: it is counted from the key frame on whose picture is
            the first that is whole.

    Raises:
        av.FFmpegError: It breaks off with an error.
    """
    context, colours = stream.codec_context, StatedColours(stream)
    context.flags |= Flags.output_corrupt.value  # damaged pictures come out, marked, instead of vanishing
    order = order_reader(context.name, context.extradata or b"")
    trusts, torn = container.format.name != "rawvideo", set[int | None]()
    counting = _Counting(damage, counts=from_start)
    for packet in _packets(container, stream, damage=damage):
        if packet is not None:
            if trusts and packet.is_corrupt:
                torn.add(packet.pts)
            place = None if order is None else order.place(bytes(packet))  # it may hold parameters of those to come
            if is_shown(packet, codec=context.name):
                counting.take(packet, place)
        try:
            pictures = context.decode(packet)
        except (av.FFmpegError, ValueError) as error:
            refuse_shortage(error)
            if container.format.name == "rawvideo":  # all that can be wrong is what the user has said of it
                raise
            counting.refuse()
            continue
        for picture in pictures:
            counting.give(picture, is_whole=not picture.is_corrupt and picture.pts not in torn)
            torn.discard(picture.pts)
            colours.tag(picture)
            yield picture
    damage.end()
    damage.silent = max(0, counting.owed)


class _Counting:
    """Counts packets against the pictures that they give, from the first whole picture on."""

    def __init__(self, damage: LiveDamage, *, counts: bool) -> None:
        self._damage, self._counts = damage, counts
        self.owed = 0
        self._waiting: list[tuple[int | None, Place | None]] = []  # packets since the last key frame, before it counts

    def take(self, packet: Packet[VideoStream], place: Place | None) -> None:
        """Take a packet that is to be shown."""
        if self._counts:
            self.owed += 1
            self._damage.put(place)
            return
        if packet.is_keyframe:
            self._waiting.clear()
        self._waiting.append((packet.pts, place))

    def refuse(self) -> None:
        """Take it that the latest packet cannot be decoded."""
        self._damage.undecodable += self._counts
        self.owed -= self._counts
        del self._waiting[-1:]

    def give(self, picture: VideoFrame, *, is_whole: bool) -> None:
        """Take a picture; the first whole one begins the count, with its own packet."""
        if is_whole and not self._counts:
            self._counts = True
            # Pictures that are shown before it may need others that never came.
            for pts, place in self._waiting:
                if pts is None or picture.pts is None or pts >= picture.pts:
                    self.owed += 1
                    self._damage.put(place)
            self._waiting.clear()
        self._damage.damaged += self._counts and not is_whole
        self.owed -= self._counts


def _packets(
    container: InputContainer, stream: VideoStream, *, damage: LiveDamage
) -> Iterator[Packet[VideoStream] | None]:
    """Yield packets, going on after read errors, and at last None."""
    failures = 0
    while True:
        try:
            for packet in container.demux(stream):
                if packet.size:
                    failures = 0
                    yield packet
        except av.FFmpegError as error:
            refuse_shortage(error)
            failures += 1
            if failures >= _FAILURES or not isinstance(error, av.InvalidDataError):
                raise
            damage.read_errors += 1
        else:
            yield None
            return
