from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from covos.core.errors import UsageError
from covos.data import inspect, open_collection, open_dataset, statistics


def problems(inspection):
    return {problem.what: (problem.severity, problem.examples) for problem in inspection.problems}


def test_a_sound_data_set(tianchi):
    inspection = inspect(open_dataset(tianchi))
    assert inspection.usable
    assert inspection.problems == (), "a test video with its first annotation alone is as it should be"
    assert (inspection.frames, inspection.annotated, inspection.objects, inspection.empty) == (15, 12, 4, 0)
    cars = inspection.videos[1]
    assert (cars.name, cars.subset, cars.sizes, cars.object_ids, cars.objects) == (
        "600102", "train", ((90, 160),), (1, 2), 2,
    )  # fmt: skip


def test_everything_that_does_not_fit_is_named(tree):
    tree.davis("a", "b", "c", "d")
    tree.labels("Annotations/480p/a/00001.png", (1,), size=(16, 12))
    tree.labels("Annotations/480p/a/00002.png", ())
    (tree.root / "Annotations/480p/b/00003.png").unlink()
    tree.text("Annotations/480p/b/00002.png", "broken")
    tree.text("JPEGImages/480p/b/00001.jpg", "broken")
    tree.labels("Annotations/480p/c/00077.png", (1,))
    for path in (tree.root / "Annotations/480p/d").iterdir():
        path.unlink()
    (tree.root / "JPEGImages/480p/empty").mkdir()
    tree.text("ImageSets/2017/val.txt", "gone\n")
    inspection = inspect(open_dataset(tree.root))
    assert not inspection.usable
    found = problems(inspection)
    assert found.pop("2 files cannot be read")[0] == "error"
    assert found == {
        "1 annotations do not have the size of their image": ("error", ("a/00001",)),
        "1 videos have no frames": ("error", ("empty",)),
        "1 frames lack an annotation that others of their video have": ("warning", ("b/00003",)),
        "1 annotations belong to no image": ("warning", ("c/00077.png",)),
        "1 annotations are empty": ("warning", ("a/00002",)),
        "1 videos have no annotation": ("warning", ("d",)),
        "1 of the 1 videos of 'val' are missing: gone": ("warning", ()),
    }
    severities = [problem.severity for problem in inspection.problems]
    assert severities == sorted(severities), "errors first"


def test_sparse_annotations_are_the_rule_in_youtube_vos(tree):
    tree.youtube("train", "0a1b")
    assert inspect(open_dataset(tree.root)).problems == ()


def test_ids_are_told_as_they_are_without_void(tree):
    tree.image("JPEGImages/480p/a/0.jpg")
    tree.labels("Annotations/480p/a/0.png", (2, 9, 255))
    video = inspect(open_dataset(tree.root)).videos[0]
    assert (video.object_ids, video.objects) == ((2, 9), 9)


def test_images_of_several_sizes_in_a_video(tree):
    tree.davis("a")
    tree.image("JPEGImages/480p/a/00009.jpg", size=(6, 8))
    tree.labels("Annotations/480p/a/00009.png", size=(6, 8), ids=(1,))
    inspection = inspect(open_dataset(tree.root))
    assert inspection.usable
    assert problems(inspection) == {"1 videos have images of several sizes": ("warning", ("a",))}


def test_annotations_alone_have_sizes(tree):
    tree.labels("Annotations/480p/a/00000.png", (1,), size=(6, 8))
    assert inspect(open_dataset(tree.root)).videos[0].sizes == ((6, 8),)


def test_a_picture_is_named_once(tree):
    tree.pictures("a", "b")
    tree.grey("masks/b.png", np.zeros((12, 16), np.uint8))
    assert problems(inspect(open_dataset(tree.root))) == {"1 annotations are empty": ("warning", ("b",))}


def test_images_that_are_cut_off_are_found_by_decoding(tree):
    tree.davis("a")
    noise = np.random.default_rng(0).integers(0, 256, (12, 16, 3), np.uint8)
    path = tree.root / "JPEGImages/480p/a/00000.jpg"
    Image.fromarray(noise).save(path, quality=100, subsampling=0)  # of four blocks of each colour
    path.write_bytes(path.read_bytes()[:-400])
    dataset = open_dataset(tree.root)
    assert inspect(dataset, decode_images=False).usable, "its header is sound"
    assert problems(inspect(dataset)).keys() == {"1 files cannot be read"}


def test_one_data_set_is_looked_through(tianchi):
    for wrong in (str(tianchi), open_collection(tianchi)):
        for look in (inspect, statistics):
            with pytest.raises(UsageError, match=r"is no data set(.|\n)*open_dataset"):
                look(wrong)
    with pytest.raises(UsageError, match="is no data set"):
        inspect(open_dataset(tianchi)[0])


def test_progress_counts_every_frame(tianchi):
    counted = []
    inspect(open_dataset(tianchi), on_frames=counted.append)
    assert counted == [5, 6, 4]


def test_a_callback_that_stops_stops_the_inspection(tianchi):
    def stop(frames):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        inspect(open_dataset(tianchi), on_frames=stop)


def test_everything_goes_into_json(tianchi):
    content = json.loads(json.dumps(inspect(open_dataset(tianchi)).to_dict()))
    assert content["totals"] == {
        "videos": 3, "frames": 15, "annotated": 12, "objects": 4, "empty": 0, "usable": True,
    }  # fmt: skip
    assert content["videos"][0]["sizes"] == [[90, 160]]
