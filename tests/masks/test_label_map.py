"""Label maps through files: every way that people store ids, and every way to be wrong."""

import io
import struct
import sys
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from covos.core.errors import AnnotationError, EnvironmentProblem, UsageError
from covos.masks import davis_palette, read_binary_mask, read_label_map, write_label_map

LABELS = hnp.arrays(
    np.uint8, hnp.array_shapes(min_dims=2, max_dims=2, max_side=12), elements=st.sampled_from([0, 1, 7])
)


def scene(*ids: int, size: tuple[int, int] = (150, 200)) -> np.ndarray:
    """Disks of these ids that overlap a little, on 0."""
    labels = np.zeros(size, np.uint8)
    for place, value in enumerate(ids):
        centre = (40 + place * 110 // max(1, len(ids) - 1), 60 + 25 * (place % 2))
        cv2.circle(labels, centre, 34, int(value), -1)
    return labels


def save(path: Path, array: np.ndarray, mode: str | None = None) -> Path:
    image = Image.fromarray(array)
    (image.convert(mode) if mode else image).save(path)
    return path


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def chunks(content: bytes) -> list[tuple[int, bytes]]:
    """(position, kind) of each chunk of a PNG file."""
    found, position = [], 8
    while position < len(content):
        length, kind = struct.unpack_from(">I4s", content, position)
        found.append((position, kind))
        position += 12 + length
    return found


@given(labels=LABELS)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_is_written_is_read(tmp_path: Path, labels) -> None:
    write_label_map(tmp_path / "a.png", labels)
    with Image.open(tmp_path / "a.png") as image:
        assert image.mode == "P"
        np.testing.assert_array_equal(np.asarray(image), labels)
        np.testing.assert_array_equal(np.asarray(image.convert("RGB")), davis_palette()[labels])
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


def test_all_ids_survive(tmp_path: Path) -> None:
    labels = np.kron(np.arange(256, dtype=np.uint8).reshape(16, 16), np.ones((4, 4), np.uint8))
    write_label_map(tmp_path / "a.png", labels)
    np.testing.assert_array_equal(read_label_map(tmp_path / "a.png"), labels)


def test_a_view_with_strides(tmp_path: Path) -> None:
    labels = scene(1, 2)[::2, ::-1]
    write_label_map(tmp_path / "a.png", labels)
    np.testing.assert_array_equal(read_label_map(tmp_path / "a.png"), labels)


@pytest.mark.parametrize("wrong", [np.zeros((2, 2), int), np.zeros((2, 2, 3), np.uint8), np.zeros((0, 2), np.uint8)])
def test_only_label_maps_are_written(tmp_path: Path, wrong) -> None:
    with pytest.raises(UsageError, match="H x W uint8"):
        write_label_map(tmp_path / "a.png", wrong)
    assert list(tmp_path.iterdir()) == []


def write_under(limit: int, target: Path) -> str:
    """Write where no file may be longer, and return the text of the error."""
    import resource

    labels = np.random.default_rng(0).integers(0, 255, (100, 100), dtype=np.uint8)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    with pytest.raises(EnvironmentProblem) as caught:
        write_label_map(target, labels)
    return str(caught.value)


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX limits")
@pytest.mark.parametrize("limit", [0, 1000, 9000])
def test_a_full_disk_leaves_no_half_file(tmp_path: Path, limit: int) -> None:
    from children import in_child  # it needs POSIX, too

    child = in_child(lambda: write_under(limit, tmp_path / "00000.png"))
    assert child.end == "answered", child.answer
    assert "00000.png" in child.answer
    assert list(tmp_path.iterdir()) == []


# Modes that hold ids.


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".tif"])
def test_grey_values_are_ids(tmp_path: Path, suffix: str) -> None:
    save(tmp_path / f"a{suffix}", scene(1, 2, 5))
    np.testing.assert_array_equal(read_label_map(tmp_path / f"a{suffix}"), scene(1, 2, 5))


def test_colour_formats_are_matched_by_colour(tmp_path: Path) -> None:
    Image.fromarray(davis_palette()[scene(1, 2, 5)]).save(tmp_path / "a.webp", lossless=True)
    write_label_map(tmp_path / "a.png", scene(5, 2, 1))
    with Image.open(tmp_path / "a.png") as image:
        image.save(tmp_path / "a.gif")
    np.testing.assert_array_equal(read_label_map(tmp_path / "a.webp"), scene(1, 2, 5))
    np.testing.assert_array_equal(read_label_map(tmp_path / "a.gif"), scene(5, 2, 1))
    save(tmp_path / "b.gif", scene(255))
    np.testing.assert_array_equal(read_label_map(tmp_path / "b.gif"), scene(255))


def test_the_content_decides_not_the_suffix(tmp_path: Path) -> None:
    Image.fromarray(scene(1)).save(tmp_path / "a.jpg", format="PNG")
    np.testing.assert_array_equal(read_label_map(tmp_path / "a.jpg"), scene(1))


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_palette_pictures_of_any_depth(tmp_path: Path, bits: int) -> None:
    labels = scene(1) if bits == 1 else scene(1, 2, 3)
    image = Image.fromarray(labels)
    image.putpalette(bytes(range(7, 19)))  # its colours mean nothing
    image.save(tmp_path / "a.png", bits=bits)
    np.testing.assert_array_equal(read_label_map(tmp_path / "a.png"), labels)


def test_one_bit_gives_zero_and_one(tmp_path: Path) -> None:
    Image.fromarray(scene(1) > 0).save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_label_map(tmp_path / "a.png"), scene(1))
    np.testing.assert_array_equal(read_binary_mask(tmp_path / "a.png"), scene(1) > 0)


def test_sixteen_bits(tmp_path: Path) -> None:
    save(tmp_path / "a.png", scene(1, 200).astype(np.uint16))
    np.testing.assert_array_equal(read_label_map(tmp_path / "a.png"), scene(1, 200))
    save(tmp_path / "b.png", scene(1).astype(np.uint16) * 65535)
    with pytest.raises(AnnotationError, match="holds the value 65535"):
        read_label_map(tmp_path / "b.png")
    save(tmp_path / "d.png", scene(1).astype(np.uint16) * 300)
    with pytest.raises(AnnotationError, match="split a map of more than 254"):
        read_label_map(tmp_path / "d.png")
    np.testing.assert_array_equal(read_binary_mask(tmp_path / "b.png"), scene(1) > 0)
    save(tmp_path / "c.tif", -scene(1).astype(np.int32))
    with pytest.raises(AnnotationError, match="holds the value -1"):
        read_label_map(tmp_path / "c.tif")


def test_colours_of_the_palette(tmp_path: Path) -> None:
    labels = scene(1, 9, 30)
    colours = davis_palette()[labels]
    save(tmp_path / "rgb.png", colours)
    save(tmp_path / "rgba.png", np.dstack([colours, np.full(labels.shape, 255, np.uint8)]))
    dimmed = np.where(colours == 192, np.uint8(191), colours)
    save(tmp_path / "davis.png", dimmed)
    for name in ("rgb", "rgba", "davis"):
        np.testing.assert_array_equal(read_label_map(tmp_path / f"{name}.png"), labels)


def test_transparent_is_background(tmp_path: Path) -> None:
    labels = scene(1, 2)
    colours = np.dstack([davis_palette()[labels], np.where(labels > 0, 255, 0).astype(np.uint8)])
    colours[labels == 0, :3] = 77
    save(tmp_path / "rgba.png", colours)
    save(tmp_path / "la.png", np.dstack([np.where(labels > 0, labels, 9), colours[..., 3]]), "LA")
    np.testing.assert_array_equal(read_label_map(tmp_path / "rgba.png"), labels)
    np.testing.assert_array_equal(read_label_map(tmp_path / "la.png"), labels)
    np.testing.assert_array_equal(read_binary_mask(tmp_path / "rgba.png"), labels > 0)


# 0 / 255 masks: raw ids, or one object.


@pytest.mark.parametrize("mode", ["L", "RGB", "LA", "RGBA"])
def test_black_and_white(tmp_path: Path, mode: str) -> None:
    save(tmp_path / "a.png", scene(255), mode)
    np.testing.assert_array_equal(read_label_map(tmp_path / "a.png"), scene(255))
    np.testing.assert_array_equal(read_binary_mask(tmp_path / "a.png"), scene(255) > 0)


def test_a_binary_mask_takes_any_colour_and_any_id(tmp_path: Path) -> None:
    save(tmp_path / "red.png", np.dstack([scene(255), scene(0), scene(0)]))
    save(tmp_path / "ids.png", scene(1, 4, 255))
    np.testing.assert_array_equal(read_binary_mask(tmp_path / "red.png"), scene(255) > 0)
    np.testing.assert_array_equal(read_binary_mask(tmp_path / "ids.png"), scene(1, 4, 255) > 0)


def test_an_empty_mask_is_a_mask(tmp_path: Path) -> None:
    save(tmp_path / "a.png", scene(0), "RGB")
    assert not read_label_map(tmp_path / "a.png").any()
    assert not read_binary_mask(tmp_path / "a.png").any()


# What is refused.


def test_foreign_colours_are_listed(tmp_path: Path) -> None:
    colours = davis_palette()[scene(1, 2)].copy()
    colours[:10] = (1, 2, 3)
    colours[20] = (255, 0, 0)
    save(tmp_path / "a.png", colours)
    with pytest.raises(AnnotationError) as caught:
        read_label_map(tmp_path / "a.png")
    assert "(1, 2, 3) x 2000, (255, 0, 0) x 200" in caught.value.why
    assert "a.png" in caught.value.what


def test_many_foreign_colours_are_counted(tmp_path: Path) -> None:
    smooth = cv2.GaussianBlur(davis_palette()[scene(1, 2)], (7, 7), 2)
    save(tmp_path / "a.png", smooth)
    with pytest.raises(AnnotationError, match=r"colours are not of the DAVIS palette.*and \d+ more.*interpolated"):
        read_label_map(tmp_path / "a.png")


def test_jpeg_is_refused(tmp_path: Path) -> None:
    Image.fromarray(scene(255)).save(tmp_path / "a.png", format="JPEG")
    for read in (read_label_map, read_binary_mask):
        with pytest.raises(AnnotationError, match="JPEG"):
            read(tmp_path / "a.png")


def test_half_transparent_pixels_are_refused(tmp_path: Path) -> None:
    alpha = cv2.GaussianBlur(scene(255), (9, 9), 3)
    save(tmp_path / "a.png", np.dstack([davis_palette()[scene(1)], alpha]))
    with pytest.raises(AnnotationError, match="half-transparent"):
        read_label_map(tmp_path / "a.png")
    with pytest.raises(AnnotationError, match="interpolation"):
        read_binary_mask(tmp_path / "a.png")


def test_a_mode_without_ids_is_refused(tmp_path: Path) -> None:
    save(tmp_path / "a.tif", scene(1).astype(np.float32))
    with pytest.raises(AnnotationError, match="picture mode is F"):
        read_label_map(tmp_path / "a.tif")


def test_missing_empty_text_and_folder(tmp_path: Path) -> None:
    (tmp_path / "empty.png").touch()
    (tmp_path / "text.png").write_text("not a picture")
    (tmp_path / "folder.png").mkdir()
    for name, reason in [("no", "no such file"), ("empty", "not a picture"), ("text", "not a"), ("folder", "a folder")]:
        with pytest.raises(AnnotationError, match=reason):
            read_label_map(tmp_path / f"{name}.png")


def test_annotations_that_are_given_as_a_mask_are_told_how_to_become_one(tmp_path: Path) -> None:
    path = tmp_path / "coco.json"
    path.write_text(' {"images": [], "annotations": []}')
    with pytest.raises(AnnotationError, match="JSON, not a picture") as caught:
        read_label_map(path)
    assert f"covos convert {path} -f palette first" in caught.value.fix


# Damage: builders of broken files.


@pytest.fixture
def sound(tmp_path: Path) -> bytes:
    write_label_map(tmp_path / "sound.png", scene(1, 2))
    return (tmp_path / "sound.png").read_bytes()


def refused(folder: Path, content: bytes, reason: str) -> None:
    (folder / "broken.png").write_bytes(content)
    with pytest.raises(AnnotationError, match=reason) as caught:
        read_label_map(folder / "broken.png")
    assert "broken.png" in caught.value.what


def test_a_wrong_checksum_in_every_chunk(tmp_path: Path, sound: bytes) -> None:
    for position, kind in chunks(sound):
        length = struct.unpack_from(">I", sound, position)[0]
        broken = bytearray(sound)
        broken[position + 8 + length] ^= 1
        refused(tmp_path, bytes(broken), f"checksum in the PNG chunk {kind.decode()!r}")


def test_a_changed_palette_or_pixel(tmp_path: Path, sound: bytes) -> None:
    for position, kind in chunks(sound):
        if kind in {b"PLTE", b"IDAT"}:
            broken = bytearray(sound)
            broken[position + 10] ^= 4
            refused(tmp_path, bytes(broken), "checksum")


def test_a_missing_palette(tmp_path: Path, sound: bytes) -> None:
    (start, _), (end, _) = chunks(sound)[1:3]
    refused(tmp_path, sound[:start] + sound[end:], "no PLTE")


def test_a_truncated_file(tmp_path: Path, sound: bytes) -> None:
    for length in range(8, len(sound), 23):
        refused(tmp_path, sound[:length], "ends early")


def test_pixels_that_do_not_unpack(tmp_path: Path, sound: bytes) -> None:
    (start, kind), (end, _) = chunks(sound)[-2:]
    assert kind == b"IDAT"
    refused(tmp_path, sound[:start] + chunk(b"IDAT", zlib.compress(b"12")) + sound[end:], "truncated")
    refused(tmp_path, sound[:start] + chunk(b"IDAT", b"12") + sound[end:], ".")


def test_a_picture_bomb(tmp_path: Path) -> None:
    header = struct.pack(">IIBBBBB", 60000, 60000, 8, 0, 0, 0, 0)
    content = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")
    refused(tmp_path, content, "60000x60000")


@pytest.mark.parametrize("suffix", ["png", "gif", "tiff", "bmp", "webp"])
def test_flipped_bits_give_a_map_or_an_error(tmp_path: Path, suffix: str) -> None:
    memory = io.BytesIO()
    Image.fromarray(scene(1, 2)).save(memory, format=suffix)
    rng = np.random.default_rng(0)
    read = 0
    for _ in range(60):
        content = np.frombuffer(memory.getvalue(), np.uint8).copy()
        content[rng.integers(content.size, size=3)] ^= rng.integers(1, 256, size=3, dtype=np.uint8)
        (tmp_path / "a").write_bytes(content.tobytes())
        try:
            labels = read_label_map(tmp_path / "a")
        except AnnotationError:
            continue
        read += 1
        assert labels.ndim == 2
        assert labels.dtype == np.uint8
    assert suffix != "png" or read == 0


# Palettes that are fitted to the picture.


def with_palette(path: Path, indices: np.ndarray, colours: list[tuple[int, int, int]]) -> Path:
    image = Image.fromarray(indices.astype(np.uint8), mode="P")
    image.putpalette([value for colour in colours for value in colour])
    image.save(path)
    return path


BLACK, WHITE, RED, GREEN, ODD = (0, 0, 0), (255, 255, 255), (128, 0, 0), (0, 128, 0), (9, 200, 130)


@pytest.mark.parametrize(
    ("black", "white"), [(BLACK, WHITE), ((3, 2, 1), (250, 254, 251))], ids=["exact", "means of colours"]
)
@pytest.mark.parametrize("at", [(1, 0), (2, 1), (7, 3)])
def test_black_at_another_index_is_still_the_background(
    tmp_path: Path, black: tuple[int, int, int], white: tuple[int, int, int], at: tuple[int, int]
) -> None:
    object_ = scene(1) > 0
    colours = [ODD] * 8
    colours[at[0]], colours[at[1]] = black, white
    path = with_palette(tmp_path / "a.png", np.where(object_, at[1], at[0]), colours)
    np.testing.assert_array_equal(read_label_map(path), object_ * np.uint8(255))
    np.testing.assert_array_equal(read_binary_mask(path), object_)


def test_black_at_another_index_beside_colours_of_the_palette(tmp_path: Path) -> None:
    labels = scene(1, 2)
    path = with_palette(tmp_path / "a.png", np.array([2, 0, 1])[labels], [RED, GREEN, BLACK])
    np.testing.assert_array_equal(read_label_map(path), labels)
    np.testing.assert_array_equal(read_binary_mask(path), labels > 0)


@pytest.mark.parametrize(
    ("order", "colours", "why"),
    [
        ([2, 0, 1], [ODD, GREEN, BLACK], "black is index 2"),
        ([0, 1, 2], [BLACK, GREEN, RED], "index 1 has the colour of object 2"),
    ],
)
def test_colours_that_contradict_the_indices_are_refused(
    tmp_path: Path, order: list[int], colours: list[tuple[int, int, int]], why: str
) -> None:
    path = with_palette(tmp_path / "a.png", np.array(order)[scene(1, 2)], colours)
    for read in (read_label_map, read_binary_mask):
        with pytest.raises(AnnotationError, match=why):
            read(path)


@pytest.mark.parametrize(
    "colours",
    [[WHITE, RED, GREEN], [BLACK, WHITE, ODD], [BLACK, GREEN, ODD], [BLACK, BLACK, BLACK], [ODD, WHITE, RED]],
)
def test_colours_that_do_not_contradict_the_indices(tmp_path: Path, colours: list[tuple[int, int, int]]) -> None:
    labels = scene(1, 2)
    np.testing.assert_array_equal(read_label_map(with_palette(tmp_path / "a.png", labels, colours)), labels)


@pytest.mark.parametrize("dither", [Image.Dither.NONE, Image.Dither.FLOYDSTEINBERG])
def test_what_programs_make_of_a_black_and_white_mask(tmp_path: Path, dither: Image.Dither) -> None:
    object_ = scene(1) > 0
    for place, grey in enumerate((object_, ~object_)):
        whole = Image.fromarray(grey.astype(np.uint8) * 255).convert("RGB")
        for method in (Image.Quantize.MEDIANCUT, Image.Quantize.MAXCOVERAGE, Image.Quantize.FASTOCTREE):
            path = tmp_path / f"{place}{method}.png"
            whole.quantize(2, method=method, dither=dither).save(path)
            np.testing.assert_array_equal(read_binary_mask(path), grey)


@pytest.mark.parametrize("mode", ["1", "L"])
def test_a_value_that_is_named_as_transparent_stays_what_it_is(tmp_path: Path, mode: str) -> None:
    labels = np.zeros((40, 40), np.uint8)
    labels[5:15, 5:15], labels[30:32] = 1, 1 if mode == "1" else 255
    picture = Image.fromarray(labels > 0) if mode == "1" else Image.fromarray(labels)
    picture.save(tmp_path / "plain.png")
    picture.save(tmp_path / "named.png", transparency=int(labels.max()))
    for read in (read_label_map, read_binary_mask):
        np.testing.assert_array_equal(read(tmp_path / "named.png"), read(tmp_path / "plain.png"))
