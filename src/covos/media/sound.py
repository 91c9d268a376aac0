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
    """The audio streams of a source, fed into an output, whose header is not yet written, in step with its pictures.

    Only the packets in flight are held in memory. ``offset`` seconds are added to all times; ``warn`` is called with
    each loss, in plain words.
    """

    def __init__(
        self, source: Path, *, output: OutputContainer, rules: SoundRules, warn: Callable[[str], None]
    ) -> None:
        self.offset = Fraction(0)
        self._warn = warn
        self._container = open_container(source)
        self._picture_end = self._end_of_pictures()
        streams = [s for s in self._container.streams.audio if s.codec_context is not None]
        if unknown := len(self._container.streams.audio) - len(streams):
            warn(f"{unknown} sound streams of an unknown codec were left out")
        self._lanes: dict[int, _Lane] = {}
        for stream in streams:
            codec = stream.codec_context.codec.canonical_name
            copied = codec in rules.copied
            if not copied:
                warn(f"the sound is {codec}, which {rules.refusal}: it is encoded again as {rules.label}")
            self._lanes[stream.index] = _Lane(stream, output, encoded=None if copied else rules)
        self._packets: Iterator[Packet[AudioStream]] = packets_of(self._container, *streams) if streams else iter(())
        self._pending = next(self._packets, None)

    def advance(self, until: Fraction | None) -> None:
        """Write the packets that start at or before this output time in seconds; None for all the rest."""
        while self._pending is not None:
            time = self._pending.pts if self._pending.pts is not None else self._pending.dts
            start = self.offset + (time or 0) * (self._pending.time_base or 0)
            if until is not None and start > until:
                return
            if self.offset >= 0 or start >= 0:
                self._lanes[self._pending.stream_index].write(self._pending, offset=self.offset)
            self._pending = next(self._packets, None)

    def finish(self, end: Fraction) -> None:
        """Write what is left, if the last picture ends at this output time in seconds, and close the source.

        If the source's pictures go on for more than a second, only a part of it was written: the sound ends there too.
        """
        is_part = self._picture_end is not None and end + _TAIL < self._picture_end + self.offset
        self.advance(end if is_part else None)
        for lane in self._lanes.values():
            lane.write(None, offset=self.offset)
            if lane.lost:
                self._warn(f"{lane.lost} damaged packets of sound were left out")
        self.close()

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


class _Lane:
    """One audio stream on its way to the output, copied or encoded again."""

    def __init__(self, source: AudioStream, output: OutputContainer, *, encoded: SoundRules | None) -> None:
        self.lost = 0
        self._source = source
        self._output = output
        self._last_dts: Fraction | None = None
        self._resampler: av.AudioResampler | None = None
        if encoded is None:
            self._stream = output.add_stream_from_template(source)
            self._stream.metadata.update({k: v for k, v in source.metadata.items() if k == "language"})
            return
        rate = source.codec_context.sample_rate
        taken = not encoded.rates or rate in encoded.rates
        self._stream = output.add_stream(encoded.encoder, rate=rate if taken else _USUAL_RATE)  # type: ignore[assignment]
        self._stream.layout = _LAYOUTS.get(source.codec_context.layout.nb_channels, "stereo")
        self._stream.codec_context.open()
        self._resampler = av.AudioResampler(
            format=self._stream.format,
            layout=self._stream.layout,
            rate=self._stream.rate,
            frame_size=self._stream.codec_context.frame_size or None,  # PCM takes any
        )

    def write(self, packet: Packet[AudioStream] | None, *, offset: Fraction) -> None:
        """Pass a packet on; None ends the stream."""
        if self._resampler is None:
            if packet is not None:
                self._mux(packet, offset=offset)
            return
        try:
            decoded: list[AudioFrame | None] = [*self._source.decode(packet)]
        except (av.FFmpegError, ValueError):
            self.lost += 1
            decoded = []
        end = [None] if packet is None else []
        resampled = [sound for frame in [*decoded, *end] for sound in self._resampler.resample(frame)]
        for sound in [*resampled, *end]:
            for each in self._stream.encode(sound):
                self._mux(each, offset=offset)

    def _mux(self, packet: Packet[AudioStream], *, offset: Fraction) -> None:
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
        packet.stream = self._stream
        self._output.mux_one(packet)
