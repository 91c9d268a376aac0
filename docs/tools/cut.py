"""Cut the example clips out of Intel's, packet by packet, without encoding anything again. The target says which one.

python docs/tools/cut.py car-detection.mp4 examples/car.mp4
python docs/tools/cut.py bottle-detection.mp4 examples/bottle.mp4
"""

from __future__ import annotations

import sys
from fractions import Fraction
from pathlib import Path

import av

CUTS = {
    "car": (Fraction("14.4"), Fraction("19.2")),
    "bottle": (250 / Fraction(179, 6), 421 / Fraction(179, 6)),
}
"""Seconds. A part begins with a key frame, and no frame of it needs one that comes after it."""


def cut(source: str, target: str) -> None:
    """Copy the packets of a part, and let the times begin at zero."""
    start, end = CUTS[Path(target).stem]
    with av.open(source) as original, av.open(target, "w", options={"movflags": "+faststart"}) as copy:
        taken = [*original.streams.video[:1], *original.streams.audio[:1]]
        streams = {stream.index: copy.add_stream_from_template(stream) for stream in taken}
        for packet in original.demux(taken):
            if packet.pts is None or packet.dts is None:
                continue  # the end-of-stream marker; there is no decoder to flush here
            if start <= packet.pts * packet.time_base < end:
                shift = round(start / packet.time_base)
                packet.pts -= shift
                packet.dts -= shift
                packet.stream = streams[packet.stream.index]
                copy.mux(packet)


if __name__ == "__main__":
    cut(*sys.argv[1:])
