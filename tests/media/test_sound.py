from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from covos.core.errors import SourceError
from covos.media.opening import open_source
from covos.media.presets import FFV1, FFV1_OPAQUE, H264, PRORES_422, VP9_ALPHA, Preset
from covos.media.range import WHOLE, Range
from covos.media.writer import VideoWriter
from rewritten import rewritten

Film = Callable[..., Path]
Packets = Callable[[Path], dict[str, list[Any]]]
MS = Fraction(1, 1000)


@pytest.mark.parametrize(
    ("name", "sound"),
    [
        ("film.mp4", "aac"),
        ("film.mov", "alac"),
        ("film.mkv", "aac"),
        ("film.mkv", "libmp3lame"),
        ("film.mkv", "ac3"),
        ("film.mkv", "eac3"),
        ("film.mkv", "flac"),
        ("film.mkv", "libopus"),
        ("film.avi", "libmp3lame"),
        ("film.ts", "aac"),
    ],
)
def test_sound_is_copied_packet_for_packet(film: Film, packets: Packets, tmp_path: Path, name: str, sound: str) -> None:
    path, target = film(name, sound=sound), tmp_path / "overlay.mp4"
    writer, *_ = rewritten(path, target)
    assert writer.warnings == ()
    before, after = packets(path)["audio"], packets(target)["audio"]
    assert len(before) == len(after) > 5
    for (start, _, data, _), (new_start, _, new_data, _) in zip(before, after, strict=True):
        assert abs(new_start - start - writer.offset) <= MS
        # MPEG-TS carries AAC with a header of 7 bytes on every packet, mp4 without.
        assert new_data == (data[7:] if name.endswith("ts") else data)
    with av.open(str(target)) as container:
        assert sum(sound.samples for sound in container.decode(audio=0)) > 50_000


@pytest.mark.parametrize(
    ("name", "sound", "loses"),
    [
        ("film.mov", "pcm_s16le", True),
        ("film.mkv", "pcm_s16le", True),
        ("film.mkv", "tta", True),
        ("film.mkv", "wavpack", True),
        ("film.mkv", "mp2", False),
        ("film.mov", "pcm_mulaw", False),
        ("film.avi", "adpcm_ms", False),
    ],
)
def test_other_sound_is_encoded_again_in_step_and_said(
    film: Film, tmp_path: Path, name: str, sound: str, loses: bool
) -> None:
    path, target = film(name, sound=sound), tmp_path / "overlay.mp4"
    writer, *_ = rewritten(path, target)
    said, other = (writer.warnings, writer.notes) if loses else (writer.notes, writer.warnings)
    assert any(sound in text and "AAC" in text for text in said)
    assert not any("AAC" in text for text in other)
    before, after = heard(path), heard(target)
    assert after[1] == "aac"
    assert abs(len(before[0]) - len(after[0])) < 2100  # the encoder's frame and its lead-in
    assert after[0][2000:50_000].std() == pytest.approx(before[0][2000:50_000].std(), rel=0.05)


def heard(path: Path) -> tuple[Any, str]:
    with av.open(str(path)) as container:
        stream = container.streams.audio[0]
        shape = av.AudioResampler(format="fltp", layout="mono", rate=48000)
        pieces = [s.to_ndarray() for sound in container.decode(stream) for s in shape.resample(sound)]
        return np.concatenate(pieces, axis=1)[0], stream.codec_context.name


@pytest.mark.parametrize("start", [0, 2000, -80, 60_000])
def test_sound_and_pictures_stay_together(film: Film, packets: Packets, tmp_path: Path, start: int) -> None:
    path = film(
        "film.mkv",
        pts=[start + 40 * k for k in range(30)],
        time_base=MS,
        sound="ac3",
        sound_start=max(0, start) / 1000 + 0.2,
    )
    target = tmp_path / "overlay.mp4"
    rewritten(path, target)
    before, after = packets(path), packets(target)
    lead_before = before["audio"][0][0] - min(p[0] for p in before["video"])
    lead_after = after["audio"][0][0] - min(p[0] for p in after["video"])
    assert abs(lead_after - lead_before) <= MS
    assert len(before["audio"]) == len(after["audio"])


def test_sound_is_interleaved(film: Film, packets: Packets, tmp_path: Path) -> None:
    path = film(pts=[1000 * k for k in range(30)], time_base=MS, sound="aac", sound_seconds=30.0)
    target = tmp_path / "overlay.mp4"
    rewritten(path, target)
    found = packets(target)
    in_file = sorted(
        [(position, start, "video") for start, _, _, position in found["video"]]
        + [(position, start, "audio") for start, _, _, position in found["audio"]]
    )
    reached = {"video": Fraction(0), "audio": Fraction(0)}
    for _, start, kind in in_file:
        reached[kind] = start
        assert abs(reached["video"] - reached["audio"]) < Fraction(21, 10)


def test_sound_of_a_part_ends_with_its_pictures(film: Film, packets: Packets, tmp_path: Path) -> None:
    path = film(pts=[200 * k for k in range(30)], time_base=MS, sound="aac", sound_seconds=6.0)
    target = tmp_path / "overlay.mp4"
    rewritten(path, target, count=10)
    last = packets(target)["audio"][-1][0]
    assert Fraction(19, 10) < last <= 2


def test_a_tail_of_sound_is_kept(film: Film, packets: Packets, tmp_path: Path) -> None:
    path, target = film(sound="aac", sound_seconds=3.0), tmp_path / "overlay.mp4"
    rewritten(path, target)
    assert len(packets(target)["audio"]) == len(packets(path)["audio"])


def test_a_source_without_sound_is_fine(film: Film, packets: Packets, tmp_path: Path) -> None:
    target = tmp_path / "overlay.mp4"
    writer, *_ = rewritten(film("silent.mp4"), target)
    assert packets(target)["audio"] == []
    assert writer.warnings == ()


def test_every_sound_stream_is_kept(film: Film, packets: Packets, tmp_path: Path) -> None:
    first, path = film("one.mkv", sound="ac3"), tmp_path / "two.mkv"
    with av.open(str(first)) as source, av.open(str(path), "w") as copy:
        streams = [*source.streams.video, *source.streams.audio]
        lanes = [copy.add_stream_from_template(streams[k], opaque=True) for k in (0, 1, 1)]
        for packet in source.demux(streams):
            if packet.size:
                for lane in lanes[1:] if packet.stream.type == "audio" else lanes[:1]:
                    twin = av.Packet(bytes(packet))
                    twin.pts, twin.dts, twin.duration = packet.pts, packet.dts, packet.duration
                    twin.time_base, twin.is_keyframe, twin.stream = packet.time_base, packet.is_keyframe, lane
                    copy.mux(twin)
    target = tmp_path / "overlay.mp4"
    rewritten(path, target)
    with av.open(str(target)) as container:
        assert len(container.streams.audio) == 2
    assert len(packets(target)["audio"]) == 2 * len(packets(first)["audio"])


@pytest.mark.parametrize("sound", ["pcm_s16le", "aac"])
@pytest.mark.parametrize("name", ["film.mov", "film.mkv"])
@pytest.mark.parametrize("preset", [H264, PRORES_422, FFV1, VP9_ALPHA], ids=lambda preset: preset.suffix)
@pytest.mark.parametrize("part", [WHOLE, Range(start="f5", end="f20")], ids=["whole", "part"])
def test_tracks_keep_their_language_and_name(
    film: Film, tmp_path: Path, sound: str, name: str, preset: Preset, part: Range
) -> None:
    """Copied and encoded again alike: in mov and mp4 programs look at the handler, elsewhere at the title."""
    plain, path, target = film("plain.mkv", sound=sound), tmp_path / name, tmp_path / f"out{preset.suffix}"
    with av.open(str(plain)) as source, av.open(str(path), "w") as copy:
        lanes = {each.index: copy.add_stream_from_template(each) for each in source.streams}
        language = "ger" if path.suffix == ".mov" else "deu"
        lanes[1].metadata.update({"language": language, "title": "Dialog", "handler_name": "Dialog"})
        for packet in source.demux():
            if packet.size:
                packet.stream = lanes[packet.stream.index]
                copy.mux(packet)
    rgba = (lambda image: np.dstack([image, image[..., :1]])) if preset.has_alpha else (lambda image: image)
    rewritten(path, target, preset=preset, part=part, picture=rgba)
    with av.open(str(target)) as container:
        said = container.streams.audio[0].metadata
    assert said["language"] in {"deu", "ger"}
    assert said["handler_name" if preset.container in {"mov", "mp4"} else "title"] == "Dialog"
    assert ("HANDLER_NAME" in said) is False


def test_a_name_that_a_program_gives_to_all_tracks_is_none(film: Film, tmp_path: Path) -> None:
    rewritten(film("film.mov", sound="pcm_s16le"), tmp_path / "out.mkv", preset=FFV1_OPAQUE)
    with av.open(str(tmp_path / "out.mkv")) as container:
        assert "title" not in container.streams.audio[0].metadata


def test_damaged_sound_does_not_stop_the_pictures(film: Film, tmp_path: Path) -> None:
    path = film("film.mkv", sound="mp2", sound_seconds=2.0)
    data = bytearray(path.read_bytes())
    with av.open(str(path)) as container:
        spoilt = [bytes(p) for p in container.demux(audio=0) if p.size][10:20]
    for packet in spoilt:
        at = data.index(packet)
        data[at : at + 40] = bytes(40)
    path.write_bytes(data)
    target = tmp_path / "overlay.mp4"
    writer, *_ = rewritten(path, target)
    assert open_source(target).info.frame_count == 30
    assert any("10 damaged packets of sound" in text for text in writer.warnings)


def test_an_unreadable_sound_source_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "notes.mp4").write_text("not a film\n" * 99)
    with pytest.raises(SourceError):
        VideoWriter(
            tmp_path / "out.mp4",
            height=48,
            width=64,
            time_base=MS,
            frame_rate=None,
            audio_from=tmp_path / "notes.mp4",
        )
    assert [p.name for p in tmp_path.iterdir()] == ["notes.mp4"]


def test_damaged_aac_of_a_transport_stream_is_left_out(film: Film, tmp_path: Path) -> None:
    path = film("film.ts", sound="aac")
    data = bytearray(path.read_bytes())
    with av.open(str(path)) as container:
        sound = [bytes(packet) for packet in container.demux(audio=0) if packet.size]
    data[data.index(sound[12][:7]) + 1] ^= 0x40  # of the header that each packet has there
    path.write_bytes(data)
    done = rewritten(path, tmp_path / "out.mp4")
    assert len(done.times) == 30
    assert any("packets of sound" in text or "packet of sound" in text for text in done.writer.warnings)


def test_sound_without_a_packet_is_left_out(film: Film, tmp_path: Path) -> None:
    path = film("film.ts", sound="aac", sound_start=1.0)
    data = path.read_bytes()
    path.write_bytes(data[: 188 * 24])
    done = rewritten(path, tmp_path / "out.mp4")
    assert done.times
    assert any("left out" in text for text in done.writer.warnings)


@pytest.mark.parametrize("rate", [8000, 11025, 12000, 16000])
def test_mp3_that_is_too_slow_for_mp4_is_encoded_again(tmp_path: Path, rate: int) -> None:
    path = tmp_path / "film.avi"
    with av.open(str(path), "w") as container:
        stream, voice = container.add_stream("mpeg4", rate=25), container.add_stream("libmp3lame", rate=rate)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        voice.layout = "mono"
        for index in range(10):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8), format="rgb24")))
            sound = av.AudioFrame.from_ndarray(np.zeros((1, rate // 25), np.float32), format="fltp", layout="mono")
            sound.sample_rate, sound.pts, sound.time_base = rate, index * (rate // 25), Fraction(1, rate)
            container.mux(voice.encode(sound))
        container.mux([*stream.encode(None), *voice.encode(None)])
    done = rewritten(path, tmp_path / "out.mp4")
    assert len(done.times) == 10
    with av.open(str(tmp_path / "out.mp4")) as made:
        assert made.streams.audio[0].codec_context.name == ("mp3float" if rate == 16000 else "aac")


@pytest.mark.parametrize(("name", "sound"), [("film.ts", "mp2"), ("film.mkv", "flac"), ("film.mkv", "pcm_s16le")])
@pytest.mark.parametrize("target", ["out.mov", "out.mp4"])
def test_sound_stays_in_step_where_a_late_start_is_moved(
    film: Film, tmp_path: Path, name: str, sound: str, target: str
) -> None:
    """It begins 0.4 s before the pictures: that is left out, to the sample where it is encoded again, and said."""
    path = film(
        name, pts=[5000 + 40 * k for k in range(30)], time_base=MS, sound=sound, sound_start=4.6, sound_seconds=1.6
    )
    preset = PRORES_422 if target == "out.mov" else H264
    with open_source(path) as source:
        moves = preset.is_for_editing or source.info.tags.counts_on
        assert source.info.tags.counts_on == (name == "film.ts")
    writer, *_ = rewritten(path, tmp_path / target, preset=preset)
    assert (writer.offset < -4) == moves
    assert any("s of sound before the first frame were left out" in each for each in writer.warnings) == moves
    if not moves:
        return
    with av.open(str(tmp_path / target)) as video:
        frames = [frame.time for frame in video.decode(video=0)]
        video.seek(0)
        pieces = list(video.decode(audio=0))
    assert frames[0] == 0
    assert abs(pieces[0].time) < 0.002
    assert sum(each.samples for each in pieces) / 48000 == pytest.approx(1.2, abs=0.03)
