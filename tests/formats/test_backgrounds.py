"""What lies behind the subject: a video by its times, the source out of focus, light and shadow on the edges."""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import av
import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from covos.core.errors import SourceError, UsageError
from covos.core.types import Frame, Tags
from covos.formats import backdrops
from covos.formats.backdrops import Backdrop, Clip
from covos.formats.composition import Composition
from covos.formats.light import defocused, disc, to_light, to_picture, wrapped
from covos.formats.options import composed_formats
from covos.formats.table import check_formats, make_writer
from covos.media.video import VideoSource
from covos.runs.folder import OutputFolder
from covos.runs.onefile import choose_output

LEVELS = [10, 60, 110, 160, 210]


@pytest.fixture
def beach(tmp_path: Path) -> Path:
    """Half a second, five frames of plain grey levels."""
    return video(tmp_path / "beach.mkv", rate=10)


def video(path: Path, *, rate: int) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=rate, width=32, height=32, pix_fmt="bgra", options={"g": "1"})
        for level in LEVELS:
            image = np.full((32, 32, 3), level, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode(None))
    return path


def clip(path: Path, **part: Any) -> Clip:
    return Clip(Backdrop(what=str(path), **part), size=(24, 48), pixel_aspect=Fraction(1), deep=False)


def shown(found: Clip, times: list[float]) -> list[int]:
    return [int(found.at(Fraction(str(time))).mean()) for time in times]


def test_a_video_is_shown_by_its_times_and_begins_again(beach: Path) -> None:
    assert shown(clip(beach), [0, 0.04, 0.1, 0.19, 0.2, 0.45, 0.5, 0.58, 0.6, 1.0, 1.15]) == [
        *[10, 10, 60, 60, 110, 210],
        *[10, 10, 60, 10, 60],
    ]


def test_a_part_of_a_video_is_shown_in_a_loop(beach: Path) -> None:
    part = clip(beach, start="0.15", end="0.35")
    assert shown(part, [0, 0.04, 0.05, 0.14, 0.15, 0.2, 0.25, 0.4, 0.45]) == [60, 60, 110, 110, 160, 60, 110, 60, 110]
    assert shown(clip(beach, start="0.2"), [0, 0.25, 0.3, 100.0]) == [110, 210, 110, 160]


@pytest.mark.parametrize(
    ("start", "end"),
    [("f1", "f4"), ("00:00:00:01", "00:00:00:04"), ("f1", "0.16"), ("0.04", "f4"), ("00:00.04", "00:00:00:04")],
)
def test_a_part_of_a_video_is_named_by_frames_and_timecodes_as_well(tmp_path: Path, start: str, end: str) -> None:
    quick = clip(video(tmp_path / "beach.mkv", rate=25), start=start, end=end)
    assert shown(quick, [0, 0.04, 0.08, 0.12, 0.16]) == [60, 110, 160, 60, 110]


def test_what_lies_before_a_part_is_not_decoded(beach: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: VideoSource) -> Iterator[Frame]:
        raise AssertionError("it reads from the beginning")

    monkeypatch.setattr(VideoSource, "_read_all", refuse)
    assert shown(clip(beach, start="0.25", end="0.45"), [0, 0.05, 0.15, 0.2, 0.25]) == [110, 160, 210, 110, 160]


def test_a_part_goes_to_the_end_by_the_number_behind_the_last_frame(beach: Path) -> None:
    assert shown(clip(beach, start="f3", end="f5"), [0, 0.1, 0.2, 0.3]) == [160, 210, 160, 210]


def test_a_picture_fills_the_frame_and_stays(tmp_path: Path) -> None:
    halves = np.zeros((100, 400, 3), np.uint8)
    halves[:, 200:] = 255
    from PIL import Image

    Image.fromarray(halves).save(tmp_path / "beach.png")
    found = clip(tmp_path / "beach.png")
    image = found.at(Fraction(3600))
    assert image.shape == (24, 48, 3)
    assert image[:, :22].max() == 0
    assert image[:, 26:].min() == 255
    assert found.at(Fraction(7200)) is image


def test_where_it_can_no_longer_be_read_the_last_good_frame_stays(beach: Path) -> None:
    found = clip(beach)
    assert shown(found, [0, 0.4]) == [10, 210]
    assert found.warnings == ()
    beach.unlink()
    assert shown(found, [0.5, 0.6, 5.0]) == [210, 210, 210]
    (warning,) = found.warnings
    assert "last good frame" in warning
    assert beach.name in warning


def test_a_damaged_video_is_shown_with_a_warning(beach: Path) -> None:
    whole = beach.read_bytes()
    beach.write_bytes(whole[: int(len(whole) * 0.6)])
    found = clip(beach)
    levels = shown(found, [each / 10 for each in range(5)])
    assert levels[0] == LEVELS[0]
    assert set(levels) <= set(LEVELS)
    assert found.warnings


def test_two_frames_are_held_however_long_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[weakref.ref[Any]] = []
    most = 0

    class Film:
        info = SimpleNamespace(frame_count=1000, frame_rate=Fraction(25), pixel_aspect=Fraction(1))
        health = SimpleNamespace(warnings=())

        def __iter__(self) -> Iterator[Frame]:
            nonlocal most
            for index in range(1000):
                image = np.full((8, 8, 3), index % 256, np.uint8)
                made.append(weakref.ref(image))
                most = max(most, sum(each() is not None for each in made))
                yield Frame(index=index, stem="", image=image, pts=index, time_base=Fraction(1, 25))
                del image

    monkeypatch.setattr(backdrops, "open_source", lambda _: Film())
    found = clip(Path("long.mp4"))
    for second in range(100):
        found.at(Fraction(second))
    assert most <= 4


def test_a_run_tells_a_background_that_is_damaged_and_keeps_its_own_times(beach: Path, info, result) -> None:
    made = info(frame_rate=Fraction(25))
    writer = make_writer(
        f"background={beach}", OutputFolder(beach.parent / "out"), info=made, source_path=beach.parent / "none"
    )
    for index in range(5):
        writer.write(result(index, ids=()))
    (path,) = writer.close()
    with av.open(str(path)) as container:
        levels = [frame.to_ndarray(format="gray").mean() for frame in container.decode(video=0)]
    assert len(levels) == 5
    # 25 frames a second show each of its 10 for two or three.
    assert [abs(levels[each] - levels[0]) < 3 for each in range(5)] == [True, True, True, False, False]


# ---- light ---------------------------------------------------------------------------------------------------------


def test_light_comes_back_as_the_picture_that_it_was_made_of() -> None:
    every = np.arange(256, dtype=np.uint8).repeat(3).reshape(16, 16, 3)
    np.testing.assert_array_equal(to_picture(to_light(every), every), every)
    deep = np.arange(65536, dtype=np.uint16).repeat(3).reshape(256, 256, 3)
    found = to_picture(to_light(deep), deep)
    assert found.dtype == np.uint16
    assert np.abs(found.astype(int) - deep).max() <= 1


def test_a_point_out_of_focus_is_a_disc_of_even_light() -> None:
    image = np.zeros((41, 41, 3), np.uint8)
    image[20, 20] = 255
    light = to_light(defocused(image, np.zeros((41, 41), np.float32), radius=6))[..., 0]
    y, x = np.mgrid[:41, :41]
    far = np.hypot(x - 20, y - 20)
    inside = light[far < 5]
    assert inside.min() == pytest.approx(1 / (np.pi * 36), rel=0.1)
    assert np.ptp(inside) < 1e-3
    assert light[far > 7].max() == 0
    assert disc(6).sum() == pytest.approx(1)


def test_out_of_focus_light_is_averaged_as_light() -> None:
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[::2] = 255
    blurred = defocused(stripes, np.zeros((64, 64), np.float32), radius=8)
    assert abs(int(blurred[32, 32, 0]) - 188) <= 3  # half the light of white; the mean of the codes is 128


@pytest.mark.parametrize("radius", [3, 10, 40])
def test_the_subject_does_not_bleed_into_what_is_out_of_focus(radius: int) -> None:
    image = np.full((96, 128, 3), 90, np.uint8)
    y, x = np.mgrid[:96, :128]
    opacity = np.clip(24 - np.hypot(x - 64, y - 48), 0, 4).astype(np.float32) / 4
    image = (image * (1 - opacity[..., None]) + np.array([255, 0, 0]) * opacity[..., None]).astype(np.uint8)
    blurred = defocused(image, opacity, radius=radius)
    seen = np.abs(blurred.astype(int) - 90) * (1 - opacity[..., None])
    assert seen.max() <= 4
    assert defocused(image, np.ones((96, 128), np.float32), radius=radius).shape == image.shape


@pytest.mark.parametrize("wide", [1, 3, 20])
def test_a_thin_thing_alone_keeps_its_colour_out_of_focus(wide: int) -> None:
    colour = (220, 160, 60)
    image, opacity = np.full((480, 640, 3), 128, np.uint8), np.ones((480, 640), np.float32)
    image[200:280, 300 : 300 + wide], opacity[200:280, 300 : 300 + wide] = colour, 0
    blurred = defocused(image, opacity, radius=12)
    assert np.abs(blurred[240, 300 + wide // 2].astype(int) - colour).max() <= 2


def test_light_wraps_around_the_edge_and_no_farther() -> None:
    opacity = np.zeros((64, 64), np.float32)
    opacity[:, 32:] = 1
    background = np.full((64, 64, 3), 250, np.uint8)
    laid = np.where(opacity[..., None] > 0, 40, background).astype(np.uint8)
    found = wrapped(laid, background, opacity, radius=8)
    row = found[32, :, 0].astype(int)
    np.testing.assert_array_equal(found[:, :32], laid[:, :32])
    assert row[32] > 90
    assert (np.diff(row[32:]) <= 0).all()
    assert row[50:].max() == 40
    dark = wrapped(laid, np.zeros_like(background), opacity, radius=8)
    np.testing.assert_array_equal(dark, laid)
    np.testing.assert_array_equal(wrapped(laid, background, np.zeros_like(opacity), radius=8), laid)


def test_what_is_asked_for_stands_in_the_names_of_the_formats(beach: Path) -> None:
    asked = Composition(background=str(beach), background_start=0.1, light_wrap="1%", shadow=True)
    names = composed_formats(["palette", "background", "blur"], asked)
    assert names == ("palette", f"background={beach},start=0.1,wrap=1%,shadow", "blur=wrap=1%")
    assert check_formats(names) == names
    assert Backdrop.parse(names[1].partition("=")[2]) == Backdrop(what=str(beach), start="0.1", wrap="1%", shadow=True)
    # A background asks for its format.
    assert composed_formats(["prores"], Composition(background="#102030")) == ("prores", "background=#102030")


def test_a_name_with_commas_is_one_name(beach: Path) -> None:
    odd = beach.rename(beach.with_name("a,shadow"))
    assert Backdrop.parse(str(odd)) == Backdrop(what=str(odd))
    assert Backdrop.parse(f"{odd},shadow") == Backdrop(what=str(odd), shadow=True)


@pytest.mark.parametrize(
    ("names", "asked", "said"),
    [
        (["prores"], {"shadow": True}, "shadow is asked for"),
        (["green"], {"light_wrap": "1%"}, "light-wrap is asked for"),
        (["background=#102030"], {"background": "#ffffff"}, "background #ffffff beside the format background=#102030"),
        (
            [],
            {"background": "#fff", "background_start": 3, "background_end": 2},
            "background-start 3 and end 2 leave no frame",
        ),
        ([], {"background": "#fff", "background_start": "soon"}, "background-start 'soon' is no place"),
    ],
)
def test_what_cannot_be_composed_is_refused(names: list[str], asked: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError) as caught:
        composed_formats(names, Composition(**asked))
    assert said in caught.value.what


@pytest.mark.parametrize(
    ("what", "colour"),
    [("white", "#ffffff"), ("Navy", "#000080"), ("#fA0", "#ffaa00"), ("#102030", "#102030"), ("blur", None)],
)
def test_colours_have_codes_and_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str, colour: str) -> None:
    assert Backdrop(what=what).colour == colour
    monkeypatch.chdir(tmp_path)
    (tmp_path / what).mkdir()
    assert Backdrop(what=what).colour is None, "a file of that name goes before"


def test_a_number_in_the_name_of_a_picture_of_a_background_is_answered_with_its_frame(tmp_path: Path) -> None:
    for number in range(1001, 1007):
        cv2.imwrite(str(tmp_path / f"shot.{number}.png"), np.zeros((8, 8, 3), np.uint8))
    with pytest.raises(UsageError, match="background-start f1005: frame 1005 is beyond the end") as caught:
        Backdrop.parse(f"{tmp_path},start=f1005").check()
    assert caught.value.fix == "shot.1005 is frame 4: write f4"


def test_a_backdrop_that_cannot_be_shown_is_refused_before_the_run(beach: Path, tmp_path: Path) -> None:
    still = tmp_path / "still.png"
    cv2.imwrite(str(still), np.zeros((8, 8, 3), np.uint8))
    for value, said in [
        (f"{beach},start=0.5", "background-start 0.5: 0.5 seconds is beyond the end"),
        (f"{beach},start=f5", "background-start f5: frame 5 is beyond the end"),
        (f"{beach},start=f1,end=f6", "background-end f6: frame 6 is beyond the end"),
        (f"{beach},start=f3,end=0.2", "background-start f3 and end 0.2 leave no frame"),
        (f"{beach},start=00:00:00:10", "background-start 00:00:00:10"),
        ("nowhere.mp4", "nowhere.mp4"),
        ("#12345", "#12345"),
        ("whit", "whit"),
        ("#102030,start=1", "background-start or background-end of"),
        (f"{still},start=1", "background-start or background-end of"),
        (f"{still},end=1", "background-start or background-end of"),
        ("blur:0", "blur=0"),
        (f"{beach},wrap=much", "'much'"),
    ]:
        with pytest.raises(UsageError) as caught:
            check_formats([f"background={value}"])
        assert said in caught.value.what
    with pytest.raises(UsageError, match=r"did you mean white\?"):
        check_formats(["background=whit"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(SourceError, match="the folder has no images"):
        check_formats([f"background={tmp_path / 'empty'}"])
    (tmp_path / "notes.mp4").write_text("no picture")
    with pytest.raises(SourceError, match=r"notes\.mp4"):
        check_formats([f"background={tmp_path / 'notes.mp4'}"])


@pytest.mark.parametrize("name", ["background=#204060,prores", "blur=2%,wrap=1%,prores", "green=prores"])
@pytest.mark.parametrize("bits", [8, 10])
def test_prores_keeps_what_lies_behind_and_the_bits_of_the_source(
    tmp_path: Path, result: Any, info: Any, name: str, bits: int
) -> None:
    # A ramp in steps of a quarter of an 8-bit level, as a source of ten bits has it.
    ramp = np.broadcast_to(np.linspace(40 * 257, 56 * 257, 64).astype(np.uint16)[None, :, None], (48, 64, 3))
    image = np.asarray(ramp >> 8, np.uint8)
    one = result(ids=(1,))
    frame = replace(one.frame, image=image, deep=ramp.copy if bits > 8 else None)
    whole = replace(one, frame=frame, probability=np.ones((48, 64), np.float32), labels=np.ones((48, 64), np.uint8))
    writer = make_writer(name, OutputFolder(tmp_path), info=info(tags=Tags(bits=bits)), source_path=tmp_path / "none")
    writer.write(whole)
    (path,) = writer.close()
    assert path.suffix == ".mov"
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.codec_context.profile) == ("prores", "HQ")
        decoded = next(container.decode(video=0))
        rows = decoded.to_ndarray(format="gray16le").astype(float)
    levels = len(np.unique(np.round(rows.mean(axis=0) / 64)))
    assert levels > 40 if bits > 8 else levels < 24


@pytest.mark.parametrize("options", ["", ",wrap=1%", ",shadow"])
@pytest.mark.parametrize("what", ["file", "blur:1px"])
@pytest.mark.parametrize("bits", [8, 10])
def test_prores_keeps_the_bits_of_a_background(
    tmp_path: Path, result: Any, info: Any, what: str, options: str, bits: int
) -> None:
    ramp = np.broadcast_to(np.linspace(40 * 257, 56 * 257, 64).astype(np.uint16)[None, :, None], (48, 64, 3))
    cv2.imwrite(str(tmp_path / "ramp.png"), ramp)
    one = result(ids=(1,))
    frame = replace(one.frame, image=np.asarray(ramp >> 8, np.uint8), deep=ramp.copy if bits > 8 else None)
    nothing = np.zeros((48, 64), np.float32)
    empty = replace(one, frame=frame, probability=nothing, labels=nothing.astype(np.uint8))
    name = f"background={tmp_path / 'ramp.png' if what == 'file' else what}{options},prores"
    folder, about = OutputFolder(tmp_path / "out"), info(tags=Tags(bits=bits))
    writer = make_writer(name, folder, info=about, source_path=tmp_path / "none")
    writer.write(empty)
    (path,) = writer.close()
    with av.open(str(path)) as container:
        rows = next(container.decode(video=0)).to_ndarray(format="gray16le").astype(float)
    levels = len(np.unique(np.round(rows.mean(axis=0) / 64)))
    assert levels > 40 if bits > 8 else levels < 24


def _pixels(path: Path) -> NDArray[Any]:
    """RGB as PyAV, OpenCV or OpenEXR's own library reads it."""
    if path.suffix == ".mkv":
        with av.open(str(path)) as container:
            assert container.streams.video[0].codec_context.name == "ffv1"
            decoded = next(container.decode(video=0))
            deep = decoded.format.components[0].bits > 8
            return decoded.to_ndarray(format="rgb48le" if deep else "rgb24")
    (picture,) = path.iterdir()
    if picture.suffix == ".exr":
        opened = import_module("OpenEXR").File(str(picture), separate_channels=True)
        assert set(opened.channels()) == {"R", "G", "B"}
        return np.stack([opened.channels()[name].pixels for name in "RGB"], axis=-1)
    return np.asarray(cv2.imread(str(picture), cv2.IMREAD_UNCHANGED))[..., ::-1]


@pytest.mark.parametrize("carrier", ["ffv1", "tiff", "png", "exr"])
@pytest.mark.parametrize("bits", [8, 16])
def test_what_is_lossless_keeps_all_of_the_source_and_of_the_background(
    tmp_path: Path, result: Any, info: Any, carrier: str, bits: int
) -> None:
    source, behind = (np.random.default_rng(seed).integers(0, 65536, (48, 64, 3)).astype(np.uint16) for seed in (1, 2))
    cv2.imwrite(str(tmp_path / "behind.png"), behind[..., ::-1])
    one = result(ids=(1,))
    left = np.zeros((48, 64), np.float32)
    left[:, :32] = 1
    frame = replace(one.frame, image=np.asarray(source >> 8, np.uint8), deep=source.copy if bits > 8 else None)
    half = replace(one, frame=frame, probability=left, labels=left.astype(np.uint8), matte=left)
    name = f"background={tmp_path / 'behind.png'},{carrier}"
    check_formats([name])
    folder, about = OutputFolder(tmp_path / "out"), info(tags=Tags(bits=bits))
    writer = make_writer(name, folder, info=about, source_path=tmp_path / "none")
    writer.write(half)
    (path,) = writer.close()
    assert path == tmp_path / "out" / ("background.mkv" if carrier == "ffv1" else "background")
    found = _pixels(path)
    assert found.dtype == {"exr": np.float16, "tiff": np.uint16}.get(carrier, np.uint16 if bits > 8 else np.uint8)
    wanted = np.where(left[..., None] > 0, source, behind)
    if bits == 8:
        wanted = np.asarray(wanted >> 8, np.uint8)
    if carrier == "exr":
        np.testing.assert_allclose(found.astype(np.float32), to_light(wanted), rtol=1e-3, atol=1e-7)
    else:
        scale = 257 if (carrier, bits) == ("tiff", 8) else 1
        np.testing.assert_array_equal(found, wanted.astype(int) * scale)


@pytest.mark.parametrize(("carrier", "error"), [("webp", 0), ("jpeg", 6)])
def test_pictures_to_look_at_have_eight_bits(tmp_path: Path, result: Any, info: Any, carrier: str, error: int) -> None:
    one = result(ids=(1,))
    ramp = np.broadcast_to(np.linspace(2000, 60000, 64).astype(np.uint16)[None, :, None], (48, 64, 3))
    frame = replace(one.frame, image=np.asarray(ramp >> 8, np.uint8), deep=ramp.copy)
    whole = replace(one, frame=frame, probability=np.ones((48, 64), np.float32), labels=np.ones((48, 64), np.uint8))
    writer = make_writer(
        f"green={carrier}", OutputFolder(tmp_path), info=info(tags=Tags(bits=16)), source_path=tmp_path / "none"
    )
    writer.write(whole)
    (path,) = writer.close()
    with Image.open(next(path.iterdir())) as picture:
        assert (picture.format, picture.mode) == (carrier.upper(), "RGB")
        assert np.abs(np.asarray(picture).astype(int) - frame.image).max() <= error


def test_a_file_asks_for_how_a_background_is_written(tmp_path: Path) -> None:
    white = Composition(background="white")
    assert choose_output(tmp_path / "x.mkv", composition=white).formats == ("background=white,ffv1",)
    for name, still in (("x.tif", "background=white,tiff"), ("x.exr", "background=white,exr")):
        assert choose_output(tmp_path / name, composition=white, still=True).formats == (still,)
        with pytest.raises(UsageError, match="one file") as caught:
            choose_output(tmp_path / name, composition=white)
        assert "writes a picture a frame" in caught.value.why
        assert caught.value.fix == f"name a folder: {tmp_path / 'x'}, or take one frame: range=range(30, 31)"
    assert choose_output(tmp_path / "x.png", composition=white, still=True).formats == ("background=white",)
    for name, asked in (("x.jpg", "jpeg"), ("x.jpeg", "jpeg"), ("x.webp", "webp")):
        assert choose_output(tmp_path / name, composition=white, still=True).formats == (f"background=white,{asked}",)
    with pytest.raises(UsageError, match=r"no format writes \.jpg files") as caught:
        choose_output(tmp_path / "x.jpg", still=True)
    assert 'covos.Composition(background="white")' in caught.value.fix
    with pytest.raises(UsageError, match="of the format matte") as caught:
        choose_output(tmp_path / "x.webp", ["matte"], still=True)
    assert ".webp files are made by preview, rgba=webp" in caught.value.fix
    deep = choose_output(tmp_path / "x.png", ["background=png"], composition=white, still=True)
    assert deep.formats == ("background=white,png",)
    for wrong, meant in (("green=tif", "green=tiff"), ("background=jpg", "jpeg"), ("green=Prores", "green=prores")):
        with pytest.raises(UsageError) as caught:
            check_formats([wrong])
        assert f"did you mean {meant}?" in caught.value.fix
    with pytest.raises(UsageError, match="prores and tiff together"):
        check_formats(["blur=2%,tiff,prores"])
    with pytest.raises(UsageError, match=r"x\.mov of the format green=ffv1"):
        choose_output(tmp_path / "x.mov", ["green=ffv1"])


def test_a_mov_with_a_background_is_prores(tmp_path: Path, beach: Path) -> None:
    composition = Composition(background=str(beach), shadow=True)
    chosen = choose_output(tmp_path / "x.mov", composition=composition)
    assert chosen.formats == (f"background={beach},shadow,prores",)
    assert choose_output(tmp_path / "x.mp4", composition=composition).formats == (f"background={beach},shadow",)
    assert choose_output(tmp_path / "x.mov", ["green"]).formats == ("green=prores",)
    assert choose_output(tmp_path / "x.gif", ["preview"]).formats == ("preview=gif",)
    with pytest.raises(UsageError, match=r"x\.gif of the format preview=webp"):
        choose_output(tmp_path / "x.gif", ["preview=webp"])
    with pytest.raises(UsageError) as caught:
        check_formats(["green=blue"])
    assert "green=prores" in caught.value.fix
