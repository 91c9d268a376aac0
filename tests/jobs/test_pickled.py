"""Frames, results and events go to other processes: they pickle, and are copied."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import cv2
import numpy as np
import pytest

from covos.core.types import Frame
from covos.events import Event, FrameDone
from covos.job import Job
from covos.media.opening import open_source
from covos.model import Model
from covos.plan import Plan
from hdr_clips import PQ, write

T = TypeVar("T")
WAYS: list[Callable[[T], T]] = [lambda given: pickle.loads(pickle.dumps(given)), copy.deepcopy]


def refuse_other(frame: Frame, again: Frame) -> None:
    np.testing.assert_array_equal(again.image, frame.image)
    assert (again.index, again.stem, again.time, again.size) == (frame.index, frame.stem, frame.time, frame.size)
    for own, other in ((frame.deep, again.deep), (frame.hdr, again.hdr)):
        assert (own is None) == (other is None)
        if own is not None and other is not None:
            np.testing.assert_array_equal(other(), own())
    assert (frame.coded is None) == (again.coded is None)
    if frame.coded is not None and again.coded is not None:
        np.testing.assert_array_equal(again.coded.luma, frame.coded.luma)


@pytest.mark.parametrize("way", WAYS, ids=["pickled", "copied"])
def test_frames_of_a_video(clip: Path, way: Callable[[Frame], Frame]) -> None:
    with open_source(clip) as source:
        frame = next(iter(source))
        assert frame.later is not None, "the picture is still to be made"
        again = way(frame)
    refuse_other(frame, again)
    refuse_other(frame, way(again))


@pytest.mark.parametrize("way", WAYS, ids=["pickled", "copied"])
def test_frames_with_deep_colours(tmp_path: Path, way: Callable[[Frame], Frame]) -> None:
    deep = np.random.default_rng(0).integers(0, 65536, (48, 64, 3)).astype(np.uint16)
    cv2.imwrite(str(tmp_path / "deep.png"), deep)
    for path in (tmp_path / "deep.png", write(tmp_path / "hdr.mp4", transfer=PQ)):
        with open_source(path) as source:
            frame = next(iter(source))
            assert frame.deep is not None
            again = way(frame)
        refuse_other(frame, again)
        refuse_other(frame, way(again))


@pytest.mark.parametrize("way", WAYS, ids=["pickled", "copied"])
def test_all_events_of_a_job(model: Model, clip: Path, way: Callable[[Event], Event]) -> None:
    job = Job(Plan(source=clip), load=lambda plan: model)
    done = 0
    for event in job:
        again = way(event)
        assert type(again) is type(event)
        if isinstance(event, FrameDone) and isinstance(again, FrameDone):
            refuse_other(event.result.frame, again.result.frame)
            np.testing.assert_array_equal(again.result.labels, event.result.labels)
            assert again.masks == event.masks
            done += 1
    assert done == 8
