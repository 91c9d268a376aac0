"""Videos with alpha as editing programs take them: straight or premultiplied, deep, an object a file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from covos.core.errors import UsageError
from covos.core.labelling import NO_LABELS, Labelling
from covos.core.types import FrameResult, Tags
from covos.formats.base import Format
from covos.formats.compose import ComposedResult
from covos.formats.composition import Composition
from covos.formats.options import composed_formats
from covos.formats.table import check_formats, make_writer
from covos.media.opening import open_source
from covos.runs.folder import OutputFolder
from soft_disc import RED


def written(folder: Path, name: str, results: list[FrameResult], info: Any, *, labels: Labelling = NO_LABELS) -> Any:
    writer = make_writer(name, OutputFolder(folder), info=info, source_path=folder / "none", labels=labels)
    for index, each in enumerate(results):
        writer.write(replace(each, frame=replace(each.frame, index=index, pts=index)))
    writer.paths = writer.close()
    return writer


def rgba(path: Path) -> Iterator[NDArray[Any]]:
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            yield frame.reformat(format="rgba", src_colorspace=frame.colorspace or None, threads=1).to_ndarray()


def test_straight_colours_go_beyond_the_edge_where_an_encoder_loses_some(tmp_path: Path, soft, info) -> None:
    (path,) = written(tmp_path / "a", "prores", [soft], info()).paths
    (found,) = rgba(path)
    seen = found[..., 3] > 40
    assert np.abs(found[seen][:, :3].astype(int) - RED).max() < 25
    # No green is left, next to the edge and far from it: nothing can bleed, and the old background is not handed on.
    assert found[..., 1].max() < 80
    (path,) = written(tmp_path / "b", "ffv1", [soft], info()).paths
    (kept,) = rgba(path)
    np.testing.assert_array_equal(kept, ComposedResult.of(soft).rgba)


def test_where_nothing_is_seen_nothing_is_drawn_out(result) -> None:
    composed = ComposedResult.of(result(ids=()))
    assert composed.drawn_out.max() == 0
    full = replace(result(), probability=np.ones((48, 64), np.float32), labels=np.ones((48, 64), np.uint8))
    assert ComposedResult.of(full).drawn_out is full.frame.image


@pytest.mark.parametrize(("name", "most"), [("prores", 3), ("qtrle", 0), ("ffv1", 0)])
def test_premultiplied_colours_are_black_where_nothing_is_seen(
    tmp_path: Path, soft, info, name: str, most: int
) -> None:
    (path,) = written(tmp_path, f"{name}=premultiplied", [soft], info()).paths
    (found,) = rgba(path)
    composed = ComposedResult.of(soft)
    expected = np.rint(composed.colours * composed.opacity[..., None])
    assert np.abs(found[..., :3] - expected).mean() <= most
    assert found[0, 0, :3].max() <= 2 * most
    # Laid over white as premultiplied colours are, it is what straight ones give.
    over = found[..., :3] + 255.0 * (1 - found[..., 3:] / 255.0)
    straight = composed.colours * composed.opacity[..., None] + 255.0 * (1 - composed.opacity[..., None])
    assert np.abs(over - straight).mean() <= most + 0.5


def test_each_object_has_a_file_of_the_whole_length(tmp_path: Path, soft, info) -> None:
    x = np.mgrid[:48, :64][1]
    two = np.where(x < 32, soft.labels, soft.labels * 7)
    writer = written(tmp_path, "ffv1=each", [soft, replace(soft, labels=two), soft], info())
    assert [path.name for path in writer.paths] == ["ffv1-1.mkv", "ffv1-7.mkv"]
    assert not any("one object" in each for each in writer.warnings)
    one, seven = (list(rgba(path)) for path in writer.paths)
    assert len(one) == len(seven) == 3
    assert seven[0].max() == 0
    whole = ComposedResult.of(soft).alpha.astype(int)
    for first, second in zip(one, seven, strict=True):
        assert np.abs(first[..., 3].astype(int) + second[..., 3] - whole).max() <= 1
    assert one[1][24, 40, 3] == 0
    assert seven[1][24, 40, 3] == 255
    assert one[2][24, 40, 3] == 255


def test_the_file_of_an_object_is_called_what_the_object_is_called(tmp_path: Path, soft, info) -> None:
    labels = Labelling(own={1: "red car: a/b"})
    writer = written(tmp_path, "ffv1=each", [replace(soft, labels=soft.labels * 7), soft], info(), labels=labels)
    assert [path.name for path in writer.paths] == ["ffv1-7.mkv", "ffv1-1-red_car_a_b.mkv"]


def test_where_there_is_no_object_there_is_no_file(tmp_path: Path, result, info) -> None:
    writer = written(tmp_path, "prores=each", [result(ids=())], info())
    assert writer.paths == ()
    assert "no object" in writer.warnings[0]


def test_one_object_has_one_file_and_it_is_told(tmp_path: Path, soft, info) -> None:
    writer = written(tmp_path / "one", "ffv1=each", [soft], info())
    assert [path.name for path in writer.paths] == ["ffv1-1.mkv"]
    assert any("one object" in each and "objects: auto" in each for each in writer.warnings)
    assert not any("one object" in each for each in written(tmp_path / "all", "ffv1", [soft], info()).warnings)


# ---- more than 8 bits ----------------------------------------------------------------------------------------------


def deep_film(path: Path, pixels: str) -> NDArray[np.uint16]:
    """A film of a fine ramp; returns what it holds, H x W x 3 of full range."""
    bits = 12 if "12" in pixels else 10
    ramp = np.broadcast_to(np.arange(64) * 3 + 400, (48, 64))
    values = np.stack([ramp, ramp[:, ::-1], np.full_like(ramp, 500)], -1) * (1 << (bits - 10))
    full = np.rint(values / ((1 << bits) - 1) * 65535).astype(np.uint16)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=25, width=64, height=48, pix_fmt=pixels)
        frame = av.VideoFrame.from_ndarray(full, format="rgb48le").reformat(format=pixels, threads=1)
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return full


@pytest.mark.parametrize(
    ("pixels", "name", "stored", "levels"),
    [
        ("gbrp10le", "ffv1", "gbrap10le", 0.6 / 1023),
        ("gbrp12le", "ffv1", "gbrap12le", 0.6 / 4095),
        ("gbrp10le", "ffv1=premultiplied", "gbrap10le", 0.6 / 1023),
        ("yuv444p10le", "prores", "yuva444p12le", 3 / 1023),
    ],
)
def test_bits_of_the_source_are_kept(tmp_path: Path, pixels: str, name: str, stored: str, levels: float) -> None:
    full = deep_film(tmp_path / "in.mkv", pixels)
    with open_source(tmp_path / "in.mkv") as source:
        frames, info = list(source), source.info
    assert info.tags.bits == int(pixels.rsplit("p", maxsplit=1)[-1][:2])
    everything = [
        FrameResult(
            frame=each, probability=np.ones((48, 64), np.float32), labels=np.ones((48, 64), np.uint8), confidence=1
        )
        for each in frames
    ]
    (path,) = written(tmp_path / "out", name, everything, info).paths
    with av.open(str(path)) as container:
        frame = next(container.decode(video=0))
        assert frame.format.name == stored
        back = frame.reformat(format="rgb48le", src_colorspace=frame.colorspace or None, threads=1).to_ndarray()
    error = np.abs(back.astype(float) - full) / 65535
    assert error.max() <= levels + 1 / 65535
    assert len(np.unique(back[24, :, 0] >> 4)) > 50  # 8 bits have 48 levels there


@pytest.mark.parametrize(("name", "white"), [("prores", 940), ("ffv1", 1023)])
def test_white_of_a_deep_video_stays_white(tmp_path: Path, name: str, white: int) -> None:
    with av.open(str(tmp_path / "in.mkv"), "w") as container:
        stream = container.add_stream("ffv1", rate=25, width=64, height=48, pix_fmt="yuv420p10le")
        frame = av.VideoFrame(64, 48, "yuv420p10le")
        for plane, level in zip(frame.planes, (940, 512, 512), strict=True):
            plane.update(np.full((plane.height, plane.line_size // 2), level, "<u2").tobytes())
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    with open_source(tmp_path / "in.mkv") as source:
        (frame,), info = list(source), source.info
    assert frame.deep is not None
    assert (frame.deep() == 65535).all()
    whole = np.ones((48, 64), np.uint8)
    result = FrameResult(frame=frame, probability=whole.astype(np.float32), labels=whole, confidence=1)
    (path,) = written(tmp_path / "out", name, [result], info).paths
    with av.open(str(path)) as container:
        (frame,) = container.decode(video=0)
    levels = np.frombuffer(frame.planes[0], "<u2").reshape(48, -1)[:, :64] >> (frame.format.components[0].bits - 10)
    assert np.abs(levels.astype(int) - white).max() <= 1


@pytest.mark.parametrize("still", [False, True])
@pytest.mark.parametrize("name", ["rgba=16", "ffv1", "prores"])
def test_pictures_of_16_bits_stay_what_they_are(tmp_path: Path, name: str, still: bool) -> None:
    samples = np.random.default_rng(2).integers(0, 65536, (24, 32, 3)).astype(np.uint16)
    place = tmp_path / "in"
    place.mkdir()
    for index in range(1 if still else 2):
        assert cv2.imwrite(str(place / f"{index}.png"), samples[..., ::-1])
    with open_source(place / "0.png" if still else place) as source:
        frames, info = list(source), source.info
    ones = np.ones((24, 32), np.float32)
    found = [FrameResult(frame=each, probability=ones, labels=ones.astype(np.uint8), confidence=1) for each in frames]
    (path, *_) = written(tmp_path / "out", name, found, info).paths
    if path.is_dir():
        path = min(path.iterdir())
    if path.suffix == ".png":
        back = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)[..., [2, 1, 0, 3]]
    else:
        with av.open(str(path)) as container:
            back = next(container.decode(video=0)).to_ndarray(format="rgba64le")
    assert back.dtype == np.uint16
    assert back[..., 3].min() >= 65535 - 15  # 12 bits in ProRes
    if name != "prores" or still:
        np.testing.assert_array_equal(back[..., :3], samples)
    else:
        assert len(np.unique(back[..., 0])) > 256  # more levels than 8 bits have


def test_the_png_of_a_single_picture_is_straight_and_says_so(tmp_path: Path, soft, info) -> None:
    still = info(kind="image", frame_count=1)
    found = {}
    for name in ("prores", "prores=premultiplied"):
        writer = make_writer(name, OutputFolder(tmp_path / name), info=still, source_path=tmp_path / "none")
        writer.write(soft)
        (path,) = writer.close()
        found[name] = path.read_bytes(), writer.warnings
    assert found["prores"][0] == found["prores=premultiplied"][0]
    assert found["prores"][1] == ()
    assert "alpha is straight" in found["prores=premultiplied"][1][0]


def test_mixed_pixels_are_deep_as_well(soft) -> None:
    deep = (soft.frame.image.astype(np.uint16) << 8) + 77
    composed = ComposedResult.of(replace(soft, frame=replace(soft.frame, deep=lambda: deep)))
    found = composed.deep_colours
    own = (composed.opacity == 0) | (composed.opacity == 1)
    np.testing.assert_array_equal(found[own], deep[own])
    assert np.abs(found / 257.0 - composed.colours).max() < 1.5
    assert np.abs(composed.deep_drawn_out / 257.0 - composed.drawn_out).max() < 1.5
    # They are estimated of the deep samples, not of eight bits of them.
    assert len(np.unique(found[~own] % 257)) > 100
    same = replace(soft, frame=replace(soft.frame, deep=lambda: soft.frame.image.astype(np.uint16) * 257))
    again = ComposedResult.of(same).deep_colours / 257.0
    assert np.abs(again - composed.colours).max() < 0.6


# ---- values --------------------------------------------------------------------------------------------------------


def test_what_is_asked_for_stands_in_the_names() -> None:
    asked = Composition(alpha="premultiplied", each_object=True)
    names = composed_formats(["prores", "webm", "ffv1"], asked)
    assert names == ("prores=premultiplied,each", "webm=each", "ffv1=premultiplied,each")
    assert check_formats(names) == names
    assert composed_formats(["prores"], Composition(each_object=True)) == ("prores=each",)


@pytest.mark.parametrize("name", ["prores=wrong", "prores=", "webm=premultiplied", "ffv1=each,premultiplied"])
def test_other_values_are_refused(name: str) -> None:
    with pytest.raises(UsageError):
        check_formats([name])
    with pytest.raises(UsageError, match="alpha premultiplied is asked for"):
        composed_formats(["rgba"], Composition(alpha="premultiplied"))


def test_a_value_is_not_read_again_for_each_frame(
    tmp_path: Path, soft: FrameResult, info, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str | None] = []
    read = Format.parsed.__func__
    monkeypatch.setattr(Format, "parsed", classmethod(lambda cls, value: seen.append(value) or read(cls, value)))
    counts = []
    for count in 1, 4:
        seen.clear()
        written(tmp_path / str(count), "prores=invert", [soft] * count, info())
        counts.append(len(seen))
    assert counts[0] == counts[1]


def test_a_source_of_8_bits_is_written_as_before(tmp_path: Path, soft, info) -> None:
    (path,) = written(tmp_path, "ffv1", [soft], info(tags=Tags())).paths
    with av.open(str(path)) as container:
        assert container.streams.video[0].codec_context.pix_fmt == "bgra"


@pytest.mark.parametrize(
    ("rate", "start", "kept", "said"),
    [
        (50, 0, "01:00:00:00", ""),
        (50, 26, "01:00:00:13", ""),
        (50, 27, None, "the timecode 01:00:00:27 is not kept: at 25 frames a second no frame begins at"),
        (25, 0, None, "the timecode 01:00:00:00 is not kept: timecode does not count 12.5 frames a"),
    ],
)
def test_the_timecode_of_each_second_frame_is_kept_where_the_rate_counts_it(
    tmp_path: Path, soft: FrameResult, info, rate: int, start: int, kept: str | None, said: str
) -> None:
    part = info(tags=Tags(timecode="01:00:00:00"), frame_rate=Fraction(rate, 2), start=start, every=2, times="zero")
    writer = written(tmp_path, "prores", [soft, soft], part)
    with open_source(tmp_path / "prores.mov") as source:
        assert source.info.tags.timecode == kept
    assert [text.startswith(f"prores: {said}") for text in writer.warnings] == [True] * bool(said)
