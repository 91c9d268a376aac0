"""ProRes 422 of an odd width, by an encoder that takes the colours of an even one alone."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any

import av

if TYPE_CHECKING:
    from av.packet import Packet
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

_WIDTH = slice(16, 18)
"""Bytes of a packet that state the width: behind the size of the frame, its mark, and 8 bytes of its header."""


class WiderProres:
    """Encodes frames that are one column wider than their stream, which is of an odd width.

    Both widths take the same macroblocks, of 16 columns. So only the header of each frame has to say the odd one, and
    decoders leave the last column out: SMPTE RDD 36, ``horizontal_size``.
    """

    def __init__(self, stream: VideoStream) -> None:
        own = stream.codec_context
        coder: Any = av.CodecContext.create(own.codec.name, "w")
        self._stream, self._coder, self._own_width = stream, coder, own.width
        self.width, self.height = own.width + 1, own.height
        coder.width, coder.height, coder.pix_fmt = self.width, self.height, own.pix_fmt
        coder.time_base, coder.framerate = own.time_base, Fraction(own.framerate or 25)
        coder.options, coder.thread_count = own.options, own.thread_count
        coder.sample_aspect_ratio = own.sample_aspect_ratio
        coder.color_primaries, coder.color_trc = own.color_primaries, own.color_trc
        coder.colorspace, coder.color_range = own.colorspace, own.color_range

    def encode(self, picture: VideoFrame | None) -> list[Packet[VideoStream]]:
        """Encode a frame as a stream does; None ends it."""
        packets: list[Packet[VideoStream]] = self._coder.encode(picture)
        for packet in packets:
            content = bytearray(bytes(packet))
            content[_WIDTH] = self._own_width.to_bytes(2, "big")
            packet.update(bytes(content))
            packet.stream = self._stream
        return packets
