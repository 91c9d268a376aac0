"""Sound whose channels come in an order that is not FFmpeg's own: decoding it would end the process."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from covos.core.types import ImageArray
from covos.media.channels import PcmReader, channel_layouts, count_of, is_safe
from covos.media.presets import FFV1, H264, PRORES_4444, VP9_ALPHA, Preset
from rewritten import rewritten

SOUND = 48000
Recording = Callable[..., Path]

# Layout tags of Core Audio (CoreAudioBaseTypes.h), and the order that each stands for.
TAGS = {
    (122, 6): "L R Ls Rs C LFE",
    (123, 6): "L C R Ls Rs LFE",
    (124, 6): "C L R Ls Rs LFE",
    (126, 8): "L R C LFE Ls Rs Lc Rc",
    (127, 8): "C Lc Rc L R Ls Rs LFE",
    (128, 8): "L R C LFE Ls Rs Rls Rrs",
}
NATIVE = {6: "5.1", 8: "7.1"}


@pytest.fixture
def recording(tmp_path: Path) -> Recording:
    """Write a second of pictures with PCM, a tone of its own pitch in each channel; with a tag, in another order."""

    def write(
        name: str = "clip.mov", *, layout: str = "5.1", tag: tuple[int, int] | None = None, codec: str = "pcm_s16le"
    ) -> Path:
        path = tmp_path / name
        with av.open(str(path), "w") as container:
            stream = container.add_stream("libx264", rate=25, width=64, height=48)
            stream.pix_fmt = "yuv420p"
            voice = container.add_stream(codec, rate=SOUND, layout=layout)
            for index in range(25):
                frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), index * 9, np.uint8), format="rgb24")
                container.mux(stream.encode(frame))
            channels = av.AudioLayout(layout).nb_channels
            time = np.arange(SOUND) / SOUND
            waves = np.stack([np.sin(2 * np.pi * pitch(k) * time) for k in range(channels)], 1) * 9000
            samples = np.ascontiguousarray(waves.astype(np.int16).reshape(1, -1))
            sound = av.AudioFrame.from_ndarray(samples, format="s16", layout=layout)
            sound.sample_rate, sound.pts, sound.time_base = SOUND, 0, Fraction(1, SOUND)
            shape = av.AudioResampler(format=voice.format, layout=layout, rate=SOUND, frame_size=1024)
            for piece in (*shape.resample(sound), *shape.resample(None)):
                container.mux(voice.encode(piece))
            for each in (stream, voice):
                container.mux(each.encode(None))
        if tag is not None:
            data = bytearray(path.read_bytes())
            at = data.index(b"chan") + 8
            data[at : at + 4] = (tag[0] << 16 | tag[1]).to_bytes(4, "big")
            path.write_bytes(data)
        return path

    return write


def pitch(channel: int) -> int:
    return 300 + 200 * channel


def overlay(path: Path, target: Path, *, preset: Preset = H264) -> tuple[str, ...]:
    """Rewrite a video, opaque where the preset has alpha; return what the writer warned of."""

    def opaque(image: ImageArray) -> ImageArray:
        alpha = np.full((*image.shape[:2], 1), 255, np.uint8)
        return np.concatenate([image, alpha], axis=2) if preset.has_alpha else image

    return rewritten(path, target, preset=preset, picture=opaque).writer.warnings


def pitches(path: Path) -> list[int]:
    """Return the loudest pitch of each channel."""
    with av.open(str(path)) as container:
        stream = container.streams.audio[0]
        # Packed: PyAV reads beyond the planes of eight channels.
        shape = av.AudioResampler(format="flt", layout=stream.codec_context.layout, rate=SOUND)
        pieces = [s.to_ndarray() for sound in container.decode(stream) for s in shape.resample(sound)]
        channels = stream.codec_context.channels
    sound = np.concatenate(pieces, axis=1).reshape(-1, channels).T[:, 9600:28800]
    spectrum = np.abs(np.fft.rfft(sound * np.hanning(sound.shape[1]), axis=1))
    return [int(round(each * SOUND / sound.shape[1] / 10) * 10) for each in spectrum.argmax(axis=1)]


@pytest.mark.parametrize("tag", TAGS, ids=TAGS.values())
@pytest.mark.parametrize("preset", [H264, FFV1], ids=["aac", "copied"])
def test_an_order_of_apples_does_not_end_the_process(
    recording: Recording, tmp_path: Path, tag: tuple[int, int], preset: Preset
) -> None:
    path = recording(layout=NATIVE[tag[1]], tag=tag)
    (layout,) = channel_layouts(path).values()
    assert not is_safe(layout)
    assert count_of(layout) == tag[1]
    target = tmp_path / f"overlay{preset.suffix}"
    overlay(path, target, preset=preset)
    with av.open(str(target)) as container:
        assert len(container.streams.audio) == 1


@pytest.mark.parametrize(
    ("tag", "order"),
    [((122, 6), [0, 1, 4, 5, 2, 3]), ((123, 6), [0, 2, 1, 5, 3, 4]), ((128, 8), [0, 1, 2, 3, 6, 7, 4, 5])],
)
def test_every_channel_goes_to_its_place(
    recording: Recording, tmp_path: Path, tag: tuple[int, int], order: list[int]
) -> None:
    target = tmp_path / "overlay.mp4"
    warnings = overlay(recording(layout=NATIVE[tag[1]], tag=tag), target)
    assert not any("mixed" in text or "left out" in text for text in warnings)
    low = av.AudioLayout(NATIVE[tag[1]]).channels
    bass = [channel.name for channel in low].index("LFE")  # its encoder keeps the lowest tones only
    found = pitches(target)
    assert [p for k, p in enumerate(found) if k != bass] == [pitch(c) for k, c in enumerate(order) if k != bass]


@pytest.mark.parametrize("preset", [PRORES_4444, VP9_ALPHA], ids=["mov", "webm"])
def test_other_containers_take_it_too(recording: Recording, tmp_path: Path, preset: Preset) -> None:
    target = tmp_path / f"overlay{preset.suffix}"
    overlay(recording(tag=(123, 6)), target, preset=preset)
    with av.open(str(target)) as container:
        assert len(container.streams.audio) == 1


@pytest.mark.parametrize(
    ("layout", "kept"),
    [("quad", 4), ("4.0", 2), ("3.0", 3), ("5.1(side)", 6), ("7.1", 8), ("7.1(wide)", 2), ("5.0", 2)],
)
def test_many_channels_are_kept_or_it_is_said(recording: Recording, tmp_path: Path, layout: str, kept: int) -> None:
    channels = av.AudioLayout(layout).nb_channels
    target = tmp_path / "overlay.mp4"
    warnings = overlay(recording(layout=layout), target)
    with av.open(str(target)) as container:
        assert container.streams.audio[0].codec_context.channels == kept
    assert any("mixed down to two" in text for text in warnings) == (kept < channels)


def test_sound_that_only_a_decoder_could_read_is_left_out(
    recording: Recording, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = recording("clip.mkv", codec="wavpack", layout="stereo")
    monkeypatch.setattr("covos.media.sound.channel_layouts", lambda _: {1: "2 channels (FR+FL)"})
    target = tmp_path / "overlay.mp4"
    warnings = overlay(path, target)
    assert any("it is left out" in text for text in warnings)
    with av.open(str(target)) as container:
        assert not container.streams.audio
        assert container.streams.video[0].frames == 25


@pytest.mark.parametrize(
    ("codec", "packed"),
    [
        ("pcm_u8", bytes([0, 128, 255])),
        ("pcm_s16le", np.array([-32768, 0, 32767], "<i2").tobytes()),
        ("pcm_s16be", np.array([-32768, 0, 32767], ">i2").tobytes()),
        ("pcm_s24le", b"\x00\x00\x80\x00\x00\x00\xff\xff\x7f"),
        ("pcm_s24be", b"\x80\x00\x00\x00\x00\x00\x7f\xff\xff"),
        ("pcm_s32le", np.array([-(2**31), 0, 2**31 - 1], "<i4").tobytes()),
        ("pcm_f32be", np.array([-1, 0, 1], ">f4").tobytes()),
        ("pcm_f64le", np.array([-1, 0, 1], "<f8").tobytes()),
    ],
)
def test_samples_of_every_kind(codec: str, packed: bytes) -> None:
    read = PcmReader.of(codec, channels=1, layout="mono").read(packed + b"\x00" * 0)
    assert read.shape == (3, 1)
    assert np.allclose(read[:, 0], [-1, 0, 1], atol=1 / 100)


def test_packets_that_begin_in_one_thousandth_are_no_damage(tmp_path: Path) -> None:
    """Matroska rounds times to a thousandth of a second; short packets then begin together."""
    path = tmp_path / "short.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, width=64, height=48)
        stream.pix_fmt = "yuv420p"
        voice = container.add_stream("pcm_s16le", rate=SOUND, layout="mono")
        for index in range(25):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), index * 9, np.uint8), format="rgb24")
            container.mux(stream.encode(frame))
        for start in range(0, SOUND, 24):  # half a thousandth each
            sound = av.AudioFrame.from_ndarray(np.full((1, 24), 900, np.int16), format="s16", layout="mono")
            sound.sample_rate, sound.pts, sound.time_base = SOUND, start, Fraction(1, SOUND)
            container.mux(voice.encode(sound))
        for each in (stream, voice):
            container.mux(each.encode(None))
    for preset in (FFV1, H264):
        target = tmp_path / f"overlay{preset.suffix}"
        warnings = overlay(path, target, preset=preset)
        assert not any("left out" in text for text in warnings), warnings
        with av.open(str(target)) as container:
            samples = sum(sound.samples for sound in container.decode(audio=0))
        assert abs(samples - SOUND) < 2100
