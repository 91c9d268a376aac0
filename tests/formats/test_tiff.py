"""TIFF pictures of 16 bits: read back by OpenCV, Pillow, FFmpeg and covos itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from covos.core.errors import UsageError
from covos.core.types import FrameResult, SourceInfo, Tags
from covos.formats.composition import Composition
from covos.formats.table import check_formats, composed_formats, make_writer, parse_format
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
    assert "-f tiff -o " in caught.value.fix
    with pytest.raises(UsageError) as caught:
        check_formats(["tif"])
    assert caught.value.fix == "for tif: tiff"
