"""Data sets, videos and samples as objects: indexed, looped over, shown."""

from __future__ import annotations

import base64
import io
import pickle
import re
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

import covos
from covos.core.errors import AnnotationError, SourceError, UsageError
from covos.data import Sample, Video, open_collection, open_dataset, read_image, read_labels

from .conftest import Tree


def names(dataset):
    return [video.name for video in dataset]


def picture_of(page: str) -> Image.Image:
    (code,) = re.findall(r'src="data:image/webp;base64,([^"]+)"', page)
    return Image.open(io.BytesIO(base64.b64decode(code)))


def test_a_data_set_is_a_sequence_of_videos(tianchi):
    dataset = open_dataset(tianchi)
    assert (len(dataset), names(dataset)) == (3, ["600101", "600102", "600103"])
    assert dataset[0] is dataset["600101"]
    assert dataset[-1] is dataset[np.int64(2)]
    assert names(dataset[1:]) == ["600102", "600103"]
    assert names(dataset[::-1]) == ["600103", "600102", "600101"]
    assert dataset[1:]["600102"] is dataset[1]
    assert dataset[:2].splits == {"train": ("600101", "600102")}
    assert "600101" in dataset
    assert dataset[0] in dataset
    assert dataset[0] not in dataset[1:]
    assert next(reversed(dataset)) is dataset[2]
    assert dataset[1:] == open_dataset(tianchi)[1:]


def test_loops_over_places_end(tianchi):
    class Places:
        """As the oldest protocol of Python, and torch's, loop: until an IndexError."""

        def __init__(self, of):
            self.of = of

        def __getitem__(self, place):
            return self.of[place]

    dataset = open_dataset(tianchi)
    assert names(Places(dataset)) == names(dataset)
    assert len(list(Places(dataset[0]))) == 5


@pytest.mark.parametrize("place", [3, -4, 10**20])
def test_no_video_at_a_place(tianchi, place):
    with pytest.raises(IndexError, match=r"of 3 there are 0 to 2, or -3 to -1"):
        open_dataset(tianchi)[place]
    with pytest.raises(IndexError, match="of 0 there are none"):
        open_dataset(tianchi)[:0][place]


@pytest.mark.parametrize("key", [1.0, None, ("600101",), b"600101"])
def test_keys_of_another_type(tianchi, key):
    dataset = open_dataset(tianchi)
    with pytest.raises(UsageError, match=type(key).__name__):
        dataset[key]
    with pytest.raises(UsageError, match=type(key).__name__):
        dataset[0][key]


def test_a_video_is_a_sequence_of_samples(tianchi):
    video = open_dataset(tianchi)["600102"]
    assert len(video) == 6
    image, labels = video[2]
    np.testing.assert_array_equal(image, read_image(video.frames[2]))
    np.testing.assert_array_equal(labels, read_labels(video, video.frames[2]))
    sample = video["00005"]
    assert (sample.video, sample.stem, sample.name, sample.size, sample.ids) == (
        "600102",
        "00005",
        "600102/00005",
        (90, 160),
        tuple(np.unique(sample.labels)[1:]),
    )
    assert [each.stem for each in video] == [f"{number:05}" for number in range(6)]
    assert video[-1].stem == "00005"
    part = video[1:5:2]
    assert isinstance(part, Video)
    assert [each.stem for each in part] == ["00001", "00003"]
    assert "00003" in part
    assert "00002" not in part
    with pytest.raises(IndexError, match="no frame 6"):
        video[6]
    with pytest.raises(UsageError, match=r"no frame 00006\n.*the closest names are 0000"):
        video["00006"]


def test_a_frame_without_annotation_or_without_image(tianchi, tree):
    sample = open_dataset(tianchi)["600103"][1]
    assert sample.labels is None
    assert sample.ids == ()
    assert "no annotation" in repr(sample)
    assert open_dataset(tianchi)["600103"].sample(1, size=(9, 16)).image.shape == (9, 16, 3)
    tree.labels("Annotations/a/0.png", (1, 255))
    image, labels = open_dataset(tree.root)["a"][0]
    assert image is None
    assert labels.shape == (12, 16)
    assert open_dataset(tree.root)["a"][0].ids == (1,)


def test_soft_and_binary_samples(tree):
    tree.image("images/a.jpg")
    tree.soft("masks/a.png")
    sample = open_dataset(tree.root)["a"][0]
    assert (sample.encoding, sample.name) == ("soft", "a")
    assert sample.soft.dtype == np.float32
    np.testing.assert_array_equal(sample.labels, sample.soft > 0.5)
    small = open_dataset(tree.root)["a"].sample(0, size=(6, 8))
    assert small.soft.shape == small.labels.shape == small.image.shape[:2] == (6, 8)
    np.testing.assert_array_equal(
        small.labels, read_labels(open_dataset(tree.root)["a"], open_dataset(tree.root)["a"].frames[0], size=(6, 8))
    )
    tree.binary("masks/a.png")
    binary = open_dataset(tree.root, encoding="binary")["a"][0]
    assert (binary.encoding, binary.ids, binary.soft) == ("binary", (1,), None)


def test_a_sample_of_files_that_do_not_fit(tree):
    tree.image("JPEGImages/a/0.jpg")
    tree.labels("Annotations/a/0.png", (1,), size=(20, 16))
    tree.text("JPEGImages/a/1.jpg", "broken")
    video = open_dataset(tree.root)["a"]
    with pytest.raises(AnnotationError, match="20"):
        video[0]
    with pytest.raises(SourceError):
        video[1]
    assert "1.jpg" in video[1:]._repr_html_(), "a notebook shows the fault"


@pytest.mark.parametrize("size", [(99,), (0, 5), (5, -1), "x", "12", 99, (4.5, 4), (1, 2, 3), [None, 3], {}])
def test_sizes_that_are_none(tianchi, size):
    video = open_dataset(tianchi)["600101"]
    readers = (
        lambda: read_image(video.frames[0], size=size),
        lambda: read_labels(video, video.frames[0], size=size),
        lambda: covos.data.read_foreground(video, video.frames[0], size=size),
        lambda: video.sample(0, size=size),
        lambda: covos.data.FrameDataset(video, size=size),
        lambda: covos.data.PairDataset(video, size=size),
        lambda: covos.data.GroupDataset(video, size=size),
    )
    for read in readers:
        with pytest.raises(UsageError, match=r"(?s)is no size of a picture.*\(height, width\).*size=\(480, 854\)"):
            read()


def test_sizes_as_lists_and_numbers_of_numpy(tianchi):
    video = open_dataset(tianchi)["600101"]
    assert read_image(video.frames[0], size=[45, 80]).shape == (45, 80, 3)
    assert video.sample(0, size=np.array([45, 80])).labels.shape == (45, 80)
    assert read_labels(video, video.frames[0], size=[90, 160]).shape == (90, 160)


def test_short_texts(tianchi, tree):
    dataset = open_dataset(tianchi)
    assert repr(dataset) == ("Dataset('tianchi', tianchi, 3 videos (train 2, test 1), 15 frames, 12 annotated)")
    assert repr(dataset[0]) == "Video('600101', 5 frames, 5 annotated (ids), of 'train')"
    assert repr(dataset["600103"][:1]) == "Video('600103', 1 frame, 1 annotated (ids), of 'test')"
    assert repr(dataset[0][0]) == "Sample('600101/00000', 90 x 160, objects [1])"
    for number in range(30):
        Tree(tree.root / f"set{number}").pictures(*"abc")
    shown = repr(open_collection(tree.root))
    assert shown.startswith("Collection(30 data sets: set0 (3 pictures), set1 (3 pictures)")
    assert len(shown) < 200


def test_a_notebook_shows_pictures(tianchi):
    dataset = open_dataset(tianchi)
    for shown, cells, text in (
        (dataset, 6, "3 videos"),
        (dataset[0], 8, "&#x27;600101&#x27;"),
        (dataset[0][0], 2, "objects [1]"),
    ):
        page = shown._repr_html_()
        assert text in page
        assert len(page) < 100_000
        width = (picture_of(page).width - 6) / cells
        assert width in (126, 246), "so many cells stand in its row"
    assert "<img" not in dataset[:0]._repr_html_()


def test_they_travel_to_other_processes(tianchi):
    dataset = open_dataset(tianchi)
    again = pickle.loads(pickle.dumps(dataset))
    assert again == dataset
    sample = pickle.loads(pickle.dumps(dataset[0][0]))
    assert isinstance(sample, Sample)


def test_the_room_is_there_at_once_and_light() -> None:
    code = """
import sys, covos
assert not {"numpy", "cv2", "torch"} & set(sys.modules)
covos.data.open_dataset
assert "torch" not in sys.modules
covos.data.FrameDataset
assert "torch" in sys.modules
assert not set(covos.data.__all__) - {name for name in covos.data.__all__ if hasattr(covos.data, name)}
try:
    covos.data.opendataset
except AttributeError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "'opendataset'" in done.stdout
