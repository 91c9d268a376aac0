"""Decode a live video tolerantly, and count what is lost or damaged in it as it passes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import av
from av.codec.context import Flags

from covos.core.memory import refuse_shortage
from covos.core.progress import counted
from covos.media.container import is_shown
from covos.media.order_gaps import left_out
from covos.media.picture_order import Place, order_reader

if TYPE_CHECKING:
    from collections.abc import Iterator

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
    """Counts of a live video so far; nothing is told of its end, since nobody knows how long it should be.

    Attributes:
        undecodable: Packets that gave no picture because they are damaged.
        damaged: Pictures that the decoder has marked, or whose packet the container has.
        silent: Packets that gave no picture, without an error; known at the end.
        left_out: Pictures that the order of the others tells to be gone.
        read_errors: Places at which the container could not be read.
    """

    undecodable: int = 0
    damaged: int = 0
    silent: int = 0
    left_out: int = 0
    read_errors: int = 0
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
        return ", ".join(said)

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
    context = stream.codec_context
    context.flags |= Flags.output_corrupt.value  # damaged pictures come out, marked, instead of vanishing
    order = order_reader(context.name, context.extradata or b"")
    trusts, torn, counts = container.format.name != "rawvideo", set[int | None](), from_start
    owed = 0
    waiting: list[tuple[int | None, Place | None]] = []  # packets since the last key frame, until counting begins
    for packet in _packets(container, stream, damage=damage):
        if packet is not None and trusts and packet.is_corrupt:
            torn.add(packet.pts)
        if packet is not None and is_shown(packet, codec=context.name):
            place = None if order is None else order.place(bytes(packet))
            if counts:
                owed += 1
                damage.put(place)
            else:
                if packet.is_keyframe:
                    waiting.clear()
                waiting.append((packet.pts, place))
        elif packet is not None and order is not None:
            order.place(bytes(packet))  # it may hold the parameters of those to come
        try:
            pictures = context.decode(packet)
        except (av.FFmpegError, ValueError) as error:
            refuse_shortage(error)
            if container.format.name == "rawvideo":  # all that can be wrong is what the user has said of it
                raise
            damage.undecodable += counts
            owed -= counts
            del waiting[-1:]
            continue
        for picture in pictures:
            is_whole = not picture.is_corrupt and picture.pts not in torn
            if is_whole and not counts:
                counts = True
                # Pictures that are shown before it may need others that never came.
                for pts, place in waiting:
                    if pts is None or picture.pts is None or pts >= picture.pts:
                        owed += 1
                        damage.put(place)
                waiting.clear()
            damage.damaged += counts and not is_whole
            torn.discard(picture.pts)
            owed -= counts
            yield picture
    damage.end()
    damage.silent = max(0, owed)


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
