"""OpenEXR pictures as input: light becomes what a screen shows, at full depth, with alpha or without."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import OpenEXR
import pytest
from numpy.typing import NDArray

from covos.core.errors import CovosError, EnvironmentProblem, SourceError
from covos.formats.compose import ComposedResult
from covos.formats.table import make_writer
from covos.media import images
from covos.media.images import image_header, read_picture
from covos.media.openexr import openexr_pixels, openexr_sizes
from covos.media.opening import open_source
from covos.runs.folder import OutputFolder

SIZE = 24, 32
ACES = (0.7347, 0.2653, 0.0, 1.0, 0.0001, -0.077, 0.32168, 0.33767)
P3 = (0.68, 0.32, 0.265, 0.69, 0.15, 0.06, 0.3127, 0.329)


def save(path: Path, planes: dict[str, Any], **header: Any) -> Path:
    channels = {name: np.ascontiguousarray(np.broadcast_to(plane, SIZE)) for name, plane in planes.items()}
    told = {"type": OpenEXR.scanlineimage, "compression": OpenEXR.ZIP_COMPRESSION, **header}
    OpenEXR.File(told, channels).write(str(path))
    return path


def ramp(kind: type = np.float16) -> NDArray[Any]:
    return np.broadcast_to(np.linspace(0, 1, SIZE[1]), SIZE).astype(kind)


def coded(light: NDArray[Any]) -> NDArray[Any]:
    return np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)


@pytest.mark.parametrize("kind", [np.float16, np.float32])
def test_light_becomes_what_a_screen_shows(tmp_path: Path, kind: type) -> None:
    grey = ramp(kind)
    save(tmp_path / "a.exr", {"R": grey, "G": grey, "B": kind(2.0), "Z": np.float32(7)})
    picture = read_picture(tmp_path / "a.exr")
    assert picture.alpha is None
    assert np.abs(picture.image[..., 0] - 255 * coded(grey.astype(float))).max() <= 1
    assert (picture.image[..., 2] == 255).all(), "light above 1 is cut"


def test_a_folder_of_them_keeps_its_depth(tmp_path: Path) -> None:
    for index in range(3):
        plane = (ramp() * np.float16(0.01 * (index + 1))).astype(np.float16)
        save(tmp_path / f"{index:04d}.exr", {"R": plane, "G": plane, "B": plane})
    with open_source(tmp_path) as source:
        frames = list(source)
        assert (source.info.codec, source.info.tags.bits, source.info.frame_count) == ("exr", 16, 3)
        assert not source.health.warnings, "a dark picture is dark, and of no smaller depth"
    assert frames[0].deep is not None
    deep = frames[0].deep()
    assert len(np.unique(deep[0, :, 0])) > 30, "neighbouring levels stay apart"
    assert np.abs(deep[0, :, 0] / 65535 - coded(ramp()[0].astype(float) * 0.01)).max() < 2e-4


def test_premultiplied_colours_become_straight(tmp_path: Path) -> None:
    alpha = ramp(np.float32)
    light = np.float32(0.5)
    save(tmp_path / "a.exr", {"R": light * alpha, "G": np.float32(0) * alpha, "B": light * alpha, "A": alpha})
    with open_source(tmp_path / "a.exr") as source:
        (frame,) = source
        assert any("has alpha" in each for each in source.health.warnings)
    assert frame.alpha is not None
    np.testing.assert_allclose(frame.alpha, 255 * alpha, atol=1)
    seen = alpha > 0.05
    np.testing.assert_allclose(frame.colours[..., 0][seen], 255 * coded(np.array(0.5)), atol=1)


def test_the_cut_out_of_light_is_that_light(tmp_path: Path, result: Any) -> None:
    """From OpenEXR to OpenEXR nothing changes but by the rounding of half floats."""
    grey = ramp(np.float32)
    save(tmp_path / "a.exr", {"R": grey, "G": grey * 0.5, "B": grey * 0.25})
    with open_source(tmp_path / "a.exr") as source:
        (frame,) = source
        from dataclasses import replace

        made = result(size=SIZE)
        whole = np.ones(SIZE, np.float32)
        made = replace(made, frame=frame, probability=whole, labels=whole.astype(np.uint8))
        writer = make_writer("exr", OutputFolder(tmp_path / "out"), info=source.info, source_path=tmp_path / "none")
        writer.write(ComposedResult.of(made))
        (folder,) = writer.close()
    (file,) = folder.iterdir()
    found = OpenEXR.File(str(file), separate_channels=True).channels()
    for name, share in (("R", 1.0), ("G", 0.5), ("B", 0.25)):
        np.testing.assert_allclose(found[name].pixels.astype(float), grey * share, atol=1e-3)


@pytest.mark.parametrize("stated", [ACES, P3])
def test_other_primaries_become_those_of_bt709(tmp_path: Path, stated: tuple[float, ...]) -> None:
    plane = np.float32(0.5)
    save(tmp_path / "white.exr", dict.fromkeys("RGB", plane), chromaticities=stated)
    white = read_picture(tmp_path / "white.exr").image
    assert np.abs(white - 255 * coded(np.array(0.5))).max() <= 1, "white stays white"
    save(tmp_path / "red.exr", {"R": plane, "G": np.float32(0), "B": np.float32(0)}, chromaticities=stated)
    red = read_picture(tmp_path / "red.exr").image[0, 0]
    assert red[0] > 255 * coded(np.array(0.5)) + 5, "a wider red is more than the red of BT.709"


def test_brightness_alone_is_grey(tmp_path: Path) -> None:
    save(tmp_path / "a.exr", {"Y": ramp()})
    image = read_picture(tmp_path / "a.exr").image
    assert (image[..., 0] == image[..., 2]).all()


def test_a_layer_is_read_where_there_are_no_plain_colours(tmp_path: Path) -> None:
    save(tmp_path / "a.exr", {"beauty.R": np.float16(1), "beauty.G": np.float16(0), "beauty.B": np.float16(0)})
    assert read_picture(tmp_path / "a.exr").image[3, 3].tolist() == [255, 0, 0]


def test_data_lie_where_the_file_says(tmp_path: Path) -> None:
    window = {
        "dataWindow": (np.array([4, 2], np.int32), np.array([4 + 31, 2 + 23], np.int32)),
        "displayWindow": (np.array([0, 0], np.int32), np.array([19, 9], np.int32)),
    }
    save(tmp_path / "a.exr", {**dict.fromkeys("RGB", np.float16(1)), "A": np.float16(1)}, **window)
    with open_source(tmp_path / "a.exr") as source:
        (frame,) = source
    assert frame.size == (10, 20)
    assert frame.alpha is not None
    assert (frame.alpha[2:, 4:] == 255).all()
    assert frame.alpha[:2].max() == frame.alpha[:, :4].max() == 0


def test_what_has_no_colours_is_refused_in_words(tmp_path: Path) -> None:
    save(tmp_path / "depth.exr", {"Z": np.float32(3)})
    with pytest.raises(SourceError) as caught:
        open_source(tmp_path / "depth.exr")
    assert "no channels R, G and B" in caught.value.why
    assert "Z" in caught.value.why


def test_a_damaged_one_of_a_folder_is_a_frame_all_the_same(tmp_path: Path) -> None:
    for index in range(4):
        save(tmp_path / f"{index}.exr", dict.fromkeys("RGB", ramp()))
    whole = (tmp_path / "2.exr").read_bytes()
    (tmp_path / "2.exr").write_bytes(whole[: len(whole) // 2])
    with open_source(tmp_path) as source:
        assert [frame.status for frame in source] == ["ok", "ok", "unreadable", "ok"]


def test_without_the_package_the_remedy_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(tmp_path / "a.exr", dict.fromkeys("RGB", ramp()))
    monkeypatch.setitem(sys.modules, "OpenEXR", None)
    with pytest.raises(EnvironmentProblem) as caught:
        open_source(tmp_path / "a.exr")
    assert "covos[exr]" in (caught.value.fix or "")


def test_each_part_of_a_file_is_held_to_the_limit(tmp_path: Path, limited: Any) -> None:
    """All parts are read, whichever has the colours."""
    told = {"type": OpenEXR.scanlineimage, "compression": OpenEXR.ZIP_COMPRESSION}
    colours = {name: np.zeros((8, 8), np.float16) for name in "RGB"}
    parts = [
        OpenEXR.Part({**told, "displayWindow": ((0, 0), (7, 7))}, colours, "colours"),
        OpenEXR.Part({**told, "displayWindow": ((0, 0), (7, 7))}, {"Z": np.zeros((100, 100), np.float16)}, "depth"),
    ]
    OpenEXR.File(parts).write(str(tmp_path / "parts.exr"))
    with (tmp_path / "parts.exr").open("rb") as file:
        assert openexr_sizes(file, name="parts.exr") == ((8, 8), (8, 8), (100, 100))
    limited(pixels=1000)
    with pytest.raises(CovosError, match="pixels"):
        image_header(tmp_path / "parts.exr")


def test_the_brightest_light_behind_the_least_alpha_is_white(tmp_path: Path) -> None:
    planes = {name: np.full(SIZE, 3e38, np.float32) for name in "RGB"}
    file = save(tmp_path / "bright.exr", {**planes, "A": np.full(SIZE, 1e-3, np.float32)})
    with np.errstate(all="raise"):
        samples = openexr_pixels(file.read_bytes(), name="bright.exr").samples
    assert (samples[..., :3] == 65535).all()


def test_a_folder_is_opened_by_the_heads_of_its_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for index in range(6):
        save(tmp_path / f"{index:04d}.exr", dict.fromkeys("RGB", ramp()))
    whole: list[str] = []
    read = images.read_guarded

    def counting(path: Path, **settings: Any) -> bytes:
        whole.append(path.name)
        return read(path, **settings)

    monkeypatch.setattr(images, "read_guarded", counting)
    with open_source(tmp_path):
        assert set(whole) == {"0000.exr"}


def test_a_file_that_was_cut_off_is_damaged(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    noise = np.random.default_rng(0).random(SIZE).astype(np.float32)
    content = save(tmp_path / "a.exr", dict.fromkeys("RGB", noise)).read_bytes()
    for share in (0.1, 0.5, 0.95):
        (tmp_path / "a.exr").write_bytes(content[: int(share * len(content))])
        with pytest.raises(SourceError) as caught:
            read_picture(tmp_path / "a.exr")
        assert "damaged" in caught.value.why
    assert capfd.readouterr().out == "", "commands print there what other programs read"
