"""Jump to a frame by way of the packet table, and notice when the file does not keep its promise."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Self

import av

from covos.media.container import open_container, packets_of, picture_stream
from covos.media.decoding import Tally, decode_packet

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from types import TracebackType

    from av.packet import Packet
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

    from covos.media.packets import PacketTable


class Cursor:
    """Walks forward through a video's pictures, skipping ahead to key packets.

    A step checks that the packet seeked to and each picture's time are those of the table. At the first
    difference, decoding error or damaged picture it gives up, since only a full pass can then tell which
    picture has which index.
    """

    def __init__(self, path: Path, *, table: PacketTable) -> None:
        if table.pts is None or table.is_key is None or table.seek_to is None:
            raise ValueError("a cursor needs a table with trusted presentation times")
        self._path = path
        self._pts = table.pts
        self._keys = table.is_key.nonzero()[0]
        self._seek_to = table.seek_to
        self._next = 0  # index of the next picture to come out
        self._ready: deque[VideoFrame] = deque()
        self._tally = Tally()

    def __enter__(self) -> Self:
        self._container = open_container(self._path)
        self._stream = picture_stream(self._container, self._path)
        self._packets: Iterator[Packet[VideoStream] | None] = self._from_here()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._container.close()

    def move_to(self, index: int) -> VideoFrame | None:
        """Decode on, or from a later key packet, to the picture with this index.

        Args:
            index: Above that of the previous call.

        Returns:
            The picture; None if the file differs from its table, after which the cursor is of no more use.
        """
        before = self._keys.searchsorted(index, side="right")
        key = int(self._keys[before - 1]) if before else 0
        if key > self._next and not self._jump(key):
            return None
        while (picture := self._decode()) is not None:
            # Pictures before the key's time refer to what came before it, and are broken after a jump.
            if picture.pts is not None and picture.pts < self._pts[self._next]:
                continue
            if picture.pts != self._pts[self._next] or picture.is_corrupt:
                return None
            self._next += 1
            if self._next > index:
                return picture
        return None

    def _jump(self, key: int) -> bool:
        depth = self._stream.codec_context.reorder_depth
        try:
            self._container.seek(int(self._seek_to[key]), stream=self._stream)
        except av.FFmpegError:
            return False
        # Flushing resets the depth that the decoder has learnt, which would drop or misorder pictures.
        self._stream.codec_context.reorder_depth = depth
        self._ready.clear()
        self._packets = self._from_here()
        for packet in self._packets:
            if packet is None or (packet.dts is not None and packet.dts > self._pts[key]):
                return False
            if packet.pts == self._pts[key] and packet.is_keyframe:
                self._next = key
                self._ready.extend(decode_packet(self._stream, packet, tally=self._tally))
                return True
        return False

    def _decode(self) -> VideoFrame | None:
        while not self._ready:
            try:
                packet = next(self._packets)
            except StopIteration:
                return None
            self._ready.extend(decode_packet(self._stream, packet, tally=self._tally))
            if self._tally.undecodable:
                return None
        return self._ready.popleft()

    def _from_here(self) -> Iterator[Packet[VideoStream] | None]:
        """The packets to come, then None to drain the decoder."""
        yield from packets_of(self._container, self._stream)
        yield None
