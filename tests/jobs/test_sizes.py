"""A video whose size changes: every mask has its own frame's size, and outputs of one size hold all frames."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import covos
from checked_output import check_output
from covos.core.errors import CovosError
from covos.core.types import FrameResult
from covos.engines.choices import Direction
from covos.events import FrameDone
from covos.job import Job
from covos.jobs import run_job
from covos.masks import decode, read_label_map, write_label_map
from covos.media.opening import open_source
from covos.model import Model
from covos.plan import Plan
from covos.prompts.steering import steering_masks
from covos.prompts.values import as_prompts, as_regions
from covos.runs.writing import Saved
from covos.task import Task, choose_task

FIRST, SECOND, EACH = (48, 64), (96, 72), 6
MakeClip = Callable[..., Path]


@pytest.fixture
def changing(make_clip: MakeClip, tmp_path: Path) -> Path:
    """Two recordings in one stream, as a camera that is turned makes them."""
    parts = [make_clip(f"{height}.h264", frames=EACH, height=height, width=width) for height, width in (FIRST, SECOND)]
    path = tmp_path / "changing.h264"
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    return path


def sizes() -> list[tuple[int, int]]:
    return [FIRST] * EACH + [SECOND] * EACH


def test_frames_have_their_own_size_and_it_is_said(changing: Path) -> None:
    with open_source(changing) as source:
        frames = list(source)
        assert any("64x48 to 72x96" in text for text in source.health.warnings)
        assert source.health.complete
    assert [frame.size for frame in frames] == sizes()
    assert [frame.source_size for frame in frames] == [None] * EACH + [FIRST] * EACH
    assert (source.info.height, source.info.width) == FIRST


@pytest.fixture
def run(model: Model, changing: Path, tmp_path: Path) -> Callable[..., Saved]:
    def start(task: Task, *formats: str, stop_after: int | None = None) -> Saved:
        def listen(_job: Job, event: object) -> None:
            if isinstance(event, FrameDone) and event.index + 1 == stop_after:
                raise KeyboardInterrupt

        plan = Plan(source=str(changing), task=task, formats=formats)
        outcome = run_job(Job(plan, tmp_path / "out", load=lambda _: model), listen=listen)
        if outcome.error is not None:
            raise outcome.error
        assert outcome.saved is not None
        return outcome.saved

    return start


KEEPS = ("palette", "binary", "matte", "rgba", "coco", "labelstudio", "yolo")
HAVE_ONE = ("overlay", "npz", "ytvis", "cvat", "cutout", "preview", "sheet", "ffv1", "background", "blur")


def test_every_format_takes_all_frames(run: Callable[..., Saved]) -> None:
    saved = run(choose_task(references=2), *KEEPS, *HAVE_ONE)
    assert saved.frames == 2 * EACH
    assert check_output(saved.folder) == []
    for folder in ("masks", "matte", "rgba"):
        for path, size in zip(sorted((saved.folder / folder).glob("*.png")), sizes(), strict=True):
            with Image.open(path) as picture:
                assert picture.size == size[::-1]
    images = json.loads((saved.folder / "coco.json").read_text())["images"]
    assert [(row["height"], row["width"]) for row in images] == sizes()
    report = json.loads((saved.folder / "report.json").read_text())
    assert [tuple(row.get("size", FIRST)) for row in report["frames"]] == sizes()
    assert np.load(saved.folder / "masks.npz")["masks"].shape == (2 * EACH, *FIRST)
    with open_source(saved.folder / "overlay.mp4") as video:
        shown = list(video)
    # A tall frame stands between bars.
    assert {frame.size for frame in shown} == {FIRST}
    assert shown[-1].image[:, :4].mean() < 20 < shown[-1].image[:, 24:40].mean()


def test_masks_of_their_own_sizes_come_back(run: Callable[..., Saved], tmp_path: Path) -> None:
    saved = run(choose_task(references=2), "palette", "npz")
    result = covos.load_result(saved.folder)
    assert [mask.size for mask in result] == sizes()
    assert result.to_numpy().shape == (2 * EACH, *FIRST)
    again = result.save(tmp_path / "again", formats=["palette", "overlay"])
    assert check_output(again.folder) == []
    for path in sorted((saved.folder / "masks").glob("*.png")):
        np.testing.assert_array_equal(read_label_map(again.folder / "masks" / path.name), read_label_map(path))
    fitted = covos.load_result(saved.folder / "masks.npz")
    assert {mask.size for mask in fitted} == {FIRST}
    assert fitted.overlay(2 * EACH - 1).shape == (*FIRST, 3)


def test_a_stopped_run_goes_on(run: Callable[..., Saved], tmp_path: Path) -> None:
    task = choose_task(references=2)
    whole = run(task, "palette")
    masks = {path.name: path.read_bytes() for path in (whole.folder / "masks").glob("*.png")}
    whole.folder.rename(tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        run(task, "palette", stop_after=EACH + 2)
    resumed = run(task, "palette")
    assert resumed.resumed
    assert {path.name: path.read_bytes() for path in (resumed.folder / "masks").glob("*.png")} == masks


def square(size: tuple[int, int]) -> np.ndarray[Any, Any]:
    mask = np.zeros(size, bool)
    mask[size[0] // 4 : size[0] // 4 + 16, 2:18] = True
    return mask


@pytest.mark.parametrize("direction", ["forward", "both", "backward"])
def test_objects_are_followed_over_the_change(
    model: Model, changing: Path, random_follower: Path, direction: Direction
) -> None:
    frame = 0 if direction == "forward" else 2 * EACH - 1
    with model.session(changing, follower=random_follower) as session:
        session.add_mask(frame, mask=square(FIRST))
        result = session.propagate(direction)
        assert [mask.size for mask in result] == sizes()
        session.confirm(frame)
        assert session.preview(frame).shape == FIRST
    # The given mask is in the result, at its frame's size.
    assert result[frame].labels.any()


def test_a_mask_of_its_frames_own_size(model: Model, changing: Path, tmp_path: Path) -> None:
    """Without being resized on request: any other size is refused, and so is this one on a frame of the first size."""
    labels = np.zeros(SECOND, np.uint8)
    labels[SECOND[0] // 2 :, : SECOND[1] // 2] = 3
    write_label_map(tmp_path / "own.png", labels)
    with model.session(changing) as session:
        session.add_labels(EACH, labels=labels)
        session.add_mask(EACH + 1, 4, mask=labels > 0)
        session.add_file(tmp_path / "own.png", frame=EACH + 2)
        shown = [decode(each.mask) for each in session.shown]
        for mask in shown:
            assert mask.shape == FIRST
            np.testing.assert_array_equal(mask, np.kron([[0, 0], [1, 0]], np.ones((FIRST[0] // 2, FIRST[1] // 2))) > 0)
        for refused in (
            lambda: session.add_labels(0, labels=labels),
            lambda: session.add_mask(EACH, 5, mask=labels[1:] > 0),
            lambda: session.add_file(tmp_path / "own.png", frame=0),
        ):
            with pytest.raises(CovosError, match="size"):
                refused()


def test_points_and_boxes_on_a_frame_of_another_size_are_in_the_sources_pixels(
    model: Model, changing: Path, random_follower: Path
) -> None:
    with model.session(changing, follower=random_follower, prompter="grabcut") as session:
        made = session.add_box(EACH + 1, box=(1, 8, 24, 36))
        assert made.mask.shape == FIRST
        session.propagate("both")
        corrected = session.add_points(EACH + 3, 1, points=[(10, 18)])
        assert corrected.mask.shape == FIRST


def test_the_subject_is_steered_over_the_change(run: Callable[..., Saved]) -> None:
    left = as_regions(exclude=[(0, 0, FIRST[1] // 2, FIRST[0])])
    saved = run(choose_task(references=2, prompts=left), "palette")
    for path in (saved.folder / "masks").glob("*.png"):
        labels = read_label_map(path)
        assert not labels[:, : labels.shape[1] // 2].any()
    assert check_output(saved.folder) == []


def test_what_is_shown_of_the_subject_on_a_frame_of_another_size_is_in_the_sources_pixels(
    model: Model, changing: Path
) -> None:
    def found(frame: int) -> FrameResult:
        (there,) = source.select([frame])
        labels = square(SECOND).astype(np.uint8)
        return FrameResult(frame=there, probability=labels.astype(np.float32), labels=labels, confidence=1.0)

    prompter = model.prompter("grabcut").prompter
    shown = as_prompts(points={EACH + 1: [(8, 16, 0)]})
    with open_source(changing) as source:
        masks = steering_masks(source, shown, found=found, encoder=model.engine.encoder, prompter=prompter)
    (gone,) = masks.given[EACH + 1].values()
    assert gone.shape == FIRST
    assert gone[14:18, 4:12].all()
