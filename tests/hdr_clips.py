"""Clips in HDR and in BT.2020: they state their colours, and their ramps have more than eight bits."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np

HEIGHT, WIDTH, FRAMES = 48, 64, 3
PQ, HLG, SDR_2020, BT2020 = 16, 18, 14, 9
"""Numbers of the standard: transfers, and the primaries and matrix of BT.2020."""


def write(path: Path, *, transfer: int, pixels: str = "yuv420p10le", options: dict[str, str] | None = None) -> Path:
    """A lossless video of slow ramps of luma and of both colours, which goes on from frame to frame."""
    options = {"qp": "0"} if options is None else options
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264" if "qp" in options else "libx265", rate=25, options=options)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, pixels
        tags = {"color_trc": transfer, "color_primaries": BT2020, "colorspace": BT2020, "color_range": 1}
        for name, value in tags.items():
            setattr(stream.codec_context, name, value)
        for index in range(FRAMES):
            frame = av.VideoFrame(WIDTH, HEIGHT, pixels)
            deep = frame.format.components[0].bits > 8
            for number, plane in enumerate(frame.planes):
                y, x = np.mgrid[: plane.height, : plane.width]
                values = 200 + 10 * x + 4 * y + 8 * index if number == 0 else 512 + (-1) ** number * (2 * x - 2 * y)
                size = np.zeros((plane.height, plane.line_size // (1 + deep)), "<u2" if deep else np.uint8)
                size[:, : plane.width] = values if deep else values // 4
                plane.update(size.tobytes())
            frame.pts = index
            for name, value in tags.items():
                setattr(frame, name, value)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path
