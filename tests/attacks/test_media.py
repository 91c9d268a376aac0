"""Videos of more streams, frames, seconds or pixels than anybody records."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from attacks.results import Run
from covos.core.errors import SourceError
from covos.core.limits import Limits
from covos.media.opening import open_source


def video(path: Path, *, streams: int = 1, frames: int = 4, rate: int = 25) -> Path:
    with av.open(str(path), "w") as container:
        made = [container.add_stream("mpeg4", rate=Fraction(rate)) for _ in range(streams)]
        for stream in made:
            stream.width, stream.height, stream.pix_fmt = 32, 32, "yuv420p"
        for index in range(frames):
            picture = av.VideoFrame.from_ndarray(np.full((32, 32, 3), 9 * index, np.uint8), format="rgb24")
            for stream in made:
                container.mux(stream.encode(picture))
        for stream in made:
            container.mux(stream.encode())
    return path


def test_a_hundred_streams(tmp_path: Path, covos: Run, limited: Callable[..., Limits]) -> None:
    path = video(tmp_path / "streams.mkv", streams=100, frames=2)
    code, said = covos("segment", path, "-o", tmp_path / "out")
    assert code == 3
    assert "100 streams" in said
    assert "--limit streams=100" in said
    limited(streams=100)
    assert open_source(path).info.frame_count == 2


@pytest.mark.parametrize(
    ("limit", "most", "found"),
    [
        ("frames", 3, "more than 3 frames"),
        ("duration", 3, "lasts 4 seconds"),
        ("pixels", 1023, "more than 1023 pixels"),
    ],
)
def test_each_limit_is_told_and_can_be_raised(
    tmp_path: Path, limited: Callable[..., Limits], limit: str, most: int, found: str
) -> None:
    path = video(tmp_path / "a.mp4", rate=1)
    assert open_source(path).info.frame_count == 4
    limited(**{limit: most})
    with pytest.raises(SourceError, match=found) as caught:
        open_source(path)
    assert f"set_limits({limit}=" in caught.value.fix
    assert f"covos.set_limits({limit}=" in caught.value.fix
    limited(**{limit: 100_000})
    assert open_source(path).info.frame_count == 4


def test_a_folder_of_many_pictures(tmp_path: Path, limited: Callable[..., Limits]) -> None:
    for index in range(4):
        (tmp_path / f"{index}.png").touch()
    limited(frames=3)
    with pytest.raises(SourceError, match="more than 3 frames"):
        open_source(tmp_path)
