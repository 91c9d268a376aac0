"""``covos correct``: what a correction changes in a finished run, what it leaves, and what is refused."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

import covos
from clips import bright_clip
from covos.cli import main
from covos.cli.progress import JobDisplay
from covos.masks import read_label_map, write_label_map

SIZE = (48, 64)
SETTINGS = ("--device", "cpu", "--precision", "fp32", "-q")
Capture = pytest.CaptureFixture[str]


def picture(path: Path, **boxes: tuple[int, int, int, int]) -> Path:
    """Write a mask whose values are the numbers behind the names, as in ``of_2``."""
    labels = np.zeros(SIZE, np.uint8)
    for name, (top, left, height, width) in boxes.items():
        labels[top : top + height, left : left + width] = int(name.removeprefix("of_"))
    write_label_map(path, labels)
    return path


def follow(clip: Path, folder: Path, follower: Path) -> Path:
    """Make a run of two objects that are shown by a mask, in one of two formats that can be read again."""
    shown = picture(folder / "shown.png", of_1=(12, 0, 16, 16), of_2=(36, 40, 8, 12))
    options = ["--mask", str(shown), "--follower", str(follower), "--label", "2=dog", "-f", "npz"]
    assert main(["segment", str(clip), "-o", str(folder / "run"), *options, *SETTINGS]) == 0
    return folder / "run"


@pytest.fixture(scope="module")
def followed(random_follower: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Such a run beside its clip: once for all tests, for a correction changes nothing in it."""
    folder = tmp_path_factory.mktemp("followed")
    return follow(bright_clip(folder / "clip.mp4"), folder, random_follower)


@pytest.fixture
def run_of_subject(clip: Path, random_follower: Path, tmp_path: Path) -> Path:
    """Make a run of one object."""
    shown = picture(tmp_path / "shown.png", of_1=(12, 0, 16, 16))
    options = ["--mask", str(shown), "--follower", str(random_follower), "-f", "npz"]
    assert main(["segment", str(clip), "-o", str(tmp_path / "one"), *options, *SETTINGS]) == 0
    return tmp_path / "one"


def files(folder: Path) -> dict[str, bytes]:
    return {str(each.relative_to(folder)): each.read_bytes() for each in folder.rglob("*") if each.is_file()}


def correct(run: Path, new: Path, follower: Path, *more: object) -> int:
    options = ["--follower", str(follower), "--device", "cpu", "--precision", "fp32"]
    return main(["correct", str(run), "-o", str(new), *options, *map(str, more)])


def test_a_correction_changes_its_object_and_nothing_else(
    followed: Path, random_follower: Path, tmp_path: Path, capsys: Capture
) -> None:
    was, new = files(followed), tmp_path / "new"
    fix = picture(tmp_path / "fix.png", of_2=(30, 36, 14, 20))
    assert correct(followed, new, random_follower, "--mask", f"{fix}@4") == 0
    before, after = covos.load_result(followed), covos.load_result(new)
    assert files(followed) == was, "the run stays as it is"
    expected = np.zeros(SIZE, bool)
    expected[30:44, 36:56] = True
    np.testing.assert_array_equal(after[4].labels == 2, expected)
    changed = 0
    for old, now in zip(before, after, strict=True):
        other = old.labels != now.labels
        assert (((old.labels == 2) | (now.labels == 2)) | ~other).all(), "nobody has asked about object 1"
        changed += other.any()
    assert f"{changed} of 8 frames changed, " in (
        line := next(each for each in capsys.readouterr().err.splitlines() if "changed" in each)
    )
    assert f"object 2 in {changed}" in line
    settings = after.origin.settings
    assert settings["corrected_from"] == str(followed)
    assert (settings["formats"], settings["label"]) == (["npz"], before.origin.settings["label"])
    assert [(each["frame"], each["object"]) for each in settings["prompts"]] == [(0, 1), (0, 2), (4, 2)]
    # It is a run as any other: it can be corrected in turn.
    assert correct(new, tmp_path / "newer", random_follower, "--mask", f"{fix}@6", "-f", "palette", "-q") == 0
    assert capsys.readouterr().err == ""
    assert sorted(each.name for each in (tmp_path / "newer").iterdir() if each.name[0] != ".") == [
        "kept.jsonl", "masks", "report.html", "report.json",
    ]  # fmt: skip
    newest = covos.load_result(tmp_path / "newer")
    np.testing.assert_array_equal(newest[4].labels == 2, expected)  # shown by the first correction


def test_a_painted_mask_and_a_matte_of_covos_correct(
    clip: Path, run_of_subject: Path, random_follower: Path, tmp_path: Path, capsys: Capture
) -> None:
    painted = np.zeros(SIZE, np.uint8)
    cv2.ellipse(painted, (30, 22), (14, 11), 0, 0, 360, 255, -1, cv2.LINE_AA)
    Image.fromarray(painted).save(tmp_path / "brush.png")
    Image.fromarray(np.dstack([painted, painted, painted, painted])).save(tmp_path / "layer.png")
    for name in ("brush", "layer"):
        capsys.readouterr()
        fix = tmp_path / f"{name}.png"
        assert correct(run_of_subject, tmp_path / name, random_follower, "--mask", f"{fix}@4") == 0
        np.testing.assert_array_equal(covos.load_result(tmp_path / name)[4].labels == 1, painted >= 128)
        assert f"note: {fix}: " in (said := capsys.readouterr().err)
        assert "the object is taken from 128 of 255 on" in said
    (tmp_path / "hard").mkdir()
    for index in range(8):
        picture(tmp_path / "hard" / f"{index:05d}.png", of_1=(14, 10, 18, 20))
    command = ["convert", str(tmp_path / "hard"), "-o", str(tmp_path / "soft"), "--source", str(clip)]
    assert main([*command, "-f", "matte", "--feather", "3"]) == 0
    matte = tmp_path / "soft" / "matte" / "00004.png"
    assert correct(run_of_subject, tmp_path / "again", random_follower, "--mask", f"{matte}@4") == 0
    assert f"note: {matte}: its edge is soft" in capsys.readouterr().err


def test_a_mask_takes_the_place_of_what_the_run_was_shown_on_its_frame(
    followed: Path, random_follower: Path, tmp_path: Path, capsys: Capture
) -> None:
    # Each covers all that the run was shown of the other object.
    both = picture(tmp_path / "both.png", of_1=(34, 38, 12, 16), of_2=(10, 0, 20, 20))
    assert correct(followed, tmp_path / "both", random_follower, "--mask", f"{both}@0") == 0
    after = covos.load_result(tmp_path / "both")
    np.testing.assert_array_equal(after[0].labels, read_label_map(both))
    said = [(each["frame"], each["object"], each["given_as"]) for each in after.origin.settings["prompts"]]
    assert said == [(0, 1, "both.png"), (0, 2, "both.png")]
    one = picture(tmp_path / "one.png", of_2=(34, 38, 12, 16))
    assert correct(followed, tmp_path / "one", random_follower, "--mask", f"{one}@0:2") == 0
    expected = read_label_map(followed.with_name("shown.png"))
    expected[34:46, 38:54] = 2
    np.testing.assert_array_equal(covos.load_result(tmp_path / "one")[0].labels, expected)
    capsys.readouterr()
    assert correct(followed, tmp_path / "no", random_follower, "--mask", f"{both}@0", "--mask", f"{one}@0:2") == 2
    error = capsys.readouterr().err
    assert "object 2 is given twice on frame 0" in error
    assert "both.png and by one.png" in error
    assert "leave one of the two out" in error


def test_the_found_subject_of_a_part_needs_no_number(
    make_clip: Callable[..., Path], random_follower: Path, tmp_path: Path, capsys: Capture
) -> None:
    clip, run, new = make_clip(frames=12), tmp_path / "run", tmp_path / "new"
    part = ["--start", "f2", "--end", "f10"]
    assert main(["segment", str(clip), "-o", str(run), "-f", "palette", *part, *SETTINGS]) == 0
    fix = picture(tmp_path / "fix.png", of_1=(30, 36, 14, 20))
    assert correct(run, new, random_follower, "--mask", f"{fix}@1") == 2
    assert "frame 1 is not taken" in capsys.readouterr().err
    assert correct(run, new, random_follower, "--mask", f"{fix}@9", "--direction", "forward") == 0
    before, after = covos.load_result(run), covos.load_result(new)
    assert before[:7] == after[:7], "forward, the frames before stay"
    assert (after.info.start, len(after), after.object_ids) == (2, 8, (1,))
    assert before[7].objects != after[7].objects
    assert int(after[7].mask.sum()) == 14 * 20
    assert "1 of 8 frames changed, object 1 in 1: " in capsys.readouterr().err


def test_masks_of_another_tool_are_corrected_beside_their_video(
    clip: Path, random_follower: Path, tmp_path: Path, capsys: Capture
) -> None:
    masks, new = tmp_path / "masks", tmp_path / "new"
    masks.mkdir()
    for index in range(8):
        picture(masks / f"{index:05d}.png", of_3=(12, 2 * index, 16, 16), of_7=(36, 50, 8, 8))
    fix = picture(tmp_path / "fix.png", of_7=(34, 48, 12, 12))
    assert correct(masks, new, random_follower, "--mask", f"{fix}@4") == 2
    assert "--source" in capsys.readouterr().err
    assert correct(masks, new, random_follower, "--mask", f"{fix}@4", "--source", clip) == 0
    settings = covos.load_result(new).origin.settings
    said = [(each["frame"], each["object"], each["given_as"]) for each in settings["prompts"]]
    assert said == [(4, 7, "fix.png"), (4, 3, "confirmed")], "the other object keeps it off"
    assert settings["formats"] == ["palette", "overlay"]
    for old, now in zip(before := covos.load_result(masks), after := covos.load_result(new), strict=True):
        assert ((old.labels == 7) | (now.labels == 7))[old.labels != now.labels].all()
    assert before[4].objects[3] == after[4].objects[3]


def test_the_source_may_have_moved(clip: Path, random_follower: Path, tmp_path: Path) -> None:
    followed = follow(clip, tmp_path, random_follower)
    moved = tmp_path / "elsewhere" / "moved.mp4"
    moved.parent.mkdir()
    shutil.move(clip, moved)
    fix = picture(tmp_path / "fix.png", of_2=(30, 36, 14, 20))
    more = ["--mask", f"{fix}@4", "-q"]
    assert correct(followed, tmp_path / "new", random_follower, *more) == 3
    assert correct(followed, tmp_path / "new", random_follower, *more, "--source", moved) == 0
    assert json.loads((tmp_path / "new" / "report.json").read_text())["source"]["path"] == str(moved)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ([], "no correction is given"),
        (["--point", "5,20@40:1"], "frame 40 does not exist"),
        (["--point", "5,20@4:9"], "there is no object 9"),
        (["--box", "1,1,9,9@4"], "does not say of which object"),
        (["--mask", "OTHER@4"], "there is no object 5"),
        (["--point", "500,20@4:1"], "500,20"),
        (["--prompts", "REGION"], "a region cannot correct"),
        (["--point", "5,20@4:1", "-o", "FULL"], "is not empty"),
        (["--point", "5,20@4:1", "-o", "RUN", "-y"], "holds the masks that are to be read"),
    ],
)
def test_what_makes_no_sense_is_refused_and_leaves_nothing(
    followed: Path, random_follower: Path, tmp_path: Path, capsys: Capture, options: list[str], said: str
) -> None:
    was = files(followed)
    other = picture(tmp_path / "other.png", of_5=(30, 36, 14, 20), of_2=(2, 2, 9, 9))
    region = tmp_path / "region.json"
    region.write_text(json.dumps({"within": [{"box": [0, 0, 30, 30]}]}))
    (full := tmp_path / "full").mkdir()
    (full / "of-the-user.txt").touch()
    names = {"OTHER@4": f"{other}@4", "REGION": str(region), "RUN": str(followed), "FULL": str(full)}
    assert correct(followed, tmp_path / "new", random_follower, *(names.get(each, each) for each in options)) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "new").exists()
    assert files(followed) == was


def test_python_takes_prompt_files_and_prompts_together(followed: Path, random_follower: Path, tmp_path: Path) -> None:
    (far := tmp_path / "far").mkdir()
    fix = picture(far / "fix.png", of_2=(30, 36, 14, 20))
    (near := tmp_path / "near").mkdir()
    prompts = near / "prompts.json"
    prompts.write_text(json.dumps({"masks": [{"frame": 4, "object": 2, "file": str(fix)}]}))
    settings: dict[str, Any] = {"follower": random_follower, "device": "cpu", "precision": "fp32"}
    with pytest.raises(covos.AnnotationError, match="trust"):
        covos.correct(followed, tmp_path / "new", prompts=prompts, **settings)
    shown = covos.MaskPrompt(file=picture(far / "first.png", of_1=(2, 0, 20, 20)), frame=6, object=1)
    mended = covos.MaskPrompt(file=fix, frame=4, object=2)
    covos.correct(followed, tmp_path / "new", prompts=[shown, prompts], trust_prompts=True, **settings)
    covos.correct(followed, tmp_path / "same", prompts=[shown, mended], **settings)
    assert covos.load_result(tmp_path / "new") == covos.load_result(tmp_path / "same")
    assert covos.load_result(tmp_path / "new") != covos.load_result(followed)
    with pytest.raises(covos.UsageError, match="written over"):
        covos.correct(
            followed, prompts, prompts=prompts, trust_prompts=True, formats=("coco",), overwrite=True, **settings
        )


def test_the_output_never_takes_the_place_of_what_is_read(
    followed: Path, random_follower: Path, tmp_path: Path, capsys: Capture
) -> None:
    clip = followed.with_name("clip.mp4")
    fix = picture(tmp_path / "fix.png", of_2=(30, 36, 14, 20))
    prompts = tmp_path / "prompts.json"
    prompts.write_text(json.dumps({"points": [{"frame": 4, "object": 2, "positive": [[40, 40]]}]}))
    before = {path: path.read_bytes() for path in (clip, prompts, fix)}
    for words in (("-o", clip, "-f", "overlay"), ("-o", prompts, "-f", "coco")):
        options = ["--mask", f"{fix}@4", "--prompts", str(prompts), "--follower", str(random_follower), "-y", *SETTINGS]
        assert main(["correct", str(followed), *map(str, words), *options]) == 2
        assert "is read and would be written over" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in before} == before


def test_a_correction_of_soft_formats_alone_is_corrected_and_converted_in_turn(
    clip: Path, random_follower: Path, tmp_path: Path
) -> None:
    run, first, second = tmp_path / "run", tmp_path / "first", tmp_path / "second"
    shown = picture(tmp_path / "shown.png", of_1=(12, 0, 16, 16))
    options = ["--mask", str(shown), "--follower", str(random_follower), "-f", "ffv1", "--grow", "2"]
    assert main(["segment", str(clip), "-o", str(run), *options, *SETTINGS]) == 0
    fix = picture(tmp_path / "fix.png", of_1=(14, 8, 20, 16))
    assert correct(run, first, random_follower, "--mask", f"{fix}@4", "-q") == 0
    before, after = covos.load_result(run), covos.load_result(first)
    expected = np.zeros(SIZE, bool)
    expected[14:34, 8:24] = True
    np.testing.assert_array_equal(after[4].mask, expected)  # edges are not changed a second time
    untouched = [each for each in range(len(before)) if before[each].objects == after[each].objects]
    for each in untouched:
        np.testing.assert_array_equal(after[each].probability, before[each].probability)
    assert any(0 < value < 1 for mask in after for value in np.unique(mask.probability)), "edges stay soft"

    assert main(["convert", str(first), "-o", str(tmp_path / "x.npz"), "-q"]) == 0
    assert correct(first, second, random_follower, "--mask", f"{fix}@5", "-q") == 0
    np.testing.assert_array_equal(covos.load_result(second)[5].mask, expected)
    again = tmp_path / "again"
    assert main(["convert", str(second), "-o", str(again), "-f", "ffv1", "-q"]) == 0
    for old, new in zip(covos.load_result(second), covos.load_result(again), strict=True):
        np.testing.assert_array_equal(new.probability, old.probability)


def test_a_corrected_file_is_kept_for_the_next_correction_if_that_is_asked_for(
    followed: Path, random_follower: Path, tmp_path: Path
) -> None:
    fix = picture(tmp_path / "fix.png", of_2=(30, 36, 14, 20))
    kept = tmp_path / "new.mov.covos"
    assert correct(followed, tmp_path / "new.mov", random_follower, "--mask", f"{fix}@4", "--keep", "-q") == 0
    assert correct(kept, tmp_path / "next", random_follower, "--mask", f"{fix}@5", "-q") == 0
    np.testing.assert_array_equal(covos.load_result(tmp_path / "next")[4].labels, covos.load_result(kept)[4].labels)


def test_a_result_without_kept_masks_says_how_to_make_them_again(
    followed: Path, random_follower: Path, tmp_path: Path, capsys: Capture
) -> None:
    fix = picture(tmp_path / "fix.png", of_2=(30, 36, 14, 20))
    new = tmp_path / "new"
    assert correct(followed, new, random_follower, "--mask", f"{fix}@4", "-f", "ffv1", "-q") == 0
    (new / "kept.jsonl").unlink()  # as earlier versions wrote it
    assert main(["convert", str(new), "-o", str(tmp_path / "x.webm")]) == 3
    assert f"correct {followed} again with -f palette" in capsys.readouterr().err


def test_a_correction_that_agrees_is_named_and_doubtful_frames_are_told(
    followed: Path, random_follower: Path, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[str] = []
    begin = JobDisplay._begin

    def heard(self: JobDisplay, what: str, **how: Any) -> None:
        begun.append(what)
        begin(self, what, **how)

    monkeypatch.setattr(JobDisplay, "_begin", heard)
    fix = picture(tmp_path / "fix.png", of_2=(30, 36, 14, 20))
    corrections = ("--point", "3,15@0:1", "--mask", f"{fix}@4")
    assert correct(followed, tmp_path / "new", random_follower, *corrections) == 0
    lines = capsys.readouterr().err.splitlines()
    assert "note: object 1 on frame 0 is as it was: it agrees with what you have shown" in lines
    assert not any("object 2 on frame 4 is as it was" in line for line in lines)
    suspicious = json.loads((tmp_path / "new" / "report.json").read_text())["quality"]["suspicious"]
    assert bool(suspicious) == any(f"{tmp_path / 'new' / 'report.html'} shows them" in line for line in lines)
    assert begun == ["run, backward", "run, forward", "run, writing"]
    begun.clear()
    assert correct(followed, tmp_path / "same", random_follower, "--point", "3,15@0:1") == 0
    lines = capsys.readouterr().err.splitlines()
    assert begun == ["run, writing"], "nothing is followed"
    assert any(line.startswith("0 of 8 frames changed: ") for line in lines)
    assert "note: nothing has changed, so nothing was followed" in lines
    before, after = (covos.load_result(each) for each in (followed, tmp_path / "same"))
    assert [frame.objects for frame in after] == [frame.objects for frame in before]


def test_a_point_that_takes_a_part_away_says_what_to_do_for_the_whole(
    clip: Path, random_follower: Path, tmp_path: Path, capsys: Capture
) -> None:
    shown = picture(tmp_path / "shown.png", of_1=(4, 0, 40, 30))  # the bright square and much around it
    options = ["--mask", str(shown), "--follower", str(random_follower), "-f", "npz"]
    assert main(["segment", str(clip), "-o", str(tmp_path / "run"), *options, *SETTINGS]) == 0
    assert correct(tmp_path / "run", tmp_path / "new", random_follower, "--not-point", "8,38@0") == 0
    before, after = (covos.load_result(tmp_path / each)[0].mask for each in ("run", "new"))
    share = round(100 * float((before & ~after).sum() / before.sum()))
    assert 1 < share < 99
    said = capsys.readouterr().err
    assert f"note: a part of the object was taken away ({share} %); for the whole thing on frame 0, " in said
    assert "--box X0,Y0,X1,Y1@0:1" in said
    two = picture(tmp_path / "shown.png", of_1=(12, 0, 16, 16), of_01=(34, 40, 10, 16))  # a thing apart, on the ground
    options[1] = str(two)
    assert main(["segment", str(clip), "-o", str(tmp_path / "two"), *options, *SETTINGS]) == 0
    capsys.readouterr()
    points = ("--not-point", "46,38@0", "--not-point", "42,36@0", "--not-point", "54,42@0")
    assert correct(tmp_path / "two", tmp_path / "one", random_follower, *points) == 0
    assert not covos.load_result(tmp_path / "one")[0].mask[32:, 38:].any()
    assert "a part of the object" not in capsys.readouterr().err
