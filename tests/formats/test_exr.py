"""OpenEXR pictures, read back by OpenEXR's own library: light, layers, ids."""

from __future__ import annotations

import json
import struct
import sys
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import OpenEXR
import pytest

from covos.core.errors import EnvironmentProblem
from covos.core.labelling import Labelling
from covos.core.types import FrameResult, Tags
from covos.formats.compose import ComposedResult
from covos.formats.table import check_formats, make_writer
from covos.runs.folder import OutputFolder


@pytest.fixture
def two(result) -> FrameResult:
    """Object 1 at the left and object 7 at the right, which touch; a rim of half."""
    made = result()
    probability, labels = np.zeros((48, 64), np.float32), np.zeros((48, 64), np.uint8)
    probability[9:39, 9:55], probability[10:38, 10:54] = 0.5, 1
    labels[10:38, 10:32], labels[10:38, 32:54] = 1, 7
    return replace(made, probability=probability, labels=labels)


def read(folder: Path, results: list[FrameResult], info: Any, **more: Any) -> list[Any]:
    writer = make_writer("exr", OutputFolder(folder), info=info, source_path=folder / "none", **more)
    for index, each in enumerate(results):
        writer.write(replace(each, frame=replace(each.frame, index=index, stem=f"{index:05d}")))
    (path,) = writer.close()
    return [OpenEXR.File(str(each), separate_channels=True) for each in sorted(path.glob("*.exr"))]


def planes(file: Any, prefix: str) -> np.ndarray:
    return np.stack([file.channels()[f"{prefix}{name}"].pixels for name in "RGBA"], -1).astype(np.float32)


def test_colours_are_light_multiplied_by_alpha(tmp_path: Path, two, info) -> None:
    (file,) = read(tmp_path, [two], info())
    found, composed = planes(file, ""), ComposedResult.of(two)
    np.testing.assert_allclose(found[..., 3], composed.opacity, atol=1e-3)
    code = composed.colours / 255
    light = np.where(code <= 0.04045, code / 12.92, ((code + 0.055) / 1.055) ** 2.4)
    np.testing.assert_allclose(found[..., :3], light * composed.opacity[..., None], atol=1e-3)
    assert file.channels()["A"].pixels.dtype == np.float16


def test_layers_of_the_objects_add_up_to_the_whole(tmp_path: Path, two, info) -> None:
    first, second = read(tmp_path, [replace(two, labels=np.minimum(two.labels, 1)), two], info())
    assert "object7.R" not in first.channels()
    one, seven = planes(second, "object1."), planes(second, "object7.")
    np.testing.assert_allclose(one + seven, planes(second, ""), atol=2e-3)
    assert one[20, 12, 3] == 1
    assert seven[20, 12].max() == 0
    assert seven[20, 50, 3] == 1


def test_ids_are_those_of_cryptomatte(tmp_path: Path, two, info) -> None:
    (file,) = read(tmp_path, [two], info())
    (key,) = {name.split("/")[1] for name in file.header() if name.startswith("cryptomatte/")}
    said = {name: file.header()[f"cryptomatte/{key}/{name}"] for name in ("name", "hash", "conversion", "manifest")}
    assert said["name"] == "CryptoObject"
    assert (said["hash"], said["conversion"]) == ("MurmurHash3_32", "uint32_to_float32")
    manifest = json.loads(said["manifest"])
    assert sorted(manifest) == ["object1", "object7"]
    first, second = (planes(file, f"CryptoObject{level:02d}.") for level in range(2))
    ids = {name: np.float32(struct.unpack(">f", bytes.fromhex(digits))[0]) for name, digits in manifest.items()}
    assert (first[20, 12, 0], first[20, 12, 1]) == (ids["object1"], 1)
    assert (first[20, 50, 0], first[20, 50, 1]) == (ids["object7"], 1)
    assert {first[20, 32, 0], first[20, 32, 2]} == set(ids.values())  # where they touch, a share of each
    total = first[..., 1] + first[..., 3] + second[..., 1] + second[..., 3]
    np.testing.assert_allclose(total, ComposedResult.of(two).opacity, atol=1e-5)
    assert (first[..., 1] >= first[..., 3]).all()


def test_layers_and_ids_have_the_names_of_their_objects(tmp_path: Path, two, info) -> None:
    (file,) = read(tmp_path, [two], info(), labels=Labelling(every="red v. 2", own={1: "car"}))
    (manifest,) = (value for name, value in file.header().items() if name.endswith("/manifest"))
    assert sorted(json.loads(manifest)) == ["car1", "red_v_27"]
    assert planes(file, "car1.")[20, 12, 3] == 1
    assert planes(file, "red_v_27.")[20, 50, 3] == 1


@pytest.mark.parametrize("rate", [Fraction(30000, 1001), Fraction(2**40 + 1, 2**35), None])
def test_the_frame_rate_stands_in_the_header(tmp_path: Path, two, info, rate: Fraction | None) -> None:
    (file,) = read(tmp_path, [two], replace(info(), frame_rate=rate))
    said = file.header().get("framesPerSecond")
    if rate is None:
        assert said is None
    else:
        assert float(said) == pytest.approx(float(rate))
        assert said == rate or rate.denominator > 10_000


def test_the_hash_is_the_published_one() -> None:
    from covos.formats.exr import _hash

    # MurmurHash3, 32 bits, seed 0, of the specification's author: "hello" is 0x248bfa47.
    assert _hash("hello")[0] == "248bfa47"
    for number in range(2000):
        value = abs(float(_hash(f"object{number}")[1]))
        assert 1e-38 < value < 3.4e38


def test_timecode_reel_and_primaries_stand_in_the_header(tmp_path: Path, two, info) -> None:
    tags = Tags(timecode="01:00:00:24", reel="A001")
    _, file = read(tmp_path, [two, two], info(tags=tags))
    header = file.header()
    code = header["timeCode"]
    assert (code.hours, code.minutes, code.seconds, code.frame) == (1, 0, 1, 0)
    assert header["reelName"] == "A001"
    assert header["chromaticities"][:2] == pytest.approx((0.64, 0.33))


def test_of_each_second_frame_a_picture_has_the_timecode_of_its_own(tmp_path: Path, two, info) -> None:
    third = replace(two, frame=replace(two.frame, index=1, source_index=12))
    part = info(tags=Tags(timecode="01:00:00:00"), frame_rate=Fraction(25, 2), start=10, every=2, times="zero")
    code = read(tmp_path, [third], part)[0].header()["timeCode"]
    assert (code.hours, code.minutes, code.seconds, code.frame) == (1, 0, 0, 12)


def test_without_its_packages_it_is_refused_before_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    assert check_formats(["exr"]) == ("exr",)
    monkeypatch.setitem(sys.modules, "OpenEXR", None)
    with pytest.raises(EnvironmentProblem, match="needs the package OpenEXR"):
        check_formats(["exr"])
