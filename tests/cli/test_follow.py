"""``covos segment --mask``: from a mask file to the outputs, and what is refused before anything is loaded."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from covos.cli import main
from covos.cli.prompting import mask_prompt
from covos.job import Job
from covos.jobs import plan_folders, run_jobs
from covos.masks import read_label_map, write_label_map
from covos.plan import Plan
from covos.prompts.file import MaskPrompt
from covos.runs.journal import Journal
from covos.task import Follow

SIZE = (48, 64)
Capture = pytest.CaptureFixture[str]


@pytest.fixture
def follower(random_follower: Path) -> Path:
    return random_follower


@pytest.fixture
def mask(tmp_path: Path) -> Path:
    """Objects 2 and 5."""
    labels = np.zeros(SIZE, np.uint8)
    labels[12:28, :16], labels[30:44, 40:60] = 2, 5
    write_label_map(tmp_path / "first.png", labels)
    return tmp_path / "first.png"


def run(clip: Path, out: Path, *more: str) -> int:
    return main(["segment", str(clip), "-o", str(out), "--device", "cpu", "--precision", "fp32", "-q", *more])


def test_a_mask_is_followed_into_every_frame(clip: Path, mask: Path, follower: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert run(clip, out, "--mask", str(mask), "--follower", str(follower)) == 0
    written = sorted((out / "masks").glob("*.png"))
    assert len(written) == 8
    np.testing.assert_array_equal(read_label_map(written[0]), read_label_map(mask))
    report = json.loads((out / "report.json").read_text())
    assert report["settings"]["follower"]["name"] == "covos-follow"
    assert report["settings"]["direction"] == "forward"
    prompts = [(each["frame"], each["object"], each["given_as"]) for each in report["settings"]["prompts"]]
    assert prompts == [(0, 2, "first.png"), (0, 5, "first.png")]
    for row in report["frames"]:
        assert set(row["states"]) == {"2", "5"}
        for identity, said in row["states"].items():
            assert said["state"] in {"present", "occluded", "lost"}
            assert 0 <= said["confidence"] <= 1
            assert said["state"] == "present" or int(identity) not in row["objects"]
    assert report["frames"][0]["states"]["2"] == {"state": "present", "confidence": 1.0}


def test_a_painted_mask_is_followed_and_a_note_says_where_it_ends(
    clip: Path, follower: Path, tmp_path: Path, capsys: Capture
) -> None:
    painted = np.zeros(SIZE, np.uint8)
    cv2.ellipse(painted, (30, 22), (14, 11), 0, 0, 360, 255, -1, cv2.LINE_AA)
    Image.fromarray(painted).save(tmp_path / "brush.png")
    command = ["segment", str(clip), "-o", str(tmp_path / "out"), "--device", "cpu", "--follower", str(follower)]
    assert main([*command, "--mask", str(tmp_path / "brush.png")]) == 0
    labels = read_label_map(min((tmp_path / "out" / "masks").glob("*.png")))
    np.testing.assert_array_equal(labels == 1, painted >= 128)
    assert f"note: {clip.name}: {tmp_path / 'brush.png'}: its edge is soft; " in capsys.readouterr().err


def test_a_stopped_run_goes_on_and_ends_the_same(
    clip: Path, mask: Path, follower: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = ["--mask", str(mask), "--mask", f"{mask}@6", "--follower", str(follower), "-f", "palette"]
    assert run(clip, tmp_path / "whole", *options) == 0
    append, count = Journal.append, 0

    def stopping(journal: Journal, record: object) -> None:
        nonlocal count
        count += 1
        if count == 6:
            raise KeyboardInterrupt
        append(journal, record)  # type: ignore[arg-type]

    with monkeypatch.context() as patched:
        patched.setattr(Journal, "append", stopping)
        assert run(clip, tmp_path / "out", *options) == 130
    assert run(clip, tmp_path / "out", *options) == 0
    whole, out = (json.loads((tmp_path / name / "report.json").read_text()) for name in ("whole", "out"))
    assert out["totals"]["resumed"] == 4
    assert [row["states"] for row in out["frames"]] == [row["states"] for row in whole["frames"]]
    for path in sorted((tmp_path / "whole" / "masks").iterdir()):
        assert path.read_bytes() == (tmp_path / "out" / "masks" / path.name).read_bytes()


def test_other_prompts_are_another_run(clip: Path, mask: Path, follower: Path, tmp_path: Path, capsys: Capture) -> None:
    out = tmp_path / "out"
    options = ["--follower", str(follower), "-f", "palette"]
    assert run(clip, out, "--mask", str(mask), *options) == 0
    labels = read_label_map(mask)
    labels[0, 0] = 2
    write_label_map(mask, labels)
    assert run(clip, out, "--mask", str(mask), *options) == 2
    assert "prompts" in capsys.readouterr().err


def test_what_is_wrong_is_said_before_the_model_loads(
    clip: Path, mask: Path, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unloaded(*_: object, **__: object) -> None:
        raise AssertionError("the model was loaded")

    monkeypatch.setattr("covos.model.load_model", unloaded)
    out = tmp_path / "out"
    write_label_map(tmp_path / "small.png", np.ones((24, 32), np.uint8))
    write_label_map(tmp_path / "empty.png", np.zeros(SIZE, np.uint8))
    for options, code, said in [
        (["--mask", f"{mask}@99"], 2, "frame 99 does not exist"),
        (["--mask", f"{mask}@-1"], 2, "'-1' is no frame"),
        (["--mask", f"{mask}@0:x"], 2, "'0:x' is no frame, or frame and object"),
        (["--mask", f"{mask}:-1"], 2, "'-1' is no object"),
        (["--mask", str(tmp_path / "small.png")], 3, "the mask is 32x24, the frame 64x48"),
        (["--mask", str(tmp_path / "small.png")], 3, "--resize-masks resizes it"),
        (["--mask", str(tmp_path / "empty.png")], 3, "shows no object"),
        (["--mask", str(tmp_path / "none.png")], 3, "none.png"),
        (["--mask", str(mask), "--mask", str(mask)], 2, "object 2 is given twice on frame 0"),
        (["--mask", f"{mask}:3"], 2, "cannot be object 3"),
        (["--mask", str(mask), "--memory", "99"], 2, "memory = 99"),
        (["--mask", str(mask), "--refine", "crf"], 2, "where objects are followed"),
        ([str(clip), "--mask", str(mask)], 2, "objects are shown for 2 inputs"),
        (["--resize-masks"], 2, "--resize-masks changes nothing here"),
        (["--direction", "both"], 2, "--direction both changes nothing here"),
    ]:
        assert run(clip, out, *options) == code, options
        assert said in capsys.readouterr().err, options
    assert not out.exists()


def test_the_ways_to_name_a_mask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert mask_prompt("a.png") == MaskPrompt(file=Path("a.png"))
    assert mask_prompt("a.png@12") == MaskPrompt(file=Path("a.png"), frame=12)
    assert mask_prompt("a.png:3") == MaskPrompt(file=Path("a.png"), object=3)
    assert mask_prompt("b/a@home.png@12:3") == MaskPrompt(file=Path("b/a@home.png"), frame=12, object=3)
    Path("odd@1:2").touch()
    assert mask_prompt("odd@1:2") == MaskPrompt(file=Path("odd@1:2"))


def test_a_batch_with_a_mask_that_fits_one_of_its_inputs(
    make_clip: Callable[..., Path], mask: Path, follower: Path, tmp_path: Path
) -> None:
    clips = [make_clip("a.mp4", frames=3), make_clip("b.mp4", frames=3, height=64)]
    task = Follow(prompts=(MaskPrompt(file=mask),), follower=str(follower))
    folders = plan_folders([str(clip) for clip in clips], output=tmp_path / "out", overwrite=False)
    plans = {
        name: Plan(source=name, task=task, formats=("palette",), device="cpu", precision="fp32") for name in folders
    }
    outcomes = list(run_jobs(Job(plans[name], folder) for name, folder in folders.items()))
    assert outcomes[0].saved is not None
    assert outcomes[0].saved.frames == 3
    assert outcomes[1].error is not None
    assert "the frame 64x64" in str(outcomes[1].error)
