"""`covos segment` as users call it: what it leaves, what it says, how it ends."""

from __future__ import annotations

import json
import shlex
import signal
import sys
from collections.abc import Callable
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

from checked_output import check_output
from covos.cli import main
from covos.formats.table import FORMATS
from covos.runs.schema import load_report

EXAMPLE = Path(__file__).parents[2] / "examples" / "car.mp4"
Capture = pytest.CaptureFixture[str]
MakeClip = Callable[..., Path]


def run(*arguments: object) -> int:
    return main(["segment", *(str(argument) for argument in arguments), "--device", "cpu", "--precision", "fp32"])


def refused(capsys: Capture, *arguments: object) -> tuple[int, list[str]]:
    """Exit code and the lines of an error, which must be what, why and fix, without a traceback."""
    code = run(*arguments)
    out, err = capsys.readouterr()
    lines = err.strip().splitlines()
    assert out == ""
    assert [line.split(":")[0].strip() for line in lines] == ["error", "why", "fix"], err
    return code, lines


def test_a_video_gives_masks_overlay_and_report(clip: Path, tmp_path: Path, capsys: Capture) -> None:
    out = tmp_path / "out"
    assert run(clip, "-o", out) == 0
    err = capsys.readouterr().err
    assert sorted(path.name for path in out.iterdir() if not path.name.startswith(".")) == [
        "covos.json", "journal.jsonl", "masks", "overlay.mp4", "report.html", "report.json",
    ]  # fmt: skip
    assert sorted(path.name for path in (out / "masks").iterdir()) == [f"{index:05}.png" for index in range(8)]
    assert check_output(out) == []
    (last,) = [line for line in err.splitlines() if line.startswith("8 frames in ")]
    for name in ("masks", "overlay.mp4", "report.json", "report.html"):
        assert str(out / name) in last
    with Image.open(out / "masks" / "00000.png") as mask:
        assert mask.mode == "P"
        assert mask.size == (64, 48)
        assert mask.getpalette()[:6] == [0, 0, 0, 128, 0, 0]


def test_the_last_line_says_which_frames_are_doubtful(
    clip: Path, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = ("--box", "8,8,40,40")  # small networks find nothing by themselves
    monkeypatch.setattr("covos.runs.quality._CONFIDENCE", 1.0)  # nothing is so sure
    assert run(clip, "-o", tmp_path / "out", *shown) == 0
    line = capsys.readouterr().err.splitlines()[-1]
    quality = json.loads((tmp_path / "out" / "report.json").read_text())["quality"]
    first = quality["look_at_first"][0]
    assert line.startswith(f"note: {quality['suspicious']} of 8 frames are doubtful; look at frame {first['index']} ")
    assert first["reasons"][0] in line
    assert "report.html shows them" in line
    assert line.endswith(f"covos open {tmp_path / 'out'}")
    asked = "Does each point, box or mask lie on its object"
    assert (asked in line) == (quality["suspicious"] > 0.8 * 8)
    monkeypatch.setattr("covos.cli.doubt._NEARLY_ALL", 1.0)
    assert run(clip, "-o", tmp_path / "out", *shown) == 0
    assert asked not in capsys.readouterr().err
    monkeypatch.setattr("covos.cli.doubt._NEARLY_ALL", 0.1)
    assert run(clip, "-o", tmp_path / "out", *shown) == 0
    line = capsys.readouterr().err.splitlines()[-1]
    assert asked in line
    assert run(clip, "-o", tmp_path / "out", *shown) == 0
    assert capsys.readouterr().err.splitlines()[-1] == line, "of a run that was done, too"
    assert run(clip, "-o", tmp_path / "x.mov", *shown) == 0
    assert "Run it again with --keep: a report shows them" in capsys.readouterr().err.splitlines()[-1]
    assert main(["convert", str(tmp_path / "out"), "-o", str(tmp_path / "x.webm")]) == 0
    line = capsys.readouterr().err.splitlines()[-1]
    assert line.endswith(f"covos open {tmp_path / 'out'}"), "mistakes are mended in the run that was converted"
    assert "--keep" not in line


def test_edges_that_have_removed_all_are_named(clip: Path, tmp_path: Path, capsys: Capture) -> None:
    shown = ("--box", "8,8,40,40")
    assert run(clip, "-o", tmp_path / "out", *shown) == 0
    capsys.readouterr()
    assert main(["convert", str(tmp_path / "out"), "-o", str(tmp_path / "x.webm"), "--shrink", "100"]) == 0
    line = capsys.readouterr().err.splitlines()[-1]
    assert line.startswith("note: no subject is left in any of 8 frames: none was found, or --shrink 100 removed it:")


def test_a_result_is_no_stream(clip: Path, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(clip, "-o", "-") == 2
    assert "covos stream" in capsys.readouterr().err
    assert not Path("-").exists()


def test_the_last_line_says_that_nothing_was_found(clip: Path, tmp_path: Path, capsys: Capture) -> None:
    assert run(clip, "-o", tmp_path / "x.mov", "--exclude-box", "0,0,64,48") == 0
    line = capsys.readouterr().err.splitlines()[-1]
    assert line.startswith("note: nothing was found in any of 8 frames, so no subject is in what is written.")
    assert "--point X,Y@FRAME" in line
    assert line.endswith(f"covos open {clip}")


def printed_command(capsys: Capture) -> list[str]:
    """Return the arguments of the command that an error's last line names."""
    fix = capsys.readouterr().err.splitlines()[-1]
    return shlex.split(fix[fix.index("covos convert ") :].partition(";")[0])[1:]


def test_a_run_of_another_part_names_the_way_to_another_format(clip: Path, tmp_path: Path, capsys: Capture) -> None:
    assert run(clip, "-o", tmp_path / "out", "--end", "f3", "-f", "palette") == 0
    (tmp_path / "out-coco").mkdir()  # this name is taken
    assert run(clip, "-o", tmp_path / "out", "-f", "coco") == 2
    command = printed_command(capsys)
    assert command == ["convert", str(tmp_path / "out"), "-f", "coco", "-o", f"{tmp_path / 'out-coco-2'}/"]
    assert main(command) == 0
    assert (tmp_path / "out-coco-2" / "coco.json").is_file()


@pytest.mark.parametrize(
    ("held", "part", "wanted"),
    [
        ([], ["--start", "0.08", "--end", "0.2"], [2, 3, 4]),
        (["--start", "0.04", "--end", "0.28"], ["--start", "0.08", "--end", "0.2"], [2, 3, 4]),
        (
            ["--start", "0.04", "--end", "0.28"],
            ["--start", "f1", "--end", "f6", "--every", "2", "--times", "source"],
            [1, 3, 5],
        ),
        (["--start", "f1", "--every", "2"], ["--start", "f3", "--end", "f8", "--every", "4"], [3, 7]),
        (["--end", "f6"], ["--end", "f6", "--times", "source"], [0, 1, 2, 3, 4, 5]),
    ],
)
def test_a_shorter_part_of_a_run_names_the_command_that_makes_it(
    clip: Path, tmp_path: Path, capsys: Capture, held: list[str], part: list[str], wanted: list[int]
) -> None:
    assert run(clip, "-o", tmp_path / "a run", *held, "-f", "palette") == 0
    assert run(clip, "-o", tmp_path / "a run", *part, "-f", "palette", "-f", "background") == 2
    command = printed_command(capsys)
    assert main(command) == 0
    report = load_report(tmp_path / "a run-part")
    assert [row.number for row in report.frames] == wanted
    assert report.settings["formats"] == ["palette", "background"]
    assert report.source.times == ("source" if "--times" in part else "zero")


@pytest.mark.parametrize("part", [["--end", "f8"], ["--start", "f3", "--end", "f7"], ["--start", "f2", "--end", "f5"]])
def test_a_part_of_which_a_run_lacks_frames_is_not_made_of_it(
    clip: Path, tmp_path: Path, capsys: Capture, part: list[str]
) -> None:
    assert run(clip, "-o", tmp_path / "out", "--start", "f1", "--end", "f6", "--every", "2", "-f", "palette") == 0
    capsys.readouterr()
    _, lines = refused(capsys, clip, "-o", tmp_path / "out", *part, "-f", "palette")
    assert lines[-1].strip().startswith("fix: go back to those")


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("mov", "for mov: prores, qtrle"),
        ("png", "for png: rgba, palette"),
        ("alpha", "for alpha: prores, webm"),
        ("mask", "for mask: palette"),
        ("tif", "for tif: tiff\n"),
        ("H264", "for mp4 files: background"),
        ("hevc", "for mp4 files: background"),
        ("dnxhr", "for dnxhr: prores\n"),
        ("jpg", "for jpg: rgba, cutout\n"),
        ("prorez", "did you mean prores?\n"),
    ],
)
def test_the_word_of_an_editor_leads_to_a_format(
    clip: Path, tmp_path: Path, capsys: Capture, word: str, meant: str
) -> None:
    assert run(clip, "-o", tmp_path / "out", "-f", word) == 2
    assert f"fix: {meant}" in capsys.readouterr().err


def test_the_overlay_keeps_times_and_sound(tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert run(EXAMPLE, "-o", out, "-f", "overlay", "-q") == 0
    assert not (out / "masks").exists()

    def content(path: Path) -> tuple[list[float], list[bytes], tuple[int, int]]:
        with av.open(str(path)) as opened:
            size = opened.streams.video[0].width, opened.streams.video[0].height
            times = [float(frame.time or 0) for frame in opened.decode(video=0)]
        with av.open(str(path)) as opened:
            return times, [bytes(packet) for packet in opened.demux(audio=0) if packet.size], size

    source, overlay = content(EXAMPLE), content(out / "overlay.mp4")
    np.testing.assert_allclose(overlay[0], source[0], atol=1e-4)
    assert overlay[1] == source[1]
    assert overlay[2] == source[2]


def test_the_report_says_what_was_done(clip: Path, tmp_path: Path) -> None:
    run(clip, "-o", tmp_path / "out", "--references", "3", "-q")
    report = load_report(tmp_path / "out")
    assert report.model.name == "covos-lite"
    assert len(report.model.sha256) == 64
    assert report.settings["references"] == 3
    assert report.health.decoded == report.totals.frames == len(report.frames) == 8
    assert report.outputs == ("masks", "overlay.mp4")
    assert report.problem is None
    assert [row.time for row in report.frames] == [index / 25 for index in range(8)]


def test_quiet_says_nothing(clip: Path, tmp_path: Path, capsys: Capture) -> None:
    assert run(clip, "-o", tmp_path / "out", "-q") == 0
    assert capsys.readouterr() == ("", "")


def test_an_image_and_a_folder_and_a_pattern(tmp_path: Path, capsys: Capture) -> None:
    frames = tmp_path / "shots"
    frames.mkdir()
    for index in range(3):
        Image.new("RGB", (50, 30), (40 * index, 90, 60)).save(frames / f"shot{index}.png")
    assert run(frames / "shot0.png", "-o", tmp_path / "one", "-q") == 0
    assert (tmp_path / "one" / "overlay.png").is_file()
    assert run(frames, "-o", tmp_path / "folder", "--frame-rate", "30000/1001", "-q") == 0
    assert run(f"{frames}/*.png", "-o", tmp_path / "pattern", "-q") == 0
    assert run(f"{frames}/shot%04d.png", "-o", tmp_path / "numbered", "-q") == 0
    for name in ("folder", "pattern", "numbered"):
        written = sorted(path.name for path in (tmp_path / name / "masks").iterdir())
        assert written == ["shot0.png", "shot1.png", "shot2.png"]
        assert check_output(tmp_path / name) == []
    assert load_report(tmp_path / "folder").source.frame_rate == Fraction(30000, 1001)


def test_several_inputs_get_a_subfolder_each_and_one_bad_one_stops_none(
    make_clip: MakeClip, tmp_path: Path, capsys: Capture
) -> None:
    first, second = make_clip("first.mp4"), make_clip("second.mkv", frames=5)
    broken = tmp_path / "broken.mp4"
    broken.write_text("no video")
    out = tmp_path / "out"
    assert run(first, broken, second, "-o", out) == 4
    err = capsys.readouterr().err
    assert "broken.mp4" in err
    assert "error: 1 of 3 inputs failed" in err
    assert sorted(path.name for path in out.iterdir()) == ["first", "second"]
    assert check_output(out / "first") == check_output(out / "second") == []


def test_inputs_that_would_share_a_folder_are_refused(make_clip: MakeClip, tmp_path: Path, capsys: Capture) -> None:
    one = make_clip("clip.mp4")
    other = tmp_path / "clip.mkv"
    other.write_bytes(one.read_bytes())
    code, lines = refused(capsys, one, other, "-o", tmp_path / "out")
    assert code == 2
    assert "would both go to" in lines[0]
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("missing.mp4", None, "missing.mp4"),
        ("empty.mp4", b"", "empty.mp4"),
        ("text.mp4", b"not a video at all\n" * 50, "text.mp4"),
        ("list.mp4", b"ffconcat version 1.0\nfile 'secret.mp4'\n", "list.mp4"),
    ],
)
def test_unreadable_files_are_refused(
    tmp_path: Path, capsys: Capture, name: str, content: bytes | None, reason: str
) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    code, lines = refused(capsys, path, "-o", tmp_path / "out")
    assert code == 3
    assert reason in lines[0]
    assert not (tmp_path / "out").exists()


def test_sound_alone_and_a_video_without_frames_are_refused(tmp_path: Path, capsys: Capture) -> None:
    sound = tmp_path / "sound.mp4"
    with av.open(str(sound), "w") as container:
        stream = container.add_stream("aac", rate=48000)
        frame = av.AudioFrame(format="fltp", layout="mono", samples=1024)
        frame.sample_rate = 48000
        for plane in frame.planes:
            plane.update(bytes(plane.buffer_size))
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    assert refused(capsys, sound, "-o", tmp_path / "out")[0] == 3
    nothing = tmp_path / "nothing.mkv"
    with av.open(str(nothing), "w") as container:
        video = container.add_stream("libx264", rate=25)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        container.start_encoding()
    assert refused(capsys, nothing, "-o", tmp_path / "out")[0] == 3
    assert not (tmp_path / "out").exists()


def test_a_folder_without_images_is_refused(tmp_path: Path, capsys: Capture) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "notes.txt").write_text("hello")
    code, lines = refused(capsys, folder, "-o", tmp_path / "out")
    assert code == 3
    assert "folder" in lines[0]


def test_a_clip_cut_in_the_middle_is_done_as_far_as_it_goes(
    make_clip: MakeClip, tmp_path: Path, capsys: Capture
) -> None:
    whole = make_clip("whole.mkv", frames=40)
    cut = tmp_path / "cut.mkv"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size * 6 // 10])
    assert run(cut, "-o", tmp_path / "out") == 4
    assert "warning" in capsys.readouterr().err
    report = load_report(tmp_path / "out")
    assert 0 < report.health.decoded < 40
    assert report.health.warnings
    assert check_output(tmp_path / "out") == []
    assert run(cut, "-o", tmp_path / "out", "-y", "--allow-errors") == 0
    mp4 = make_clip("whole.mp4", frames=40)  # its index stands at the end: cut, nothing of it can be read
    beheaded = tmp_path / "cut.mp4"
    beheaded.write_bytes(mp4.read_bytes()[: mp4.stat().st_size // 2])
    capsys.readouterr()
    assert refused(capsys, beheaded, "-o", tmp_path / "other")[0] == 3
    assert not (tmp_path / "other").exists()


def test_a_hole_in_a_clip_is_told_with_its_times(make_clip: MakeClip, tmp_path: Path, capsys: Capture) -> None:
    clip = make_clip("clip.ts", frames=40)
    data = bytearray(clip.read_bytes())
    middle = len(data) // 2
    data[middle : middle + len(data) // 5] = bytes(len(data) // 5)
    clip.write_bytes(data)
    assert run(clip, "-o", tmp_path / "out") == 4
    said = capsys.readouterr().err
    report = load_report(tmp_path / "out")
    assert report.missing
    assert len(report.missing) == report.health.missing
    assert len(report.frames) == report.health.decoded
    first = report.missing[0]
    assert report.frames[first.after].time < first.time < report.frames[first.after + 1].time
    assert "missing of" in said
    assert f"at {first.time:.2f}" in said
    assert check_output(tmp_path / "out") == []


def test_a_damaged_picture_of_a_folder_costs_one_mask(make_frames: Any, tmp_path: Path, capsys: Capture) -> None:
    folder = make_frames(8)
    path = sorted(folder.iterdir())[5]
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    assert run(folder, "-o", tmp_path / "out") == 4
    assert f"1 picture cannot be read: {path.name}" in capsys.readouterr().err
    assert [row.status for row in load_report(tmp_path / "out").frames] == ["ok"] * 5 + ["unreadable"] + ["ok"] * 2
    assert run(folder, "-o", tmp_path / "out", "--allow-errors") == 0
    path.write_bytes(whole)
    assert run(folder, "-o", tmp_path / "out") == 0
    assert load_report(tmp_path / "out").health.missing == 0


@pytest.fixture
def make_frames(tmp_path: Path) -> Callable[[int], Path]:
    def make(count: int) -> Path:
        folder = tmp_path / "frames"
        folder.mkdir()
        for index in range(count):
            image = np.random.default_rng(index).integers(0, 60, (48, 64, 3), dtype=np.uint8)
            image[12:28, 3 * index : 3 * index + 16] = (230, 200, 40)
            Image.fromarray(image).save(folder / f"{index}.png")
        return folder

    return make


def test_an_existing_output_is_kept_unless_asked(clip: Path, tmp_path: Path, capsys: Capture) -> None:
    out = tmp_path / "out"
    assert run(clip, "-o", out, "-q") == 0
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    assert run(clip, "-o", out) == 0
    assert "8 frames done already, -y starts anew" in capsys.readouterr().err
    code, lines = refused(capsys, clip, "-o", out, "--references", "3")
    assert code == 2
    assert "of other settings" in lines[0]
    assert "references: 5 before, 3 now" in lines[1]
    assert "covos convert" not in lines[2]
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before
    assert run(clip, "-o", out, "-f", "palette", "-f", "sheet=4") == 0
    assert "8 frames that were done, in " in capsys.readouterr().err
    assert (out / "sheet.png").exists()
    masks = [path for path in before if path.parent.name == "masks"]
    assert all(path.read_bytes() == before[path] for path in (*masks, out / "overlay.mp4"))
    (out / "mine.txt").write_text("keep me")
    assert run(clip, "-o", out, "-y", "-f", "palette", "-q") == 0
    assert (out / "mine.txt").read_text() == "keep me"
    assert not (out / "overlay.mp4").exists()
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    (foreign / "photo.png").write_text("precious")
    assert refused(capsys, clip, "-o", foreign, "-y")[0] == 2
    assert (foreign / "photo.png").read_text() == "precious"


@pytest.mark.parametrize(
    ("options", "code", "reason"),
    [
        (("-m", "covos-huge"), 2, "covos-huge"),
        (("-f", "bmp"), 2, "bmp"),
        (("--references", "-1"), 2, "references"),
        (("--references", "1000"), 2, "references"),
        (("--frame-rate", "fast"), 2, "frame-rate"),
        (("--frame-rate", "25"), 2, "frame rate"),
        (("--colour", "red"), 2, "colour"),
    ],
)
def test_wrong_options_are_refused(
    clip: Path, tmp_path: Path, capsys: Capture, options: tuple[str, ...], code: int, reason: str
) -> None:
    found, lines = refused(capsys, clip, "-o", tmp_path / "out", *options)
    assert found == code
    assert reason in " ".join(lines)
    assert not (tmp_path / "out").exists()


def test_a_device_that_is_not_there(clip: Path, tmp_path: Path, capsys: Capture) -> None:
    assert main(["segment", str(clip), "-o", str(tmp_path / "out"), "--device", "cuda:99"]) == 5
    assert "cuda:99" in capsys.readouterr().err
    assert main(["segment", str(clip), "-o", str(tmp_path / "out"), "--device", "abacus"]) == 2
    assert not (tmp_path / "out").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="signals as POSIX has them")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_run_leaves_whole_files_and_says_so(tmp_path: Path, number: int, code: int) -> None:
    from stopped import stopped  # it needs POSIX, too

    frames = tmp_path / "frames"
    frames.mkdir()
    with av.open(str(EXAMPLE)) as opened:
        for index, frame in enumerate(islice(opened.decode(video=0), 24)):
            frame.to_image(width=256, height=144).save(frames / f"{index:05}.jpg")
    out = tmp_path / "out"
    child = stopped("segment", frames, "-o", out, "--device", "cpu", record=7, number=number)
    assert child.end == "answered", child.answer
    ended, said = child.answer
    assert ended == code, said
    assert "Traceback" not in said
    *_, safe, end = said.splitlines()
    assert safe.endswith(f"frames are safe in {out}, the same command goes on from there")
    assert end == {130: "interrupted", 143: "terminated"}[code]
    assert int(safe.split()[0]) == len((out / "journal.jsonl").read_bytes().splitlines()) >= 5
    assert not (out / "overlay.mp4").exists()
    assert [path for path in out.rglob("*") if "partial" in path.name] == []
    report = json.loads((out / "report.json").read_text())
    assert report["problem"]["what"] == "interrupted"
    for mask in (out / "masks").iterdir():
        with Image.open(mask) as opened_mask:
            opened_mask.load()


def test_formats_with_values_and_a_word_on_large_ones(
    clip: Path, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("covos.formats.table._WORTH_SAYING", 1)
    out = tmp_path / "out"
    assert run(clip, "-o", out, "-f", "prores", "-f", "matte=16", "-f", "background=#ff0000") == 0
    err = capsys.readouterr().err
    assert "note: clip.mp4: prores will take about 12 kB" in err
    assert load_report(out).outputs == ("prores.mov", "matte", "background.mp4")
    assert load_report(out).settings["formats"] == ["prores", "matte=16", "background=#ff0000"]
    assert check_output(out) == []


@pytest.mark.parametrize(
    ("name", "said"), [("zzz", "'zzz'"), ("tif", "'tif'"), ("matte=9", "matte=9"), ("background=no.png", "no.png")]
)
def test_a_format_that_cannot_be_is_refused_before_anything_is_made(
    clip: Path, tmp_path: Path, capsys: Capture, name: str, said: str
) -> None:
    code, (what, _, fix) = refused(capsys, clip, "-o", tmp_path / "out", "-f", name)
    assert code == 2
    assert said in what
    assert not (tmp_path / "out").exists()
    if name == "zzz":  # nothing is near
        assert all(known in fix for known in FORMATS)
    if name == "tif":
        assert fix.endswith("tiff")
        assert "yolo" not in fix
