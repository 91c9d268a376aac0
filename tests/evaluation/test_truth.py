"""Ground truth as data sets have it: DAVIS, YouTube-VOS and TIANCHI trees, their subsets and their gaps."""

import json
import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from covos.cli import main
from covos.core.errors import AnnotationError, SourceError, UsageError
from covos.data import open_dataset, pack
from covos.evaluation import evaluate
from covos.masks import write_label_map
from covos.results.loading import load_result


def pictures(folder: Path, *, size, count: int = 6, step: int = 1) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for index in range(0, count * step, step):
        Image.new("RGB", size[::-1], (90, 120, 60)).save(folder / f"{index:05d}.jpg")


@pytest.fixture
def davis(tmp_path: Path, masks) -> Path:
    root = tmp_path / "DAVIS"
    for name in ("bear", "camel", "dog"):
        pictures(root / "JPEGImages" / "480p" / name, size=masks.size)
        masks.write(root / "Annotations" / "480p" / name, masks.moving())
    for year, members in (("2017", ["camel", "dog"]), ("2016", ["dog"])):
        (root / "ImageSets" / year).mkdir(parents=True)
        (root / "ImageSets" / year / "val.txt").write_text("\n".join(members) + "\n")
    return root


def predict(folder: Path, masks, names, **options) -> Path:
    for name in names:
        masks.write(folder / name, masks.moving(**options))
    return folder


def test_subsets_of_davis(tmp_path: Path, davis: Path, masks) -> None:
    predictions = predict(tmp_path / "pred", masks, ["camel", "dog"])
    found = evaluate(predictions, davis, protocol="davis2017-semi", subset="val")
    assert [each.name for each in found.sequences] == ["camel", "dog"]
    assert found.subset == "val"
    single = evaluate(predictions, davis, protocol="davis2016", subset="val")
    assert [each.name for each in single.sequences] == ["dog"]  # the list of 2016, where there is one
    assert single.notes == ("not scored, as the ground truth has no such sequence: camel",)
    assert single.subset == "val"


def test_a_whole_set_names_the_subset_that_was_meant(tmp_path: Path, davis: Path, masks) -> None:
    predictions = predict(tmp_path / "pred", masks, ["camel", "dog"])
    with pytest.raises(AnnotationError, match="1 of 3 sequences: bear") as caught:
        evaluate(predictions, davis, protocol="davis2017-semi")
    assert "the subset val is predicted whole" in caught.value.fix
    assert "subset=" in caught.value.fix
    with pytest.raises(SourceError, match="'test'"):
        evaluate(predictions, davis, protocol="davis2017-semi", subset="test")


@pytest.mark.parametrize("part", ["Annotations", "Annotations/480p"])
def test_the_annotations_alone_know_the_subsets(tmp_path: Path, davis: Path, masks, part: str) -> None:
    predictions = predict(tmp_path / "pred", masks, ["camel", "dog"])
    found = evaluate(predictions, davis / part, protocol="davis2017-semi", subset="val")
    assert [each.name for each in found.sequences] == ["camel", "dog"]
    with pytest.raises(AnnotationError, match="1 of 3 sequences: bear") as caught:
        evaluate(predictions, davis / part, protocol="davis2017-semi")
    assert "the subset val is predicted whole" in caught.value.fix
    assert "subset=" in caught.value.fix


def test_one_sequence_of_a_list_is_scored_as_the_message_says(tmp_path: Path, davis: Path, masks) -> None:
    predictions = predict(tmp_path / "pred", masks, ["dog"])
    with pytest.raises(AnnotationError, match="1 of 2 sequences: camel") as caught:
        evaluate(predictions, davis, protocol="davis2017-semi", subset="val")
    assert "or give a ground truth" in caught.value.fix, "no other list than the one that was asked for"
    _, _, command = caught.value.remedy.command.partition("to score dog alone: covos evaluate ")
    one, other, option, name = shlex.split(command)
    assert (option, evaluate(one, other, protocol=name).sequences[0].name) == ("--protocol", "dog")


def test_a_run_of_one_sequence_is_scored_as_the_message_says(tmp_path: Path, davis: Path, masks) -> None:
    (davis / "ImageSets" / "2017" / "train.txt").write_text("bear\n")
    found = load_result(masks.write(tmp_path / "m", masks.moving()), source=davis / "JPEGImages" / "480p" / "dog")
    found.save(tmp_path / "out", formats=["palette"])
    with pytest.raises(AnnotationError, match="out lacks 2 of 2 sequences") as caught:
        evaluate(tmp_path / "out", davis, protocol="davis2017-semi", subset="val")
    _, _, command = caught.value.remedy.command.partition("this is a run of dog; to score it alone: covos evaluate ")
    one, other, option, name = shlex.split(command)
    assert (option, other) == ("--protocol", str(davis / "Annotations" / "480p" / "dog"))
    assert evaluate(one, other, protocol=name).scores.jf == 1
    with pytest.raises(AnnotationError, match="pred lacks 2 of 2 sequences") as caught:
        evaluate(predict(tmp_path / "pred", masks, ["cow", "horse"]), davis, protocol="davis2017-semi", subset="val")
    assert "subset" not in caught.value.fix, "no sequence of any is predicted"


def test_a_video_of_the_data_set_is_not_renamed_to_another(tmp_path: Path, davis: Path, masks) -> None:
    for name in ("Dog", "dog_1", "dog-01"):
        pictures(davis / "JPEGImages" / "480p" / name, size=masks.size)
        masks.write(davis / "Annotations" / "480p" / name, masks.moving())
    (davis / "ImageSets" / "2017" / "train.txt").write_text("dog-01\nbear\n")
    with pytest.raises(AnnotationError) as caught:
        evaluate(predict(tmp_path / "a", masks, ["Dog", "dog_1"]), davis, protocol="davis2017-semi", subset="train")
    assert "did you mean" not in caught.value.fix
    with pytest.raises(AnnotationError) as caught:
        evaluate(predict(tmp_path / "b", masks, ["DOG-1", "bear"]), davis, protocol="davis2017-semi", subset="train")
    assert "did you mean DOG-1 for dog-01? rename" in caught.value.fix


def test_the_subset_that_is_predicted_whole_goes_before_a_name(tmp_path: Path, davis: Path, masks) -> None:
    pictures(davis / "JPEGImages" / "480p" / "cows", size=masks.size)
    masks.write(davis / "Annotations" / "480p" / "cows", masks.moving())
    (davis / "ImageSets" / "2017" / "one.txt").write_text("dog\n")
    predictions = predict(tmp_path / "pred", masks, ["camel", "dog", "Bear"])
    with pytest.raises(AnnotationError, match="2 of 4 sequences") as caught:
        evaluate(predictions, davis, protocol="davis2017-semi")
    assert "the subset val is predicted whole" in caught.value.fix


def test_unsupervised_annotations_of_davis(tmp_path: Path, davis: Path, masks) -> None:
    for name in ("camel", "dog"):
        masks.write(davis / "Annotations_unsupervised" / "480p" / name, masks.moving(speed=3, ids=(2, 1)))
    predictions = predict(tmp_path / "pred", masks, ["camel", "dog"], speed=3, ids=(4, 9))
    found = evaluate(predictions, davis, protocol="davis2017-unsup", subset="val")
    assert found.scores.jf == 1
    assert [(each.object_id, each.proposal) for each in found.objects] == [(1, 9), (2, 4)] * 2
    assert evaluate(predict(tmp_path / "semi", masks, ["camel", "dog"]), davis, protocol="davis2017-semi", subset="val")


def test_missing_annotations_of_davis(tmp_path: Path, davis: Path, masks) -> None:
    predictions = predict(tmp_path / "pred", masks, ["camel", "dog"])
    (davis / "Annotations" / "480p" / "dog" / "00003.png").unlink()
    with pytest.raises(AnnotationError, match="lacks the annotations of 1 frames: 00003"):
        evaluate(predictions, davis, protocol="davis2017-semi", subset="val")


def test_annotations_without_pictures(tmp_path: Path, davis: Path, masks) -> None:
    predictions = predict(tmp_path / "pred", masks, ["camel", "dog"])
    (davis / "JPEGImages" / "480p" / "dog" / "00003.jpg").unlink()
    with pytest.raises(AnnotationError, match=r"without a picture: 00003\.png"):
        evaluate(predictions, davis, protocol="davis2017-semi", subset="val")


@pytest.fixture
def youtube(tmp_path: Path, masks) -> Path:
    """Two videos, annotated every fifth frame; object 2 of the second appears late; a cat is known from training."""
    root = tmp_path / "youtube" / "valid"
    for name in ("v1", "v2"):
        pictures(root / "JPEGImages" / name, size=masks.size, count=26)
        for index, labels in enumerate(masks.moving(6)):
            if name == "v2" and index < 2:
                labels[labels == 2] = 0
            folder = root / "Annotations" / name
            masks.write(folder, [labels], start=5 * index)
    objects = {"1": {"category": "cat", "frames": []}, "2": {"category": "yak", "frames": []}}
    meta = {"videos": {name: {"objects": objects} for name in ("v1", "v2")}}
    (root / "meta.json").write_text(json.dumps(meta))
    train = root.parent / "train"
    pictures(train / "JPEGImages" / "v0", size=masks.size)
    (train / "meta.json").write_text(json.dumps({"videos": {"v0": {"objects": {"1": {"category": "cat"}}}}}))
    return root.parent


@pytest.fixture
def dense(tmp_path: Path, masks) -> Path:
    """Predictions of every frame: perfect for object 1, empty for object 2."""
    for name in ("v1", "v2"):
        frames = masks.moving(6)
        for index in range(26):
            labels = frames[index // 5].copy()
            labels[labels == 2] = 0
            masks.write(tmp_path / "dense" / name, [labels], start=index)
    return tmp_path / "dense"


@pytest.mark.parametrize("root", ["valid", "."])
def test_seen_and_unseen_classes(youtube: Path, dense: Path, root: str) -> None:
    found = evaluate(dense, youtube / root, protocol="youtube-vos", subset="valid" if root == "." else None)
    assert [(each.sequence, each.object_id, each.seen) for each in found.objects] == [
        ("v1", 1, True),
        ("v1", 2, False),
        ("v2", 1, True),
        ("v2", 2, False),
    ]
    assert [len(each.frames) for each in found.objects] == [6, 6, 6, 4]
    assert found.objects[3].frames[0] == "00010"
    assert {name: group.jf for name, group in found.groups.items()} == {"seen": 1, "unseen": 0}
    assert found.scores.jf == 0.5
    assert found.notes == ()


def test_classes_without_a_training_set_are_one_group(youtube: Path, dense: Path) -> None:
    (youtube / "train" / "meta.json").unlink()
    found = evaluate(dense, youtube / "valid", protocol="youtube-vos")
    assert found.groups == {}
    assert "not told apart" in found.notes[0]


def test_sparse_annotations_of_a_video(tmp_path: Path, youtube: Path, dense: Path) -> None:
    (dense / "v2" / "00010.png").unlink()
    with pytest.raises(AnnotationError, match="lacks 1 of the 6 frames to score: 00010"):
        evaluate(dense, youtube / "valid", protocol="youtube-vos")


def test_test_set_of_tianchi_cannot_be_scored(tmp_path: Path, masks) -> None:
    root = tmp_path / "TIANCHI"
    pictures(root / "JPEGImages" / "600001", size=masks.size)
    masks.write(root / "Annotations" / "600001", masks.moving(1))
    predict(tmp_path / "pred", masks, ["600001"])
    for protocol in ("davis2017-semi", "youtube-vos"):
        with pytest.raises(AnnotationError, match="600001"):
            evaluate(tmp_path / "pred", root, protocol=protocol)


def test_training_set_of_tianchi(tmp_path: Path, masks) -> None:
    root = tmp_path / "TIANCHI"
    pictures(root / "JPEGImages" / "600001", size=masks.size)
    masks.write(root / "Annotations" / "600001", masks.moving())
    (root / "ImageSets").mkdir()
    (root / "ImageSets" / "train.txt").write_text("600001\r\n")
    predict(tmp_path / "pred", masks, ["600001"])
    assert evaluate(tmp_path / "pred", root, protocol="davis2017-semi", subset="train").scores.jf == 1


def test_a_part_that_a_training_divides_off(tmp_path: Path, davis: Path, masks) -> None:
    shutil.rmtree(davis / "ImageSets")
    _, held = open_dataset(davis).split(0.67, seed=3)
    names = [video.name for video in held]
    predictions = predict(tmp_path / "pred", masks, names)
    for truth in (davis, davis / "Annotations" / "480p"):
        found = evaluate(predictions, truth, protocol="davis2017-semi", subset="val", ratio=0.67, seed=3)
        assert [each.name for each in found.sequences] == names
        assert found.truth_text == f"{truth}, subset val by ratio 0.67, seed 3"
        assert (json.loads(found.to_json())["ratio"], json.loads(found.to_json())["split_seed"]) == (0.67, 3)
    with pytest.raises(UsageError, match="no part of a division"):
        evaluate(predictions, davis, protocol="davis2017-semi", ratio=0.67)
    for truth in (davis, davis / "Annotations" / "480p"):
        with pytest.raises(UsageError, match="without a ratio"):
            evaluate(predictions, truth, protocol="davis2017-semi", seed=0)
    with pytest.raises(UsageError, match="a seed of a data set that is open"):
        evaluate(predictions, held, protocol="davis2017-semi", seed=3)
    line = ["evaluate", str(predictions), str(davis), "--protocol", "davis2017-semi", "-q", "--subset", "val"]
    assert main([*line, "--ratio", "0.67", "--split-seed", "3"]) == 0
    assert main(line) != 0


@pytest.fixture
def stills(tmp_path: Path, masks) -> tuple[Path, Path]:
    """Three pictures of two sizes with masks, a fourth without; and the masks that `covos predict` would write."""
    root, predictions = tmp_path / "own", tmp_path / "pred" / "Annotations"
    for number, size in enumerate([(48, 64), (40, 50), (48, 64), (40, 50)], start=1):
        labels = np.zeros(size, np.uint8)
        labels[8:30, 10:40] = 1
        for folder in (root / "images", root / "masks", predictions / f"{number}"):
            folder.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", size[::-1], (90, 120, 60)).save(root / "images" / f"{number}.jpg")
        write_label_map(predictions / f"{number}" / f"{number}.png", labels)
        if number < 4:
            Image.fromarray(labels * np.uint8(255)).save(root / "masks" / f"{number}.png")
    return root, predictions


def test_still_pictures_are_a_sequence_each(stills: tuple[Path, Path]) -> None:
    root, predictions = stills
    write_label_map(predictions / "2" / "2.png", np.zeros((40, 50), np.uint8))
    for truth in (root, root / "masks", open_dataset(root)):
        for given in (predictions, predictions.parent):
            found = evaluate(given, truth, protocol="davis2016-all")
            assert [(each.name, each.scores.j.mean) for each in found.sequences] == [("1", 1), ("2", 0), ("3", 1)]
            assert found.notes == ("not scored, as the ground truth has no such sequence: 4",)
    several = evaluate(predictions, root / "masks", protocol="davis2016-all", workers=2)
    assert several.scores == found.scores


def test_still_pictures_that_cannot_be_scored(stills: tuple[Path, Path]) -> None:
    root, predictions = stills
    with pytest.raises(AnnotationError, match="no frames left to score") as caught:
        evaluate(predictions, root, protocol="davis2016")
    assert "davis2016-all" in caught.value.fix
    with pytest.raises(AnnotationError, match=r"no picture of .* can be scored"):
        evaluate(predictions, open_dataset(root).subset("4"), protocol="davis2016-all")
    with pytest.raises(UsageError, match="has no videos"):
        evaluate(predictions, open_dataset(root)[:0], protocol="davis2016-all")
    Image.new("L", (64, 48)).save(root / "masks" / "3.png")
    with pytest.raises(AnnotationError, match=r"masks/3\.png has no object"):
        evaluate(predictions, root, protocol="davis2016-all")
    shutil.rmtree(predictions / "1")
    with pytest.raises(AnnotationError, match="lacks 1 of 3 sequences: 1") as caught:
        evaluate(predictions, root, protocol="davis2016-all")
    assert "alone" not in caught.value.fix, "the folder of its mask has those of others"


def test_still_pictures_in_shards(stills: tuple[Path, Path], tmp_path: Path) -> None:
    root, predictions = stills
    pack(root, tmp_path / "shards")
    assert evaluate(predictions, tmp_path / "shards", protocol="davis2016-all").scores.jf == 1
    with pytest.raises(AnnotationError, match="shards cannot be scored against"):
        evaluate(root / "masks", tmp_path / "shards", protocol="davis2016-all")


def test_pictures_with_masks_are_one_video_where_the_prediction_is(tmp_path: Path, masks) -> None:
    pictures(tmp_path / "clip" / "JPEGImages", size=masks.size)
    masks.write(tmp_path / "clip" / "Annotations", masks.moving())
    masks.write(tmp_path / "out" / "masks", masks.moving())
    found = evaluate(tmp_path / "out", tmp_path / "clip", protocol="davis2016")
    assert [(each.name, len(each.frames)) for each in found.sequences] == [("clip", 4)]


def test_a_clip_is_scored_as_one_video_with_a_still_picture_beside_its_prediction(tmp_path: Path, masks) -> None:
    masks.write(tmp_path / "truth" / "clip", masks.moving())
    pictures(tmp_path / "whole" / "clip" / "JPEGImages", size=masks.size)
    masks.write(tmp_path / "whole" / "clip" / "Annotations", masks.moving())
    masks.write(tmp_path / "out" / "clip", masks.moving())
    (tmp_path / "out" / "photo").mkdir()
    shutil.copy(tmp_path / "out" / "clip" / "00000.png", tmp_path / "out" / "photo" / "photo.png")
    for truth in ("truth", "truth/clip", "whole/clip"):
        found = evaluate(tmp_path / "out", tmp_path / truth, protocol="davis2016")
        assert [(each.name, len(each.frames)) for each in found.sequences] == [("clip", 4)], truth
        assert found.notes == ("not scored, as the ground truth has no such sequence: photo",)
