"""Every kind of video that can be written: its pixels, times, pixel aspect and sound, read back by PyAV alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray

from covos.core.errors import UsageError
from covos.core.types import Tags
from covos.media.opening import open_source
from covos.media.presets import FFV1, FFV1_OPAQUE, H264, PRORES_422, PRORES_4444, QTRLE, VP9_ALPHA, Preset
from covos.media.writer import VideoWriter
from rewritten import rewritten

Film = Callable[..., Path]
Draw = Callable[..., NDArray[np.uint8]]
MS = Fraction(1, 1000)
UNEVEN = [0, 40, 41, 100, 400, 1000, 1017, 2500]
ALL = [H264, VP9_ALPHA, PRORES_4444, QTRLE, FFV1]
ALPHA = ALL[1:]
LOSSLESS = [QTRLE, FFV1]

each = pytest.mark.parametrize("preset", ALL, ids=lambda preset: preset.codec)


def pictures(path: Path) -> Iterator[tuple[Fraction, NDArray[np.uint8]]]:
    """Time and RGBA of each frame; FFmpeg's own VP9 decoder leaves alpha out, libvpx does not."""
    reformatter = VideoReformatter()
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        decoder: Any = stream
        if stream.codec_context.name == "vp9":
            decoder = av.CodecContext.create("libvpx-vp9", "r")
        for packet in container.demux(stream):
            for frame in decoder.decode(packet if packet.size else None):
                matrix = {"src_colorspace": frame.colorspace} if "yuv" in frame.format.name else {}
                yield (
                    frame.pts * stream.time_base,
                    reformatter.reformat(frame, format="rgba", threads=1, **matrix).to_ndarray(),
                )


def frame_of(preset: Preset, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The picture with a ramp of alpha, where the preset has alpha."""
    height, width = image.shape[:2]
    alpha = np.broadcast_to(np.linspace(0, 255, width).astype(np.uint8), (height, width))
    return np.dstack([image, alpha]) if preset.has_alpha else image


@pytest.fixture
def write(tmp_path: Path, draw: Draw) -> Callable[..., tuple[VideoWriter, Path, list[NDArray[np.uint8]]]]:
    def run(preset: Preset, pts: list[int], *, size: tuple[int, int] = (48, 64), base: Fraction = MS, **settings: Any):
        path = tmp_path / f"out{preset.suffix}"
        written = [frame_of(preset, draw(index, size)) for index in range(len(pts))]
        settings = {"frame_rate": Fraction(25)} | settings
        with VideoWriter(path, height=size[0], width=size[1], time_base=base, preset=preset, **settings) as writer:
            for time, image in zip(pts, written, strict=True):
                writer.write(image, pts=time)
        return writer, path, written

    return run


@each
@pytest.mark.parametrize("size", [(48, 64), (47, 63), (1, 1), (16, 300)])
def test_pictures_and_alpha_come_back(write, preset: Preset, size: tuple[int, int]) -> None:
    writer, path, written = write(preset, UNEVEN, size=size)
    found = list(pictures(path))
    assert len(found) == len(written)
    assert writer.padding == ((size[0] % 2, size[1] % 2) if preset is H264 else (0, 0))
    for (_, image), expected in zip(found, written, strict=True):
        assert image.shape[:2] == (size[0] + writer.padding[0], size[1] + writer.padding[1])
        inside = image[: size[0], : size[1], : expected.shape[2]].astype(int)
        if preset in LOSSLESS:
            np.testing.assert_array_equal(inside, expected)
            continue
        error = np.abs(inside - expected)
        assert error[..., :3].mean() < (1 if preset is PRORES_4444 else 12)
        if preset.has_alpha:
            assert error[..., 3].max() <= (1 if preset is PRORES_4444 else 8)
            assert (inside[..., 3][:, 0] <= 1).all()


@pytest.mark.parametrize("size", [(47, 64), (47, 63), (16, 33), (17, 849)])
def test_prores_422_takes_any_size_and_its_last_column_has_its_own_colour(
    tmp_path: Path, size: tuple[int, int]
) -> None:
    height, width = size
    image = np.full((height, width, 3), (30, 60, 200), np.uint8)
    image[:, -1 - (1 - width % 2) :] = 220, 40, 30  # two columns share a colour
    path = tmp_path / "out.mov"
    with VideoWriter(
        path, height=height, width=width, time_base=MS, frame_rate=Fraction(25), preset=PRORES_422
    ) as writer:
        for index in range(3):
            writer.write(image, pts=40 * index)
    assert writer.padding == (0, 0)
    with av.open(str(path)) as video:
        stream = video.streams.video[0]
        assert (stream.codec_context.width, stream.codec_context.height) == (width, height)
        # The container and each frame say the same.
        assert [bytes(each)[16:18] for each in video.demux(stream) if each.size] == [width.to_bytes(2, "big")] * 3
        video.seek(0)
        frames = [*video.decode(stream)]
    assert [frame.pts * frame.time_base for frame in frames] == [Fraction(each, 25) for each in range(3)]
    # As coded: programs that bring half as many colours to an odd width smear them in different ways.
    for frame in frames:
        luma, blue, red = (
            np.frombuffer(plane, "<u2").reshape(plane.height, -1)[:, : plane.width].astype(int)
            for plane in frame.planes
        )
        assert luma.shape == (height, width)
        assert blue.shape == red.shape == (height, -(-width // 2))
        # By BT.601, of limited range and 10 bits.
        for plane, inside, last in ((luma, 294, 382), (blue, 776, 388), (red, 419, 831)):
            assert np.abs(plane[:, :-2] - inside).max() <= 12
            assert np.abs(plane[:, -1] - last).max() <= 12


@each
@pytest.mark.parametrize(
    ("pts", "base"),
    [
        (list(range(30)), Fraction(1, 25)),
        (list(range(30)), Fraction(1001, 30000)),
        (UNEVEN, MS),
        ([126_001 + 3600 * k for k in range(30)], Fraction(1, 90_000)),
        ([137 + t for t in UNEVEN], MS),
        ([7], Fraction(1, 25)),
    ],
    ids=["25", "29.97", "uneven", "late ts", "late", "one frame"],
)
def test_times_are_kept(write, preset: Preset, pts: list[int], base: Fraction) -> None:
    writer, path, _ = write(preset, pts, base=base)
    assert writer.offset == (-pts[0] * base if preset.is_for_editing else 0)
    expected = [time * base + writer.offset for time in pts]
    with open_source(path) as source:
        found = [frame.pts * frame.time_base for frame in source]
    if preset.container in {"mp4", "mov"}:
        assert found == expected
    else:
        assert all(abs(a - b) <= MS / 2 for a, b in zip(found, expected, strict=True))
    assert writer.warnings == ()


@each
def test_the_last_frame_is_shown_as_long_as_the_one_before(write, preset: Preset) -> None:
    _, path, _ = write(preset, [0, 40, 80, 480])
    with open_source(path) as source:
        assert source.info.duration == pytest.approx(0.88)


@each
@pytest.mark.parametrize(
    ("pts", "base", "varies"),
    [
        (UNEVEN, MS, True),
        ([0, 1, 2, 4, 5], Fraction(1, 25), True),
        ([0, 33, 67, 100, 133, 167], MS, False),
        ([0, 20, 40, 61, 81], Fraction(1, 600), False),
        ([0, 40, 80, 120], MS, False),
    ],
)
def test_a_rate_that_varies_is_noted_where_programs_edit_it(
    write, preset: Preset, pts: list[int], base: Fraction, varies: bool
) -> None:
    writer, *_ = write(preset, pts, base=base)
    told = [text for text in writer.notes if "the time from frame to frame varies" in text]
    assert len(told) == (varies and preset not in {H264, VP9_ALPHA})
    if told and pts is UNEVEN:
        assert "from 1 to 1483 ms" in told[0]


@each
@pytest.mark.parametrize("start", [-100, 11_000])
def test_a_start_that_cannot_be_kept_is_moved_and_said(write, preset: Preset, start: int) -> None:
    writer, path, _ = write(preset, [start + time for time in UNEVEN])
    assert writer.offset == -start * MS
    assert any("moved to 0" in text for text in writer.warnings)
    assert [time for time, _ in pictures(path)] == [time * MS for time in UNEVEN]


@each
@pytest.mark.parametrize("aspect", [Fraction(4, 3), Fraction(3, 4)])
def test_pixels_that_are_not_square(write, preset: Preset, aspect: Fraction) -> None:
    writer, path, _ = write(preset, [0, 40], pixel_aspect=aspect)
    with open_source(path) as source:
        info = source.info
    if preset is VP9_ALPHA:
        assert (info.height, info.width) == ((48, 85) if aspect > 1 else (64, 64))
        assert "square" in writer.warnings[0]
    elif preset is FFV1:
        assert (info.height, info.width) == (48, 64)
        assert "not kept" in writer.warnings[0]
    else:
        assert (info.height, info.width, info.pixel_aspect) == (48, 64, aspect)
        assert writer.warnings == ()


@pytest.mark.parametrize("preset", [H264, VP9_ALPHA, PRORES_4444], ids=lambda preset: preset.codec)
def test_yuv_says_its_matrix_and_range(write, preset: Preset) -> None:
    _, path, _ = write(preset, [0, 40])
    with av.open(str(path)) as container:
        frame = next(container.decode(video=0))
    assert (frame.colorspace, frame.color_range) == (6, 1)  # BT.601 at this size, limited range


@pytest.mark.parametrize("level", [0, 1, 127, 254, 255])
@each
def test_grey_levels_do_not_shift(tmp_path: Path, preset: Preset, level: int) -> None:
    path = tmp_path / f"grey{preset.suffix}"
    image = np.full((48, 64, 4 if preset.has_alpha else 3), level, np.uint8)
    with VideoWriter(path, height=48, width=64, time_base=MS, frame_rate=None, preset=preset) as writer:
        writer.write(image, pts=0)
    ((_, found),) = pictures(path)
    assert np.abs(found[..., : image.shape[2]].astype(int) - level).max() <= (0 if preset in LOSSLESS else 1)


def test_frames_without_alpha_are_refused_where_alpha_is_written(tmp_path: Path) -> None:
    with VideoWriter(
        tmp_path / "a.mov", height=4, width=4, time_base=MS, frame_rate=None, preset=PRORES_4444
    ) as writer:
        with pytest.raises(UsageError, match="a frame is"):
            writer.write(np.zeros((4, 4, 3), np.uint8), pts=0)
        writer.write(np.zeros((4, 4, 4), np.uint8), pts=0)


COPIED = {
    H264: [("film.mp4", "aac"), ("film.mkv", "libopus")],
    VP9_ALPHA: [("film.mkv", "libopus"), ("film.webm", "libopus")],
    PRORES_4444: [("film.mkv", "pcm_s16le"), ("film.mov", "pcm_s24le")],
    QTRLE: [("film.mov", "pcm_s16be")],
    FFV1: [("film.mp4", "aac"), ("film.ts", "aac"), ("film.mkv", "flac"), ("film.mov", "pcm_s16le"), ("f.mkv", "mp2")],
}


@pytest.mark.parametrize(
    ("preset", "name", "sound"),
    [(preset, *case) for preset, cases in COPIED.items() for case in cases],
    ids=lambda value: getattr(value, "codec", value),
)
def test_sound_that_the_container_holds_is_copied(
    film: Film, packets: Any, tmp_path: Path, preset: Preset, name: str, sound: str
) -> None:
    video = {"codec": "libvpx-vp9", "pix_fmt": "yuv420p"} if name.endswith("webm") else {}
    path, target = film(name, sound=sound, **video), tmp_path / f"out{preset.suffix}"
    writer = copy(path, target, preset)
    assert writer.warnings == ()
    before, after = packets(path)["audio"], packets(target)["audio"]
    # mov cuts PCM into packets as it likes.
    strip = 7 if name.endswith("ts") else 0
    assert b"".join(data[strip:] for _, _, data, _ in before) == b"".join(data for _, _, data, _ in after)
    assert abs(after[0][0] - before[0][0] - writer.offset) <= MS
    with open_source(path) as source, open_source(target) as result:
        times = [[frame.time for frame in each] for each in (source, result)]
    assert times[1] == pytest.approx([each + float(writer.offset) for each in times[0]], abs=1e-3)


@pytest.mark.parametrize(
    ("preset", "name", "sound", "label", "codec", "is_loss"),
    [
        (VP9_ALPHA, "film.mp4", "aac", "Opus", "opus", False),
        (VP9_ALPHA, "film.mkv", "pcm_s16le", "Opus", "opus", True),
        (PRORES_4444, "film.mkv", "libopus", "PCM", "pcm_s16le", False),
        (PRORES_4444, "film.mp4", "aac", "PCM of 16 bits", "pcm_s16le", False),
        (PRORES_4444, "film.mkv", "ac3", "PCM of 16 bits", "pcm_s16le", False),
        (QTRLE, "film.mkv", "libmp3lame", "PCM of 16 bits", "pcm_s16le", False),
        (QTRLE, "film.mkv", "flac", "PCM", "pcm_s16le", True),
        (FFV1, "film.mov", "pcm_s8", "FLAC", "flac", True),
    ],
    ids=lambda value: getattr(value, "codec", value),
)
def test_other_sound_is_encoded_again_in_step(
    film: Film,
    packets: Any,
    tmp_path: Path,
    preset: Preset,
    name: str,
    sound: str,
    label: str,
    codec: str,
    is_loss: bool,
) -> None:
    path, target = film(name, sound=sound), tmp_path / f"out{preset.suffix}"
    writer = copy(path, target, preset)
    (said,) = writer.warnings if is_loss else writer.notes
    assert label in said
    assert len(writer.warnings) + len(writer.notes) == 1
    assert packets(target)["video"][0][0] == packets(path)["video"][0][0]
    (start, wave, _), (new_start, new_wave, new_codec) = heard(path), heard(target)
    assert new_codec == codec
    # Onsets, not lengths: what an encoder adds before and after is not sound.
    assert abs((new_start + onset(new_wave)) - (start + onset(wave))) < 0.02
    assert abs(len(wave) - len(new_wave)) < 3000
    assert new_wave[4000:40_000].std() == pytest.approx(wave[4000:40_000].std(), rel=0.05)


@pytest.mark.parametrize(
    ("preset", "name", "sound", "samples", "codec", "label"),
    [
        (PRORES_4444, "film.mkv", "flac", "s32", "pcm_s24le", "PCM of 24 bits"),
        (PRORES_4444, "film.mkv", "tta", "s32", "pcm_s24le", "PCM of 24 bits"),
        (PRORES_4444, "film.mov", "pcm_s32be", None, "pcm_s24le", "PCM of 24 bits"),
        (PRORES_4444, "film.mov", "pcm_f64le", None, "pcm_f32le", "PCM of 32 bits, floating"),
        (QTRLE, "film.mkv", "wavpack", "fltp", "pcm_f32le", "PCM of 32 bits, floating"),
        (FFV1, "film.mkv", "tta", "s32", "flac", "FLAC of 24 bits"),
        (FFV1, "film.mov", "pcm_s32be", None, "flac", "FLAC of 24 bits"),
    ],
)
def test_sound_of_more_than_16_bits_keeps_them(
    film: Film, tmp_path: Path, preset: Preset, name: str, sound: str, samples: str | None, codec: str, label: str
) -> None:
    path, target = film(name, sound=sound, sound_samples=samples), tmp_path / f"out{preset.suffix}"
    writer = copy(path, target, preset)
    assert any(f"is encoded again as {label}" in text for text in writer.warnings)
    (_, wave, _), (_, new_wave, new_codec) = heard(path), heard(target)
    assert new_codec == codec
    length = min(len(wave), len(new_wave))
    assert np.abs(wave[:length] - new_wave[:length]).max() <= 2**-22, "16 bits would leave 2**-16"


@pytest.mark.parametrize(
    ("preset", "name", "sound", "asked", "codec", "is_copied"),
    [
        (PRORES_4444, "film.mp4", "aac", "copy", "aac", True),
        (PRORES_4444, "film.ts", "aac", "copy", "aac", True),
        (PRORES_4444, "film.mkv", "ac3", "copy", "ac3", True),
        (PRORES_4444, "film.mov", "alac", "copy", "alac", True),
        (QTRLE, "film.avi", "libmp3lame", "copy", "mp3float", True),
        (PRORES_4444, "film.mp4", "aac", "aac", "aac", True),
        (PRORES_4444, "film.mov", "pcm_s24le", "pcm", "pcm_s24le", True),
        (PRORES_4444, "film.mkv", "flac", "aac", "aac", False),
        (FFV1, "film.mp4", "aac", "pcm", "pcm_s16le", False),
        (FFV1, "film.mkv", "libopus", "aac", "aac", False),
        (H264, "film.mkv", "ac3", "aac", "aac", False),
        (H264, "film.mkv", "ac3", "copy", "ac3", True),
    ],
    ids=lambda value: getattr(value, "codec", value),
)
def test_sound_is_written_as_asked_without_a_word(
    film: Film, packets: Any, tmp_path: Path, preset: Preset, name: str, sound: str, asked: Any, codec: str,
    is_copied: bool,
) -> None:  # fmt: skip
    assert asked in preset.sound.choices
    path, target = film(name, sound=sound), tmp_path / f"out{preset.suffix}"
    writer = copy(path, target, preset, sound=asked)
    assert (*writer.warnings, *(each for each in writer.notes if "moved to 0" not in each)) == ()
    (start, wave, _), (new_start, new_wave, new_codec) = heard(path), heard(target)
    assert new_codec == codec
    assert abs((new_start + onset(new_wave)) - (start + onset(wave)) - writer.offset) < 0.02
    if is_copied:
        before, after = packets(path)["audio"], packets(target)["audio"]
        strip = 7 if name.endswith("ts") else 0
        assert b"".join(data[strip:] for _, _, data, _ in before) == b"".join(data for _, _, data, _ in after)


def test_sound_is_left_out_if_asked(film: Film, tmp_path: Path) -> None:
    target = tmp_path / "out.mov"
    copy(film(sound="aac"), target, PRORES_4444, sound="none")
    with av.open(str(target)) as container:
        assert not container.streams.audio
        assert len([*container.decode(video=0)]) == 30


def test_pcm_of_lossy_sound_is_what_its_decoder_gives_to_the_sample(film: Film, tmp_path: Path) -> None:
    path, target = film(sound="aac"), tmp_path / "out.mov"
    copy(path, target, PRORES_4444)
    (start, wave, _), (new_start, new_wave, _) = heard(path), heard(target)
    assert new_start == start
    np.testing.assert_allclose(new_wave, wave[: len(new_wave)], atol=1e-4)
    assert len(wave) - len(new_wave) < 1024  # the end of the last packet


def test_channels_that_pcm_would_lose_are_copied(film: Film, packets: Any, tmp_path: Path) -> None:
    path, target = tmp_path / "five.mp4", tmp_path / "out.mov"
    with av.open(str(film())) as source, av.open(str(path), "w") as made:
        lane = made.add_stream_from_template(source.streams.video[0])
        voice: Any = made.add_stream("aac", rate=48000, layout="5.0")
        for packet in source.demux(video=0):
            if packet.size:
                packet.stream = lane
                made.mux(packet)
        for start in range(0, 48000, 1024):
            sound = av.AudioFrame.from_ndarray(np.full((5, 1024), 0.1, np.float32), format="fltp", layout="5.0")
            sound.sample_rate, sound.pts, sound.time_base = 48000, start, Fraction(1, 48000)
            made.mux(voice.encode(sound))
        made.mux(voice.encode(None))
    writer = copy(path, target, PRORES_4444)
    assert writer.warnings == writer.notes == ()
    assert [data for *_, data, _ in packets(target)["audio"]] == [data for *_, data, _ in packets(path)["audio"]]


def test_what_each_kind_of_video_offers() -> None:
    offered = {each.suffix: each.sound.choices for each in (H264, VP9_ALPHA, PRORES_4444, FFV1)}
    assert offered == {
        ".mp4": ("copy", "aac", "none"),
        ".webm": ("copy", "none"),
        ".mov": ("copy", "pcm", "aac", "none"),
        ".mkv": ("copy", "pcm", "aac", "none"),
    }


def copy(path: Path, target: Path, preset: Preset, *, sound: Any = None) -> VideoWriter:
    return rewritten(path, target, preset=preset, sound=sound, picture=lambda image: frame_of(preset, image)).writer


def heard(path: Path) -> tuple[float, NDArray[np.float32], str]:
    """Start in seconds, samples at 48 kHz, and codec of the sound."""
    with av.open(str(path)) as container:
        stream = container.streams.audio[0]
        shape = av.AudioResampler(format="flt", layout="mono", rate=48000)
        sounds = list(container.decode(stream))
        pieces = [piece.to_ndarray() for sound in sounds for piece in shape.resample(sound)]
        return float(sounds[0].time), np.concatenate(pieces, axis=1)[0], stream.codec_context.name


def onset(wave: NDArray[np.float32]) -> float:
    return float(np.flatnonzero(np.abs(wave) > 0.1)[0]) / 48000


@pytest.mark.parametrize("bits", [10, 12, 16])
@pytest.mark.parametrize("preset", [FFV1, FFV1_OPAQUE], ids=["alpha", "opaque"])
def test_deep_levels_are_rounded_not_cut_off(tmp_path: Path, preset: Preset, bits: int) -> None:
    channels = 4 if preset.has_alpha else 3
    ramp = np.arange(1 << 16, dtype=np.uint16).reshape(256, 256)
    image = np.stack([ramp, ramp[::-1], ramp[:, ::-1], ramp.T][:channels], axis=-1)
    path = tmp_path / "out.mkv"
    with VideoWriter(
        path, height=256, width=256, time_base=Fraction(1, 25), frame_rate=None, preset=preset, tags=Tags(bits=bits)
    ) as writer:
        writer.write(image, pts=0)
    with av.open(str(path)) as container:
        (frame,) = container.decode(video=0)
    assert frame.format.components[0].bits == bits
    for plane, channel in zip(frame.planes, (1, 2, 0, 3), strict=False):
        stored = np.frombuffer(plane, "<u2").reshape(256, -1)[:, :256]
        nearest = np.rint(image[..., channel] / 65535 * ((1 << bits) - 1))
        np.testing.assert_array_equal(stored, nearest)


@each
@pytest.mark.parametrize(("start", "counts_on"), [(137, False), (137, True), (5000, False), (5000, True)])
def test_a_late_start_is_kept_to_look_at_and_moved_for_editing(
    tmp_path: Path, preset: Preset, start: int, counts_on: bool
) -> None:
    """Also where the times are those of a broadcast, of which the clip is a piece."""
    path = tmp_path / f"out{preset.suffix}"
    image = np.zeros((48, 64, 4 if preset.has_alpha else 3), np.uint8)
    tags = Tags(counts_on=counts_on)
    with VideoWriter(path, height=48, width=64, time_base=MS, frame_rate=None, preset=preset, tags=tags) as writer:
        for time in UNEVEN:
            writer.write(image, pts=start + time)
    moved = counts_on or preset.is_for_editing
    assert writer.offset == (-start * MS if moved else 0)
    assert (any("moved to 0" in text for text in writer.notes), writer.warnings) == (moved, ())
    assert [time for time, _ in pictures(path)] == [(0 if moved else start) * MS + time * MS for time in UNEVEN]
