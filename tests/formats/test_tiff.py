"""TIFF pictures of 16 bits: read back by OpenCV, Pillow, FFmpeg and covos itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from io import BytesIO
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageCms

from covos.core.errors import UsageError
from covos.core.types import Colour, FrameResult, SourceInfo, Tags
from covos.formats.composition import Composition
from covos.formats.options import composed_formats
from covos.formats.table import check_formats, make_writer, parse_format
from covos.formats.tiff import write_tiff
from covos.media.opening import open_source
from covos.runs.folder import OutputFolder
from covos.runs.onefile import choose_output

Make = Callable[..., FrameResult]
MakeInfo = Callable[..., SourceInfo]


@pytest.fixture
def deep(result: Make) -> tuple[FrameResult, NDArray[np.uint16]]:
    """A subject with a soft edge in a picture of 16 bits, and the samples of that."""
    samples = np.random.default_rng(4).integers(0, 65536, (48, 64, 3)).astype(np.uint16)
    made = result(ids=(1,))
    frame = replace(made.frame, image=np.asarray(samples >> 8, np.uint8), deep=samples.copy)
    ramp = np.broadcast_to(np.clip(np.linspace(-1, 2, 64), 0, 1).astype(np.float32), (48, 64))
    return replace(made, frame=frame, probability=ramp, labels=(ramp > 0.5).astype(np.uint8)), samples


def written(folder: Path, name: str, one: FrameResult, info: SourceInfo) -> Path:
    writer = make_writer(name, OutputFolder(folder), info=info, source_path=folder / "none")
    writer.write(one)
    (path,) = writer.close()
    (picture,) = path.iterdir()
    assert picture.suffix == ".tif"
    return picture


def pixels(path: Path) -> NDArray[np.uint16]:
    found = np.asarray(cv2.imread(str(path), cv2.IMREAD_UNCHANGED))
    assert found.dtype == np.uint16
    return found[..., [2, 1, 0, 3]]


def test_all_bits_of_the_source_are_kept(
    tmp_path: Path, deep: tuple[FrameResult, NDArray[np.uint16]], info: MakeInfo
) -> None:
    one, samples = deep
    found = pixels(written(tmp_path, "tiff", one, info(tags=Tags(bits=16))))
    sure = np.isin(found[..., 3], (0, 65535))
    assert 0.3 < sure.mean() < 1
    np.testing.assert_array_equal(found[sure][:, :3], samples[sure])


def test_premultiplied_colours_are_multiplied_at_all_bits(
    tmp_path: Path, deep: tuple[FrameResult, NDArray[np.uint16]], info: MakeInfo
) -> None:
    one, _ = deep
    straight = pixels(written(tmp_path / "a", "tiff", one, info())).astype(float)
    path = written(tmp_path / "b", "tiff=premultiplied", one, info())
    found = pixels(path).astype(float)
    np.testing.assert_array_equal(found[..., 3], straight[..., 3])
    np.testing.assert_allclose(found[..., :3], straight[..., :3] * straight[..., 3:] / 65535, atol=1)


def test_a_holdout_has_the_rest_of_the_alpha(
    tmp_path: Path, deep: tuple[FrameResult, NDArray[np.uint16]], info: MakeInfo
) -> None:
    one, _ = deep
    subject, rest = (pixels(written(tmp_path / name, name, one, info())) for name in ("tiff", "tiff=invert"))
    assert np.abs(subject[..., 3].astype(int) + rest[..., 3] - 65535).max() <= 1


@pytest.mark.parametrize("premultiplied", [False, True])
def test_the_file_states_its_alpha_and_its_pixels(tmp_path: Path, premultiplied: bool) -> None:
    path, size = tmp_path / "x.tif", (700, 301)  # several strips
    full = np.random.default_rng(1).integers(0, 65536, (*size, 4)).astype(np.uint16)
    full[..., 3] = full[..., 3] | 0x8000
    if premultiplied:
        full[..., :3] = np.minimum(full[..., :3], full[..., 3:])
    write_tiff(path, full, premultiplied=premultiplied, pixel_aspect=Fraction(16, 15))
    np.testing.assert_array_equal(pixels(path), full)
    with av.open(str(path)) as container:
        np.testing.assert_array_equal(next(container.decode(video=0)).to_ndarray(format="rgba64le"), full)
    with Image.open(path) as image:
        image.load()
        tags = image.tag_v2  # type: ignore[attr-defined]
        assert tags[338] == ((1,) if premultiplied else (2,))
        assert float(tags[283]) / float(tags[282]) == pytest.approx(16 / 15)
        assert len(tags[273]) > 2
        straight = np.asarray(image).astype(int)
    # covos reads it back straight, as Pillow does, which divides 8 bits by 8 bits.
    with open_source(path) as source:
        (frame,) = source
    assert np.abs(frame.colours.astype(int) - straight[..., :3]).max() <= 3
    assert frame.alpha is not None
    assert np.abs(frame.alpha.astype(int) - straight[..., 3]).max() <= 1
    assert frame.deep is not None
    expected = full[..., :3] / (full[..., 3:] / 65535 if premultiplied else 1)
    np.testing.assert_allclose(frame.deep(), expected, atol=1)


@pytest.mark.parametrize("primaries", [None, 1, 5, 6, 11, 12, 99])
def test_the_file_states_its_colours(
    tmp_path: Path, deep: tuple[FrameResult, NDArray[np.uint16]], info: MakeInfo, primaries: int | None
) -> None:
    """Read by Little CMS, through Pillow: to XYZ, for which the expected numbers are worked out from H.273."""
    colour = None if primaries is None else Colour(primaries=primaries, transfer=1, matrix=1)
    with Image.open(written(tmp_path, "tiff", deep[0], info(tags=Tags(bits=16, colour=colour)))) as image:
        stated = ImageCms.ImageCmsProfile(BytesIO(image.info["icc_profile"]))
    samples = np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 255], [60, 130, 200]]], np.uint8)
    lab = ImageCms.profileToProfile(
        Image.fromarray(samples), stated, ImageCms.createProfile("LAB"), renderingIntent=1, outputMode="LAB"
    )
    assert lab is not None
    shown = np.asarray(lab).astype(int)[0]
    shown[:, 1:] -= 256 * (shown[:, 1:] > 127)
    expected = _lab(samples[0] / 255, CHROMATICITIES.get(primaries or 1, CHROMATICITIES[1]))
    inside = np.abs(expected[:, 1:]).max(axis=1) < 127
    np.testing.assert_allclose(shown[inside] * [100 / 255, 1, 1], expected[inside], atol=1.2)
    assert (stated.profile.profile_description == "sRGB") == (primaries in {None, 1, 99})


CHROMATICITIES = {
    1: ((0.64, 0.33), (0.30, 0.60), (0.15, 0.06), (0.3127, 0.3290)),
    5: ((0.64, 0.33), (0.29, 0.60), (0.15, 0.06), (0.3127, 0.3290)),
    6: ((0.630, 0.340), (0.310, 0.595), (0.155, 0.070), (0.3127, 0.3290)),
    11: ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060), (0.314, 0.351)),
    12: ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060), (0.3127, 0.3290)),
}


def _lab(coded: NDArray[np.float64], chromaticities: tuple[tuple[float, float], ...]) -> NDArray[np.float64]:
    """CIE L*a*b* of D50, the white adapted by Bradford's cones."""
    xyz = np.array([(x / y, 1, (1 - x - y) / y) for x, y in chromaticities])
    colours = (np.linalg.solve(xyz[:3].T, xyz[3])[:, None] * xyz[:3]).T
    cones = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
    white = np.array([0.9642, 1.0, 0.8249])
    light = np.where(coded <= 0.04045, coded / 12.92, ((coded + 0.055) / 1.055) ** 2.4)
    seen = np.linalg.inv(cones) @ (((cones @ white) / (cones @ xyz[3]))[:, None] * (cones @ colours @ light.T))
    ratio = (seen / white[:, None]).T
    root = np.where(ratio > (6 / 29) ** 3, np.cbrt(ratio), ratio / (3 * (6 / 29) ** 2) + 4 / 29)
    x, y, z = root.T
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=1)


def test_a_picture_that_is_faint_all_over_keeps_its_light(tmp_path: Path) -> None:
    alpha = round(0.05 * 65535)
    whole = np.full((32, 40, 4), (*[round(0.05 * 50000)] * 3, alpha), np.uint16)
    write_tiff(tmp_path / "x.tif", whole, premultiplied=True)
    with open_source(tmp_path / "x.tif") as source:
        (frame,) = source
    assert frame.deep is not None
    assert np.abs(frame.deep().astype(int) - 50000).max() < 30


def test_its_values_and_its_names(tmp_path: Path) -> None:
    asked = composed_formats(["tiff"], Composition(alpha="premultiplied", invert=True))
    assert check_formats(asked) == ("tiff=premultiplied,invert",)
    assert parse_format("tiff")[0].has_alpha
    with pytest.raises(UsageError, match="tiff=float"):
        check_formats(["tiff=float"])
    with pytest.raises(UsageError) as caught:
        choose_output(tmp_path / "x.tif")
    assert "-f tiff -o " in caught.value.remedy.command
    with pytest.raises(UsageError) as caught:
        check_formats(["tif"])
    assert caught.value.fix == "for tif: tiff"
