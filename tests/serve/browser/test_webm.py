"""The alpha of webm as a browser shows it: Chromium decodes the file, and a canvas tells what is seen of it."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from covos.core.types import FrameResult, SourceInfo
from covos.formats.compose import ComposedResult
from covos.formats.table import make_writer
from covos.runs.folder import OutputFolder
from soft_disc import RED, soft_disc

HEIGHT, WIDTH, FRAMES = 48, 64, 5
DRAW = """async (address) => {
  const video = document.createElement("video");
  video.muted = true;
  video.src = address;
  await new Promise((seen, failed) => { video.onseeked = seen; video.onerror = () => failed(video.error.message);
    video.onloadeddata = () => { video.currentTime = 0.1; }; });
  const canvas = new OffscreenCanvas(video.videoWidth, video.videoHeight);
  const context = canvas.getContext("2d");
  context.drawImage(video, 0, 0);
  return Array.from(context.getImageData(0, 0, canvas.width, canvas.height).data);
}"""


@pytest.mark.parametrize("inverted", [False, True])
def test_a_browser_sees_the_soft_alpha_of_webm(
    page: Any,
    tmp_path: Path,
    result: Callable[..., FrameResult],
    info: Callable[..., SourceInfo],
    inverted: bool,
) -> None:
    soft = soft_disc(result())
    name = "webm=invert" if inverted else "webm"
    writer = make_writer(name, OutputFolder(tmp_path), info=info(frame_count=FRAMES), source_path=tmp_path / "none")
    for index in range(FRAMES):
        writer.write(replace(soft, frame=replace(soft.frame, index=index, pts=index)))
    (path,) = writer.close()
    address = f"data:video/webm;base64,{base64.b64encode(path.read_bytes()).decode()}"
    seen = np.array(page.evaluate(DRAW, address), np.uint8).reshape(HEIGHT, WIDTH, 4)
    composed = ComposedResult.of(soft)
    opacity = composed.inverse.opacity if inverted else composed.opacity
    off = np.abs(seen[..., 3] / 255 - opacity)
    assert off.max() < 0.15
    assert off.mean() < 0.01
    soft_edge = (opacity > 0.2) & (opacity < 0.8)
    assert soft_edge.sum() > 50
    assert off[soft_edge].mean() < 0.05
    if not inverted:  # straight: a half transparent pixel has the subject's whole colour
        assert np.abs(seen[soft_edge][:, :3].astype(int) - RED).mean() < 15
