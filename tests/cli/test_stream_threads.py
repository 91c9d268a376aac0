"""``covos stream`` reads, finds and writes on a thread each: no frame and no error may be lost between."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from covos.cli import main
from covos.core.errors import EnvironmentProblem, UsageError
from covos.engines.live import Live
from covos.media.displayed import PictureReader
from covos.media.live_sink import LiveSink
from covos.media.live_video import LiveSource
from stub_model import bright_model

HEIGHT, WIDTH, RATE = 48, 64, Fraction(10)
RAW = ("--input-format", "rawvideo", "--size", f"{WIDTH}x{HEIGHT}", "--pixels", "gray", "--rate", "10")
OUT = ("--show", "mask", "--container", "rawvideo", "-q")
CHILD = """
import sys
from unittest import mock
sys.path.insert(0, sys.argv[1])
from stub_model import bright_model
from covos import cli
sys.argv[1:] = sys.argv[2:]
with mock.patch("covos.model.load_model", return_value=bright_model()):
    cli.run()
"""


@pytest.fixture
def bright(monkeypatch: pytest.MonkeyPatch) -> None:
    model = bright_model()
    monkeypatch.setattr("covos.model.load_model", lambda *_, **__: model)


def pictures(count: int) -> np.ndarray:
    """N x H x W uint8: a bright bar that moves on by a column a frame."""
    made = np.zeros((count, HEIGHT, WIDTH), np.uint8)
    for index in range(count):
        made[index, :, index : index + 20] = 255
    return made


def raw(folder: Path, content: bytes) -> str:
    file = folder / "in.raw"
    file.write_bytes(content)
    return str(file)


@pytest.mark.usefixtures("bright")
def test_every_frame_comes_once_and_in_order_as_if_pushed_by_one_thread(tmp_path: Path) -> None:
    frames, out = pictures(30), tmp_path / "out.raw"
    assert main(["stream", raw(tmp_path, frames.tobytes()), str(out), *RAW, *OUT]) == 0
    live = bright_model().live()
    pushed = [live.push(np.repeat(frame[..., None], 3, axis=-1)).labels for frame in frames]
    assert out.read_bytes() == (255 * (np.stack(pushed) > 0).astype(np.uint8)).tobytes()
    assert len({each.tobytes() for each in pushed}) == 30


@pytest.mark.usefixtures("bright")
def test_what_came_before_an_error_of_the_source_is_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    frames, out = pictures(4), tmp_path / "out.raw"
    assert main(["stream", raw(tmp_path, frames.tobytes()[:-9]), str(out), *RAW, *OUT]) == 3
    assert "broke off after 3 frames" in capsys.readouterr().err
    assert len(out.read_bytes()) == 3 * HEIGHT * WIDTH


def failing(error: Exception, *, at: int, after: Callable[..., object]) -> Callable[..., object]:
    """A function that fails at a call, and otherwise does what another one does."""
    calls = iter(range(1000))

    def called(*given: object, **named: object) -> object:
        if next(calls) == at:
            raise error
        return after(*given, **named)

    return called


@pytest.mark.usefixtures("bright")
def test_what_came_before_an_error_of_finding_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    error, out = UsageError("no finding", why="a test", fix="none"), tmp_path / "out.raw"
    monkeypatch.setattr(Live, "push", failing(error, at=5, after=Live.push))
    assert main(["stream", raw(tmp_path, pictures(30).tobytes()), str(out), *RAW, *OUT]) == 2
    assert "no finding" in capsys.readouterr().err
    assert len(out.read_bytes()) == 5 * HEIGHT * WIDTH


@pytest.mark.usefixtures("bright")
def test_an_error_of_writing_ends_what_reads_and_finds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    error, out = EnvironmentProblem("no writing", why="a test", fix="none"), tmp_path / "out.raw"
    monkeypatch.setattr(LiveSink, "write", failing(error, at=5, after=LiveSink.write))
    running = set(threading.enumerate())
    assert main(["stream", raw(tmp_path, pictures(30).tobytes()), str(out), *RAW, *OUT]) == 5
    assert "no writing" in capsys.readouterr().err
    assert set(threading.enumerate()) <= running
    assert len(out.read_bytes()) == 5 * HEIGHT * WIDTH


def test_one_frame_waits_and_no_more_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read, second, original = [], threading.Event(), PictureReader.read

    def counted(reader: PictureReader, *given: object, **named: object) -> object:
        read.append(len(read))
        if len(read) == 2:
            second.set()
        return original(reader, *given, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(PictureReader, "read", counted)
    place = raw(tmp_path, pictures(5).tobytes())
    with LiveSource(
        place, container="rawvideo", size=(HEIGHT, WIDTH), pixels="gray", frame_rate=Fraction(10)
    ) as source:
        frames = iter(source)
        next(frames)
        assert second.wait(20), "nothing is read ahead"
        threading.Event().wait(0.1)
        assert len(read) == 2
        assert len(list(frames)) == 4


def test_a_pipe_gives_a_frame_as_soon_as_it_is_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    reader, writer = os.pipe()
    with io.TextIOWrapper(os.fdopen(reader, "rb")) as stdin, os.fdopen(writer, "wb", buffering=0) as pipe:
        monkeypatch.setattr("sys.stdin", stdin)
        frames = pictures(3)
        pipe.write(frames.tobytes())  # less than a buffer of any kind holds, and the pipe stays open
        stuck = threading.Timer(20, pipe.close)  # so that the test fails, and does not hang
        stuck.start()
        source = LiveSource("-", container="rawvideo", size=(HEIGHT, WIDTH), pixels="gray", frame_rate=RATE)
        with source:
            taken = [next(frame).image[..., 0] for frame in [iter(source)] for _ in range(3)]
            assert not pipe.closed
            stuck.cancel()
            pipe.close()
        assert np.array_equal(taken, frames)


@pytest.mark.usefixtures("ctrl_c")
@pytest.mark.skipif(sys.platform == "win32", reason="signals as POSIX has them")
@pytest.mark.parametrize("container", ["rawvideo", "nut"])
def test_a_signal_while_a_frame_is_written_to_a_pipe_is_not_lost(
    monkeypatch: pytest.MonkeyPatch, container: str
) -> None:
    reader, writer = os.pipe()
    size = (512, 1024)  # more than a pipe holds

    def interrupt() -> None:
        with os.fdopen(reader, "rb", buffering=0) as pipe:
            pipe.read(1)
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
            while pipe.read(1 << 20):
                pass

    reading = threading.Thread(target=interrupt)
    with io.TextIOWrapper(os.fdopen(writer, "wb")) as stdout:
        monkeypatch.setattr("sys.stdout", stdout)
        sink = LiveSink("-", container=container, pixels="gray", size=size, frame_rate=RATE)
        reading.start()
        with pytest.raises(KeyboardInterrupt):
            sink.write(np.zeros(size, np.uint8), seconds=Fraction(0))
        sink.close()
    reading.join()


@contextmanager
def started(*options: str) -> Iterator[subprocess.Popen[bytes]]:
    """The command on a pipe that stays open, in a process of its own."""
    words = [sys.executable, "-c", CHILD, str(Path(__file__).parents[1]), "stream", "-", "-", *RAW, *OUT, *options]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    # Without a buffer of Python's, nothing would be kept back.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    with subprocess.Popen(words, bufsize=0, env=environment, **pipes) as process:  # type: ignore[call-overload]
        stuck = threading.Timer(90, process.kill)  # so that a test fails, and does not hang
        stuck.start()
        try:
            yield process
        finally:
            stuck.cancel()
            process.kill()


@pytest.fixture
def streaming() -> Iterator[subprocess.Popen[bytes]]:
    with started() as process:
        yield process


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="signals as POSIX has them")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_a_stream_of_which_nothing_more_comes(
    streaming: subprocess.Popen[bytes], number: int, code: int
) -> None:
    assert streaming.stdin is not None
    assert streaming.stdout is not None
    assert streaming.stderr is not None
    streaming.stdin.write(pictures(3).tobytes())
    masks = b""
    while len(masks) < 3 * HEIGHT * WIDTH:
        came = streaming.stdout.read(3 * HEIGHT * WIDTH)
        assert came, "it ended before the last mask"
        masks += came
    streaming.send_signal(number)
    assert streaming.wait(60) == code
    assert streaming.stdout.read() == b""
    assert streaming.stderr.read() == (b"interrupted\n" if code == 130 else b"terminated\n")


@pytest.fixture
def stalled() -> Iterator[subprocess.Popen[bytes]]:
    """The command in the midst of a frame that its pipe does not hold, whose reader reads no more."""
    height, width = 512, 1024
    with started("--size", f"{width}x{height}") as process:
        assert process.stdin is not None
        assert process.stdout is not None
        given = memoryview(np.full((height, width), 255, np.uint8)).cast("B")
        while given:
            given = given[process.stdin.write(given) or 0 :]
        assert process.stdout.read(1)
        yield process


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="signals as POSIX has them")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_a_stream_whose_reader_reads_no_more(
    stalled: subprocess.Popen[bytes], number: int, code: int
) -> None:
    assert stalled.stderr is not None
    stalled.send_signal(number)
    assert stalled.wait(60) == code
    assert stalled.stderr.read() == (b"interrupted\n" if code == 130 else b"terminated\n")


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="signals as POSIX has them")
def test_a_second_signal_ends_it_at_once(stalled: subprocess.Popen[bytes]) -> None:
    assert stalled.stderr is not None
    while stalled.poll() is None:
        stalled.send_signal(signal.SIGINT)
        time.sleep(0.1)
    assert stalled.returncode == -signal.SIGINT
    assert stalled.stderr.read() == b""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="pipes as POSIX has them")
def test_a_reader_that_is_gone_ends_a_stream_of_which_nothing_more_comes(streaming: subprocess.Popen[bytes]) -> None:
    assert streaming.stdin is not None
    assert streaming.stdout is not None
    assert streaming.stderr is not None
    streaming.stdin.write(pictures(1).tobytes())
    assert streaming.stdout.read(1)
    streaming.stdout.close()
    streaming.stdin.write(pictures(1).tobytes())
    assert streaming.wait(60) == 141
    assert streaming.stderr.read() == b""
