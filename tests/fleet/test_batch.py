"""A batch works through many clips side by side, goes on where it stopped, and sums up."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from pathlib import Path

import pytest
from fsspec.registry import known_implementations

import covos
from batch_tables import table
from checked_output import check_output
from covos.cli import main
from covos.cli.batch import _Display
from covos.core.errors import InputError, UsageError
from covos.fleet.manifests import Clip
from covos.fleet.processes import Processes
from covos.fleet.work import Row, Settings, errands

posix = pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")


def test_good_bad_and_damaged_clips_each_have_a_row(make_clip, tmp_path: Path, capfd: pytest.CaptureFixture) -> None:
    make_clip("a.mp4", frames=3)
    whole = make_clip("whole.mkv", frames=20).read_bytes()
    (tmp_path / "cut.mkv").write_bytes(whole[: len(whole) * 6 // 10])
    (tmp_path / "whole.mkv").unlink()
    (tmp_path / "bad.mov").write_text("no video", encoding="utf-8")
    rows = "input,camera\na.mp4,=left\ncut.mkv,right\nbad.mov,\n"
    (tmp_path / "m.csv").write_text(rows, encoding="utf-8")
    command = ["batch", str(tmp_path / "m.csv"), "-o", str(tmp_path / "out"), "-f", "palette", "--device", "cpu"]
    command += ["--workers", "1"]
    assert main(command) == 4
    found = table(tmp_path / "out" / "batch.csv")
    assert [row["status"] for row in found.values()] == ["done", "damaged", "failed"]
    assert (found["a"]["frames"], found["a"]["camera"], found["bad"]["exit_code"]) == ("3", "'=left", "3")
    for name in ("a", "cut"):
        assert check_output(tmp_path / "out" / name) == []
    said = capfd.readouterr().err
    assert "failed: bad: " in said
    assert "1 of 3 clips failed" in said
    # The damaged one is done, and the same command tries the failed one again.
    make_clip("bad.mov", frames=2)
    assert main([*command, "--allow-errors", "--summary", str(tmp_path / "again.csv")]) == 0
    again = table(tmp_path / "again.csv")
    assert [row["status"] for row in again.values()] == ["done before", "damaged", "done"]


def test_the_frames_so_far_are_those_of_the_clips_that_ended(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    """A worker counts now and then: its last count is lower than the number in the row."""
    monkeypatch.setattr("covos.core.progress.LINE_EVERY", 0.0)
    with _Display(2, quiet=False) as display:
        display.ended(Row(name="b", input="b.mp4", folder="out/b", status="done before", frames=900, seconds=1.0))
        display.counted("a", 57)
        display.ended(Row(name="a", input="a.mp4", folder="out/a", status="done", frames=60, computed=60, seconds=2.0))
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "done before: b: 900 frames"
    begin = lines.index("done: a: 60 frames in 2.0 s")
    assert not any("900 frames so far" in line for line in lines)
    assert all(line.startswith("batch (60 frames so far): 2/2 clips") for line in lines[begin + 1 :])
    assert len(lines) > begin + 2


@posix
@pytest.mark.slow
def test_a_worker_that_is_killed_costs_one_attempt(make_clip, tmp_path: Path) -> None:
    clips = [make_clip(name, frames=12) for name in ("a.mp4", "b.mp4", "c.mp4")]
    killed: list[int] = []

    def kill(name: str, frames: int) -> None:
        if not killed:
            killed.append(multiprocessing.active_children()[0].pid or 0)
            os.kill(killed[0], signal.SIGKILL)

    work = covos.Batch(clips, tmp_path / "out", workers=2, formats=("palette",), device="cpu")
    result = work.run(count=kill)
    assert len(killed) == 1
    assert {row.status for row in result.rows} == {"done"}
    assert sorted(row.attempts for row in result.rows) == [1, 1, 2]
    for row in result.rows:
        assert check_output(Path(row.folder)) == []


def test_settings_that_are_wrong_are_refused_before_anything_begins(clip: Path, tmp_path: Path) -> None:
    for wrong in (
        {"formats": ("nosuch",)},
        {"formats": ("palette", "coco"), "edges": covos.Edges(feather=3)},
        {"workers": 0},
        {"clip_timeout": 0},
        {"task": {"references": -1}},
        {"summary": "table.xls"},
    ):
        with pytest.raises(UsageError):
            covos.Batch(clip, tmp_path / "out", **wrong)  # type: ignore[arg-type]
    with pytest.raises(UsageError):
        covos.Batch(clip, tmp_path / "out", overwrite=True, skip_existing=True)
    assert not (tmp_path / "out").exists()


def test_every_row_of_a_manifest_is_checked_before_the_first_clip_is_begun(
    clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    (tmp_path / "prompts.json").write_text("{", encoding="utf-8")
    (tmp_path / "mask.png").write_bytes(b"no picture")
    (tmp_path / "m.csv").write_text(
        "input,name,prompts,mask,label,every\n"
        f"{clip.name},good,,,,\n"
        "gone.mp4,,,,,\n"
        f"{clip.name},unread,prompts.json,,,\n"
        f"{clip.name},unseen,,mask.png,,\n"
        f"{clip.name},misnamed,,,9=car,\n"
        f"{clip.name},often,,,,often\n",
        encoding="utf-8",
    )
    assert main(["batch", str(tmp_path / "m.csv"), "-o", str(tmp_path / "out")]) == 3
    said = capsys.readouterr().err
    assert f"5 rows of {tmp_path / 'm.csv'} cannot be used" in said
    assert all(f"row {number}: " in said for number in (2, 3, 4, 5, 6))
    assert "row 1: " not in said
    assert not (tmp_path / "out").exists()


def test_a_finished_clip_of_a_manifest_may_be_gone_where_it_is_skipped(clip: Path, tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_text(f"input\n{clip.name}\n", encoding="utf-8")
    out = tmp_path / "out"
    assert main(["segment", str(clip), "-o", str(out / clip.stem), "-f", "palette"]) == 0
    clip.unlink()
    assert [each.name for each in covos.Batch(tmp_path / "m.csv", out, skip_existing=True).clips] == [clip.stem]
    with pytest.raises(InputError, match=r"row 1: .*no such file"):
        covos.Batch(tmp_path / "m.csv", out)


def test_machines_share_a_batch_by_the_names_of_its_clips(tmp_path: Path) -> None:
    names = [f"clip-{number}" for number in range(40)]
    lines = "\n".join(f"{name}.mp4,left" for name in names)
    (tmp_path / "m.csv").write_text(f"input,camera\n{lines}\n", encoding="utf-8")
    for name in names:
        (tmp_path / f"{name}.mp4").write_bytes(b"no video")
    parts = [covos.Batch(tmp_path / "m.csv", tmp_path / "out", shard=f"{number}/10") for number in range(1, 11)]
    taken = [[clip.name for clip in part.clips] for part in parts]
    assert sorted(name for part in taken for name in part) == sorted(names)
    assert [Path(part.summary).name for part in parts[::9]] == ["batch-01-of-10.csv", "batch-10-of-10.csv"]
    # The order of the inputs, and further ones, change nothing.
    given = [tmp_path / f"{name}.mp4" for name in (*names[::-1], "other")]
    again = covos.Batch(given, tmp_path / "out", shard="3/10", summary=tmp_path / "t.csv")
    assert sorted({clip.name for clip in again.clips} - {"other"}) == sorted(taken[2])
    assert again.summary == str(tmp_path / "t-03-of-10.csv")


def test_tables_of_parts_have_the_same_columns_though_one_has_no_clip(
    make_clip, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    make_clip("a.mp4", frames=2)
    (tmp_path / "m.csv").write_text("input,camera\na.mp4,left\n", encoding="utf-8")
    command = ["batch", str(tmp_path / "m.csv"), "-o", str(tmp_path / "out"), "-f", "palette", "--device", "cpu"]
    for number in (1, 2):
        assert main([*command, "--workers", "1", "--shard", f"{number}/2"]) == 0
    assert "0 clips: " in capsys.readouterr().err
    files = [tmp_path / "out" / f"batch-{number}-of-2.csv" for number in (1, 2)]
    heads = {file.read_text(encoding="utf-8").splitlines()[0] for file in files}
    assert len(heads) == 1
    assert heads.pop().endswith(",camera")
    (row,) = (row for file in files for row in table(file).values())
    assert (row["name"], row["status"], row["camera"]) == ("a", "done", "left")


def test_a_part_that_is_none_is_refused(clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    for wrong in ("0/4", "5/4", "3", "a/b", "1/0", "-1/4"):
        assert main(["batch", str(clip), "-o", str(tmp_path / "out"), f"--shard={wrong}"]) == 2
        assert f"--shard {wrong}" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@posix
@pytest.mark.slow
def test_a_clip_that_hangs_fails_and_its_process_is_ended(make_clip, tmp_path: Path) -> None:
    clips = tuple(Clip(input=str(make_clip(f"{name}.mp4", frames=12)), name=name) for name in "ab")
    now = 0.0

    def hang(name: str, frames: int) -> None:
        nonlocal now
        if name == "a":
            os.kill(multiprocessing.active_children()[0].pid or 0, signal.SIGSTOP)
            now = 100.0

    settings = Settings(plan={"formats": ("palette",), "device": "cpu"})
    hands = Processes(device="cpu", count=1, retry=0, limit=60, listen=hang, clock=lambda: now)
    rows = {row.name: row for row in hands.run(errands(clips, output=str(tmp_path / "out"), settings=settings))}
    assert (rows["a"].status, rows["b"].status) == ("failed", "done")
    assert rows["a"].error is not None
    assert "takes longer than 60 s" in rows["a"].error.what
    assert multiprocessing.active_children() == []
    # Its frames are safe: the same batch goes on there.
    again = covos.Batch([clip.input for clip in clips], tmp_path / "out", workers=1, formats=("palette",), device="cpu")
    assert [row.status for row in again.run().rows] == ["done", "done before"]
    assert check_output(tmp_path / "out" / "a") == []


def test_a_finished_clip_at_a_url_needs_no_source_either(clip: Path, tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_text(f"input\n{clip.name}\ngone.mp4\n", encoding="utf-8")
    (tmp_path / "made" / clip.stem).mkdir(parents=True)
    (tmp_path / "made" / clip.stem / "report.json").write_bytes(b"{}")
    clip.unlink()
    with pytest.raises(InputError, match=r"row 2: .*gone"):
        covos.Batch(tmp_path / "m.csv", f"file://{tmp_path}/made", skip_existing=True)
    with pytest.raises(InputError, match=r"2 rows"):
        covos.Batch(tmp_path / "m.csv", f"file://{tmp_path}/made")


@pytest.mark.parametrize(
    ("output", "code", "said"),
    [
        ("memory://out", 2, "its memory is gone when it ends"),
        ("https://example.org/out", 2, "nothing can be written to https://"),
        ("nosuch://bucket/out", 2, "Protocol not known: nosuch"),
        ("lacking://bucket/out", 5, "a package is missing"),
    ],
)
def test_an_output_that_cannot_be_used_is_refused_before_a_worker_begins(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture,
    output: str, code: int, said: str,
) -> None:  # fmt: skip
    lacking = {"class": "covos.nosuch.FileSystem", "err": "Install lacking"}
    monkeypatch.setitem(known_implementations, "lacking", lacking)
    monkeypatch.setattr(Processes, "engage", lambda self: pytest.fail("a worker began"))
    assert main(["batch", str(clip), "-o", output]) == code
    told = capsys.readouterr().err
    assert said in told
    assert output in told
    assert main(["batch", str(clip), "-o", str(tmp_path / "out"), "--summary", f"{output}/t.csv"]) == code
    assert f"{output}/t.csv" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_all_faults_of_a_row_are_told_with_those_of_its_files(clip: Path, tmp_path: Path) -> None:
    (tmp_path / "prompts.json").write_text("{", encoding="utf-8")
    (tmp_path / "m.csv").write_text(
        "input,prompts,mask,objects,start,label,every\n"
        "gone.mp4,prompts.json,mask.png,none,yesterday,9=car,often\n"
        f"{clip.name},,,,,9=car,\n",
        encoding="utf-8",
    )
    with pytest.raises(InputError, match="2 rows of ") as refused:
        covos.Batch(tmp_path / "m.csv", tmp_path / "out")
    first = ("gone.mp4", "prompts.json", "mask.png", "objects = none", "yesterday", "every: ")
    assert [said for said in first if said not in refused.value.why] == []
    # A label may name any object while nobody knows what the prompts show.
    assert refused.value.why.count("row 1: ") == len(first)
    assert "row 2: the label car is of object 9" in refused.value.why
    assert not (tmp_path / "out").exists()


def test_prompts_at_a_url_are_checked_before_a_worker_begins(clip: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.json").write_text("{", encoding="utf-8")
    (tmp_path / "mask.json").write_text('{"masks": [{"file": "gone.png"}]}', encoding="utf-8")
    lines = ["input,name,prompts", *(f"{clip.name},{name},{name}.json" for name in ("bad", "mask", "none"))]
    (tmp_path / "m.csv").write_text("\n".join(lines), encoding="utf-8")
    url = f"file://{tmp_path}"
    with pytest.raises(InputError, match=r"3 rows of file://") as refused:
        covos.Batch(f"{url}/m.csv", tmp_path / "out")
    for said in (f"row 1: {url}/bad.json is not JSON", f"row 2: {url}/gone.png", f"row 3: {url}/none.json"):
        assert said in refused.value.why
    assert "/covos-" not in refused.value.why


def test_a_clip_is_a_value() -> None:
    assert Clip.model_validate_json(Clip(input="a", name="a").model_dump_json()) == Clip(input="a", name="a")


@posix
def test_a_batch_that_is_stopped_says_what_is_safe(
    make_clip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    clips = [str(make_clip(name, frames=40)) for name in ("a.mp4", "b.mp4")]
    told = _Display.counted

    def stop(display: _Display, name: str, frames: int) -> None:
        told(display, name, frames)
        os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(_Display, "counted", stop)
    command = ["batch", *clips, "-o", str(tmp_path / "out"), "-f", "palette", "--device", "cpu", "--workers", "1"]
    assert main(command) == 130
    said = capsys.readouterr().err
    assert f"0 of 2 clips done, 1 begun; the same command goes on from there: {tmp_path / 'out' / 'batch.csv'}" in said
    found = table(tmp_path / "out" / "batch.csv")
    assert [row["status"] for row in found.values()] == ["begun", "waiting"]
    assert 0 < int(found["a"]["frames"]) < 40


def test_a_setting_is_told_its_place(clip: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="quality= for a batch") as caught:
        covos.batch([clip], tmp_path / "out", quality="fast")
    assert caught.value.fix == "write task={'quality': 'fast'}"
    with pytest.raises(UsageError, match="unknown setting 'formatz'") as caught:
        covos.batch([clip], tmp_path / "out", formatz=("coco",))
    assert "formats" in caught.value.fix
    with pytest.raises(UsageError, match="unknown setting 'colour'") as caught:
        covos.batch([clip], tmp_path / "out", colour="red")
    assert "source" not in caught.value.fix
    assert not (tmp_path / "out").exists()
