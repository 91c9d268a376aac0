"""Pictures of every kind: tiles, animations, photographs in a row, and depths between 8 and 16 bits."""

from __future__ import annotations

import io
import re
import struct
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image as Pillow

from avif_grid import box, smooth, tiled_avif
from covos.core.errors import EnvironmentProblem, SourceError
from covos.media.images import image_header, kind_of, read_image, read_picture
from covos.media.opening import open_source

Draw = Callable[..., NDArray[np.uint8]]
Image = NDArray[np.uint8]


def difference(one: Image, other: Image) -> float:
    return float(np.abs(one.astype(int) - other).mean())


def test_a_tiled_avif_is_read_whole(tmp_path: Path) -> None:
    image = smooth(128, 192)
    (tmp_path / "phone.avif").write_bytes(tiled_avif(image, rows=2, columns=3))
    with open_source(tmp_path / "phone.avif") as source:
        (frame,) = source
    assert (source.info.kind, source.info.height, source.info.width) == ("image", 128, 192)
    assert difference(frame.image, image) < 2


def test_a_tiled_heic_is_read_whole(tmp_path: Path) -> None:
    heif = pytest.importorskip("pillow_heif")
    image = smooth(256, 512)
    path = tmp_path / "phone.heic"
    heif.from_pillow(Pillow.fromarray(image)).save(path, quality=90, tile_size=256)
    with av.open(str(path)) as container:
        assert len(container.streams.video) == 2  # so it is tiled
    assert image_header(path)[:2] == (256, 512)
    with open_source(path) as source:
        (frame,) = source
    assert source.info.kind == "image"
    assert difference(frame.image, image) < 3


def test_without_its_package_a_heic_is_refused_in_clear_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.heic").write_bytes(box(b"ftyp", b"heic\0\0\0\0mif1heic") + box(b"mdat", b""))
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    for source in (tmp_path / "a.heic", tmp_path):
        with pytest.raises(EnvironmentProblem, match="pip install pillow-heif") as caught:
            open_source(source)
        assert "pillow-heif is not installed" in caught.value.why


@pytest.mark.parametrize("brand", [b"avif", b"heic"])
def test_a_cut_one_is_an_unreadable_picture_not_a_video(tmp_path: Path, brand: bytes) -> None:
    if brand == b"heic":
        pytest.importorskip("pillow_heif")
    path = tmp_path / "cut.bin"
    path.write_bytes(box(b"ftyp", brand + b"\0\0\0\0mif1" + brand))
    assert kind_of(path) == "still"
    with pytest.raises(SourceError, match="image cannot be read"):
        open_source(path)


def test_a_folder_of_avif_stills_is_a_folder_of_frames(tmp_path: Path, draw: Draw) -> None:
    for index in range(3):
        Pillow.fromarray(draw(index)).save(tmp_path / f"{index}.avif", quality=95, subsampling="4:4:4")
    with open_source(tmp_path) as source:
        frames = list(source)
    assert (source.info.kind, source.info.codec, len(frames)) == ("frames", "avif", 3)
    assert all(difference(frame.image, draw(frame.index)) < 6 for frame in frames)


def test_a_folder_of_heic_stills_is_a_folder_of_frames(tmp_path: Path) -> None:
    heif = pytest.importorskip("pillow_heif")
    for index in range(2):
        heif.from_pillow(Pillow.fromarray(smooth(64, 96, (index * 40, 200)))).save(tmp_path / f"{index}.heic")
    with open_source(tmp_path) as source:
        assert [difference(frame.image, smooth(64, 96, (frame.index * 40, 200))) < 6 for frame in source] == [True] * 2
    assert source.info.kind == "frames"


def animation(path: Path, draw: Draw, count: int = 4, **options: object) -> Path:
    first, *rest = [Pillow.fromarray(draw(4 * index)) for index in range(count)]
    first.save(path, save_all=True, append_images=rest, **options)
    return path


@pytest.mark.parametrize(
    ("name", "options", "codec", "least"),
    [
        ("moving.webp", {"duration": [100, 40, 250, 60], "lossless": True}, "webp", 0.0),
        ("moving.png", {"duration": [100, 40, 250, 60]}, "apng", 0.0),
        ("moving.avif", {"duration": [100, 40, 250, 60], "quality": 95}, "av1", 8.0),
    ],
)
def test_animations_are_read_whole_with_their_times(
    tmp_path: Path, draw: Draw, name: str, options: dict[str, object], codec: str, least: float
) -> None:
    path = animation(tmp_path / name, draw, **options)
    with open_source(path) as source:
        frames = list(source)
        assert source.health.complete
        (third,) = source.select([2])
    assert (source.info.kind, source.info.codec, source.info.frame_count) == ("video", codec, 4)
    assert [frame.time for frame in frames] == pytest.approx([0, 0.1, 0.14, 0.39])
    assert all(difference(frame.image, draw(4 * frame.index)) <= least for frame in frames)
    assert third.time == frames[2].time
    np.testing.assert_array_equal(third.image, frames[2].image)


def test_frames_of_a_webp_without_a_time_are_shown_as_in_browsers(tmp_path: Path, draw: Draw) -> None:
    with open_source(animation(tmp_path / "moving.webp", draw, duration=[0, 40, 0, 0])) as source:
        assert [frame.pts for frame in source] == [0, 100, 140, 240]


def test_a_still_webp_stays_a_still(tmp_path: Path, draw: Draw) -> None:
    Pillow.fromarray(draw(0)).save(tmp_path / "still.webp")
    with open_source(tmp_path / "still.webp") as source:
        assert (source.info.kind, source.info.codec) == ("image", "webp")


@pytest.mark.parametrize("harm", ["cut", "zeros", "gone", "first"])
def test_the_whole_frames_of_a_damaged_webp(tmp_path: Path, draw: Draw, harm: str) -> None:
    path = animation(tmp_path / "moving.webp", draw, duration=40, lossless=True)
    content, third = path.read_bytes(), [found.start() for found in re.finditer(b"ANMF", path.read_bytes())][2]
    harmed, lost = {
        "cut": (content[: third + 60], [2]),
        "zeros": (content[: third + 40] + bytes(90) + content[third + 130 :], [2]),
        "gone": (content[: third + 40] + content[third + 90 :], [2, 3]),
        "first": (content[:80] + bytes(40) + content[120:], [0]),
    }[harm]
    path.write_bytes(harmed)
    left = [number for number in range(3 if harm == "cut" else 4) if number not in lost]
    with open_source(path) as source:
        frames, health = list(source), source.health
    assert [frame.pts for frame in frames] == [40 * number for number in left]
    assert [each.pts for each in health.lost] == [40 * number for number in lost]
    assert not health.complete
    assert "missing" in health.warnings[0]
    for number, frame in zip(left, frames, strict=True):
        assert frame.status == "concealed" or difference(frame.image, draw(4 * number)) == 0


def test_a_webp_without_a_whole_frame_says_so(tmp_path: Path, draw: Draw) -> None:
    content = animation(tmp_path / "moving.webp", draw).read_bytes()
    (tmp_path / "moving.webp").write_bytes(content[:70])
    with pytest.raises(SourceError, match="cannot be read"):
        open_source(tmp_path / "moving.webp")


@pytest.mark.parametrize("name", ["moving.webp", "moving.png", "moving.avif", "pages.tif"])
def test_a_file_of_several_pictures_is_no_frame_of_a_folder(tmp_path: Path, draw: Draw, name: str) -> None:
    Pillow.fromarray(draw(0)).save(tmp_path / "0.png")
    animation(tmp_path / name, draw)
    with pytest.raises(SourceError, match="several pictures"):
        open_source(tmp_path)


def photographs(draw: Draw, count: int = 5, size: tuple[int, int] = (48, 64)) -> list[bytes]:
    files = [io.BytesIO() for _ in range(count)]
    for index, file in enumerate(files):
        Pillow.fromarray(draw(index, size)).save(file, "JPEG", quality=95)
    return [file.getvalue() for file in files]


@pytest.mark.parametrize("name", ["raw.mjpeg", "raw.jpg", "raw"])
@pytest.mark.parametrize("filling", [b"", bytes(7)])
def test_photographs_in_a_row_are_a_video(tmp_path: Path, draw: Draw, name: str, filling: bytes) -> None:
    (tmp_path / name).write_bytes(filling.join(photographs(draw)))
    with open_source(tmp_path / name) as source:
        frames = list(source)
    assert (source.info.kind, source.info.frame_count, len(frames)) == ("video", 5, 5)
    assert all(difference(frame.image, draw(frame.index)) < 6 for frame in frames)


def test_what_phones_append_to_a_photograph_is_no_video(tmp_path: Path, draw: Draw) -> None:
    (photograph,) = photographs(draw, 1)
    (small,) = photographs(draw, 1, (12, 16))
    thumb = Pillow.fromarray(draw(0))
    thumb.save(
        tmp_path / "views.jpg", "MPO", save_all=True, append_images=[Pillow.fromarray(draw(1))]
    )  # of a stereo camera
    (tmp_path / "gain.jpg").write_bytes(photograph + small)
    (tmp_path / "film.jpg").write_bytes(photograph + box(b"ftyp", b"mp42\0\0\0\0"))
    for name in ("views.jpg", "gain.jpg", "film.jpg"):
        with open_source(tmp_path / name) as source:
            assert source.info.kind == "image"
            assert difference(next(iter(source)).image, draw(0)) < 6


RAMP = np.linspace(0, 1, 64)[None].repeat(8, 0)


def stored(bits: int) -> NDArray[np.uint16]:
    return np.rint(RAMP * ((1 << bits) - 1)).astype(np.uint16)


@pytest.mark.parametrize("bits", [10, 12, 16])
@pytest.mark.parametrize("name", ["deep.png", "deep.tif", "colour.png", "colour.tif"])
def test_depths_come_out_at_their_own_brightness(tmp_path: Path, bits: int, name: str) -> None:
    samples = stored(bits)
    shown = np.dstack([samples, samples[:, ::-1], samples]) if name.startswith("colour") else samples
    assert cv2.imwrite(str(tmp_path / name), shown[..., ::-1] if shown.ndim == 3 else shown)
    image = read_image(tmp_path / name)
    assert image.shape == (8, 64, 3)
    np.testing.assert_allclose(image[..., 0], RAMP * 255, atol=1.01)
    np.testing.assert_allclose(image[..., 1], (RAMP[:, ::-1] if shown.ndim == 3 else RAMP) * 255, atol=1.01)


def test_the_depth_that_a_tiff_states_is_taken(tmp_path: Path) -> None:
    # Dark, so that its values alone would be taken for fewer bits.
    picture = Pillow.fromarray(np.full((4, 4), 1000, np.uint16))
    picture.save(tmp_path / "dark.tif", tiffinfo={281: 16383})
    assert read_image(tmp_path / "dark.tif").max() == 1000 >> 6


@pytest.mark.parametrize("most", [255, 1023, 4095, 65535])
@pytest.mark.parametrize("kind", ["P5", "P6"])
def test_pgm_and_ppm_have_the_depth_that_they_state(tmp_path: Path, most: int, kind: str) -> None:
    samples = np.rint(RAMP * most).astype(">u2" if most > 255 else "u1")
    pixels = samples if kind == "P5" else np.repeat(samples[..., None], 3, axis=2)
    (tmp_path / "a.pgm").write_bytes(f"{kind} 64 8 {most}\n".encode() + pixels.tobytes())
    with open_source(tmp_path) as source:
        image = next(iter(source)).image
    np.testing.assert_allclose(image, (RAMP * 255)[..., None].repeat(3, 2), atol=1.01)


def test_an_avif_of_10_bits_keeps_its_brightness(tmp_path: Path, draw: Draw) -> None:
    def write() -> None:
        # One AV1 frame as FFmpeg codes it is a video in mp4; as a still, Pillow reads it by libavif in the same way.
        with av.open(str(tmp_path / "deep.avif"), "w", format="avif") as container:
            stream = container.add_stream("libsvtav1", rate=1, width=64, height=64, options={"crf": "10"})
            stream.pix_fmt = "yuv420p10le"
            container.mux(stream.encode(av.VideoFrame.from_ndarray(draw(0, (64, 64)), format="rgb24")))
            container.mux(stream.encode(None))

    with ThreadPoolExecutor(max_workers=1) as own_thread:  # see make_clip of benchmarks/damage_inputs.py
        own_thread.submit(write).result()
    with open_source(tmp_path / "deep.avif") as source:
        assert source.info.kind == "image"
        assert difference(next(iter(source)).image, draw(0, (64, 64))) < 8


def test_one_depth_holds_for_a_whole_folder_and_is_said(tmp_path: Path) -> None:
    for index, bits in enumerate([10, 10, 10]):
        dimmed = stored(bits) // (8 if index == 1 else 1)  # its own values would be taken for 8 bits
        Pillow.fromarray(dimmed).save(tmp_path / f"{index}.png")
    with open_source(tmp_path) as source:
        assert [int(frame.image.max()) for frame in source] == [255, 31, 255]
        assert any("white is 1023" in text for text in source.health.warnings)


@pytest.mark.parametrize("orientation", [3, 6, 8])
@pytest.mark.parametrize("name", ["deep.png", "deep.tif"])
def test_deep_pictures_are_turned_too(tmp_path: Path, orientation: int, name: str) -> None:
    picture = Pillow.fromarray(stored(16))
    exif = picture.getexif()
    exif[0x0112] = orientation
    picture.save(tmp_path / name, exif=exif)
    turned = {3: np.rot90(RAMP, 2), 6: np.rot90(RAMP, -1), 8: np.rot90(RAMP)}[orientation]
    np.testing.assert_allclose(read_picture(tmp_path / name).image[..., 0], turned * 255, atol=1.01)


def colour_tiff(samples: NDArray[np.uint16], *, orientation: int) -> bytes:
    """An H x W x 3 TIFF of 16 bits with an orientation, which no library here writes."""
    height, width, _ = samples.shape
    data = samples.astype("<u2").tobytes()
    behind = 8 + 2 + 10 * 12 + 4  # the header and the directory
    fields = {256: width, 257: height, 258: behind, 259: 1, 262: 2, 273: behind + 6, 274: orientation}
    fields |= {277: 3, 278: height, 279: len(data)}
    directory = b"".join(
        struct.pack("<HHII", tag, 3 if tag not in {273, 279} else 4, 3 if tag == 258 else 1, value)
        for tag, value in fields.items()
    )
    head = b"II*\0" + struct.pack("<IH", 8, len(fields)) + directory + struct.pack("<I", 0)
    return head + struct.pack("<3H", 16, 16, 16) + data


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_deep_colours_of_a_tiff_are_turned_once(tmp_path: Path, orientation: int) -> None:
    stored = np.dstack([RAMP, RAMP * 0 + 0.4, RAMP[:, ::-1]])
    path = tmp_path / "deep.tif"
    path.write_bytes(colour_tiff(np.rint(stored * 65535).astype(np.uint16), orientation=orientation))
    turned = {1: stored, 3: np.rot90(stored, 2), 6: np.rot90(stored, -1), 8: np.rot90(stored)}[orientation]
    np.testing.assert_allclose(read_picture(path).image, turned * 255, atol=1.01)


def test_a_cut_picture_of_deep_colours_is_unreadable(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 65535, (32, 32, 3), dtype=np.uint16)
    cv2.imwrite(str(tmp_path / "whole.png"), noise)
    content = (tmp_path / "whole.png").read_bytes()
    (tmp_path / "cut.png").write_bytes(content[: len(content) // 2])
    with pytest.raises(SourceError, match="image cannot be read"):
        read_picture(tmp_path / "cut.png")


def raw_photograph(*, is_preview: bool) -> bytes:
    """Return a TIFF as cameras write raw photographs: a small picture, and a directory of the large one below it."""
    small, where = smooth(24, 32).tobytes(), 8
    entries = [
        (254, 4, 1, int(is_preview)), (256, 4, 1, 32), (257, 4, 1, 24), (258, 3, 3, 0), (259, 3, 1, 1), (262, 3, 1, 2),
        (273, 4, 1, 0), (277, 3, 1, 3), (278, 4, 1, 24), (279, 4, 1, len(small)), (330, 4, 1, 4096),
    ]  # fmt: skip
    end = where + 2 + 12 * len(entries) + 4
    values = {258: end, 273: end + 6}
    fields = [struct.pack("<HHII", tag, kind, count, values.get(tag, value)) for tag, kind, count, value in entries]
    return b"II*\0" + struct.pack("<IH", where, len(entries)) + b"".join(fields) + bytes(4) + b"\x08\0" * 3 + small


def test_a_raw_photograph_is_not_read_as_its_preview(tmp_path: Path) -> None:
    path = tmp_path / "photo.dng"
    path.write_bytes(raw_photograph(is_preview=True))
    with pytest.raises(SourceError, match="raw") as caught:
        open_source(path)
    assert "preview" in caught.value.why
    path.write_bytes(raw_photograph(is_preview=False))  # smaller copies of the first picture
    with open_source(path) as source:
        assert (source.info.height, source.info.width) == (24, 32)


def test_a_document_with_photographs_is_no_film(tmp_path: Path) -> None:
    Pillow.fromarray(smooth(48, 64)).save(tmp_path / "a.pdf")
    with pytest.raises(SourceError, match="PDF document"):
        open_source(tmp_path / "a.pdf")


def test_photographs_in_a_row_of_which_the_first_is_damaged(tmp_path: Path) -> None:
    photographs = []
    for index in range(5):
        content = io.BytesIO()
        Pillow.fromarray(np.roll(smooth(48, 64), index, axis=1)).save(content, "JPEG")
        photographs.append(content.getvalue())
    path = tmp_path / "film.mjpeg"
    scan = photographs[0].index(b"\xff\xda") + 20
    path.write_bytes(photographs[0][:scan] + photographs[0][scan + 300 : -2] + b"".join(photographs[1:]))
    assert kind_of(path) == "video"
    with open_source(path) as source:
        frames, health = list(source), source.health
    assert len(frames) >= 4
    assert not health.complete
    # A photograph with a smaller one behind it, as its preview is, stays one.
    preview = io.BytesIO()
    Pillow.fromarray(smooth(24, 32)).save(preview, "JPEG")
    path.write_bytes(photographs[0] + preview.getvalue())
    assert kind_of(path) == "still"


def test_a_photograph_behind_which_thousands_seem_to_begin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from covos.media import jpeg

    content = io.BytesIO()
    Pillow.fromarray(smooth(48, 64)).save(content, "JPEG")
    path, looked = tmp_path / "film.mjpeg", []
    # Each is a header of which the next one is a part.
    path.write_bytes(content.getvalue()[:-2] + b"\xff\xd8\xff\xe0\0\4" * 4000)
    size_and_scan = jpeg.size_and_scan
    monkeypatch.setattr(jpeg, "size_and_scan", lambda *place: looked.append(place) or size_and_scan(*place))
    assert kind_of(path) == "still"
    assert len(looked) < 2000
