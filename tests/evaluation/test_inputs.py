"""The same masks score the same in every form and layout that people have."""

from pathlib import Path

import av
import numpy as np
import pytest

from covos.core.errors import AnnotationError
from covos.evaluation import evaluate
from covos.evaluation.mask_trees import find_sequences
from covos.masks import davis_palette

FORMS = ["palette", "grey", "colours", "objects"]


def numbers(found):
    return [(score.sequence, score.object_id, score.j.tolist(), score.f.tolist()) for score in found.objects]


@pytest.fixture
def expected(tmp_path: Path, masks):
    truth = masks.write(tmp_path / "truth" / "a", masks.moving())
    masks.write(tmp_path / "expected" / "a", masks.moving(speed=3))
    found = evaluate(tmp_path / "expected", truth.parent, protocol="davis2017-semi")
    assert found.scores.j.mean < 1
    return numbers(found)


@pytest.mark.parametrize("truth_form", FORMS)
@pytest.mark.parametrize("form", FORMS)
def test_forms_of_several_objects(tmp_path: Path, masks, expected, form: str, truth_form: str) -> None:
    masks.write(tmp_path / "pred" / "a", masks.moving(speed=3), form=form)
    masks.write(tmp_path / "gt" / "a", masks.moving(), form=truth_form)
    assert numbers(evaluate(tmp_path / "pred", tmp_path / "gt", protocol="davis2017-semi")) == expected


@pytest.mark.parametrize("form", [*FORMS, "0/255"])
def test_forms_of_one_object(tmp_path: Path, masks, form: str) -> None:
    masks.write(tmp_path / "gt" / "a", masks.moving(), form="0/255")
    masks.write(tmp_path / "plain" / "a", masks.moving(speed=3), form="0/255")
    masks.write(tmp_path / "pred" / "a", masks.moving(speed=3), form=form)
    plain = evaluate(tmp_path / "plain", tmp_path / "gt", protocol="davis2016")
    assert numbers(evaluate(tmp_path / "pred", tmp_path / "gt", protocol="davis2016")) == numbers(plain)
    assert 0 < plain.scores.j.mean < 1


@pytest.mark.parametrize("layout", ["single", "masks", "Annotations", "Annotations/480p", "a/masks", "objects"])
def test_layouts(tmp_path: Path, masks, expected, layout: str) -> None:
    frames = masks.moving(speed=3)
    root = tmp_path / "layout"
    match layout:
        case "single":
            masks.write(root, frames)
        case "objects":
            masks.write(root, frames, form="objects")
        case "masks" | "a/masks":
            masks.write(root / layout, frames)
            (root / "report.json").write_text("{}")
        case _:
            masks.write(root / layout / "a", frames)
    assert numbers(evaluate(root, tmp_path / "truth", protocol="davis2017-semi")) == expected


def test_another_sequence_does_not_stand_for_the_only_one(tmp_path: Path, masks, expected) -> None:
    masks.write(tmp_path / "pred" / "b", masks.moving(speed=3))
    with pytest.raises(AnnotationError, match="lacks 1 of 1 sequences: a"):
        evaluate(tmp_path / "pred", tmp_path / "truth", protocol="davis2017-semi")
    assert numbers(evaluate(tmp_path / "pred" / "b", tmp_path / "truth", protocol="davis2017-semi")) == expected


def test_extra_sequences_are_named(tmp_path: Path, masks, expected) -> None:
    masks.write(tmp_path / "pred" / "a", masks.moving(speed=3))
    masks.write(tmp_path / "pred" / "b", masks.moving(speed=3))
    found = evaluate(tmp_path / "pred", tmp_path / "truth", protocol="davis2017-semi")
    assert numbers(found) == expected
    assert found.notes == ("not scored, as the ground truth has no such sequence: b",)
    assert "such sequence: b" in found.table()


def test_extra_frames_are_named(tmp_path: Path, masks, expected) -> None:
    frames = masks.moving(speed=3)
    masks.write(tmp_path / "pred" / "a", [*frames, frames[-1]])
    found = evaluate(tmp_path / "pred", tmp_path / "truth", protocol="davis2017-semi")
    assert numbers(found) == expected
    assert found.notes == (f"not scored, as the ground truth of a lacks 1 frame: {len(frames):05}",)


def test_first_and_last_prediction_are_not_needed_where_they_are_dropped(tmp_path: Path, masks, expected) -> None:
    masks.write(tmp_path / "pred" / "a", masks.moving(speed=3)[1:-1], start=1)
    assert numbers(evaluate(tmp_path / "pred", tmp_path / "truth", protocol="davis2017-semi")) == expected


def test_extensions_may_be_in_capitals_and_beside_other_files(tmp_path: Path, masks, expected) -> None:
    folder = masks.write(tmp_path / "pred" / "a", masks.moving(speed=3))
    for path in list(folder.iterdir()):
        path.rename(path.with_suffix(".PNG"))
        path.with_suffix(".jpg").write_bytes(b"a picture")
    (folder / ".hidden.png").write_bytes(b"")
    assert numbers(evaluate(tmp_path / "pred", tmp_path / "truth", protocol="davis2017-semi")) == expected


def write_video(path: Path, pictures: list[np.ndarray], *, codec: str, pix_fmt: str) -> Path:
    """Grey (H x W) or RGB (H x W x 3) pictures as a video."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25)
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt = pix_fmt
        for picture in pictures:
            form = "gray" if picture.ndim == 2 else "rgb24"
            for packet in stream.encode(av.VideoFrame.from_ndarray(picture, format=form)):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)
    return path


@pytest.mark.parametrize("pictured", ["ids", "colours"])
def test_lossless_videos_of_several_objects(tmp_path: Path, masks, expected, pictured: str) -> None:
    frames = masks.moving(speed=3)
    if pictured == "ids":
        write_video(tmp_path / "pred" / "a.mkv", frames, codec="ffv1", pix_fmt="gray")
    else:
        colours = [davis_palette()[labels] for labels in frames]
        write_video(tmp_path / "pred" / "a.mkv", colours, codec="ffv1", pix_fmt="bgr0")
    assert numbers(evaluate(tmp_path / "pred", tmp_path / "truth", protocol="davis2017-semi")) == expected


@pytest.mark.parametrize(("codec", "pix_fmt"), [("ffv1", "gray"), ("libx264", "yuv420p"), ("libx264", "gray")])
def test_videos_of_one_object(tmp_path: Path, masks, codec: str, pix_fmt: str) -> None:
    frames = [np.where(labels, 255, 0).astype(np.uint8) for labels in masks.moving(speed=3)]
    masks.write(tmp_path / "gt" / "a", masks.moving(), form="0/255")
    masks.write(tmp_path / "pred" / "a", frames, form="0/255")
    video = write_video(tmp_path / "clip.mkv", frames, codec=codec, pix_fmt=pix_fmt)
    expected = evaluate(tmp_path / "pred", tmp_path / "gt", protocol="davis2016")
    found = evaluate(video, tmp_path / "gt", protocol="davis2016")
    assert numbers(found) == numbers(expected)


@pytest.mark.parametrize("suffix", [".mkv", ".nut"])
def test_a_folder_of_videos_by_every_suffix_that_a_batch_takes(tmp_path: Path, masks, expected, suffix: str) -> None:
    write_video((tmp_path / "pred" / "a").with_suffix(suffix), masks.moving(speed=3), codec="ffv1", pix_fmt="gray")
    assert numbers(evaluate(tmp_path / "pred", tmp_path / "truth", protocol="davis2017-semi")) == expected


def test_video_as_ground_truth(tmp_path: Path, masks) -> None:
    frames = masks.moving()
    truth = write_video(tmp_path / "truth.mkv", frames, codec="ffv1", pix_fmt="gray")
    masks.write(tmp_path / "pred", frames)
    assert evaluate(tmp_path / "pred", truth, protocol="davis2017-semi").scores.jf == 1


def test_lossy_colours_are_refused(tmp_path: Path, masks, expected) -> None:
    colours = [davis_palette()[labels] for labels in masks.moving(speed=3)]
    write_video(tmp_path / "pred" / "a.mp4", colours, codec="libx264", pix_fmt="yuv420p")
    with pytest.raises(AnnotationError, match=r"a\.mp4, frame 1 is coloured"):
        evaluate(tmp_path / "pred", tmp_path / "truth", protocol="davis2017-semi")


def test_video_of_another_length_is_refused(tmp_path: Path, masks, expected) -> None:
    write_video(tmp_path / "pred" / "a.mkv", masks.moving(5), codec="ffv1", pix_fmt="gray")
    with pytest.raises(AnnotationError, match="5 frames, the ground truth 6"):
        evaluate(tmp_path / "pred", tmp_path / "truth", protocol="davis2017-semi")


def test_one_object_and_empty_frames(tmp_path: Path, masks) -> None:
    empty = np.zeros(masks.size, np.uint8)
    truth = [*masks.moving(3), empty]
    predicted = [empty, *masks.moving(2), empty]
    masks.write(tmp_path / "gt" / "a", truth, form="0/255")
    masks.write(tmp_path / "pred" / "a", predicted, form="0/255")
    found = evaluate(tmp_path / "pred", tmp_path / "gt", protocol="davis2016-all")
    assert found.objects[0].j[0] == found.objects[0].f[0] == 0
    assert found.objects[0].j[-1] == found.objects[0].f[-1] == 1


def test_two_masks_of_one_frame_are_refused(tmp_path: Path, masks) -> None:
    folder = masks.write(tmp_path / "a", masks.moving())
    (folder / "00003.bmp").write_bytes(b"")
    with pytest.raises(AnnotationError, match="two masks of frame 00003"):
        find_sequences(tmp_path)


def test_frames_go_by_number_not_by_letters(tmp_path: Path, masks) -> None:
    """Of 1, 2 ... 12 the first is 1 and the last 12, so that these are dropped, and 10 follows 9."""
    for folder, speed in (("gt", 2), ("pred", 3)):
        for path in sorted(masks.write(tmp_path / folder / "a", masks.moving(12, speed=speed)).iterdir()):
            path.rename(path.with_name(f"{int(path.stem) + 1}.png"))
    found = evaluate(tmp_path / "pred", tmp_path / "gt", protocol="davis2017-semi")
    assert found.objects[0].frames == tuple(str(number) for number in range(2, 12))
    assert found.objects[0].j[1] < found.objects[0].j[0]


@pytest.mark.parametrize("within", [".", "a"])
def test_pictures_beside_the_masks_of_a_result_are_no_masks(tmp_path: Path, masks, within: str) -> None:
    """A contact sheet and a preview lie beside the masks that `covos segment` writes."""
    result = tmp_path / "out" / within
    masks.write(result / "masks", masks.moving())
    (result / "report.json").write_text("{}")
    (result / "sheet.png").write_bytes(b"")
    (result / "preview.webp").write_bytes(b"")
    (sequence,) = find_sequences(tmp_path / "out").values()
    assert list(sequence.stems) == sorted(path.stem for path in (result / "masks").iterdir())


def test_a_preview_beside_folders_of_masks_is_no_sequence(tmp_path: Path, masks) -> None:
    masks.write(tmp_path / "bear", masks.moving())
    (tmp_path / "bear.gif").write_bytes(b"GIF89a")
    (tmp_path / "all.gif").write_bytes(b"GIF89a")
    assert list(find_sequences(tmp_path)) == ["bear"]
