"""Copy the sound of a source into a video, packet for packet where its container can hold it."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

import av

from covos.media.container import open_container, packets_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from av.audio.frame import AudioFrame
    from av.audio.stream import AudioStream
    from av.container import OutputContainer
    from av.packet import Packet

    from covos.media.presets import SoundRules

_USUAL_RATE = 48000
_LAYOUTS = {1: "mono", 2: "stereo", 6: "5.1"}
# A tail of sound shorter than this after the last picture is normal and kept.
_TAIL = Fraction(1)


class SoundTrack:
    """The audio streams of a source, fed into an output in step with its pictures.

    Only the packets in flight are held in memory.

    Args:
        source: A media file, with or without sound.
        output: A video whose header is not yet written.
        rules: The sound that its container holds.
        warn: Called with each loss, in plain words.

    Raises:
        SourceError: The source cannot be opened.
    """

    def __init__(
        self, source: Path, *, output: OutputContainer, rules: SoundRules, warn: Callable[[str], None]
    ) -> None:
        self._output = output
        self._rules = rules
        self._warn = warn
        self._offset = Fraction(0)
        self._container = open_container(source)
        self._picture_end = self._end_of_pictures()
        streams = [s for s in self._container.streams.audio if s.codec_context is not None]
        if unknown := len(self._container.streams.audio) - len(streams):
            warn(f"{unknown} sound streams of an unknown codec were left out")
        self._lanes = {s.index: self._lane(s) for s in streams}
        self._packets: Iterator[Packet[AudioStream]] = packets_of(self._container, *streams) if streams else iter(())
        self._pending = next(self._packets, None)

    def shift(self, offset: Fraction) -> None:
        """Add ``offset`` seconds to all times; call it before the first ``advance``."""
        self._offset = offset

    def advance(self, until: Fraction | None) -> None:
        """Write the packets that start at or before this output time in seconds; None for all the rest."""
        while self._pending is not None:
            start = _start(self._pending) + self._offset
            if until is not None and start > until:
                return
            if self._offset >= 0 or start >= 0:
                self._lanes[self._pending.stream_index].write(self._pending, offset=self._offset)
            self._pending = next(self._packets, None)

    def finish(self, end: Fraction) -> None:
        """Write what is left.

        Args:
            end: Time at which the last picture ends, in output seconds. If the source's pictures go on for more than a
                second, only a part of it was written, and the sound ends there too.
        """
        is_part = self._picture_end is not None and end + _TAIL < self._picture_end + self._offset
        self.advance(end if is_part else None)
        for lane in self._lanes.values():
            lane.finish(offset=self._offset)
            if lane.lost:
                self._warn(f"{lane.lost} damaged packets of sound were left out")

    def close(self) -> None:
        """Close the source."""
        self._container.close()

    def _end_of_pictures(self) -> Fraction | None:
        for stream in self._container.streams.video:
            if stream.duration is not None and stream.time_base is not None:
                return ((stream.start_time or 0) + stream.duration) * stream.time_base
        if self._container.duration is None:
            return None
        # Matroska counts its duration from zero, not from the first packet. Others end later than this says.
        return Fraction(self._container.duration, 1_000_000)

    def _lane(self, stream: AudioStream) -> _CopiedLane | _EncodedLane:
        codec = stream.codec_context.codec.canonical_name
        if codec in self._rules.copied:
            return _CopiedLane(stream, self._output)
        self._warn(f"the sound is {codec}, which {self._rules.refusal}: it is encoded again as {self._rules.label}")
        return _EncodedLane(stream, self._output, rules=self._rules)


class _Lane:
    """One audio stream on its way to the output."""

    def __init__(self, output: OutputContainer) -> None:
        self.lost = 0
        self._output = output
        self._last_dts: Fraction | None = None

    def _mux(self, packet: Packet[AudioStream], stream: AudioStream, *, offset: Fraction) -> None:
        pts, dts = packet.pts, packet.dts
        if pts is None or packet.time_base is None:
            self.lost += 1
            return
        # The muxer refuses a file whose times run backwards, and would take the pictures down with it.
        order = (pts if dts is None else dts) * packet.time_base
        if self._last_dts is not None and order <= self._last_dts:
            self.lost += 1
            return
        self._last_dts = order
        shift = round(offset / packet.time_base)
        packet.pts = pts + shift
        packet.dts = packet.pts if dts is None else dts + shift
        packet.stream = stream
        self._output.mux_one(packet)


class _CopiedLane(_Lane):
    def __init__(self, source: AudioStream, output: OutputContainer) -> None:
        super().__init__(output)
        self._stream = output.add_stream_from_template(source)
        self._stream.metadata.update({k: v for k, v in source.metadata.items() if k == "language"})

    def write(self, packet: Packet[AudioStream], *, offset: Fraction) -> None:
        self._mux(packet, self._stream, offset=offset)

    def finish(self, *, offset: Fraction) -> None:
        """Nothing is held back."""


class _EncodedLane(_Lane):
    def __init__(self, source: AudioStream, output: OutputContainer, *, rules: SoundRules) -> None:
        super().__init__(output)
        self._source = source
        rate = source.codec_context.sample_rate
        taken = not rules.rates or rate in rules.rates
        self._stream: AudioStream = output.add_stream(rules.encoder, rate=rate if taken else _USUAL_RATE)  # type: ignore[assignment]
        self._stream.layout = _LAYOUTS.get(source.codec_context.layout.nb_channels, "stereo")
        self._stream.codec_context.open()
        self._resampler = av.AudioResampler(
            format=self._stream.format,
            layout=self._stream.layout,
            rate=self._stream.rate,
            frame_size=self._stream.codec_context.frame_size or None,  # PCM takes any
        )

    def write(self, packet: Packet[AudioStream], *, offset: Fraction) -> None:
        self._decode(packet, offset)

    def finish(self, *, offset: Fraction) -> None:
        self._decode(None, offset)
        self._encode(self._resampler.resample(None), offset)
        for packet in self._stream.encode(None):
            self._mux(packet, self._stream, offset=offset)

    def _decode(self, packet: Packet[AudioStream] | None, offset: Fraction) -> None:
        try:
            sounds = self._source.decode(packet)
        except (av.FFmpegError, ValueError):
            self.lost += 1
            return
        for sound in sounds:
            self._encode(self._resampler.resample(sound), offset)

    def _encode(self, sounds: list[AudioFrame], offset: Fraction) -> None:
        for sound in sounds:
            for packet in self._stream.encode(sound):
                self._mux(packet, self._stream, offset=offset)


def _start(packet: Packet[AudioStream]) -> Fraction:
    time = packet.pts if packet.pts is not None else packet.dts
    return Fraction(0) if time is None or packet.time_base is None else time * packet.time_base
