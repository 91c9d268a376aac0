from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import covos
from checked_output import check_output
from covos.core.errors import SourceError, UsageError
from covos.masks import read_label_map
from covos.media.opening import open_source
from covos.model import Model

AT_FULL_SIZE = True
"""See `conftest.py`."""
EXAMPLE = Path(__file__).parents[2] / "examples" / "car.mp4"


@pytest.fixture(scope="module")
def frames(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve pictures of the example, lossless, in a folder."""
    folder = tmp_path_factory.mktemp("frames")
    with open_source(EXAMPLE) as source:
        for frame in source.select(range(12, 60, 4)):
            Image.fromarray(frame.image).save(folder / f"{frame.index:05}.png")
    return folder


@pytest.fixture(scope="module")
def result(model: Model, frames: Path) -> covos.Segmentation:
    return covos.segment(frames, model=model)


def moving(frames: Path) -> list[np.ndarray]:
    """The cars, found without covos: what differs from the median of the pictures, as the camera stands still."""
    pictures = np.stack([np.asarray(Image.open(path)) for path in sorted(frames.iterdir())]).astype(np.int16)
    return list(np.abs(pictures - np.median(pictures, axis=0)).max(axis=3) > 40)


def test_the_cars_are_found(result: covos.Segmentation, frames: Path) -> None:
    for frame, moved in zip(result, moving(frames), strict=True):
        if moved.mean() > 0.02:
            assert frame.mask[moved].mean() > 0.6, frame.stem
            assert frame.mask.sum() < 4 * moved.sum(), frame.stem


def test_a_result_is_a_sequence(result: covos.Segmentation) -> None:
    assert len(result) == 12
    assert [frame.index for frame in result] == list(range(12))
    assert result[3].stem == "00024"
    assert result[-1] is result.frames[-1]
    part = result[2:5]
    assert isinstance(part, covos.Segmentation)
    assert [frame.index for frame in part] == [2, 3, 4]
    assert repr(part) == "Segmentation(3 frames of 432 x 768, objects [1], model 'covos-lite', source " + (
        f"{Path(part.info.path).name!r})"
    )
    assert result[0].labels.shape == result[0].mask.shape == (432, 768)


def test_stream_gives_the_same_masks(result: covos.Segmentation, model: Model, frames: Path) -> None:
    for kept, streamed in zip(result, covos.stream(frames, model=model), strict=True):
        np.testing.assert_array_equal(kept.labels, streamed.labels)
        assert kept.confidence == streamed.confidence
        assert kept.time == streamed.frame.time


def as_pictures(video: Path, folder: Path, *, count: int | None = None) -> Path:
    folder.mkdir()
    with open_source(video) as source:
        for frame in islice(source, count):
            Image.fromarray(frame.image).save(folder / f"{frame.stem}.png", compress_level=1)
    return folder


def test_a_video_that_is_not_reduced_and_its_frames_give_the_same_masks(
    model: Model, make_clip: Callable[..., Path], tmp_path: Path
) -> None:
    clip = make_clip(frames=6, height=144, width=192)
    video, pictures = covos.segment(clip, model=model), covos.segment(as_pictures(clip, tmp_path / "all"), model=model)
    assert len(video) == len(pictures) == 6
    assert any(one.labels.any() for one in video)
    for one, other in zip(video, pictures, strict=True):
        np.testing.assert_array_equal(one.labels, other.labels)


def test_a_video_and_its_frames_give_the_same_masks(model: Model, tmp_path: Path) -> None:
    """But for pixels at the contour: frames of a video are reduced for the network before they become RGB."""
    folder, part = as_pictures(EXAMPLE, tmp_path / "all", count=32), range(20, 32)
    video, pictures = (covos.segment(each, model=model, range=part) for each in (EXAMPLE, folder))
    assert len(video) == len(pictures) == 12
    assert all(one.labels.any() for one in video)
    for one, other in zip(video, pictures, strict=True):
        assert one.stem == other.stem
        assert np.mean(one.labels != other.labels) < 0.001


def test_a_single_image_works(model: Model, frames: Path) -> None:
    result = covos.segment(sorted(frames.iterdir())[6], model=model)
    assert len(result) == 1
    assert result[0].mask.any()


def test_the_source_may_be_shorter_than_the_references(model: Model, frames: Path, tmp_path: Path) -> None:
    for path in sorted(frames.iterdir())[5:8]:
        (tmp_path / path.name).write_bytes(path.read_bytes())
    assert len(covos.segment(tmp_path, model=model, references=5)) == 3
    assert len(covos.segment(tmp_path, model=model, references=0)) == 3


def test_bad_calls_are_refused_before_the_first_frame(model: Model, tmp_path: Path) -> None:
    with pytest.raises(SourceError):
        covos.stream(tmp_path / "none.mp4", model=model)
    with pytest.raises(UsageError, match="covos-lite"):
        covos.stream(EXAMPLE, model="no-such-model")
    with pytest.raises(UsageError, match="references = -1"):
        covos.stream(EXAMPLE, model=model, references=-1)
    with pytest.raises(UsageError, match="unknown device"):
        covos.load_model(device="abacus")


@pytest.mark.parametrize("name", ["start", "end", "every"])
def test_a_part_is_asked_for_by_its_range(name: str) -> None:
    with pytest.raises(UsageError, match=f"has no argument '{name}'") as refused:
        covos.segment("clip.mp4", **{name: 2})
    assert f"range=covos.Range({name}=" in refused.value.fix


def test_save_writes_what_the_command_writes(result: covos.Segmentation, frames: Path, tmp_path: Path) -> None:
    saved = result.save(tmp_path / "out")
    assert saved.frames == 12
    assert [path.name for path in saved.outputs] == ["masks", "overlay.mp4"]
    assert check_output(tmp_path / "out") == []
    for kept in result:
        np.testing.assert_array_equal(read_label_map(tmp_path / "out" / "masks" / f"{kept.stem}.png"), kept.labels)
    with pytest.raises(UsageError, match="not empty"):
        result.save(tmp_path / "out")
    result.save(tmp_path / "out", formats=["palette"], overwrite=True)
    assert not (tmp_path / "out" / "overlay.mp4").exists()


def test_a_part_is_saved_as_a_whole_of_its_own(result: covos.Segmentation, tmp_path: Path) -> None:
    saved = result[4:7].save(tmp_path / "out")
    assert saved.frames == 3
    assert sorted(path.name for path in (tmp_path / "out" / "masks").iterdir()) == [
        f"{kept.stem}.png" for kept in result[4:7]
    ]
    assert check_output(tmp_path / "out") == []


def test_saving_notices_that_the_source_changed(model: Model, frames: Path, tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    folder.mkdir()
    paths = sorted(frames.iterdir())[:3]
    for path in paths:
        (folder / path.name).write_bytes(path.read_bytes())
    result = covos.segment(folder, model=model)
    (folder / paths[2].name).unlink()
    with pytest.raises(SourceError, match="has changed"):
        result.save(tmp_path / "out")
    for path in folder.iterdir():
        path.unlink()
    with pytest.raises(SourceError):
        result.save(tmp_path / "other")
    assert not (tmp_path / "other").exists()


def test_unknown_formats_are_refused_before_anything_is_made(result: covos.Segmentation, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="bmp"):
        result.save(tmp_path / "out", formats=["bmp"])
    assert not (tmp_path / "out").exists()
