"""A part of a result has the damage of that part of its source."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

import covos
from clips import bright_clip
from covos.masks import encode
from covos.masks.frame_mask import FrameMask
from covos.media.inputs import open_input
from covos.media.range import as_range
from covos.results.loading import convert
from covos.runs.report import Origin
from covos.runs.schema import load_report


def damaged(path: Path, *, packets: slice | None = None) -> Path:
    """Damage some packets of a clip, or cut its file."""
    content = bytearray(path.read_bytes())
    if packets is None:
        content = content[: len(content) * 7 // 10]
    else:
        with av.open(str(path)) as container:
            places = [(packet.pos, packet.size) for packet in container.demux(video=0) if packet.size]
        for start, size in places[packets]:
            content[start : start + size] = bytes(size)
    path.write_bytes(content)
    return path


def as_read(path: Path, *, range: covos.Range | range | None = None) -> covos.Segmentation:
    """A square in every frame of a source, with the damage that reading has met."""
    square = np.zeros((48, 64), bool)
    square[10:20, 10:20] = True
    with open_input(path, range=as_range(range)) as source:
        frames = [
            FrameMask(
                index=frame.index, stem=frame.stem, pts=frame.pts, time_base=frame.time_base, status=frame.status,
                confidence=1.0, size=frame.size, objects={1: encode(square)}, file=frame.file,
                source_index=frame.source_index,
            )
            for frame in source
        ]  # fmt: skip
        origin = Origin(model="square", sha256="", device="none", settings={})
        return covos.Segmentation(info=source.info, health=source.health, origin=origin, frames=tuple(frames))


@pytest.mark.parametrize(
    ("name", "packets"), [("cut.mkv", None), ("end.mp4", slice(-2, None)), ("middle.mp4", slice(10, 11))]
)
def test_a_part_of_a_result_has_the_damage_of_that_part_of_the_source(
    tmp_path: Path, name: str, packets: slice | None
) -> None:
    clip = damaged(bright_clip(tmp_path / name, frames=24), packets=packets)
    whole = as_read(clip)
    assert not whole.health.complete
    whole.save(tmp_path / "out", formats=["coco"])
    for part in (
        *(covos.Range(start=start, end=end) for start in ("f2", "f8", "f9") for end in (None, "f10", f"f{len(whole)}")),
        covos.Range(end="f5"),
        covos.Range(start="f3", every=3),
    ):
        direct = as_read(clip, range=part)
        for kept in (whole, covos.load_result(tmp_path / "out")):
            trimmed = kept.trim(part)
            if part.end is None:
                assert trimmed.health.complete == direct.health.complete
            if part.end is None and part.every == 1:
                assert trimmed.health == direct.health
            # A part that is read alone may end before it meets all of the damage.
            assert set(direct.health.lost) <= set(trimmed.health.lost)
            assert direct.health.complete or not trimmed.health.complete
            assert trimmed.health.decoded == len(direct)
    notes = whole.trim(covos.Range(end="f5")).health.notes
    assert [text.partition(":")[0] for text in notes] == ["outside of the part that is taken"]
    converted = convert(tmp_path / "out", formats=["npz"], output=tmp_path / "npz", range=covos.Range(start="f2"))
    assert not converted.health.complete
    (said,) = {text for text in converted.warnings if "missing" in text}
    assert said in load_report(tmp_path / "npz").health.warnings
    # The damage is still known after a further trim, and where it lies.
    again = whole.trim(covos.Range(start="f2")).trim(covos.Range(start="f4"))
    assert again.health.lost == as_read(clip, range=covos.Range(start="f4")).health.lost
    assert whole[:5].trim(covos.Range(start="f2")).health.complete


def test_a_part_of_a_result_names_the_pictures_of_that_part_that_cannot_be_read(tmp_path: Path) -> None:
    for index in range(6):
        Image.new("RGB", (64, 48), (index, 0, 0)).save(tmp_path / f"{index}.png")
    for index in (2, 4):
        (tmp_path / f"{index}.png").write_bytes(b"no picture")
    whole = as_read(tmp_path)
    assert whole.health.unreadable == (2, 4)
    part = whole.trim(range(1, 4)).health
    assert (part.unreadable, part.complete) == ((1,), False)
    assert part.warnings == ("1 picture cannot be read: 2.png",)
    assert part.notes == ("outside of the part that is taken: 1 picture cannot be read: 4.png",)
    assert whole.trim(range(5, 6)).health.complete


def test_a_part_of_a_result_has_the_damage_of_that_part_of_an_animation(tmp_path: Path) -> None:
    path = tmp_path / "torn.webp"
    frames = [
        Image.fromarray(np.random.default_rng(index).integers(0, 255, (48, 64, 3), np.uint8)) for index in range(9)
    ]
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=100, lossless=True)
    content = bytearray(path.read_bytes())
    starts = [at for at in range(len(content)) if content[at : at + 4] == b"ANMF"]
    content[starts[6] + 40 : starts[6] + 400] = bytes(360)
    path.write_bytes(content)
    whole = as_read(path)
    assert [lost.pts for lost in whole.health.lost] == [600]
    for start, end, lost in ((0, 4, 0), (5, 8, 1)):
        part = covos.Range(start=f"f{start}", end=f"f{end}")
        trimmed, direct = whole.trim(part), as_read(path, range=part)
        assert len(trimmed.health.lost) == len(direct.health.lost) == lost
        assert trimmed.health.warnings == direct.health.warnings
        assert sum("missing" in text for text in trimmed.health.warnings) == lost
