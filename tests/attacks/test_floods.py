"""Small files that would fill the memory, or take hours."""

from __future__ import annotations

import io
import json
import struct
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from attacks.results import Run, written_run
from covos.core.errors import AnnotationError, CheckpointError, CovosError, InputError, UsageError
from covos.core.guarded import parse_fraction, parse_json, parse_toml
from covos.formats.table import read_recognised
from covos.masks import read_label_map
from covos.models.checkpoints import read_tensors
from covos.plan import Plan
from covos.runs.schema import load_report

CVAT = "<annotations><meta><task><size>{size}</size><original_size><width>4</width><height>4</height></original_size>"


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(width: int, height: int, *, extra: bytes = b"") -> bytes:
    """A grey picture, all black: a row of a million pixels takes a thousand bytes."""
    pack = zlib.compressobj(9)
    rows = b"".join(pack.compress(bytes(width + 1)) for _ in range(height)) + pack.flush()
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + extra + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def test_a_mask_of_170_megapixels(covos: Run, clip: Path, tmp_path: Path) -> None:
    mask = tmp_path / "bomb.png"
    mask.write_bytes(png(13100, 13000))
    assert mask.stat().st_size < 1_000_000
    code, said = covos("segment", clip, "-o", tmp_path / "out", "--mask", mask)
    assert code == 3
    assert "13100x13000" in said
    assert "--limit pixels=170300000" in said


def test_a_mask_beyond_pillows_own_limit(tmp_path: Path) -> None:
    mask = tmp_path / "bomb.png"
    mask.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 1 << 20, 1 << 20, 8, 0, 0, 0, 0))
                     + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b""))  # fmt: skip
    with pytest.raises(AnnotationError, match="pixels"):
        read_label_map(mask)


def test_the_limit_on_pixels_is_raised_by_its_option(covos: Run, clip: Path, tmp_path: Path) -> None:
    Image.fromarray(np.full((48, 64), 1, np.uint8)).save(tmp_path / "mask.png")
    arguments = ["segment", clip, "-o", tmp_path / "out", "--mask", tmp_path / "mask.png", "-f", "palette", "-q"]
    code, said = covos(*arguments, "--limit", "pixels=3000")
    assert code == 3
    assert "--limit pixels=3072" in said
    assert covos("--limit=pixels=3072", *arguments)[0] == 0


def test_a_png_of_a_million_chunks(tmp_path: Path) -> None:
    mask = tmp_path / "chunks.png"
    mask.write_bytes(png(4, 4, extra=chunk(b"teXt", b"") * 200_000))
    with pytest.raises(AnnotationError, match="chunks"):
        read_label_map(mask)


@pytest.mark.parametrize("opening", ["[", '{"a":'])
def test_json_that_is_nested_deep(covos: Run, clip: Path, tmp_path: Path, opening: str) -> None:
    for depth in (200, 100_000):
        (tmp_path / "deep.json").write_text(opening * depth)
        assert covos("convert", tmp_path / "deep.json", "-o", tmp_path / "out", "-f", "coco")[0] == 3
        assert covos("segment", clip, "-o", tmp_path / "out", "--prompts", tmp_path / "deep.json")[0] == 3
    whole = '{"a":' * 200 + "1" + "}" * 200
    with pytest.raises(ValueError, match="the limit depth="):
        parse_json(whole)


def test_json_of_many_values(limited: Any) -> None:
    limited(values=1000)
    with pytest.raises(ValueError, match="the limit values="):
        parse_json("[" + "[],{}," * 1000 + "1]")


def test_toml_that_is_nested_deep_or_long() -> None:
    with pytest.raises(ValueError, match="levels"):
        parse_toml("a = " + "[" * 5000)
    with pytest.raises(ValueError, match="levels"):
        parse_toml("a" + ".a" * 500 + " = 1")
    with pytest.raises(ValueError, match="characters"):
        parse_toml("# " + "a" * (1 << 20))


@pytest.mark.parametrize("text", ["1e-999999999", "1E999999999", "9" * 5000, "1/" + "9" * 400, "0x10", "nan", ""])
def test_a_fraction_that_takes_for_ever(tmp_path: Path, text: str) -> None:
    with pytest.raises(ValueError, match="no fraction"):
        parse_fraction(text)
    run = written_run(tmp_path / "run", source=tmp_path / "a", change=lambda c: c["source"].update(time_base=text))
    with pytest.raises(InputError, match="time_base"):
        load_report(run)
    with pytest.raises(UsageError):
        Plan.model_validate_json(json.dumps({"source": "a.mp4", "frame_rate": text}))


def test_a_time_base_of_an_annotation_file(tmp_path: Path) -> None:
    image = {"id": 1, "file_name": "0.jpg", "height": 4, "width": 4}
    content = {"info": {"time_base": "1e-999999999"}, "images": [image], "annotations": []}
    (tmp_path / "coco.json").write_text(json.dumps(content))
    assert read_recognised(tmp_path / "coco.json").time_base is None


@pytest.mark.parametrize(
    "body",
    [
        CVAT.format(size=999999999) + "</task></meta></annotations>",
        CVAT.format(size=1)
        + '</task></meta><track id="0" label="a"><mask frame="999999999" outside="0" rle="0, 1" left="0" top="0" '
        'width="1" height="1"/></track></annotations>',
    ],
)
def test_a_frame_of_a_high_number(tmp_path: Path, body: str) -> None:
    (tmp_path / "cvat.xml").write_text(body)
    with pytest.raises(AnnotationError, match=r"set_limits\(frames="):
        read_recognised(tmp_path / "cvat.xml")


@pytest.mark.parametrize("before", ["", "<!-- <annotations " + "x" * 70_000 + " -->"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_xml_whose_entities_grow(tmp_path: Path, before: str, encoding: str) -> None:
    entities = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 9))
    text = f'{before}<!DOCTYPE a [<!ENTITY e0 "x">{entities}]><annotations>&e8;</annotations>'
    (tmp_path / "bomb.xml").write_text(f'<?xml version="1.0" encoding="{encoding}"?>' + text, encoding=encoding)
    with pytest.raises(AnnotationError):
        read_recognised(tmp_path / "bomb.xml")


def test_xml_of_many_elements_and_levels(tmp_path: Path, limited: Any) -> None:
    (tmp_path / "deep.xml").write_text("<annotations>" + "<a>" * 100_000)
    with pytest.raises(AnnotationError, match=r"set_limits\(depth="):
        read_recognised(tmp_path / "deep.xml")
    limited(values=1000)
    (tmp_path / "many.xml").write_text("<annotations>" + "<a/>" * 2000)
    with pytest.raises(AnnotationError, match=r"set_limits\(values="):
        read_recognised(tmp_path / "many.xml")


def npz(path: Path, *, shape: tuple[int, ...], times: int | None = None) -> Path:
    """An archive whose headers promise more than there is."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, descr, size in (("masks", "|u1", shape), ("times", "<f8", (times or 0,))):
            head = io.BytesIO()
            np.lib.format.write_array_header_1_0(head, {"descr": descr, "fortran_order": False, "shape": size})
            if name == "masks" or times is not None:
                archive.writestr(f"{name}.npy", head.getvalue() + bytes(1000))
    return path


def test_an_npz_of_60_million_rows(tmp_path: Path) -> None:
    for path in (
        npz(tmp_path / "rows.npz", shape=(60_000_000, 1, 1)),
        npz(tmp_path / "times.npz", shape=(1, 1, 1), times=30_000_000),
    ):
        with pytest.raises(AnnotationError, match=r"set_limits\(frames="):
            read_recognised(path)
    with pytest.raises(AnnotationError, match=r"set_limits\(pixels="):
        read_recognised(npz(tmp_path / "wide.npz", shape=(1, 1 << 20, 1 << 20)))
    with pytest.raises(AnnotationError, match=r"set_limits\(total="):
        read_recognised(npz(tmp_path / "many.npz", shape=(900_000, 8000, 8000)))


def test_an_archive_of_many_members(tmp_path: Path) -> None:
    entry = b"PK\x01\x02" + bytes(42)
    for count in (200_000,):
        directory = entry * count
        end = b"PK\x05\x06" + struct.pack("<HHHHIIH", 0, 0, count & 0xFFFF, count & 0xFFFF, len(directory), 4, 0)
        for name, read in (("many.npz", read_recognised), ("many.pth", read_tensors)):
            (tmp_path / name).write_bytes(b"PK\x03\x04" + directory + end)
            with pytest.raises(CovosError, match="table of contents"):
                read(tmp_path / name)


def test_a_checkpoint_above_the_limit(tmp_path: Path) -> None:
    with (tmp_path / "large.pth").open("wb") as file:
        file.truncate((1 << 31) + 1)
    with pytest.raises(CheckpointError, match=r"set_limits\(weights="):
        read_tensors(tmp_path / "large.pth")


def test_a_mask_file_above_the_limit(tmp_path: Path) -> None:
    with (tmp_path / "large.png").open("wb") as file:
        file.truncate((1 << 28) + 1)
    with pytest.raises(AnnotationError, match=r"set_limits\(bytes="):
        read_label_map(tmp_path / "large.png")


def test_thousands_of_points(covos: Run, clip: Path, tmp_path: Path) -> None:
    points = [[x + 0.5, y / 2] for y in range(96) for x in range(64)]
    for content in (
        {"points": [{"object": 1, "positive": points}]},
        {"points": [{"object": 1 + place % 9, "positive": [point]} for place, point in enumerate(points)]},
    ):
        (tmp_path / "p.json").write_text(json.dumps(content))
        code, said = covos("segment", clip, "-o", tmp_path / "out", "--prompts", tmp_path / "p.json")
        assert code == 2
        assert "--limit points=" in said


@pytest.mark.parametrize("number", ["9" * 5000, "9" * 30])
def test_numbers_of_thousands_of_digits(covos: Run, clip: Path, tmp_path: Path, number: str) -> None:
    for option in (
        ["--point", f"1,1@{number}"],
        ["--point", f"{number},1"],
        ["--mask", f"m.png@{number}"],
        ["--objects", number],
        ["--frame-rate", number],
        ["--limit", f"frames={number}"],
    ):
        assert covos("segment", clip, "-o", tmp_path / "out", *option)[0] in {2, 3}
