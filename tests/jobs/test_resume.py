"""A run that is stopped at any moment, by a kill or a full disk, goes on and gives what an unstopped one gives."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import ANY

import numpy as np
import pytest

import covos
from checked_output import check_output
from clips import write_clip
from covos.core.errors import EnvironmentProblem, IncompleteError, SourceError, UsageError
from covos.core.files import LOCK, exclusive
from covos.events import FrameDone, Noted, Started
from covos.job import Job
from covos.jobs import Outcome, plan_folders, run_job, run_jobs
from covos.model import Model
from covos.models.registry import find_model
from covos.plan import Plan
from covos.runs.folder import LIST
from covos.runs.schema import ProblemRecord, load_report
from covos.runs.writing import Saved
from covos.task import choose_task
from jobs.stopped_runs import Ended
from jobs.stopped_runs import run as run_in_fork
from stub_model import bright_model

FORMATS = ("palette", "overlay", "raw")
FRAMES = 10  # two batches and a half
posix = pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX processes")
Ending = Callable[..., Ended]
Run = Callable[..., Outcome]


def content(folder: Path) -> dict[str, bytes]:
    """All outputs but the report, which holds times."""
    found = {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.name.startswith("report.") and path.name not in ("covos.json", "journal.jsonl")
    }
    # Writers of several formats claim their files side by side.
    found[LIST] = b"".join(sorted(found[LIST].splitlines(keepends=True)))
    return found


def assert_finished(folder: Path, expected: dict[str, bytes]) -> None:
    assert content(folder) == expected
    assert check_output(folder) == []
    assert json.loads((folder / "covos.json").read_text())["complete"] is True
    assert load_report(folder).problem is None


@pytest.fixture
def ended() -> Ending:
    """Run a job in a fork, see `stopped_runs.py`. The other tests here have networks, and references to go on with."""
    model = bright_model()

    def run_one(clip: Path, output: Path, **how: Any) -> Ended:
        return run_in_fork(model, clip, output, **{"formats": FORMATS, **how})

    return run_one


@pytest.fixture
def long_clip(make_clip) -> Path:
    return make_clip(frames=FRAMES)


@posix
@pytest.mark.parametrize("points", [5, pytest.param(24, marks=pytest.mark.thorough)])
def test_killed_at_any_moment(ended: Ending, long_clip: Path, tmp_path: Path, points: int) -> None:
    whole = ended(long_clip, tmp_path / "whole")
    assert whole == Ended(moments=ANY)
    expected = content(tmp_path / "whole")
    assert {name.split("/")[0] for name in expected} == {".covos-files", "masks", "overlay.mp4", "raw"}
    moments = whole.moments
    assert moments >= 3 * FRAMES  # a record and two files a frame, and the rest
    for point in range(points):
        kill_at = 1 + point * (moments - 1) // (points - 1)
        out = tmp_path / f"killed{kill_at}"
        assert ended(long_clip, out, kill_at=kill_at).killed
        again = ended(long_clip, out)
        assert again == Ended(moments=ANY), kill_at
        assert_finished(out, expected)


@posix
@pytest.mark.slow
def test_killed_again_and_again(ended: Ending, long_clip: Path, tmp_path: Path) -> None:
    assert ended(long_clip, tmp_path / "whole") == Ended(moments=ANY)
    out = tmp_path / "out"
    for kill_at in (8, 12, 16):
        assert ended(long_clip, out, kill_at=kill_at).killed
    assert ended(long_clip, out) == Ended(moments=ANY)
    assert_finished(out, content(tmp_path / "whole"))


@posix
@pytest.mark.parametrize(
    ("formats", "disk"),
    [
        (FORMATS, 0),
        (FORMATS, 20),  # the list of files
        (FORMATS, 300),  # covos.json
        (("palette",), 6000),  # the journal, after some frames
        (("raw",), 6000),  # the journal with probabilities, or the format
        (("overlay",), 150_000),  # the video, at its end
    ],
)
def test_a_full_disk(ended: Ending, long_clip: Path, tmp_path: Path, formats: Sequence[str], disk: int) -> None:
    if formats == ("overlay",):  # a video of noise is larger than the journal
        noise = np.random.default_rng(0).integers(0, 120, (FRAMES, 192, 256, 3), dtype=np.uint8)
        write_clip(long_clip, noise, crf="12")
    assert ended(long_clip, tmp_path / "whole", formats=formats) == Ended(moments=ANY)
    out = tmp_path / "out"
    full = ended(long_clip, out, formats=formats, disk=disk)
    assert full.code == EnvironmentProblem.exit_code, full
    assert "cannot be" in full.error or "could not be written" in full.error
    if disk >= 1000:  # with less not even the terms are written
        assert re.search(r"; about [\d.]+ [kMG]B more are needed for all 10 frames", full.error), full
    journal = out / "journal.jsonl"
    if disk < 1000:
        assert not out.exists()
    else:
        assert journal.read_bytes().endswith(b"\n")
        assert f"{len(journal.read_bytes().splitlines())} frames are safe in {out}" in full.error
        assert not list(out.rglob("*.partial*"))
    assert ended(long_clip, out, formats=formats) == Ended(moments=ANY)
    assert_finished(out, content(tmp_path / "whole"))


@pytest.fixture
def run(model: Model, tmp_path: Path) -> Run:
    """One input to ``out``; stopped after some frames if asked."""

    def start(source: Path | str, *, stop_after: int | None = None, **settings: Any) -> Outcome:
        def listen(job, event):
            done = event.index + 1 if isinstance(event, FrameDone) else 0
            begun = isinstance(event, Started) and event.stage == "frames"
            if (isinstance(event, FrameDone) or begun) and done == stop_after:
                raise KeyboardInterrupt

        output, overwrite = settings.pop("output", tmp_path / "out"), settings.pop("overwrite", False)
        chosen = {"formats": tuple(settings.pop("formats"))} if "formats" in settings else {}
        plan = Plan(source=str(source), task=choose_task(**settings), **chosen)
        return run_job(Job(plan, output, overwrite=overwrite, load=lambda _: model), listen=listen)

    return start


def stopped(run: Run, source: Path | str, *, after: int, **settings: Any) -> list[str]:
    with pytest.raises(KeyboardInterrupt) as caught:
        run(source, stop_after=after, **settings)
    return list(getattr(caught.value, "__notes__", []))


def test_an_interruption_says_what_is_safe(run: Run, long_clip: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert stopped(run, long_clip, after=6) == [f"6 frames are safe in {out}, the same command goes on from there"]
    assert load_report(out).problem == ProblemRecord(
        what="interrupted", why="the run was stopped from outside", fix="give the same command again"
    )
    saved = run(long_clip).saved
    assert saved is not None
    assert (saved.frames, saved.resumed, saved.was_done) == (FRAMES, 4, False)
    assert load_report(out).totals.resumed == 4
    whole = run(long_clip, output=tmp_path / "whole").saved
    assert whole is not None
    assert whole.resumed == 0
    assert_finished(out, content(tmp_path / "whole"))


def test_before_the_first_frame_nothing_is_left(run: Run, long_clip: Path, tmp_path: Path) -> None:
    assert stopped(run, long_clip, after=0) == []
    assert not (tmp_path / "out").exists()


def test_a_finished_run_is_left_as_it_is(run: Run, long_clip: Path, tmp_path: Path) -> None:
    first = run(long_clip).saved
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in (tmp_path / "out").rglob("*.*")}
    again = run(long_clip).saved
    assert first is not None
    assert again is not None
    assert again.was_done
    assert (again.frames, again.outputs, again.report) == (first.frames, first.outputs, first.report)
    assert (again.health, again.warnings) == (first.health, first.warnings)
    assert {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in before} == before
    over = run(long_clip, overwrite=True).saved
    assert over is not None
    assert not over.was_done


def test_a_run_that_replaces_another_goes_on_after_a_stop(run: Run, long_clip: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run(long_clip, references=3)
    assert stopped(run, long_clip, after=9, overwrite=True) == [
        f"9 frames are safe in {out}, the same command goes on from there"
    ]
    said: list[str] = []
    plan = Plan(source=str(long_clip), task=choose_task())
    model = covos.load_model(device="cpu")
    job = Job(plan, out, overwrite=True, load=lambda _: model)
    saved = job.run(lambda event: said.append(event.text) if isinstance(event, Noted) else None)
    assert isinstance(saved, Saved)
    assert (saved.frames, saved.resumed, saved.was_done) == (FRAMES, 8, False)
    assert f"goes on with 8 frames of the same command, which was stopped; to begin anew, remove {out}" in said
    run(long_clip, output=tmp_path / "whole")
    assert_finished(out, content(tmp_path / "whole"))
    # It is finished now, and is made again.
    again = run(long_clip, overwrite=True).saved
    assert again is not None
    assert (again.resumed, again.was_done) == (0, False)


@pytest.mark.parametrize("changes", [{"references": 3}, {"formats": ["palette", "coco"]}])
def test_a_run_of_other_settings_that_was_stopped_is_replaced(
    run: Run, long_clip: Path, tmp_path: Path, changes: dict[str, Any]
) -> None:
    stopped(run, long_clip, after=9, formats=["palette"])
    saved = run(long_clip, overwrite=True, **{"formats": ["palette"], **changes}).saved
    assert saved is not None
    assert saved.resumed == 0
    assert_finished(tmp_path / "out", content(tmp_path / "out"))


def test_a_run_that_is_replaced_does_not_choose_how_the_next_is_computed(
    run: Run, model: Model, long_clip: Path, tmp_path: Path
) -> None:
    stopped(run, long_clip, after=9)
    project = tmp_path / "out" / "covos.json"
    terms = json.loads(project.read_text())
    terms["settings"]["precision"] = "bfloat16"
    project.write_text(json.dumps(terms))
    asked: list[str] = []

    def load(plan: Plan) -> Model:
        asked.append(plan.precision)
        return covos.load_model(device="cpu", precision=plan.precision)

    plan = Plan(source=str(long_clip), task=choose_task(references=3), device="cpu")
    job = Job(plan, tmp_path / "out", overwrite=True, load=load)
    saved = job.run()
    assert isinstance(saved, Saved)
    assert (asked, saved.resumed) == (["bf16", "auto"], 0)
    assert json.loads(project.read_text())["settings"]["precision"] == "float32"


def test_a_finished_run_that_lost_an_output_is_not_taken_for_whole(run: Run, long_clip: Path, tmp_path: Path) -> None:
    run(long_clip)
    (tmp_path / "out" / "overlay.mp4").unlink()
    error = run(long_clip).error
    assert isinstance(error, IncompleteError)
    assert "lacks overlay.mp4" in error.what
    assert run(long_clip, overwrite=True).error is None


@pytest.mark.parametrize("after", [6, None])
@pytest.mark.parametrize(
    ("changes", "difference"),
    [
        ({"references": 3}, "references: 5 before, 3 now"),
        ({"reference_seed": 7}, "reference seed: not given before, 7 now"),
    ],
)
def test_other_settings_are_refused(
    run: Run, long_clip: Path, tmp_path: Path, after: int | None, changes: dict[str, Any], difference: str
) -> None:
    if after is None:
        run(long_clip)
    else:
        stopped(run, long_clip, after=after)
    before = content(tmp_path / "out")
    error = run(long_clip, **changes).error
    assert isinstance(error, UsageError)
    assert error.why == difference
    assert "overwrite=True" in error.fix
    assert content(tmp_path / "out") == before
    assert run(long_clip, overwrite=True, **changes).error is None


def test_every_difference_is_named(run: Run, long_clip: Path, tmp_path: Path) -> None:
    stopped(run, long_clip, after=6)
    file = tmp_path / "out" / "covos.json"
    terms = json.loads(file.read_text())
    terms.update(weights_sha256="0" * 64, batch=16, covos="0.0.1")
    terms["settings"].update(device="cuda", precision="float16", new=1)
    file.write_text(json.dumps(terms))
    error = run(long_clip).error
    assert isinstance(error, UsageError)
    sha256 = find_model("covos-lite").card.sha256
    assert error.why.split("; ") == [
        f"the model: one with weights {'0' * 12} before, one with weights {sha256[:12]} now",
        "precision: float16 before, float32 now",
        "device: cuda before, cpu now",
        "new: 1 before, none now",
        "frames computed together: 16 before, 4 now",
        f"covos: 0.0.1 before, {covos.__version__} now",
    ]


def test_another_content_is_refused_and_another_name_is_not(run: Run, make_clip, tmp_path: Path) -> None:
    clip = make_clip("clip.mp4", frames=FRAMES)
    stopped(run, clip, after=6)
    saved = run(clip.rename(tmp_path / "renamed.mp4")).saved
    assert saved is not None
    assert saved.resumed == 4
    error = run(make_clip("clip.mp4", frames=FRAMES, rate=30)).error
    assert isinstance(error, UsageError)
    assert error.why.startswith("the input: ")


def test_frames_that_were_renamed_are_computed_anew(run: Run, long_clip: Path, tmp_path: Path) -> None:
    from PIL import Image

    frames = tmp_path / "frames"
    frames.mkdir()
    for index in range(6):
        Image.new("RGB", (48, 32), (40 * index, 9, 9)).save(frames / f"{index}.png")
    stopped(run, frames, after=5)
    (frames / "5.png").rename(frames / "6.png")
    saved = run(frames).saved
    assert saved is not None
    assert (saved.frames, saved.resumed, saved.was_done) == (6, 0, False)


def test_a_source_that_gives_other_frames_than_before_is_noticed(run: Run, long_clip: Path, tmp_path: Path) -> None:
    stopped(run, long_clip, after=6)
    journal = tmp_path / "out" / "journal.jsonl"
    from covos.runs.journal import JournalEntry, _line

    first, *rest = journal.read_bytes().splitlines(keepends=True)
    record = JournalEntry.from_json(first)
    moved = replace(record, masks=replace(record.masks, pts=7))
    journal.write_bytes(b"".join([_line(moved), *rest]))
    error = run(long_clip).error
    assert isinstance(error, SourceError)
    assert "frame 0 is no longer what it was" in error.what
    assert "6 frames are safe" not in error.fix  # two of them were behind the last whole batch
    assert "4 frames are safe" in error.fix


@pytest.mark.parametrize("text", ["", "[]", '{"schema": 1}', '{"schema": 2}', "{"])
def test_a_damaged_covos_json_is_refused(run: Run, long_clip: Path, tmp_path: Path, text: str) -> None:
    stopped(run, long_clip, after=6)
    (tmp_path / "out" / "covos.json").write_text(text)
    error = run(long_clip).error
    assert isinstance(error, UsageError)
    assert "covos.json cannot be read" in error.what
    assert run(long_clip, overwrite=True).error is None


def test_two_runs_in_one_folder(run: Run, long_clip: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    with exclusive(out / LOCK):
        for overwrite in (False, True):
            error = run(long_clip, overwrite=overwrite).error
            assert isinstance(error, EnvironmentProblem)
            assert error.what == f"{out} is in use"
    assert run(long_clip).error is None


def test_several_inputs_each_go_on_by_themselves(model: Model, make_clip, tmp_path: Path) -> None:
    clips = [str(make_clip(f"{name}.mp4", frames=frames)) for name, frames in (("a", 5), ("b", 9), ("c", 3))]
    seen = []

    def listen(job, event):
        if isinstance(event, FrameDone):
            seen.append(event)
            if len(seen) == 10:
                raise KeyboardInterrupt

    def start():
        folders = plan_folders(clips, output=tmp_path / "out", overwrite=False)
        jobs = [Job(Plan(source=name), folder, load=lambda _: model) for name, folder in folders.items()]
        return run_jobs(jobs, listen=listen)

    with pytest.raises(KeyboardInterrupt):
        list(start())
    done = [outcome.saved for outcome in start()]
    assert all(saved is not None for saved in done)
    assert [(s.frames, s.resumed, s.was_done) for s in done if s] == [(5, 0, True), (9, 4, False), (3, 0, False)]
    assert all(check_output(tmp_path / "out" / name) == [] for name in "abc")
