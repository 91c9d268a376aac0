from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from covos.core.errors import AnnotationError, UsageError
from covos.data import FrameRecord, Video, guided_clip, pairs, sample_group


def video_of(annotated: list[bool]) -> Video:
    frames = tuple(
        FrameRecord(f"{index:05}", Path(f"{index}.jpg"), Path(f"{index}.png") if has else None)
        for index, has in enumerate(annotated)
    )
    return Video(name="v", frames=frames)


def positions(video, group):
    return [video.annotated.index(record) for record in group]


def test_pairs_are_all_combinations_of_annotated_frames():
    video = video_of([True, False, True, True])
    assert [(a.stem, b.stem) for a, b in pairs(video)] == [("00000", "00002"), ("00000", "00003"), ("00002", "00003")]
    assert list(pairs(video_of([True, False]))) == []


@given(
    count=st.integers(1, 40), size=st.integers(1, 10), max_gap=st.none() | st.integers(1, 12), seed=st.integers(0, 99)
)
def test_a_group(count, size, max_gap, seed):
    video = video_of([True] * count)
    group = sample_group(video, size=size, rng=np.random.default_rng(seed), max_gap=max_gap)
    assert group == sample_group(video, size=size, rng=np.random.default_rng(seed), max_gap=max_gap)
    chosen = positions(video, group)
    assert len(chosen) == size
    assert chosen == sorted(chosen)
    times = Counter(chosen).values()
    if count >= size:
        assert max(times) == 1, "distinct while there are enough"
        assert max_gap is None or np.diff(chosen).max(initial=0) <= max_gap
    else:
        assert set(chosen) == set(range(count))
        assert max(times) - min(times) <= 1


def test_every_frame_can_come_with_a_gap():
    video = video_of([True] * 12)
    rng = np.random.default_rng(0)
    groups = [positions(video, sample_group(video, size=3, rng=rng, max_gap=4)) for _ in range(2000)]
    seen = Counter(position for group in groups for position in group)
    assert seen.keys() == set(range(12))
    steps = Counter(int(step) for group in groups for step in np.diff(group))
    assert steps.keys() == {1, 2, 3, 4}
    first, second = (Counter(group[k + 1] - group[k] for group in groups) for k in (0, 1))
    assert all(abs(first[step] - second[step]) < 150 for step in steps), "early and late steps are alike"


def test_only_annotated_frames_are_drawn():
    video = video_of([False, True, False, True])
    group = sample_group(video, size=2, rng=np.random.default_rng(1))
    assert [record.stem for record in group] == ["00001", "00003"]


def test_refusals():
    rng = np.random.default_rng(0)
    with pytest.raises(AnnotationError, match="v has no annotated frame"):
        sample_group(video_of([False]), size=1, rng=rng)
    with pytest.raises(AnnotationError, match="none of its 2 frames"):
        guided_clip(video_of([False, False]))
    for wrong in ({"size": 0}, {"size": 2, "max_gap": 0}):
        with pytest.raises(UsageError, match="at least 1"):
            sample_group(video_of([True]), rng=rng, **wrong)


def test_a_guided_clip_begins_at_the_first_annotation():
    clip = guided_clip(video_of([False, True, False, True]))
    assert clip.first.stem == "00001"
    assert [record.stem for record in clip.following] == ["00002", "00003"]
