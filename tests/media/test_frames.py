from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image as Pillow

from covos.core.ahead import prefetch
from covos.core.errors import SourceError, UsageError
from covos.media.images import image_header, natural_key, read_image
from covos.media.opening import open_source

Draw = Callable[..., NDArray[np.uint8]]


@pytest.fixture
def shots(tmp_path: Path, draw: Draw) -> Path:
    folder = tmp_path / "shots"
    folder.mkdir()
    for index, name in enumerate(["1.png", "2.PNG", "10.png", "a1.png", "a02.tif", "a10.bmp"]):
        Pillow.fromarray(draw(index)).save(folder / name)
    (folder / ".hidden.png").write_bytes(b"not an image")
    (folder / "notes.txt").write_text("not an image")
    (folder / "inner").mkdir()
    return folder


def test_a_folder_is_read_in_natural_order(shots: Path, draw: Draw) -> None:
    with open_source(shots) as source:
        frames = list(source)
        health = source.health
    assert [f.stem for f in frames] == ["1", "2", "10", "a1", "a02", "a10"]
    for frame in frames:
        np.testing.assert_array_equal(frame.image, draw(frame.index))
    assert [f.time for f in frames] == [k / 25 for k in range(6)]
    assert (source.info.kind, source.info.frame_count, source.info.duration) == ("frames", 6, 6 / 25)
    assert (source.info.height, source.info.width, source.info.codec) == (48, 64, "png")
    assert health.complete
    assert health.decoded == 6


def test_a_frame_rate_can_be_given(shots: Path) -> None:
    with open_source(shots, frame_rate=Fraction(30000, 1001)) as source:
        assert [f.pts * f.time_base for f in source] == [k * Fraction(1001, 30000) for k in range(6)]
    assert source.info.frame_rate == Fraction(30000, 1001)


def test_a_pattern_chooses(shots: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert [f.stem for f in open_source(str(shots / "a*"))] == ["a1", "a02", "a10"]
    monkeypatch.chdir(shots.parent)
    assert [f.stem for f in open_source("**/a*.*")] == ["a1", "a02", "a10"]


@pytest.mark.parametrize("name", ["a%d.png", "a%02d.png", "a##.png"])
def test_a_place_for_a_number_chooses_and_begins_where_the_pictures_do(
    shots: Path, draw: Draw, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    for other in ("a02.png", "a10.png", "a1_matte.png"):
        Pillow.fromarray(draw(0)).save(shots / other)
    with open_source(shots / name, frame_rate=Fraction(24)) as source:
        assert [frame.stem for frame in source] == ["a1", "a02", "a10"]
        assert (source.info.kind, source.info.frame_rate, source.info.path) == ("frames", 24, str(shots / name))
    monkeypatch.chdir(shots)
    assert open_source(name).info.frame_count == 3
    with pytest.raises(SourceError) as caught:
        open_source(shots / "b%04d.png")
    assert caught.value.what == f"{shots}/b%04d.png: the pattern matches nothing"
    with pytest.raises(SourceError, match="the pattern matches nothing"):
        open_source(shots / "none" / "a%04d.png")


def test_select_of_a_folder(shots: Path, draw: Draw) -> None:
    source = open_source(shots)
    assert [(f.index, f.stem, f.pts) for f in source.select([1, 4])] == [(1, "2", 1), (4, "a02", 4)]
    with pytest.raises(UsageError):
        source.select([6])


def test_equal_stems_are_refused(shots: Path, draw: Draw) -> None:
    Pillow.fromarray(draw(0)).save(shots / "a1.jpg")
    with pytest.raises(SourceError, match="share the name 'a1'"):
        open_source(shots)


def test_another_size_is_refused_by_name(shots: Path, draw: Draw) -> None:
    for name in ("a3.png", "a4.png", "a5.png", "a6.png"):  # one alone costs its row
        Pillow.fromarray(draw(0, (64, 48))).save(shots / name)
    with pytest.raises(SourceError, match=r"a3\.png: it is 48x64, but 1\.png is 64x48"):
        open_source(shots)


def test_turned_photographs_are_compared_as_displayed(tmp_path: Path, draw: Draw) -> None:
    Pillow.fromarray(draw(0, (64, 48))).save(tmp_path / "0.jpg")
    lying = Pillow.fromarray(draw(0, (48, 64)))
    exif = lying.getexif()
    exif[0x0112] = 8
    lying.save(tmp_path / "1.jpg", exif=exif)
    assert {f.size for f in open_source(tmp_path)} == {(64, 48)}


def test_an_unreadable_image_is_named(shots: Path) -> None:
    (shots / "b.png").write_bytes(b"\x89PNG\r\n\x1a\n rubbish")
    with open_source(shots) as source:
        assert [frame.stem for frame in source if frame.status == "unreadable"] == ["b"]
        assert any("b.png" in text for text in source.health.warnings)


def test_the_image_before_stands_in_for_one_with_a_damaged_end(shots: Path) -> None:
    data = (shots / "a1.png").read_bytes()
    (shots / "a1.png").write_bytes(data[: len(data) // 2])
    with open_source(shots) as source:
        frames = list(source)
        assert [frame.stem for frame in frames][:4] == ["1", "2", "10", "a1"]
        assert [frame.status for frame in frames].index("unreadable") == 3
        assert np.array_equal(frames[3].image, frames[2].image)
        assert (source.health.missing, source.health.unreadable, source.health.complete) == (0, (3,), False)
        assert any("a1.png" in text for text in source.health.warnings)


def grey16(image: NDArray[np.uint8]) -> Pillow.Image:
    return Pillow.fromarray(image[..., 0].astype(np.uint16) * 257)


@pytest.mark.parametrize(
    ("name", "change", "channels"),
    [
        ("rgb.webp", Pillow.fromarray, [0, 1, 2]),
        ("rgba.png", lambda i: Pillow.fromarray(np.dstack([i, 0 * i[..., :1] + 255])), [0, 1, 2]),
        ("grey.png", lambda i: Pillow.fromarray(i[..., 0]), [0, 0, 0]),
        ("grey_alpha.png", lambda i: Pillow.fromarray(i[..., 0]).convert("LA"), [0, 0, 0]),
        ("grey16.png", grey16, [0, 0, 0]),
        ("grey16.tif", grey16, [0, 0, 0]),
        ("palette.png", lambda i: Pillow.fromarray(i[..., 0]).convert("P"), [0, 0, 0]),
        ("cmyk.tif", lambda i: Pillow.fromarray(i).convert("CMYK"), [0, 1, 2]),
    ],
)
def test_modes_become_rgb(
    tmp_path: Path,
    draw: Draw,
    name: str,
    change: Callable[[NDArray[np.uint8]], Pillow.Image],
    channels: list[int],
) -> None:
    change(draw(2)).save(tmp_path / name, **({"lossless": True} if name.endswith("webp") else {}))
    image = read_image(tmp_path / name)
    assert image.shape == (48, 64, 3)
    assert image.dtype == np.uint8
    np.testing.assert_allclose(image, draw(2)[..., channels], atol=1)


def test_one_bit_images_become_black_and_white(tmp_path: Path) -> None:
    dots = np.indices((5, 7)).sum(0) % 2
    Pillow.fromarray(dots.astype(bool)).save(tmp_path / "dots.png")
    np.testing.assert_array_equal(read_image(tmp_path / "dots.png")[..., 1], dots * 255)


def test_floating_point_images_are_refused(tmp_path: Path) -> None:
    Pillow.fromarray(np.zeros((4, 4), np.float32)).save(tmp_path / "float.tif")
    with pytest.raises(SourceError, match="floating-point"):
        open_source(tmp_path / "float.tif")


def test_a_tiff_of_several_pages_is_refused(tmp_path: Path, draw: Draw) -> None:
    first, second = (Pillow.fromarray(draw(k)) for k in range(2))
    first.save(tmp_path / "pages.tif", save_all=True, append_images=[second])
    with pytest.raises(SourceError, match="several pictures"):
        open_source(tmp_path / "pages.tif")


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tif"])
def test_exif_orientation_is_applied(tmp_path: Path, draw: Draw, orientation: int, suffix: str) -> None:
    stored, path = draw(0), tmp_path / f"photo.{suffix}"
    photo = Pillow.fromarray(stored)
    exif = photo.getexif()
    exif[0x0112] = orientation
    photo.save(path, exif=exif, **({"quality": 95} if suffix == "jpg" else {}))
    turned = {
        1: stored,
        2: stored[:, ::-1],
        3: stored[::-1, ::-1],
        4: stored[::-1],
        5: stored.transpose(1, 0, 2),
        6: np.rot90(stored, -1),
        7: np.rot90(stored, 2).transpose(1, 0, 2),
        8: np.rot90(stored),
    }[orientation]
    image = read_image(path)
    assert image.shape == turned.shape
    assert np.abs(image.astype(int) - turned).mean() < 6
    if suffix != "png":
        assert image_header(path)[:2] == image.shape[:2]
    with open_source(path) as source:
        assert (source.info.height, source.info.width) == image.shape[:2]


def test_natural_order() -> None:
    names = ["b", "a10", "a2", "a", "10", "9", "a2b", "a02", "²"]
    assert sorted(names, key=natural_key) == ["9", "10", "a", "a2", "a02", "a2b", "a10", "b", "²"]


def test_a_video_is_the_same_through_prefetch(film: Callable[..., Path]) -> None:
    with open_source(film(count=12)) as source:
        plain = [(f.pts, f.image.tobytes()) for f in source]
        assert [(f.pts, f.image.tobytes()) for f in prefetch(source, depth=2)] == plain
        half = prefetch(source, depth=2)
        next(half)
        half.close()
        assert source.health.complete is False
