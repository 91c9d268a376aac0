"""What does not fit is refused with its name, before or while scoring, and never scored in silence."""

import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from covos.core.errors import AnnotationError, UsageError
from covos.evaluation import evaluate, jaccard


@pytest.fixture
def truth(tmp_path: Path, masks) -> Path:
    masks.write(tmp_path / "gt" / "a", masks.moving())
    masks.write(tmp_path / "gt" / "b", masks.moving())
    return tmp_path / "gt"


@pytest.fixture
def predictions(tmp_path: Path, masks) -> Path:
    masks.write(tmp_path / "pred" / "a", masks.moving())
    masks.write(tmp_path / "pred" / "b", masks.moving())
    return tmp_path / "pred"


def refused(predictions: Path, truth: Path, *, protocol: str = "davis2017-semi") -> str:
    with pytest.raises(AnnotationError) as caught:
        evaluate(predictions, truth, protocol=protocol)
    assert all("\n" not in line and line for line in (caught.value.what, caught.value.why, caught.value.fix))
    return str(caught.value)


def test_intact_is_perfect(predictions: Path, truth: Path) -> None:
    assert evaluate(predictions, truth, protocol="davis2017-semi").scores.jf == 1


@pytest.mark.parametrize("protocol", ["davis2016", "davis2016-all", "davis2017-semi", "davis2017-unsup", "youtube-vos"])
def test_other_size(predictions: Path, truth: Path, protocol: str) -> None:
    path = predictions / "b" / "00003.png"
    Image.open(path).resize((32, 24), Image.Resampling.NEAREST).save(path)
    message = refused(predictions, truth, protocol=protocol)
    assert "b/00003.png" in message
    assert "32x24" in message
    assert "64x48" in message


def test_turned(predictions: Path, truth: Path) -> None:
    path = predictions / "b" / "00003.png"
    Image.open(path).transpose(Image.Transpose.ROTATE_90).save(path)
    assert "rotated?" in refused(predictions, truth)


def test_ground_truth_that_changes_size(predictions: Path, truth: Path) -> None:
    path = truth / "a" / "00002.png"
    Image.open(path).resize((32, 24), Image.Resampling.NEAREST).save(path)
    assert "gt/a/00002.png" in refused(predictions, truth)


def test_missing_frames(predictions: Path, truth: Path) -> None:
    for index in (1, 2, 3, 4):
        (predictions / "b" / f"{index:05d}.png").unlink()
    message = refused(predictions, truth)
    assert "lacks 4 of the 4 frames to score: 00001, 00002, 00003 and 1 more" in message


def test_frames_that_count_from_one_are_told_so(predictions: Path, truth: Path, masks) -> None:
    for path in sorted((predictions / "b").iterdir(), reverse=True):
        path.rename(path.with_name(f"{int(path.stem) + 1:05d}.png"))
    for protocol in ("davis2016-all", "youtube-vos"):
        message = refused(predictions, truth, protocol=protocol)
        assert "1 higher than those of the ground truth: rename the masks, 00001 to 00000" in message
    notes = evaluate(predictions, truth, protocol="davis2016").all_notes  # which leaves the first frame out
    assert any(note.startswith("b: each frame may be scored against another one") for note in notes)


def test_a_sequence_in_capitals_is_recognised(predictions: Path, truth: Path) -> None:
    (truth / "a").rename(truth / "dog")
    (predictions / "a").rename(predictions / "Dog")
    assert "did you mean Dog for dog? rename" in refused(predictions, truth)


@pytest.mark.parametrize(
    ("given", "wanted"), [("kite_surf", "kite-surf"), ("clip 7", "clip 007"), ("CLIP_0010", "clip-10"), ("a0", "a00")]
)
def test_a_sequence_of_another_spelling_is_recognised(predictions: Path, truth: Path, given: str, wanted: str) -> None:
    (truth / "a").rename(truth / wanted)
    (predictions / "a").rename(predictions / given)
    assert f"did you mean {given} for {wanted}? rename" in refused(predictions, truth)


@pytest.mark.parametrize(("given", "wanted"), [("bmx-trees", "bmx-bumps"), ("clip10", "clip1"), ("dogs", "dog")])
def test_a_similar_sequence_is_another_one(predictions: Path, truth: Path, given: str, wanted: str) -> None:
    (truth / "a").rename(truth / wanted)
    (predictions / "a").rename(predictions / given)
    assert "did you mean" not in refused(predictions, truth)


def test_missing_sequence(predictions: Path, truth: Path, masks) -> None:
    masks.write(truth / "c", masks.moving())
    message = refused(predictions, truth)
    assert "lacks 1 of 3 sequences: c" in message


def test_id_that_the_ground_truth_lacks(predictions: Path, truth: Path, masks) -> None:
    frames = masks.moving()
    frames[2][0:5, 0:5] = 7
    masks.write(predictions / "a", frames)
    message = refused(predictions, truth)
    assert "a/00002.png" in message
    assert "lacks: 7" in message
    assert "pred/a/00002.png" in refused(predictions, truth, protocol="youtube-vos")


def test_void_is_no_prediction(predictions: Path, truth: Path, masks) -> None:
    masks.write(predictions / "a", masks.moving(), form="0/255")
    for protocol in ("davis2017-semi", "davis2017-unsup", "youtube-vos"):
        message = refused(predictions, truth, protocol=protocol)
        assert "255" in message
        assert "davis2016" in message


@pytest.mark.parametrize("protocol", ["davis2017-semi", "davis2017-unsup", "youtube-vos"])
def test_a_ground_truth_of_one_object_is_told_from_a_black_one(
    predictions: Path, truth: Path, masks, protocol: str
) -> None:
    masks.write(truth / "a", masks.moving(), form="0/255")
    message = refused(predictions, truth, protocol=protocol)
    assert "the ground truth" in message
    assert "gt/a/00000.png holds the value 255" in message
    assert "score it with davis2016" in message


def test_an_object_that_appears_later_is_not_blamed_on_the_prediction(predictions: Path, truth: Path, masks) -> None:
    frames = masks.moving()
    for labels in frames[3:]:
        labels[0:3, 0:20] = 3
    masks.write(truth / "b", frames)
    masks.write(predictions / "b", frames)
    message = refused(predictions, truth, protocol="davis2017-semi")
    assert "pred/b/00003.png holds object 3, which is not in the first annotation" in message
    assert "first appears in frame 00003" in message
    assert "score it with youtube-vos" in message
    assert evaluate(predictions, truth, protocol="youtube-vos").scores.jf == 1
    for named in ("davis2017-semi", "davis2017-unsup"):
        if named == "davis2017-semi":
            masks.write(predictions / "b", masks.moving())
        (note,) = evaluate(predictions, truth, protocol=named).sequences[1].notes
        assert note.startswith("object 3 is not scored: it first appears in frame 00003")
        assert f"{named} takes the objects of the first frame" in note


def test_an_object_that_is_predicted_before_it_appears_is_not_foreign(predictions: Path, truth: Path, masks) -> None:
    frames = {name: masks.moving() for name in ("true", "predicted")}
    for name, first in (("true", 4), ("predicted", 2)):
        for labels in frames[name][first:]:
            labels[0:3, 0:20] = 3
    masks.write(truth / "b", frames["true"])
    masks.write(predictions / "b", frames["predicted"])
    message = refused(predictions, truth)
    assert "pred/b/00002.png holds object 3, which is not in the first annotation" in message
    assert "first appears in frame 00004" in message
    assert len(evaluate(predictions, truth, protocol="youtube-vos").sequences[1].objects) == 3
    frames["predicted"][2][40:44, 0:9] = 9
    masks.write(predictions / "b", frames["predicted"])
    message = refused(predictions, truth)
    assert "lacks: 9" in message
    assert "the ground truth has 1, 2, 3" in message


def test_void_among_ids_is_no_mask_of_one_object(predictions: Path, truth: Path, masks) -> None:
    frames = masks.moving()
    frames[3][0:5, 0:5] = 255
    masks.write(truth / "b", frames)
    assert "gt/b/00003.png" in refused(predictions, truth, protocol="davis2016")


def test_too_many_proposals(predictions: Path, truth: Path, masks) -> None:
    masks.write(predictions / "a", masks.moving(ids=(1, 21)))
    message = refused(predictions, truth, protocol="davis2017-unsup")
    assert "proposals that the protocol does not allow: 21" in message
    masks.write(predictions / "a", masks.moving(ids=(1, 20)))
    assert evaluate(predictions, truth, protocol="davis2017-unsup").scores.jf == 1


@pytest.mark.parametrize("protocol", ["davis2016", "davis2017-semi", "davis2017-unsup", "youtube-vos"])
def test_ground_truth_without_an_object(predictions: Path, truth: Path, masks, protocol: str) -> None:
    masks.write(truth / "b", [np.zeros(masks.size, np.uint8)] * 6)
    masks.write(predictions / "b", [np.zeros(masks.size, np.uint8)] * 6)
    message = refused(predictions, truth, protocol=protocol)
    assert "gt/b" in message
    assert "no object" in message


def test_object_of_the_dropped_frames_alone(predictions: Path, truth: Path, masks) -> None:
    empty = np.zeros(masks.size, np.uint8)
    shown = masks.moving(1)[0]
    masks.write(truth / "b", [shown, *[empty] * 4, shown], form="0/255")
    assert "no object" in refused(predictions, truth, protocol="davis2016")


@pytest.mark.parametrize("count", [1, 2])
def test_too_short(tmp_path: Path, masks, count: int) -> None:
    masks.write(tmp_path / "gt" / "a", masks.moving(count))
    masks.write(tmp_path / "pred" / "a", masks.moving(count))
    assert "no frames left to score" in refused(tmp_path / "pred", tmp_path / "gt", protocol="davis2016")
    assert evaluate(tmp_path / "pred", tmp_path / "gt", protocol="davis2016-all").frames == count


@pytest.mark.parametrize("protocol", ["davis2016", "davis2017-semi"])
def test_smoothed_contours(predictions: Path, truth: Path, masks, protocol: str) -> None:
    path = predictions / "a" / "00001.png"
    big = Image.fromarray(np.where(masks.moving(2)[1], 255, 0).astype(np.uint8)).resize((640, 480))
    big.rotate(7).resize((64, 48), Image.Resampling.BILINEAR).save(path)
    assert "pred/a/00001.png" in refused(predictions, truth, protocol=protocol)


def test_jpeg(predictions: Path, truth: Path) -> None:
    for path in list((predictions / "a").iterdir()):
        Image.open(path).convert("L").save(path.with_suffix(".jpg"))
        path.unlink()
    assert "JPEG" in refused(predictions, truth)


def test_foreign_colours(predictions: Path, truth: Path, masks) -> None:
    picture = np.zeros((*masks.size, 3), np.uint8)
    picture[4:20, 4:20] = (12, 200, 77)
    Image.fromarray(picture).save(predictions / "a" / "00002.png")
    message = refused(predictions, truth)
    assert "(12, 200, 77)" in message


def test_damaged(predictions: Path, truth: Path) -> None:
    path = predictions / "a" / "00002.png"
    path.write_bytes(path.read_bytes()[:-20])
    assert "pred/a/00002.png" in refused(predictions, truth)


def test_nothing_there(tmp_path: Path, truth: Path) -> None:
    assert "does not exist" in refused(tmp_path / "nowhere", truth)
    (tmp_path / "empty" / "a").mkdir(parents=True)
    assert "holds no masks" in refused(tmp_path / "empty", truth)


def test_two_resolutions(tmp_path: Path, masks, truth: Path) -> None:
    for resolution in ("480p", "1080p"):
        masks.write(tmp_path / "both" / resolution / "a", masks.moving())
    assert "480p, 1080p" in refused(tmp_path / "both", truth)


def test_object_zero(tmp_path: Path, masks, truth: Path) -> None:
    for form, folder in (("objects", tmp_path / "gt0"), ("objects", tmp_path / "pred0")):
        masks.write(folder / "a", masks.moving(), form=form)
        (folder / "a" / "001").rename(folder / "a" / "000")
    assert "the id 0" in refused(tmp_path / "pred0", tmp_path / "gt0")
    assert evaluate(tmp_path / "pred0", tmp_path / "gt0", protocol="youtube-vos").objects[0].object_id == 0


def test_layers_of_two_sizes(predictions: Path, truth: Path, masks, tmp_path: Path) -> None:
    folder = masks.write(tmp_path / "layers" / "a", masks.moving(), form="objects")
    masks.write(tmp_path / "layers" / "b", masks.moving(), form="objects")
    path = folder / "002" / "00002.png"
    Image.open(path).resize((32, 24), Image.Resampling.NEAREST).save(path)
    assert "frame 00002 differ in size" in refused(tmp_path / "layers", truth)


def test_a_subset_of_what_has_none(predictions: Path, truth: Path) -> None:
    with pytest.raises(UsageError, match="no subset 'val'"):
        evaluate(predictions, truth, protocol="davis2016", subset="val")


def test_unknown_protocol_and_no_workers(predictions: Path, truth: Path) -> None:
    with pytest.raises(UsageError, match="davis2018"):
        evaluate(predictions, truth, protocol="davis2018")
    with pytest.raises(UsageError, match="0 workers"):
        evaluate(predictions, truth, protocol="davis2016", workers=0)


@pytest.mark.parametrize("workers", [1, 2])
def test_refusals_come_out_of_workers(predictions: Path, truth: Path, workers: int) -> None:
    (predictions / "b" / "00002.png").write_bytes(b"no picture")
    with pytest.raises(AnnotationError, match=r"b/00002\.png"):
        evaluate(predictions, truth, protocol="davis2016", workers=workers)


def test_an_archive_is_no_folder_of_masks(predictions: Path, truth: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "submission.zip", "w") as archive:
        for file in predictions.rglob("*.png"):
            archive.write(file, file.relative_to(predictions))
    message = refused(tmp_path / "submission.zip", truth)
    assert "is an archive" in message
    assert "unzip submission.zip" in message


def test_a_data_set_and_predictions_in_each_others_place_are_told(predictions: Path, tmp_path: Path, masks) -> None:
    home = tmp_path / "DAVIS"
    for name in ("a", "b"):
        masks.write(home / "Annotations" / "480p" / name, masks.moving())
        pictures = home / "JPEGImages" / "480p" / name
        pictures.mkdir(parents=True)
        for mask in (home / "Annotations" / "480p" / name).iterdir():
            Image.new("RGB", (64, 48)).save(pictures / f"{mask.stem}.jpg")
    assert evaluate(predictions, home, protocol="davis2017-semi").scores.jf == 1
    (predictions / "predict.json").write_text("{}", encoding="utf-8")
    assert evaluate(predictions, home, protocol="davis2017-semi").scores.jf == 1
    with pytest.raises(UsageError, match="is no ground truth") as caught:
        evaluate(home, predictions, protocol="davis2017-semi")
    assert "the predictions first" in caught.value.fix


def test_lists_are_no_masks() -> None:
    with pytest.raises(UsageError, match="a list cannot be scored"):
        jaccard([[True]], np.ones((1, 1), np.bool_))  # type: ignore[arg-type]
