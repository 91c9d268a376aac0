"""Cut ``car.mp4`` out of Intel's car-detection clip, packet by packet, without encoding anything again.

python docs/tools/cut.py car-detection.mp4 examples/car.mp4
"""

from __future__ import annotations

import sys
from fractions import Fraction

import av

START, END = (
    Fraction("14.4"),
    Fraction("19.2"),
)  # seconds; both are key frames, so that whole groups of pictures are copied


def cut(source: str, target: str) -> None:
    """Copy the packets of [START, END), and let the times begin at zero."""
    with av.open(source) as original, av.open(target, "w", options={"movflags": "+faststart"}) as copy:
        video, audio = original.streams.video[0], original.streams.audio[0]
        streams = {stream.index: copy.add_stream_from_template(stream) for stream in (video, audio)}
        for packet in original.demux(video, audio):
            if packet.pts is None or packet.dts is None:
                continue  # the end-of-stream marker; there is no decoder to flush here
            if START <= packet.pts * packet.time_base < END:
                shift = round(START / packet.time_base)
                packet.pts -= shift
                packet.dts -= shift
                packet.stream = streams[packet.stream.index]
                copy.mux(packet)


if __name__ == "__main__":
    cut(*sys.argv[1:])
