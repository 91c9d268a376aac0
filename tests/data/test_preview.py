from __future__ import annotations

import numpy as np
import pytest

from covos.core.errors import UsageError
from covos.data import open_collection, open_dataset, preview
from covos.masks.object_ids import davis_palette


def drawn(what, **settings):
    return np.asarray(preview(what, **settings))


def colours(sheet):
    return {tuple(colour) for colour in sheet.reshape(-1, 3).tolist()}


def test_annotations_are_drawn_in_the_palette(tianchi):
    sheet = drawn(open_dataset(tianchi), cell_width=160)
    assert sheet.dtype == np.uint8
    red, green = (tuple(davis_palette()[number].tolist()) for number in (1, 2))
    assert {red, green} <= colours(sheet)


def test_each_frame_stands_beside_its_own_annotation(tree):
    tree.image("JPEGImages/a/0.png", size=(30, 40))
    tree.labels("Annotations/a/0.png", (1, 2, 3), size=(30, 40))
    sheet = drawn(open_dataset(tree.root), cell_width=40)
    row = sheet[6 + 4]  # below the gap, inside the objects
    left, right = row[6:46], row[52:92]
    assert (left == 90).all()
    np.testing.assert_array_equal(right[1:10], davis_palette()[[1, 1, 1, 2, 2, 2, 3, 3, 3]])


def test_a_video_begins_a_row_and_frames_are_limited(tianchi):
    dataset = open_dataset(tianchi)
    full, short = (drawn(dataset, frames=frames, cell_width=80) for frames in (8, 4))
    assert full.shape[1] == short.shape[1]
    assert full.shape[0] > short.shape[0], "five frames take two rows"
    assert drawn(dataset, frames=1, cell_width=80).shape[1] < short.shape[1]


def test_pictures_share_rows(tree):
    tree.pictures(*"abcd")
    one_row = drawn(open_dataset(tree.root), cell_width=40)
    tree.pictures("e")
    assert one_row.shape[1] == 8 * 46 + 6
    assert drawn(open_dataset(tree.root), cell_width=40).shape[0] > one_row.shape[0]


def test_soft_masks_are_grey(tree):
    tree.image("images/a.jpg")
    tree.soft("masks/a.png")
    sheet = drawn(open_dataset(tree.root), cell_width=16)
    mask = sheet[6 + 5, 6 + 16 + 6 :][:16]
    assert (mask == mask[:, :1]).all()
    assert len(np.unique(mask)) == 16


def test_frames_without_image_or_annotation(tree):
    tree.labels("Annotations/a/0.png", (1,))
    assert drawn(open_dataset(tree.root), cell_width=16).size
    tree.image("JPEGImages/a/0.jpg")
    tree.image("JPEGImages/a/1.jpg")
    assert drawn(open_dataset(tree.root), cell_width=16).size


def test_refusals(tree, tianchi):
    with pytest.raises(UsageError, match="nothing to draw"):
        preview(open_dataset(tianchi), frames=0)
    with pytest.raises(UsageError, match="cell_width=0"):
        preview(open_dataset(tianchi), cell_width=0)
    for wrong in (5, "DAVIS", [3], None):
        with pytest.raises(UsageError, match="nothing to draw in a"):
            preview(wrong)
    (tree.root / "JPEGImages/480p/a").mkdir(parents=True)
    with pytest.raises(UsageError, match="there is no frame"):
        preview(open_dataset(tree.root))


def test_a_video_a_frame_and_several_of_them(tianchi):
    dataset = open_dataset(tianchi)
    video = dataset["600101"]
    np.testing.assert_array_equal(drawn(video), drawn(dataset[:1]))
    assert drawn(video, frames=8, cell_width=80).shape[1] == 8 * 86 + 6
    assert drawn(video[2], cell_width=80).shape[1] == 2 * 86 + 6
    np.testing.assert_array_equal(drawn([video[0], video[1]]), drawn(video[:2]))
    np.testing.assert_array_equal(drawn(list(dataset)), drawn(dataset))
    np.testing.assert_array_equal(drawn(open_collection(tianchi)), drawn(dataset))


def test_it_is_a_picture_that_a_notebook_shows(tianchi, tmp_path):
    sheet = preview(open_dataset(tianchi))
    assert sheet.mode == "RGB"
    assert sheet._repr_png_().startswith(b"\x89PNG")
    sheet.save(tmp_path / "sheet.png")
