from __future__ import annotations

import json

import numpy as np
import pytest

from covos.data import inspect, open_dataset, statistics
from covos.data.measures import Spread
from covos.masks.label_files import write_label_map


def write(tree, video, frame, labels):
    labels = np.asarray(labels, np.uint8)
    tree.image(f"JPEGImages/{video}/{frame}.jpg", size=labels.shape)
    path = tree.root / f"Annotations/{video}/{frame}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_label_map(path, labels)


def boxes(*placed, size=(10, 20)):
    labels = np.zeros(size, np.uint8)
    for number, (top, bottom, left, right) in placed:
        labels[top:bottom, left:right] = number
    return labels


def test_every_number_by_hand(tree):
    write(tree, "a", "0", boxes((1, (2, 6, 2, 6)), (2, (8, 10, 10, 20))))  # 16 and 20 of 200; at the border
    write(tree, "a", "1", boxes((1, (2, 6, 4, 8))))  # 16, moved by half its width
    write(tree, "a", "2", boxes())
    write(tree, "b", "0", boxes((3, (0, 10, 0, 10)), (255, (0, 10, 10, 20))))  # 100 of the 100 that are not void
    tree.image("JPEGImages/b/1.jpg", size=(12, 16))
    found = statistics(open_dataset(tree.root))
    assert (found.videos, found.pictures, found.frames, found.annotated, found.empty) == (2, 0, 5, 4, 1)
    assert found.objects == 3
    assert (found.lengths.least, found.lengths.most, found.lengths.mean) == (2, 3, 2.5)
    assert found.annotated_lengths.mean == 2
    assert [(size.height, size.width, size.frames) for size in found.sizes] == [(10, 20, 4), (12, 16, 1)]
    assert found.subject_area.count == 3
    assert found.subject_area.mean == pytest.approx((0.18 + 0.08 + 1) / 3)
    assert found.object_area.count == 4
    assert found.object_area.least == pytest.approx(0.08)
    assert (found.small, found.large) == (0, 0.25)
    assert found.objects_a_frame == {0: 1, 1: 2, 2: 1}
    assert found.objects_a_video.mean == 1.5
    assert sorted([found.seen.least, found.seen.most]) == pytest.approx([1 / 3, 1])
    assert found.at_border == pytest.approx(2 / 3)
    assert found.void == pytest.approx(0.5 / 4)
    assert found.overlap.count == 2
    assert found.overlap.most == pytest.approx(8 / (36 + 16 - 8))
    assert found.overlap.least == 0
    centers = [((4 * 16 + 15 * 20) / 36 / 20, (4 * 16 + 9 * 20) / 36 / 10), (6 / 20, 0.4), (5 / 20, 0.5)]
    assert found.center == pytest.approx(np.mean(centers, axis=0))


def test_they_come_with_an_inspection_from_one_reading(tree, monkeypatch):
    from covos.data import checks

    write(tree, "a", "0", boxes((1, (2, 6, 2, 6))))
    write(tree, "a", "1", boxes((1, (2, 6, 2, 6))))
    read = []
    monkeypatch.setattr(checks, "decode_labels", lambda path, encoding: read.append(path) or boxes((1, (2, 6, 2, 6))))
    seen = []
    dataset = open_dataset(tree.root, encoding="ids")
    found = inspect(dataset, on_frames=seen.append)
    assert len(read) == len(set(read)) == 2
    assert seen == [2]
    assert found.statistics == statistics(dataset)
    assert found.to_dict()["statistics"]["objects"] == 1


def test_pictures_soft_masks_and_files_that_cannot_be_read(tree):
    tree.pictures(*"abc")
    tree.soft("masks/b.png")
    tree.text("masks/c.png", "broken")
    found = statistics(open_dataset(tree.root))
    assert (found.videos, found.pictures, found.annotated) == (0, 3, 2)
    assert (found.lengths.count, found.overlap.count, found.seen.count) == (0, 0, 0)
    assert found.subject_area.count == 2
    assert "3 pictures" in str(found)
    assert "frames of a video" not in str(found)


def test_nothing_annotated(tree):
    tree.image("JPEGImages/a/0.jpg")
    found = statistics(open_dataset(tree.root))
    assert found.subject_area == Spread(count=0)
    assert (found.center, found.void, found.small) == (None, None, None)
    assert str(found).startswith("set: 1 video, 1 frame, 0 annotated")


def test_text_and_plain_values(tianchi):
    found = statistics(open_dataset(tianchi))
    text = str(found)
    assert text.splitlines()[0] == ("tianchi: 3 videos (train 2, test 1), 15 frames, 12 annotated (0 empty), 4 objects")
    assert "160 x 90 (15)" in text
    assert max(map(len, text.splitlines())) < 130
    assert found._repr_html_().startswith("<pre>tianchi: 3 videos")
    plain = json.loads(json.dumps(found.to_dict()))
    assert {int(number): frames for number, frames in plain["objects_a_frame"].items()} == found.objects_a_frame
    assert sum(found.objects_a_frame.values()) == 12
