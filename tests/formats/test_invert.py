"""Everything but the subject: alpha 1 - a, with the background's own colours, in each format that has alpha."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from covos.core.errors import UsageError
from covos.core.types import FrameResult
from covos.formats.compose import ComposedResult
from covos.formats.composition import Composition
from covos.formats.options import composed_formats
from covos.formats.table import FORMATS, check_formats, load_format, make_writer
from covos.media.opening import open_source
from covos.runs.folder import OutputFolder
from soft_disc import GREEN, RED

INVERTED = tuple(name for name in FORMATS if "invert" in load_format(name).composes)


def picture(folder: Path, name: str, made: FrameResult, info: Any) -> NDArray[Any]:
    """Write a frame, and return the picture with all its channels as floats in [0, 1]."""
    writer = make_writer(name, OutputFolder(folder), info=info, source_path=folder / "none")
    writer.write(made)
    (path,) = writer.close()
    file = path if path.is_file() else next(path.iterdir())
    if file.suffix == ".exr":
        openexr = pytest.importorskip("OpenEXR")
        channels = openexr.File(str(file), separate_channels=True).channels()
        assert set(channels) == set("RGBA") or "invert" not in name
        return np.stack([channels[each].pixels for each in "RGBA"], -1).astype(np.float32)
    if file.suffix == ".png":
        image = Image.open(file)
        return np.asarray(image).astype(np.float32) / (65535 if image.mode.startswith("I") else 255)
    with open_source(file) as source:
        (frame,) = source
    alpha = np.full(frame.size, 255, np.uint8) if frame.alpha is None else frame.alpha
    return np.dstack([frame.colours, alpha]).astype(np.float32) / 255


def alpha_of(name: str, pixels: NDArray[Any]) -> NDArray[Any]:
    return pixels[..., 0] if name.startswith("matte-video") else pixels if pixels.ndim == 2 else pixels[..., 3]


@pytest.mark.parametrize("matte", [False, True], ids=["probability", "matte"])
@pytest.mark.parametrize("name", INVERTED)
def test_all_but_the_subject_has_the_rest_of_the_opacity(
    tmp_path: Path, soft: FrameResult, info, name: str, matte: bool
) -> None:
    made = (
        replace(soft, matte=((soft.probability - np.float32(0.1)) / np.float32(0.8)).clip(0, 1) ** 2) if matte else soft
    )
    (asked,) = composed_formats([name], Composition(invert=True))
    check_formats([asked])
    usual = picture(tmp_path / "usual", name, made, info())
    found = picture(tmp_path / "inverted", asked, made, info())
    if name in {"background", "green"}:
        behind = (1.0, 1, 1) if name == "background" else (0.0, 1, 0)
        np.testing.assert_allclose(found[24, 32, :3], behind, atol=0.1)
        np.testing.assert_allclose(found[2, 2, :3], np.array(GREEN) / 255, atol=0.1)
    elif name == "blur":
        np.testing.assert_allclose(found[2, 2, :3], np.array(GREEN) / 255, atol=0.1)
        np.testing.assert_allclose(found[24, 32, :3], np.array(RED) / 255, atol=0.1)
    elif name == "cutout-gif":
        seen = alpha_of(name, found) + alpha_of(name, usual)
        assert set(np.unique(alpha_of(name, found))) == {0, 1}
        assert (seen != 1).mean() < 0.02, "where both cover half of a pixel"
    else:
        np.testing.assert_allclose(
            alpha_of(name, found), 1 - alpha_of(name, usual), atol=0.1 if name == "matte-video" else 0.02
        )


@pytest.mark.parametrize("asked", ["rgba", "ffv1"])
def test_its_colours_have_no_fringe_of_the_subject(tmp_path: Path, soft: FrameResult, info, asked: str) -> None:
    """A rim that is half red is green where it is seen."""
    found = picture(tmp_path, f"{asked}=invert", soft, info())
    seen = found[..., 3] > 0.2
    assert np.abs(found[seen][:, :3] * 255 - GREEN).max() < 12
    assert (ComposedResult.of(soft).frame.image[seen] != GREEN).any(), "the source has a mixed rim"


def test_an_input_with_alpha_is_nowhere_more_opaque_than_it_was(soft: FrameResult) -> None:
    alpha = np.full((48, 64), 128, np.uint8)
    made = ComposedResult.of(replace(soft, frame=replace(soft.frame, alpha=alpha)))
    np.testing.assert_allclose(made.opacity + made.inverse.opacity, 128 / 255, atol=1e-6)


def test_both_can_be_asked_of_one_frame(soft: FrameResult) -> None:
    """The two share a frame, and neither changes the other."""
    composed = ComposedResult.of(soft)
    before = composed.opacity.copy()
    assert composed.inverse is composed.inverse
    np.testing.assert_array_equal(composed.inverse.inverse.opacity, before)
    np.testing.assert_array_equal(composed.opacity, before)


def test_bits_and_kinds_go_with_it(tmp_path: Path, soft: FrameResult, info) -> None:
    asked = composed_formats(["matte=16", "rgba=16", "prores=premultiplied", "green=prores"], Composition(invert=True))
    assert asked == ("matte=16,invert", "rgba=16,invert", "prores=premultiplied,invert", "green=prores,invert")
    assert check_formats(asked) == asked
    assert [load_format("matte").bits_of(each) for each in ("16,invert", "invert")] == [16, 8]
    found = picture(tmp_path, "matte=16,invert", soft, info(frame_rate=Fraction(25)))
    np.testing.assert_allclose(found, 1 - soft.probability, atol=1e-4)


@pytest.mark.parametrize(
    ("names", "more", "said"),
    [
        (["coco"], {}, "invert is asked for, and nothing is written that has it"),
        (["cvat", "palette", "overlay"], {}, "invert is asked for"),
        (["ffv1"], {"each_object": True}, "each object and invert"),
        (["background"], {"shadow": True}, "shadow and invert"),
    ],
)
def test_where_it_makes_no_sense_it_is_refused(names: list[str], more: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        composed_formats(names, Composition(invert=True, **more))


@pytest.mark.parametrize(
    "name", ["coco=invert", "prores=each,invert", "webm=inverted", "green=lime", "background=white,shadow,invert"]
)
def test_a_value_that_makes_no_sense_is_refused(name: str) -> None:
    with pytest.raises(UsageError):
        check_formats([name])
