"""``covos stream``: pipes in and out, a frame at a time."""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from fractions import Fraction
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from PIL import Image

from covos.cli import main
from covos.cli.stream import _percentile
from covos.core.errors import EnvironmentProblem, UsageError
from covos.masks import write_label_map
from covos.media.live_sink import LiveSink, codec_of, container_of
from covos.media.live_video import LiveSource

SIZE = (48, 64)


def decoded(file: Path) -> list[av.VideoFrame]:
    with av.open(str(file)) as container:
        return list(container.decode(video=0))


@pytest.mark.slow
def test_pixels_go_through_a_pipe(tmp_path: Path) -> None:
    frames = np.random.default_rng(0).integers(0, 255, (3, *SIZE, 3), dtype=np.uint8)
    command = [sys.executable, "-m", "covos", "stream", "-", "-", "--input-format", "rawvideo", "--pixels", "rgb24"]
    command += ["--size", "64x48", "--rate", "10", "--show", "mask", "--container", "rawvideo", "--device", "cpu"]
    done = subprocess.run(command, input=frames.tobytes(), capture_output=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    masks = np.frombuffer(done.stdout, np.uint8)
    assert masks.size == 3 * SIZE[0] * SIZE[1]
    assert set(np.unique(masks)) <= {0, 255}
    assert b"3 frames in" in done.stderr


def test_edges_and_a_matte_are_in_what_is_written(make_clip, tmp_path: Path) -> None:
    clip = make_clip("clip.mp4", frames=3)
    mask = np.zeros((48, 64), np.uint8)
    mask[12:36, 16:44] = 1
    write_label_map(tmp_path / "mask.png", mask)
    alphas = {}
    for name, words in {"plain": (), "shrunk": ("--shrink", "4"), "soft": ("--matte", "--feather", "8")}.items():
        out = tmp_path / f"{name}.mkv"
        command = ["stream", str(clip), str(out), "--show", "rgba", "--mask", str(tmp_path / "mask.png"), *words]
        assert main([*command, "--device", "cpu", "--precision", "fp32", "-q"]) == 0
        alphas[name] = decoded(out)[0].reformat(format="rgba").to_ndarray()[..., 3].astype(int)
    assert (alphas["shrunk"] > 127).sum() < 0.8 * (alphas["plain"] > 127).sum()
    assert ((alphas["soft"] > 20) & (alphas["soft"] < 235)).sum() > 1.5 * (
        (alphas["plain"] > 20) & (alphas["plain"] < 235)
    ).sum()


def test_a_painted_mask_is_cut_at_half_and_a_note_says_so(make_clip, tmp_path: Path, capsys) -> None:
    painted = np.zeros((48, 64), np.uint8)
    cv2.ellipse(painted, (30, 22), (14, 11), 0, 0, 360, 255, -1, cv2.LINE_AA)
    labels = (painted >= 128).astype(np.uint8)
    outs = []
    for name, pixels in {"hard.png": labels * 255, "soft.png": painted}.items():
        Image.fromarray(pixels).save(tmp_path / name)
        outs.append(tmp_path / f"{name}.mkv")
        command = ["stream", str(make_clip("clip.mp4", frames=2)), str(outs[-1]), "--show", "mask", "--device", "cpu"]
        assert main([*command, "--mask", str(tmp_path / name)]) == 0
        assert (f"note: {tmp_path / name}: its edge" in capsys.readouterr().err) == (name == "soft.png")
    for hard, soft in zip(*map(decoded, outs), strict=True):
        np.testing.assert_array_equal(hard.to_ndarray(), soft.to_ndarray())


def test_a_file_becomes_a_video_of_the_same_times(make_clip, tmp_path: Path) -> None:
    clip = make_clip("clip.mp4", frames=5, rate=10)
    out = tmp_path / "out.mkv"
    command = ["stream", str(clip), str(out), "--show", "rgba", "--device", "cpu", "-q"]
    assert main(command) == 0
    found = decoded(out)
    assert [round(float(frame.time), 3) for frame in found] == [0, 0.1, 0.2, 0.3, 0.4]
    assert found[0].format.name == "bgra"
    part = ["--start", "f1", "--end", "0.4", "--every", "2"]
    assert main(["stream", str(clip), str(tmp_path / "part.mkv"), *part, "--device", "cpu", "-q"]) == 0
    assert [round(float(frame.time), 3) for frame in decoded(tmp_path / "part.mkv")] == [0, 0.2]
    assert main(command) == 2  # it is there already
    assert main([*command, "-y"]) == 0


class Quiet(SimpleHTTPRequestHandler):
    """Serves files, and says nothing."""

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    """Where a server on this machine has the files of ``tmp_path``."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(tmp_path))) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_a_video_comes_over_the_network_and_the_end_tells_how_long_its_frames_took(
    make_clip, tmp_path: Path, url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    make_clip("clip.mkv", frames=5, rate=10)
    out = tmp_path / "out.mkv"
    assert main(["stream", f"{url}/clip.mkv", str(out), "--no-drop", "--device", "cpu"]) == 0
    assert len(decoded(out)) == 5
    told = re.search(
        r"5 frames in .* s, 0 dropped; from a frame to its mask (\d+) ms \(median\), (\d+) ms or less for 95 % of the "
        r"frames, (\d+) ms or less for 99 %",
        capsys.readouterr().err,
    )
    assert told is not None
    median, late, latest = map(int, told.groups())
    assert 0 < median <= late <= latest


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("gone.mp4", "out.mkv"), 3),
        (("clip.mp4", "out.mkv", "--start", "9"), 3),
        (("clip.mp4", "out.mp4"), 2),
        (("clip.mp4", "out.ts", "--show", "rgba"), 2),
        (("clip.mp4", "out.mkv", "--container", "avi"), 2),
        (("-", "out.mkv", "--input-format", "rawvideo"), 2),
        (("-", "out.mkv", "--input-format", "rawvideo", "--size", "64x48", "--rate", "5"), 2),
        (("clip.mp4", "out.mkv", "--pixels", "rbg24"), 2),
        (("clip.mp4", "out.mkv", "--size", "wide"), 2),
        (("clip.mp4", "out.mkv", "--rate", "0"), 2),
        (("clip.mp4", "out.mkv", "--matte"), 2),
        (("clip.mp4", "out.mkv", "--show", "mask", "--feather", "3"), 2),
        (("clip.mp4", "out.mkv", "--grow", "much"), 2),
    ],
)
def test_wrong_uses_are_refused_in_words(
    make_clip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], code: int
) -> None:
    make_clip("clip.mp4", frames=2)
    monkeypatch.chdir(tmp_path)
    assert main(["stream", *arguments, "--device", "cpu"]) == code
    assert not list(tmp_path.glob("out*"))


@pytest.mark.parametrize(
    ("container", "pixels"), [("nut", "rgba"), ("nut", "gray"), ("matroska", "rgba"), ("y4m", "gray")]
)
def test_what_is_written_is_read_back(tmp_path: Path, container: str, pixels: str) -> None:
    channels = {"gray": (), "rgba": (4,)}[pixels]
    images = np.random.default_rng(0).integers(0, 255, (2, *SIZE, *channels), dtype=np.uint8)
    file = tmp_path / "out"
    with LiveSink(str(file), container=container, pixels=pixels, size=SIZE, frame_rate=Fraction(25)) as sink:  # type: ignore[arg-type]
        for index, image in enumerate(images):
            sink.write(image, seconds=Fraction(index, 25))
    found = [frame.to_ndarray(format=pixels) for frame in decoded(file)]
    assert np.array_equal(found, images)
    assert [frame.time for frame in decoded(file)] == [0, 0.04]


@pytest.mark.parametrize(
    ("container", "pixels", "behind"),
    [
        # Matroska's muxer ends a cluster when the next one begins: it is a frame behind.
        *(("matroska", pixels, 1) for pixels in ("gray", "rgb24", "rgba")),
        *(("nut", pixels, 0) for pixels in ("gray", "rgb24", "rgba")),
        ("mpegts", "gray", 0),
        ("mpegts", "rgb24", 0),
        ("flv", "rgb24", 0),
        ("y4m", "rgb24", 0),
    ],
)
def test_a_reader_of_a_pipe_has_each_frame_before_the_next_but_one_comes(
    monkeypatch: pytest.MonkeyPatch, container: str, pixels: str, behind: int
) -> None:
    channels = {"gray": (), "rgb24": (3,), "rgba": (4,)}[pixels]
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    noise, came = np.random.default_rng(0), b""
    with io.TextIOWrapper(os.fdopen(writer, "wb")) as stdout, os.fdopen(reader, "rb", buffering=0) as pipe:
        monkeypatch.setattr("sys.stdout", stdout)
        sink = LiveSink("-", container=container, pixels=pixels, size=SIZE, frame_rate=Fraction(25))  # type: ignore[arg-type]
        for index in range(5):
            image = noise.integers(0, 255, (*SIZE, *channels), dtype=np.uint8)
            sink.write(image, seconds=Fraction(index, 25))
            came += pipe.read() or b""
            if index >= behind:
                with av.open(io.BytesIO(came)) as found:
                    assert len(list(found.decode(video=0))) == index + 1 - behind
        sink.close()
        came += pipe.read() or b""
    with av.open(io.BytesIO(came)) as found:
        assert len(list(found.decode(video=0))) == 5


@pytest.mark.parametrize(("size", "matrix"), [((48, 64), 6), ((720, 1280), 1)])
def test_colours_are_tagged_and_come_back(tmp_path: Path, size: tuple[int, int], matrix: int) -> None:
    red = np.full((*size, 3), (200, 30, 60), np.uint8)
    with LiveSink(str(tmp_path / "c.mkv"), container=None, pixels="rgb24", size=size, frame_rate=Fraction(25)) as sink:
        sink.write(red, seconds=Fraction(0))
    found = decoded(tmp_path / "c.mkv")[0]
    assert (found.color_primaries, found.color_trc, found.colorspace, found.color_range) == (1, 1, matrix, 1)
    converted = found.reformat(format="rgb24", src_colorspace=matrix).to_ndarray()
    assert np.abs(converted.astype(int) - red).max() < 6


def test_odd_sizes_are_filled_up_where_the_codec_needs_it(tmp_path: Path) -> None:
    with LiveSink(
        str(tmp_path / "o.mkv"), container=None, pixels="rgb24", size=(31, 33), frame_rate=Fraction(25)
    ) as sink:
        sink.write(np.zeros((31, 33, 3), np.uint8), seconds=Fraction(0))
    assert (decoded(tmp_path / "o.mkv")[0].height, decoded(tmp_path / "o.mkv")[0].width) == (32, 34)


def test_containers_are_told_by_the_name() -> None:
    assert container_of("-") == "matroska"
    assert container_of("rtmp://host/app") == "flv"
    assert container_of("x.TS") == "mpegts"
    for wrong in ("x.mp4", "x"):
        with pytest.raises(UsageError):
            container_of(wrong)
    with pytest.raises(UsageError, match="alpha"):
        codec_of("mpegts", "rgba")


def test_frames_that_come_too_fast_are_dropped_and_counted(make_clip) -> None:
    clip = make_clip("clip.mp4", frames=30)
    with LiveSource(str(clip), newest=True) as source:
        taken = []
        for frame in source:
            taken.append(frame.seconds)
            time.sleep(0.05)
        assert source.dropped == 30 - len(taken) > 0
    assert taken == sorted(taken)


def test_no_place_to_write_is_told(tmp_path: Path) -> None:
    place = str(tmp_path / "gone" / "o.mkv")
    sink = LiveSink(place, container=None, pixels="gray", size=SIZE, frame_rate=Fraction(25))
    with pytest.raises(EnvironmentProblem, match="cannot be written"):
        sink.write(np.zeros(SIZE, np.uint8), seconds=Fraction(0))
    sink.close()


def test_frames_that_are_lost_on_the_way_are_told(make_clip, tmp_path: Path, capsys) -> None:
    clip = make_clip("clip.ts", frames=16)
    content = clip.read_bytes()
    middle = len(content) // 188 // 2 * 188
    clip.write_bytes(content[:middle] + content[middle + 4 * 188 :])
    assert main(["stream", str(clip), str(tmp_path / "out.mkv"), "--device", "cpu"]) == 4
    assert "damaged" in capsys.readouterr().err
    assert decoded(tmp_path / "out.mkv")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "the pipe cannot be opened"),
        (b"a text, not a film\n" * 99, "no video of a kind that is known"),
        (b"ffconcat version 1.0\nfile a.mp4\n", "of a kind that is not read"),
    ],
)
def test_what_comes_through_a_pipe_and_is_no_video(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, content: bytes, said: str
) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(content)))
    assert main(["stream", "-", str(tmp_path / "out.mkv"), "--device", "cpu"]) == 3
    assert said in capsys.readouterr().err


def test_pictures_are_sent_to_the_other_verb(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Image.fromarray(np.zeros((*SIZE, 3), np.uint8)).save(tmp_path / "a.png")
    for source in (tmp_path / "a.png", tmp_path):
        assert main(["stream", str(source), str(tmp_path / "out.mkv"), "--device", "cpu"]) == 3
        assert "covos segment reads" in capsys.readouterr().err


def test_times_finer_than_the_container_stay_apart(tmp_path: Path) -> None:
    with LiveSink(
        str(tmp_path / "out.mkv"), container=None, pixels="gray", size=SIZE, frame_rate=Fraction(10**6)
    ) as sink:
        for index in range(4):
            sink.write(np.zeros(SIZE, np.uint8), seconds=Fraction(index, 10**6))
    times = [frame.time for frame in decoded(tmp_path / "out.mkv")]
    assert len(set(times)) == 4


@pytest.mark.parametrize("suffix", ["mkv", "ts", "nut"])
def test_times_are_not_rounded_to_the_rate(tmp_path: Path, suffix: str) -> None:
    uneven = [0, 33, 50, 61, 200, 210, 1000, 1003]
    out = tmp_path / f"out.{suffix}"
    with LiveSink(str(out), container=None, pixels="gray", size=SIZE, frame_rate=Fraction(25)) as sink:
        for each in uneven:
            sink.write(np.zeros(SIZE, np.uint8), seconds=Fraction(each, 1000))
    times = [round(1000 * float(frame.time)) for frame in decoded(out)]
    assert [each - times[0] for each in times] == uneven


@pytest.mark.parametrize(
    ("counts", "found"),
    [({7: 1}, (7, 7, 7)), ({5: 50, 9: 50}, (5, 9, 9)), ({10: 95, 20: 4, 300: 1}, (10, 10, 20)), ({3: 1}, (3, 3, 3))],
)
def test_latencies_are_told_by_how_many_do_not_exceed_them(counts: dict[int, int], found: tuple[int, ...]) -> None:
    assert tuple(_percentile(Counter(counts), share) for share in (0.5, 0.95, 0.99)) == found
