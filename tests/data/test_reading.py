from __future__ import annotations

import numpy as np
import pytest

from covos.core.errors import AnnotationError, SourceError
from covos.data import FrameRecord, Video, read_foreground, read_image, read_labels


def video_of(path, encoding):
    record = FrameRecord("00000", None, path)
    return Video(name="v", frames=(record,), encoding=encoding), record


def test_image(tree):
    record = FrameRecord("a", tree.image("a.png", size=(8, 12)), None)
    assert read_image(record).shape == (8, 12, 3)
    small = read_image(record, size=(4, 6))
    assert (small.shape, small.dtype) == ((4, 6, 3), np.uint8)
    assert read_image(record, size=(16, 24)).shape == (16, 24, 3)


def test_ids_keep_void_and_leave_it_out_of_the_foreground(tree):
    video, record = video_of(tree.labels("a.png", (1, 7, 255)), "ids")
    labels = read_labels(video, record)
    assert set(np.unique(labels)) == {0, 1, 7, 255}
    probability, valid = read_foreground(video, record)
    assert (probability.dtype, valid.dtype) == (np.float32, np.bool_)
    np.testing.assert_array_equal(valid, labels != 255)
    np.testing.assert_array_equal(probability == 1, (labels == 1) | (labels == 7))
    assert probability[labels == 255].max() == 0


def test_binary_255_is_the_object_and_not_void(tree):
    video, record = video_of(tree.binary("a.png"), "binary")
    assert set(np.unique(read_labels(video, record))) == {0, 1}
    probability, valid = read_foreground(video, record)
    assert valid.all()
    assert probability.sum() == 36


def test_soft_masks_keep_their_levels(tree):
    video, record = video_of(tree.soft("a.png"), "soft")
    probability, valid = read_foreground(video, record)
    assert valid.all()
    assert len(np.unique(probability)) == 16
    assert (probability.min(), probability.max()) == (0, 1)
    np.testing.assert_array_equal(read_labels(video, record) == 1, probability > 0.5)


def test_resizing_never_invents_ids(tree):
    video, record = video_of(tree.labels("a.png", (1, 7, 255)), "ids")
    labels = read_labels(video, record, size=(5, 9))
    assert labels.shape == (5, 9)
    assert set(np.unique(labels)) <= {0, 1, 7, 255}


def test_resizing_a_mask_averages_areas(tree):
    values = np.zeros((4, 8), np.uint8)
    values[:2, :4] = 255
    video, record = video_of(tree.grey("a.png", values), "binary")
    probability, _ = read_foreground(video, record, size=(1, 2))
    np.testing.assert_allclose(probability, [[0.5, 0]])


def test_resizing_takes_the_share_of_the_valid_part(tree):
    labels = np.zeros((4, 8), np.uint8)
    labels[0, :4], labels[1, :4], labels[:, 4:] = 255, 3, 255
    video, record = video_of(tree.grey("a.png", labels), "ids")
    probability, valid = read_foreground(video, record, size=(1, 2))
    np.testing.assert_allclose(probability, [[1 / 3, 0]], rtol=1e-6)
    np.testing.assert_array_equal(valid, [[True, False]])


def test_a_file_that_is_missing_is_named():
    video, record = video_of(None, "ids")
    with pytest.raises(SourceError, match="frame 00000 has no image"):
        read_image(record)
    with pytest.raises(AnnotationError, match="frame 00000 of v has no annotation"):
        read_labels(video, record)
    with pytest.raises(AnnotationError, match="0 of the 1 frames"):
        read_foreground(video, record)


@pytest.mark.parametrize(("encoding", "kind"), [("ids", "labels"), ("binary", "binary"), ("soft", "soft")])
def test_an_annotation_of_another_size_than_its_image_is_refused(tree, encoding, kind):
    annotation = getattr(tree, kind)("a.png")
    record = FrameRecord("a", tree.image("a.jpg", size=(16, 12)), annotation)
    video = Video(name="v", frames=(record,), encoding=encoding)
    for read in (read_labels, read_foreground):
        with pytest.raises(AnnotationError, match=r"the mask is 16x12, the frame 12x16 \(rotated\?\)"):
            read(video, record)
