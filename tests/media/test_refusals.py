"""Whatever cannot be read is refused on opening, each for its own reason."""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image as Pillow
from PIL.WebPImagePlugin import WebPImageFile

from covos.core.errors import SourceError, UsageError
from covos.core.limits import Limits
from covos.media import webp
from covos.media.opening import open_source

Film = Callable[..., Path]
Draw = Callable[..., NDArray[np.uint8]]


def refusal(path: object) -> SourceError:
    with pytest.raises(SourceError) as caught:
        open_source(path)  # type: ignore[arg-type]
    error = caught.value
    assert str(path) in error.what
    assert all("\n" not in line and line for line in (error.what, error.why, error.fix))
    assert error.exit_code == 3
    return error


def sound_only(path: Path) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=48000)
        silence = av.AudioFrame.from_ndarray(np.zeros((2, 1024), np.float32), format="fltp", layout="stereo")
        silence.sample_rate = 48000
        container.mux(stream.encode(silence))
        container.mux(stream.encode(None))
    return path


def without_frames(path: Path) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, width=64, height=48)
        stream.pix_fmt = "yuv420p"
        container.start_encoding()
    return path


def test_every_reason_is_its_own(film: Film, tmp_path: Path) -> None:
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "notes.mp4").write_text("These are notes, not a film.\n" * 40)
    (tmp_path / "notes.TXT").write_text("These are notes.")
    (tmp_path / "noise.mp4").write_bytes(np.random.default_rng(0).bytes(4000))
    (tmp_path / "nothing").mkdir()
    half = film("half.mp4")
    half.write_bytes(half.read_bytes()[:2000])
    garbled = film("garbled.mov", codec="png", pix_fmt="rgb24", count=3)
    garbled.write_bytes(garbled.read_bytes().replace(b"\x89PNG", b"XXXX"))
    (tmp_path / "list.mp4").write_text("ffconcat version 1.0\nfile garbled.mov\n")
    reasons = {
        name: refusal(tmp_path / name)
        for name in (
            *("missing.mp4", "empty.mp4", "notes.mp4", "notes.TXT", "noise.mp4", "nothing", "half.mp4", "garbled.mov"),
            *("list.mp4", "none/*.jpg"),
        )
    }
    reasons["sound"] = refusal(sound_only(tmp_path / "sound.m4a"))
    reasons["no stream"] = refusal(without_frames(tmp_path / "void.mp4"))
    reasons["no frames"] = refusal(without_frames(tmp_path / "void.avi"))
    reasons["header only"] = refusal(without_frames(tmp_path / "void.mkv"))
    endings = [error.what.split(": ", 1)[1] for error in reasons.values()]
    assert len(set(endings)) == len(endings), endings
    assert reasons["missing.mp4"].what.endswith("no such file or folder")
    assert "0 bytes" in reasons["empty.mp4"].why
    assert reasons["notes.mp4"].what.endswith("it is a text file, whatever its name says")
    assert reasons["notes.TXT"].what.endswith("it is a text file")
    assert reasons["notes.TXT"].fix == "give a video or an image"
    assert "moov" in reasons["half.mp4"].why
    assert "sound only" in reasons["sound"].what
    assert "3 frames can be decoded" in reasons["garbled.mov"].what


@pytest.mark.parametrize(
    "text",
    [
        "ffconcat version 1.0\nfile secret.mp4\n",
        "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\nsecret.ts\n#EXT-X-ENDLIST\n",
        "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 1234 RTP/AVP 96\n",
        '<?xml version="1.0"?>\n<MPD xmlns="urn:mpeg:dash:schema:mpd:2011"></MPD>\n',
        "\ufeff\n#EXTM3U\nsecret.mp4\n",
    ],
    ids=["ffconcat", "hls", "sdp", "dash", "with a byte order mark"],
)
@pytest.mark.parametrize("name", ["list.mp4", "list.m3u8", "list.sdp", "list.ffconcat"])
def test_playlists_are_not_opened(film: Film, tmp_path: Path, text: str, name: str) -> None:
    film("secret.mp4", count=2)
    film("secret.ts", count=2)
    (tmp_path / name).write_text(text)
    assert "playlist" in refusal(tmp_path / name).what


def test_cover_art_is_not_a_video(tmp_path: Path, draw: Draw) -> None:
    path = tmp_path / "song.m4a"
    with av.open(str(path), "w", format="mp4") as container:
        voice = container.add_stream("aac", rate=48000)
        cover = container.add_stream("png", rate=25, width=64, height=48)
        cover.pix_fmt, cover.disposition = "rgb24", 1 << 10  # attached picture
        container.mux(cover.encode(av.VideoFrame.from_ndarray(draw(0), format="rgb24")))
        container.mux(cover.encode(None))
        silence = av.AudioFrame.from_ndarray(np.zeros((2, 1024), np.float32), format="fltp", layout="stereo")
        silence.sample_rate = 48000
        container.mux(voice.encode(silence))
        container.mux(voice.encode(None))
    assert "sound only" in refusal(path).what


def test_folders_say_what_they_hold(film: Film, tmp_path: Path, draw: Draw) -> None:
    assert "it holds nothing" in refusal_of_folder(tmp_path / "a", {}).why
    error = refusal_of_folder(tmp_path / "b", {"x.txt": b"", "y.txt": b"", ".hidden.jpg": b"", "README": b""})
    assert "2 .txt" in error.why
    assert "hidden" not in error.why
    shots = tmp_path / "c" / "shots"
    shots.mkdir(parents=True)
    Pillow.fromarray(draw(0)).save(shots / "0.png")
    assert str(shots) in refusal(tmp_path / "c").fix


def refusal_of_folder(folder: Path, files: dict[str, bytes]) -> SourceError:
    folder.mkdir()
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return refusal(folder)


def test_a_pattern_of_other_files_says_so(film: Film, tmp_path: Path) -> None:
    film("a.mp4", count=1)
    error = refusal(tmp_path / "*.mp4")
    assert "1 .mp4" in error.why


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "gif"])
def test_large_frames_are_refused_before_decoding(film: Film, limited: Callable[..., Limits], suffix: str) -> None:
    codec, pix_fmt = ("gif", "rgb8") if suffix == "gif" else ("libx264", "yuv420p")
    path = film(f"film.{suffix}", codec=codec, pix_fmt=pix_fmt, count=2)
    assert open_source(path).info.frame_count == 2
    limited(pixels=64 * 48 - 1)
    error = refusal(path)
    assert "3071 pixels" in error.why


@pytest.mark.parametrize("codec", ["png", "ffv1"])
def test_large_frames_are_refused_even_where_probing_would_decode_them(
    film: Film, limited: Callable[..., Limits], codec: str
) -> None:
    path = film(
        "film.mov" if codec == "png" else "film.mkv",
        codec=codec,
        pix_fmt="rgb24" if codec == "png" else "yuv420p",
        count=2,
    )
    limited(pixels=1000)
    assert "1000 pixels" in refusal(path).why


def test_frames_that_grow_beyond_the_limit_are_not_decoded(
    film: Film, tmp_path: Path, limited: Callable[..., Limits]
) -> None:
    path = tmp_path / "grows.h264"
    parts = [film("a.h264", count=10), film("b.h264", count=10, size=(640, 640))]
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    limited(pixels=640 * 640 - 1)
    with open_source(path) as source:
        assert 0 < len(list(source)) <= 10
        assert source.health.missing >= 10


@pytest.mark.parametrize("action", ["error", "ignore"])
def test_an_image_bomb_is_refused(tmp_path: Path, action: str, recwarn: pytest.WarningsRecorder) -> None:
    path = tmp_path / "bomb.png"
    Pillow.new("1", (12_000, 12_000)).save(path)
    assert path.stat().st_size < 100_000
    error = refusal(path)
    assert "144000000 pixels" in error.why or "12000x12000" in error.what


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no named pipes")
def test_a_pipe_is_refused_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.mp4")
    assert "regular file" in refusal(tmp_path / "pipe.mp4").what


def test_an_address_is_not_opened() -> None:
    refused = refusal("https://example.org/film.mp4")
    assert "URLs are not opened" in refused.what
    assert "download it first" in refused.fix


@pytest.mark.parametrize("rate", [0, -1])
def test_a_frame_rate_must_be_positive(tmp_path: Path, rate: int) -> None:
    with pytest.raises(UsageError):
        open_source(tmp_path, frame_rate=rate)


def test_a_frame_rate_is_refused_where_it_would_be_ignored(film: Film) -> None:
    with pytest.raises(UsageError, match="frame rate"):
        open_source(film(count=2), frame_rate=30)


@pytest.mark.parametrize(
    "head", [b"GIF89a", b"FLV\x01\x01", b"DKIF\0\0", b"RIFF", b"OggS\0", b"nut/", b"\x1a\x45\xdf\xa3"]
)
def test_a_file_that_ends_within_its_header(tmp_path: Path, head: bytes) -> None:
    path = tmp_path / "film.bin"
    path.write_bytes(head)
    with pytest.raises(SourceError):
        open_source(path)


@pytest.mark.parametrize(
    ("head", "said"),
    [
        (b"\0\0\0\0\x01\xbc\0\0\0\0\xe1\xe2", "GXF"),
        (b"FWS\x05", "Flash"),
        (b"\0\0\1\0\1\0", "icon"),
        (b"8BPS\0\1", "Photoshop"),
    ],
)
def test_kinds_that_are_not_read_are_named(tmp_path: Path, head: bytes, said: str) -> None:
    (tmp_path / "a.bin").write_bytes(head + bytes(range(256)) * 8)
    error = refusal(tmp_path / "a.bin")
    assert said in error.what
    assert "not read" in error.what


def test_a_png_with_a_text_that_swells_says_so(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    Pillow.new("RGB", (8, 8)).save(path)
    content, text = path.read_bytes(), b"zTXtk\0\0" + zlib.compress(bytes(80 << 20), 9)
    chunk = struct.pack(">I", len(text) - 4) + text + struct.pack(">I", zlib.crc32(text))
    path.write_bytes(content[:33] + chunk + content[33:])
    error = refusal(path)
    assert "image cannot be read" in error.what
    assert "too large" in error.why


def test_an_encrypted_film_is_refused(film: Film) -> None:
    key = "00112233445566778899aabbccddeeff"
    path = film(
        "film.mp4",
        container_options={"encryption_scheme": "cenc-aes-ctr", "encryption_key": key, "encryption_kid": key},
    )
    assert "encrypted" in refusal(path).what


def animation(path: Path, *, frames: int = 4, canvas: tuple[int, int] | None = None) -> Path:
    """Write an animated WebP of small frames, whose header may state another canvas."""
    pictures = [Pillow.new("RGB", (8, 8), (40 * number, 0, 0)) for number in range(frames)]
    pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=100, lossless=True)
    if canvas is not None:
        content = bytearray(path.read_bytes())
        content[24:30] = b"".join((side - 1).to_bytes(3, "little") for side in canvas)
        path.write_bytes(content)
    return path


def test_an_animation_on_a_vast_canvas_is_refused_undecoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webp, "_decodes", lambda *_: pytest.fail("a frame was decoded"))
    assert "frames are 10000x10000 pixels" in refusal(animation(tmp_path / "a.webp", canvas=(10_000, 10_000))).what


def test_an_animation_of_too_many_frames_is_refused_undecoded(
    tmp_path: Path, limited: Callable[..., Limits], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webp, "_decodes", lambda *_: pytest.fail("a frame was decoded"))
    path = animation(tmp_path / "a.webp", frames=5)
    path.write_bytes(path.read_bytes()[:-2])  # torn, so that each frame would be looked at
    limited(frames=4)
    assert "more than 4 frames" in refusal(path).what


def test_frames_of_a_torn_animation_are_decoded_in_their_own_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[tuple[int, int]] = []
    load = WebPImageFile.load

    def loaded(image: WebPImageFile) -> object:
        sizes.append(image.size)
        return load(image)

    path = animation(tmp_path / "a.webp", canvas=(4000, 4000))
    path.write_bytes(path.read_bytes()[:-2])
    monkeypatch.setattr(WebPImageFile, "load", loaded)
    assert webp.read_frames(path.read_bytes(), name="a.webp").kept == (0, 1, 2)
    assert sizes == [(8, 8)] * 3


def test_a_closed_folder_is_told_from_a_name_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "in" / "film.mp4"

    def closed(self: Path, **_: object) -> os.stat_result:
        raise PermissionError(13, "Permission denied", str(self))

    assert refusal(path).why == "nothing has this name"
    monkeypatch.setattr(Path, "stat", closed)
    monkeypatch.setattr(Path, "lstat", closed)
    assert "permission denied" in refusal(path).why


def test_a_file_that_vanishes_after_it_was_opened_is_a_source_that_cannot_be_read(film: Film) -> None:
    path = film("film.mp4", count=3)
    source = open_source(path)
    path.unlink()
    with pytest.raises(SourceError, match="cannot be read") as caught:
        next(iter(source))
    assert (caught.value.why, caught.value.fix) == (
        "there is no such file",
        "check the disk or network that it is on",
    )


def test_a_name_that_no_system_takes_is_not_there() -> None:
    for name in ("a\0b", "a\0b/%d.png"):
        assert refusal(name).why == "nothing has this name"


@pytest.mark.parametrize(("magic", "suffix"), [(b"SDPX", ".dpx"), (b"XPDS", ".dpx"), (b"\x80\x2a\x5f\xd7", ".cin")])
def test_pictures_of_film_are_refused_with_kinds_that_keep_their_bits(
    tmp_path: Path, magic: bytes, suffix: str
) -> None:
    for number in (1, 2):
        (tmp_path / f"shot.{number}{suffix}").write_bytes(magic + bytes(2048))
    for what in (tmp_path, tmp_path / f"shot.1{suffix}", tmp_path / f"shot.*{suffix}"):
        with pytest.raises(SourceError) as refused:
            open_source(what)
        assert "TIFF or PNG of 16 bits, or to OpenEXR" in refused.value.fix
