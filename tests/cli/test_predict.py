"""A data set in, the folder and the archive of its challenge out."""

from __future__ import annotations

import json
import os
import shutil
import zipfile
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from covos.cli import main
from covos.core import files as atomic
from covos.core.errors import SourceError, UsageError
from covos.data import FrameRecord, Video, open_dataset, pack
from covos.events import FrameDone
from covos.masks import davis_palette, read_binary_mask, read_label_map, write_label_map
from covos.media.opening import open_source
from covos.model import load_model
from covos.models.checkpoints import save_weights
from covos.models.registry import build_network, find_model
from covos.predict import follow_annotations, follows, open_subset, predict
from covos.prompts.one_frame import alpha_mask
from covos.prompts.placing import place_prompts
from covos.prompts.seeds import Seeds
from covos.runs.schema import load_report
from covos.task import Find
from random_cosnet import save_cosnet

TIANCHI = Path(__file__).parents[1] / "fixtures" / "tianchi"
Capture = pytest.CaptureFixture[str]


def run(root: Path, out: Path, *more: str) -> int:
    return main(["predict", str(root), "-o", str(out), "--device", "cpu", "--precision", "fp32", *more])


def add_video(folder: Path, *, frames: int = 3, size: tuple[int, int] = (48, 80), first: int = 0) -> list[str]:
    """Frames of a bright disk that moves over dark noise."""
    rng = np.random.default_rng(0)
    folder.mkdir(parents=True)
    stems = [f"{index:05}" for index in range(first, first + 5 * frames, 5)]
    for index, stem in enumerate(stems):
        image = rng.integers(0, 80, (*size, 3), dtype=np.uint8)
        cv2.circle(image, (20 + 8 * index, 24), 12, (20, 160, 250), -1)
        cv2.imwrite(str(folder / f"{stem}.jpg"), image)
    return stems


@pytest.fixture
def davis(tmp_path: Path) -> Path:
    """Three videos of DAVIS; two are in val, and the first one's frames are annotated."""
    root = tmp_path / "davis"
    for name in ("held", "more", "other"):
        stems = add_video(root / "JPEGImages" / "480p" / name)
        truth = np.zeros((48, 80), np.uint8)
        truth[12:36, 8:44] = 255
        (root / "Annotations" / "480p" / name).mkdir(parents=True)
        for stem in stems:
            cv2.imwrite(str(root / "Annotations" / "480p" / name / f"{stem}.png"), truth)
    (root / "ImageSets" / "480p").mkdir(parents=True)
    (root / "ImageSets" / "480p" / "val.txt").write_text("held\nmore\n")
    (root / "ImageSets" / "480p" / "train.txt").write_text("other\n")
    return root


def files(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_test_videos_of_tianchi(tmp_path: Path, capsys: Capture) -> None:
    out = tmp_path / "out"
    assert run(TIANCHI, out, "--zip", "--no-follow") == 0
    printed = capsys.readouterr()
    assert printed.out == f"{out / 'submission.zip'}\n"
    assert "one subject is written as 1" in printed.err
    assert printed.err.splitlines()[-1].startswith("1 of 1 videos, 4 frames in ")
    masks = [f"Annotations/600103/{index:05}.png" for index in range(4)]
    assert sorted(files(out)) == [*masks, "predict.json", "reports/600103.json", "submission.zip"]
    for name in masks:
        with Image.open(out / name) as mask:
            assert (mask.mode, mask.size) == ("P", (160, 90))
            assert mask.getpalette() == davis_palette().ravel().tolist()
            assert set(np.unique(np.asarray(mask))) <= {0, 1}
    with zipfile.ZipFile(out / "submission.zip") as archive:
        assert archive.namelist() == masks
        assert archive.testzip() is None
        assert all(archive.read(name) == (out / name).read_bytes() for name in masks)
    manifest = json.loads((out / "predict.json").read_text())
    assert manifest["model"] == {"name": "covos-lite", "sha256": load_model(device="cpu").entry.card.sha256}
    assert manifest["dataset"] == {"root": str(TIANCHI), "layout": "tianchi", "subset": "test"}
    assert manifest["settings"] == {
        "precision": "float32", "quality": "balanced", "references": 5, "fusion": "group", "reference_seed": None,
        "refine": "none", "around": 4, "views": "256x448, 320x576 in turn",
    }  # fmt: skip
    assert [(video["name"], video["frames"]) for video in manifest["videos"]] == [("600103", 4)]
    report = load_report(out / "reports" / "600103.json")
    assert [row.stem for row in report.frames] == ["00000", "00001", "00002", "00003"]
    assert (out / "reports" / report.outputs[0]).resolve() == (out / "Annotations" / "600103").resolve()


def test_an_archive_is_the_same_at_any_time(tmp_path: Path) -> None:
    assert run(TIANCHI, tmp_path / "a", "--zip", "-q", "--no-follow") == 0
    assert run(TIANCHI, tmp_path / "b", "-q", "--no-follow") == 0
    assert not (tmp_path / "b" / "submission.zip").exists()
    for mask in (tmp_path / "b" / "Annotations" / "600103").iterdir():
        os.utime(mask, (1e9, 1e9))
        mask.chmod(0o600)
    assert run(TIANCHI, tmp_path / "b", "--zip", "-q", "--no-follow") == 0
    assert (tmp_path / "a" / "submission.zip").read_bytes() == (tmp_path / "b" / "submission.zip").read_bytes()


def test_masks_of_davis_can_be_scored(davis: Path, tmp_path: Path, capsys: Capture) -> None:
    out = tmp_path / "out"
    assert run(davis, out, "--zip") == 0
    assert "note" not in capsys.readouterr().err
    with zipfile.ZipFile(out / "submission.zip") as archive:
        assert archive.namelist() == [
            f"{name}/{s}.png" for name in ("held", "more") for s in ("00000", "00005", "00010")
        ]
        archive.extractall(tmp_path / "unpacked")
    tables = []
    for predictions in (out, out / "Annotations", tmp_path / "unpacked"):
        line = ["evaluate", str(predictions), "--gt", str(davis), "--subset", "val", "--protocol", "davis2016", "-q"]
        assert main(line) == 0
        tables.append(capsys.readouterr().out.replace(str(predictions), "PRED"))
    assert "held" in tables[0]
    assert tables[0] == tables[1] == tables[2]


def test_youtube_vos_has_folders_for_subsets(tmp_path: Path, capsys: Capture) -> None:
    root = tmp_path / "ytvos"
    stems = add_video(root / "valid" / "JPEGImages" / "0a1b", first=20)
    add_video(root / "train" / "JPEGImages" / "9z8y")
    (root / "valid" / "Annotations" / "0a1b").mkdir(parents=True)
    Image.new("P", (80, 48), 1).save(root / "valid" / "Annotations" / "0a1b" / f"{stems[1]}.png")
    assert run(root, tmp_path / "out", "--zip", "--references", "2") == 0
    assert "note" in capsys.readouterr().err  # an object that appears in the second frame is given, too
    with zipfile.ZipFile(tmp_path / "out" / "submission.zip") as archive:
        assert archive.namelist() == [f"Annotations/0a1b/{stem}.png" for stem in ("00020", "00025", "00030")]
    assert run(root, tmp_path / "trained", "--subset", "train", "-q") == 0
    assert sorted(files(tmp_path / "trained" / "Annotations")) == [f"9z8y/{s}.png" for s in ("00000", "00005", "00010")]


def test_pictures_are_videos_of_one_frame(tmp_path: Path) -> None:
    root = tmp_path / "pictures"
    add_video(root / "images", frames=2)
    (root / "masks").mkdir()
    Image.new("L", (80, 48), 255).save(root / "masks" / "00000.png")
    assert run(root, tmp_path / "out", "-q") == 0
    assert sorted(files(tmp_path / "out" / "Annotations")) == ["00000/00000.png", "00005/00005.png"]
    line = ["evaluate", str(tmp_path / "out"), str(root), "--protocol", "davis2016-all"]
    assert main([*line, "--json", str(tmp_path / "scores.json"), "-q"]) == 0
    scored = json.loads((tmp_path / "scores.json").read_text())
    assert [each["name"] for each in scored["sequences"]] == ["00000"], "the other has no mask"


def test_what_is_done_is_not_done_again(davis: Path, tmp_path: Path, capsys: Capture) -> None:
    out = tmp_path / "out"
    assert run(davis, out) == 0
    before = files(out)
    times = {path: path.stat().st_mtime_ns for path in out.rglob("*.png")}
    capsys.readouterr()
    assert run(davis, out) == 0
    assert capsys.readouterr().err == "0 of 2 videos, 0 frames; 2 were there already\n"
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*.png")} == times
    assert files(out) == before
    (out / "Annotations" / "more" / "00005.png").unlink()
    assert run(davis, out) == 0
    assert capsys.readouterr().err.splitlines()[-1].endswith("; 1 were there already")
    assert files(out / "Annotations") == {
        name.removeprefix("Annotations/"): content for name, content in before.items() if "Annotations" in name
    }


@pytest.mark.parametrize("at", [1, 4])
def test_a_stopped_run_goes_on(davis: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: int) -> None:
    """Stopped before any video is whole, and with one whole: only whole ones stand under their names."""
    assert run(davis, tmp_path / "whole", "-q", "--zip") == 0
    out, renamed = tmp_path / "out", []
    write = atomic._flush

    def stop(path: Path) -> None:
        if path.suffix == ".png" and len(renamed) == at:
            raise KeyboardInterrupt
        renamed.append(path) if path.suffix == ".png" else None
        write(path)

    monkeypatch.setattr(atomic, "_flush", stop)
    assert run(davis, out, "-q") == 130
    assert sorted(path.name for path in (out / "Annotations").glob("*")) == (["held"] if at == 4 else [])
    monkeypatch.setattr(atomic, "_flush", write)
    assert run(davis, out, "-q", "--zip") == 0
    assert sorted(files(out)) == sorted(files(tmp_path / "whole"))
    for name in ("submission.zip", *(name for name in files(out) if name.endswith(".png"))):
        assert (out / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_other_settings_are_refused(davis: Path, tmp_path: Path, capsys: Capture) -> None:
    out = tmp_path / "out"
    assert run(davis, out, "-q") == 0
    before = files(out)
    assert run(davis, out, "--references", "1") == 2
    assert "references: 5 before, 1 now" in capsys.readouterr().err
    assert run(davis, out, "--subset", "train") == 2
    assert "the data set's subset: val before, train now" in capsys.readouterr().err
    moved = davis.rename(davis.with_name("elsewhere"))
    assert run(moved, out) == 2
    assert f"{moved} now" in capsys.readouterr().err
    assert files(out) == before


def test_other_folders_are_left_alone(davis: Path, tmp_path: Path, capsys: Capture) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "notes.txt").write_text("mine")
    assert run(davis, out) == 2
    assert "notes.txt" in capsys.readouterr().err
    assert files(out) == {"notes.txt": b"mine"}
    assert run(davis, out / "notes.txt") == 2
    for content in ("{", "[]", "{}", '{"schema": 1, "model": 3}'):
        (out / "predict.json").write_text(content)
        assert run(davis, out) == 3
    (out / "predict.json").write_text('{"schema": 99, "model": {}, "settings": {}, "dataset": {}}')
    assert run(davis, out) == 3
    assert "newer" in capsys.readouterr().err


def test_a_mask_of_the_user_is_not_replaced(davis: Path, tmp_path: Path, capsys: Capture) -> None:
    out = tmp_path / "out"
    assert run(davis, out, "-q") == 0
    (out / "Annotations" / "held" / "00000.png").unlink()
    (out / "Annotations" / "held" / "best.png").write_bytes(b"mine")
    assert run(davis, out, "-q") == 2
    assert "best.png" in capsys.readouterr().err
    assert (out / "Annotations" / "held" / "best.png").read_bytes() == b"mine"
    assert (out / "Annotations" / "held" / "00005.png").is_file()


def test_a_video_that_cannot_be_read_does_not_stop_the_others(davis: Path, tmp_path: Path, capsys: Capture) -> None:
    out, frame = tmp_path / "out", davis / "JPEGImages" / "480p" / "held" / "00005.jpg"
    whole = frame.read_bytes()
    frame.write_bytes(whole[:300])
    assert run(davis, out, "-q", "--zip") == 4
    said = capsys.readouterr()
    assert said.out == ""
    assert "1 of 2 videos failed: held" in said.err
    assert sorted(path.name for path in (out / "Annotations").iterdir()) == ["more"]
    assert not (out / "submission.zip").exists()
    manifest = json.loads((out / "predict.json").read_text())
    assert "00005.jpg" in manifest["failed"]["held"]["why"]
    assert [video["name"] for video in manifest["videos"]] == ["more"]
    frame.write_bytes(whole)
    assert run(davis, out, "--zip") == 0
    assert capsys.readouterr().err.splitlines()[-1].endswith("; 1 were there already")
    assert json.loads((out / "predict.json").read_text())["failed"] == {}
    with zipfile.ZipFile(out / "submission.zip") as archive:
        assert len(archive.namelist()) == 6


def test_a_picture_that_is_painted_over_is_damage(davis: Path, tmp_path: Path, capsys: Capture) -> None:
    """All masks are written, and the end tells it, also when the command is given again."""
    out, frame = tmp_path / "out", davis / "JPEGImages" / "480p" / "held" / "00005.jpg"
    content = bytearray(frame.read_bytes())
    middle = len(content) * 2 // 3
    content[middle : middle + 24] = bytes(24)
    frame.write_bytes(content)
    for _ in range(2):
        assert run(davis, out, "-q", "--zip") == 4
        said = capsys.readouterr()
        assert said.out == f"{out / 'submission.zip'}\n"
        assert "frames are missing or damaged in held\n" in said.err
        assert f"1 frame damaged; its report in {out / 'reports'} has a row for each" in said.err
    assert (out / "Annotations" / "held" / "00005.png").is_file()
    assert run(davis, out, "-q", "--allow-errors") == 0
    same = load_model(device="cpu", precision="fp32")  # as `run` has it, whatever suits this machine
    assert [*predict(open_subset(davis, subset="val"), output=out, model=same).damaged] == ["held"]


def test_nothing_readable_ends_with_the_reason(davis: Path, tmp_path: Path, capsys: Capture) -> None:
    for name in ("held", "more"):
        (davis / "JPEGImages" / "480p" / name / "00000.jpg").write_bytes(b"no picture")
    assert run(davis, tmp_path / "out", "-q") == 3
    assert "00000.jpg" in capsys.readouterr().err


def test_what_to_predict_is_found_or_asked_for(davis: Path, tmp_path: Path, capsys: Capture) -> None:
    assert run(davis, tmp_path / "out", "--subset", "test") == 2
    assert "its lists are: train, val" in capsys.readouterr().err
    (davis / "ImageSets" / "480p" / "val.txt").unlink()
    assert run(davis, tmp_path / "out") == 3
    assert "test or test-dev or val" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    shutil.rmtree(davis / "ImageSets")
    assert [video.name for video in open_subset(davis)] == ["held", "more", "other"]
    shutil.rmtree(davis / "JPEGImages")
    assert run(davis, tmp_path / "out") == 3
    assert "3 of 3 videos have no pictures" in capsys.readouterr().err


def test_a_wrong_setting_is_refused_before_anything_is_written(davis: Path, tmp_path: Path) -> None:
    assert run(davis, tmp_path / "out", "--references", "99") == 2
    assert run(davis, tmp_path / "out", "--fusion", "summary") == 2
    assert not (tmp_path / "out").exists()


def test_a_full_disk_ends_the_run_at_once(davis: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path) -> None:
        if path.suffix == ".png":
            raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr(atomic, "_flush", full)
    assert run(davis, tmp_path / "out", "-q") == 5
    assert not (tmp_path / "out" / ".partial" / "more").exists()


def test_from_python(davis: Path, tmp_path: Path) -> None:
    seen = []
    done = predict(
        open_subset(davis, subset="train"),
        output=tmp_path / "out",
        model=load_model(device="cpu", precision="fp32"),
        task=Find(references=2, reference_seed=3),
        listen=lambda job, event: seen.append(event.index) if isinstance(event, FrameDone) else None,
    )
    assert seen == [0, 1, 2]
    assert [(video.name, video.frames) for video in done.made] == [("other", 3)]
    assert (done.folder, done.reused, done.archive) == (tmp_path / "out" / "Annotations", (), None)


def test_objects_are_followed_from_the_first_masks_that_there_are(
    tmp_path: Path, capsys: Capture, random_follower: Path
) -> None:
    out = tmp_path / "out"
    assert run(TIANCHI, out, "--follower", str(random_follower), "--quiet") == 0
    assert capsys.readouterr().err == ""
    first = read_label_map(next((TIANCHI / "Annotations" / "600103").glob("*.png")))
    written = sorted((out / "Annotations" / "600103").glob("*.png"))
    assert len(written) == 4
    np.testing.assert_array_equal(read_label_map(written[0]), first)
    report = json.loads((out / "reports" / "600103.json").read_text())
    assert [row["states"].keys() for row in report["frames"]] == [{str(i) for i in np.unique(first) if i}] * 4
    assert json.loads((out / "predict.json").read_text())["settings"]["follower"]["name"] == "covos-follow"


def test_where_every_frame_is_annotated_following_is_asked_for(
    davis: Path, tmp_path: Path, capsys: Capture, random_follower: Path
) -> None:
    assert run(davis, tmp_path / "found") == 0
    assert "follow" not in capsys.readouterr().err
    assert run(davis, tmp_path / "out", "--follow", "--follower", str(random_follower)) == 0
    assert "first annotation are followed" in capsys.readouterr().err
    truth = read_binary_mask(davis / "Annotations" / "480p" / "held" / "00000.png")
    np.testing.assert_array_equal(read_label_map(tmp_path / "out" / "Annotations" / "held" / "00000.png") == 1, truth)
    assert run(davis, tmp_path / "more", "--follow", "--refine", "crf") == 2


def test_objects_of_youtube_vos_join_when_they_appear(tmp_path: Path) -> None:
    pictures, masks = tmp_path / "JPEGImages", tmp_path / "Annotations"
    stems = add_video(pictures / "v", frames=3)
    masks.mkdir()
    records = []
    for index, stem in enumerate(stems):
        labels = np.zeros((48, 80), np.uint8)
        labels[:10, index : index + 10] = 1
        labels[20:30, 20:30] = 2 if index else 0
        write_label_map(masks / f"{stem}.png", labels)
        records.append(FrameRecord(stem=stem, image=pictures / "v" / f"{stem}.jpg", annotation=masks / f"{stem}.png"))
    video = Video(name="v", frames=tuple(records))
    with open_source(pictures / "v") as source:
        for layout, expected in (("youtube-vos", [(0, 1), (1, 2)]), ("davis", [(0, 1)])):
            seeds = Seeds(source.info)
            place_prompts(
                seeds,
                follow_annotations(video, layout=layout).prompts,
                resize=False,
                alpha_of=partial(alpha_mask, source),
            )
            assert [(each.frame, each.object) for each in seeds.current] == expected


def test_the_part_that_a_training_measures_on(tmp_path: Path) -> None:
    held = open_dataset(TIANCHI, subset="val", ratio=0.5, seed=4)
    assert len(held) == 1
    assert run(TIANCHI, tmp_path, "--subset", "val", "--ratio", "0.5", "--split-seed", "4", "-q") == 0
    assert [folder.name for folder in (tmp_path / "Annotations").iterdir()] == [held[0].name]


def test_python_takes_the_same_parts(tmp_path: Path) -> None:
    held = open_dataset(TIANCHI, subset="val", ratio=0.5, seed=4)
    part = {"subset": "val", "ratio": 0.5}
    done = predict(TIANCHI, output=tmp_path, seed=4, **part)
    assert [each.name for each in done.made] == [held[0].name]
    with pytest.raises(UsageError, match="a ratio of a data set that is open"):
        predict(held, output=tmp_path / "not", **part)
    with pytest.raises(UsageError, match="a subset of a data set that is open"):
        predict(held, output=tmp_path / "not", subset="val")
    with pytest.raises(UsageError, match="a seed of a data set that is open"):
        predict(held, output=tmp_path / "not", seed=4)
    with pytest.raises(UsageError, match="without a ratio"):
        predict(TIANCHI, output=tmp_path / "not", subset="test", seed=4)
    with pytest.raises(UsageError, match="where nothing is followed"):
        predict(TIANCHI, output=tmp_path / "not", follow=False, follower="mine.safetensors")
    with pytest.raises(SourceError, match="no list of videos nothing"):
        predict(TIANCHI, output=tmp_path / "not", subset="nothing")
    assert not (tmp_path / "not").exists()


def test_where_the_follower_does_not_belong_to_the_model_the_subject_is_found(tmp_path: Path, capsys: Capture) -> None:
    """The shell and Python alike: weights that were trained further, and COSNet's."""
    packaged = find_model("covos-lite")
    tuned = tmp_path / "tuned.safetensors"
    network = build_network(packaged)
    next(network.parameters()).data += 1e-3
    save_weights(tuned, network, card=packaged.card)
    for weights in (tuned, save_cosnet(tmp_path).path):
        shell, python = tmp_path / f"{weights.stem}-shell", tmp_path / f"{weights.stem}-python"
        assert run(TIANCHI, shell, "-m", str(weights)) == 0
        assert "first masks that these videos come with are not used" in (said := capsys.readouterr().err)
        assert "covos-follow does not belong to this model" in said
        model = load_model(weights, device="cpu", precision="fp32")
        assert not predict(TIANCHI, output=python, model=model).followed
        assert files(shell / "Annotations") == files(python / "Annotations")
    assert run(TIANCHI, tmp_path / "asked", "-m", str(tuned), "--follow") != 0


def test_python_follows_where_the_command_line_does() -> None:
    model = load_model(device="cpu", precision="fp32")
    assert follows(open_subset(TIANCHI), model=model)
    assert not follows(open_subset(TIANCHI, subset="train"), model=model)


def test_shards_are_predicted_and_scored_like_the_tree(tmp_path: Path, capsys: Capture) -> None:
    shards = tmp_path / "shards"
    pack(TIANCHI, shards)
    for root, out in ((TIANCHI, tmp_path / "loose"), (shards, tmp_path / "packed")):
        assert run(root, out, "-q", "--subset", "train") == 0
    found, expected = (
        {name: (tmp_path / kind / name).read_bytes() for name in files(tmp_path / kind) if name.endswith(".png")}
        for kind in ("packed", "loose")
    )
    assert found == expected
    assert len(found) == 11
    assert sorted(path.name for path in (tmp_path / "packed").iterdir()) == ["Annotations", "predict.json", "reports"]
    tables = []
    for truth in (TIANCHI, shards):
        capsys.readouterr()
        scored = ["--gt", str(truth), "--protocol", "davis2016", "--subset", "train"]
        assert main(["evaluate", str(tmp_path / "packed" / "Annotations"), *scored, "-q", "--workers", "1"]) == 0
        tables.append(capsys.readouterr().out.replace(str(truth), "TRUTH"))
    assert tables[0] == tables[1]
    assert "600101" in tables[0]


def test_a_stopped_run_on_shards_goes_on(tmp_path: Path) -> None:
    """The video's pictures lie under the same path again, and its journal is gone on with."""
    add_video(tmp_path / "set" / "JPEGImages" / "long", frames=30)
    pack(tmp_path / "set", tmp_path / "shards")
    whole = predict(tmp_path / "set", output=tmp_path / "whole")
    seen: list[FrameDone] = []

    def listen(_: object, event: object) -> None:
        if isinstance(event, FrameDone):
            seen.append(event)
            if len(seen) == 25:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        predict(tmp_path / "shards", output=tmp_path / "out", listen=listen)
    assert not (tmp_path / "out" / ".unpacked").exists()
    done = predict(tmp_path / "shards", output=tmp_path / "out", listen=listen)
    assert sum(event.resumed for event in seen[25:]) > 10
    assert files(done.folder) == files(whole.folder)


def test_a_damaged_shard_costs_its_videos_alone(davis: Path, tmp_path: Path, capsys: Capture) -> None:
    shards = tmp_path / "shards"
    pack(davis, shards)
    place = json.loads((shards / "shards.json").read_text())["files"]["JPEGImages/480p/held/00005.jpg"]
    content = bytearray((shards / "shard-00000.tar").read_bytes())
    content[place[1] + 40] ^= 1
    (shards / "shard-00000.tar").write_bytes(content)
    assert run(shards, tmp_path / "out", "-q") == 4
    said = capsys.readouterr().err
    assert "1 of 2 videos failed: held" in said
    assert "the shard shard-00000.tar is damaged here" in said
    assert [path.name for path in (tmp_path / "out" / "Annotations").iterdir()] == ["more"]
