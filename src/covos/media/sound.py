"""Copy the sound of a source into a video, packet for packet where its container can hold it.

Sound of a part of a source is decoded, cut to the sample and encoded again: packets cannot be cut.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from fractions import Fraction
from typing import TYPE_CHECKING

import av

from covos.core.memory import refuse_shortage
from covos.media.channels import KEPT, PcmReader, bits_of, channel_layouts, count_of, is_plain_pcm, is_safe
from covos.media.clock import STEADY, read_clock
from covos.media.container import open_container, packets_of
from covos.media.cutting import SoundCut

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from av.audio.frame import AudioFrame
    from av.audio.stream import AudioStream
    from av.container import OutputContainer
    from av.packet import Packet

    from covos.media.presets import SoundDepth, SoundRules

_USUAL_RATE = 48000
# Their channels are always one of FFmpeg's own orders.
_HARMLESS = frozenset({"mp1", "mp2", "mp3"})
_LOSSLESS = frozenset({"alac", "flac"})
_GOOD = 96_000
"""Bits a second and channel of sound that is encoded again only because it is cut."""
_RUN_UP = Fraction(1)
"""Seconds before the start from which sound is decoded: codecs refer to what came before."""
# A tail of sound shorter than this after the last picture is normal and kept.
_TAIL = Fraction(1)
_LEAD = Fraction(1, 10)
"""Seconds of sound before the first picture that need no mention: streams are interleaved by that much."""
_NEVER = Fraction(1 << 62)
_QUICKTIME = {
    "sqi": "alb", "hye": "arm", "eus": "baq", "mya": "bur", "zho": "chi", "cze": "ces", "nld": "dut", "fre": "fra",
    "kat": "geo", "deu": "ger", "ell": "gre", "isl": "ice", "mkd": "mac", "mri": "mao", "msa": "may", "fas": "per",
    "rum": "ron", "slo": "slk", "bod": "tib", "cym": "wel", "swe": "sve", "gle": "iri",
}  # fmt: skip
"""Codes of ISO 639-2, and those by which FFmpeg's muxer knows QuickTime's number of a language; others are both."""
_NO_NAMES = frozenset({"SoundHandler", "Sound Media Handler", "Core Media Audio", "Apple Sound Media Handler"})
"""Names that programs give to all tracks."""


class SoundTrack:
    """The audio streams of a source, fed into an output, whose header is not yet written, in step with its pictures.

    Only the packets in flight are held in memory. ``offset`` seconds are added to all times; ``warn`` is called with
    each loss, in plain words, and ``note`` where sound of a codec that has a loss itself is encoded again. With ``cut``
    the sound begins and ends with the pictures, to the sample.
    """

    def __init__(
        self,
        source: Path,
        *,
        output: OutputContainer,
        rules: SoundRules,
        warn: Callable[[str], None],
        note: Callable[[str], None],
        cut: bool = False,
    ) -> None:
        self.offset = Fraction(0)
        self._warn, self._cut, self._start = warn, cut, Fraction(0)
        self._lead = Fraction(0)  # of sound that is left out, before the first picture
        self._container = open_container(source)
        self._picture_end = self._end_of_pictures()
        streams = [s for s in self._container.streams.audio if s.codec_context is not None]
        if unknown := len(self._container.streams.audio) - len(streams):
            warn(f"{unknown} sound streams of an unknown codec were left out")
        self._lanes: dict[int, _Lane] = {}
        for stream in streams:
            codec = stream.codec_context.codec.canonical_name
            lane: _Lane
            if not stream.codec_context.sample_rate:
                warn(f"the sound is {codec} without a whole packet: it is left out")
                continue
            copies = rules.copies(codec, rate=stream.codec_context.sample_rate)
            layout = None if (copies and not cut) or codec in _HARMLESS else channel_layouts(source).get(stream.index)
            whole = codec in _HARMLESS or (is_safe(layout) and count_of(layout) in KEPT)
            if not cut and (copies or (codec in rules.held and not whole)):
                lane = _Lane(stream, output)
            else:
                if not (codec in _HARMLESS or is_safe(layout) or is_plain_pcm(codec)):
                    order = f"has its channels in an order of its own ({layout})" if layout else "cannot be examined"
                    warn(f"the sound is {codec} that {order}: it is left out")
                    continue
                fitting = rules.keeping(_depth_of(stream))
                if not copies and rules.refusal:
                    say = note if codec in rules.held or _always_loses(stream) else warn
                    say(f"the sound is {codec}, which {rules.refusal}: it is encoded again as {fitting.label}")
                # Sound that is kept without a loss is cut without one.
                same = copies and (is_plain_pcm(codec) or codec in _LOSSLESS)
                own = replace(rules, encoder=codec) if same else fitting
                lane = _EncodedLane(stream, output, rules=own, layout=layout, warn=warn, cut=cut)
            self._lanes[stream.index] = lane
        kept = [stream for stream in streams if stream.index in self._lanes]
        self._clock = read_clock(source) if kept and self._container.streams.video else STEADY
        self._packets: Iterator[Packet[AudioStream]] = packets_of(self._container, *kept) if kept else iter(())
        self._pending = self._next()

    def begin(self, start: Fraction, *, offset: Fraction) -> None:
        """Take the time of the first picture in the source, in seconds, and what is added to all times."""
        self.offset = offset
        if not self._cut:
            if offset < 0:  # what begins before the pictures would begin before zero
                for lane in self._lanes.values():
                    lane.begin(start)
            return
        self._start = start
        for lane in self._lanes.values():
            lane.begin(start)
        if not self._clock.jumps and start > 2 * _RUN_UP:
            # The facts about the clock count packets from the first; without jumps there are none.
            with suppress(av.FFmpegError):
                self._container.seek(int((start - 2 * _RUN_UP) * av.time_base))
                self._pending = self._next()

    def _next(self) -> Packet[AudioStream] | None:
        """Return the next packet, moved by as much as the pictures are where the clock jumps."""
        packet = next(self._packets, None)
        if packet is None:
            return None
        lane = self._lanes[packet.stream_index]
        if self._clock.jumps and packet.time_base:
            shift = round(self._clock.shift(packet.stream_index, lane.count) / packet.time_base)
            packet.pts = None if packet.pts is None else packet.pts + shift
            packet.dts = None if packet.dts is None else packet.dts + shift
        lane.count += 1
        lane.complete(packet)
        return packet

    def advance(self, until: Fraction | None) -> None:
        """Write the packets that start at or before this output time in seconds; None for all the rest."""
        if until is not None:
            for lane in self._lanes.values():
                lane.reach(until - self.offset)
        while self._pending is not None:
            time = self._pending.pts if self._pending.pts is not None else self._pending.dts
            start = self.offset + (time or 0) * (self._pending.time_base or 0)
            if until is not None and start > until:
                return
            lane = self._lanes[self._pending.stream_index]
            length = lane.run_up + (self._pending.duration or 0) * (self._pending.time_base or 0)
            in_time = self.offset >= 0 or start + length >= 0
            if self.offset < 0 and not self._cut:
                self._lead = max(self._lead, -start)
            if start >= self.offset + self._start - _RUN_UP if self._cut else in_time:
                lane.write(self._pending, offset=self.offset)
            self._pending = self._next()

    def finish(self, end: Fraction) -> None:
        """Write what is left, if the last picture ends at this output time in seconds, and close the source.

        If the source's pictures go on for more than a second, only a part of it was written: the sound ends there too.
        """
        is_part = self._picture_end is not None and end + _TAIL < self._picture_end + self.offset
        self.advance(end if is_part or self._cut else None)
        if self._lead >= _LEAD:
            self._warn(f"{float(self._lead):.2f} s of sound before the first frame were left out")
        for lane in self._lanes.values():
            lane.write(None, offset=self.offset)
            if lane.lost:
                self._warn(f"{lane.lost} damaged packets of sound were left out")
            if lane.overlapping:
                self._warn(f"{lane.overlapping} packets of sound that overlap others were left out")
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


def _always_loses(stream: AudioStream) -> bool:
    """Tell if the codec of a stream has no way to keep sound whole: DTS and WavPack may keep it, AAC cannot."""
    codec = stream.codec_context.codec
    return codec.lossy and not codec.lossless


def _depth_of(stream: AudioStream) -> SoundDepth:
    """Return the depth of the samples of a stream, as far as they are worth keeping."""
    codec, samples = stream.codec_context.codec, stream.codec_context.format
    # DTS is decoded to floating samples where it has a loss.
    if samples is None or _always_loses(stream) or (samples.name.startswith("flt") and codec.canonical_name == "dts"):
        return "16 bits"
    if samples.name.startswith(("flt", "dbl")):
        return "floating"
    return "24 bits" if samples.bits > 16 else "16 bits"


def _named(stream: AudioStream, source: AudioStream) -> AudioStream:
    """Give a track of the output the language and the name of its source.

    In mov and mp4, programs show the name of the handler; in other containers, the title.
    """
    said = {key.lower(): value for key, value in source.metadata.items()}
    handler = said.get("handler_name", "")
    name = said.get("title") or ("" if handler in _NO_NAMES else handler)
    holder, language = stream.container.format.name, said.get("language", "")
    if holder == "mov":
        language = _QUICKTIME.get(language, language)
    handler = name if holder in {"mov", "mp4"} else ""
    kept = {"language": language, "title": name, "handler_name": handler}
    stream.metadata.update({key: value for key, value in kept.items() if value})
    return stream


class _Lane:
    """One audio stream on its way to the output, copied."""

    run_up = Fraction(0)

    def __init__(self, source: AudioStream, output: OutputContainer) -> None:
        self.lost = 0
        self.overlapping = 0
        self.count = 0
        self._source = source
        self._output = output
        self._last_dts: Fraction | None = None
        self._end: Fraction | None = None  # of the sound so far
        self._expected: int | None = None  # time of the next packet, where it states none
        self._stream = self._add(source, output)

    def _add(self, source: AudioStream, output: OutputContainer) -> AudioStream:
        return _named(output.add_stream_from_template(source), source)

    def complete(self, packet: Packet[AudioStream]) -> None:
        """Give a packet without a time the one at which the packet before ended."""
        if packet.pts is None:
            packet.pts = packet.dts if packet.dts is not None else self._expected
        if packet.pts is not None:
            self._expected = packet.pts + (packet.duration or 0)

    def begin(self, start: Fraction) -> None:
        """Take the time at which the pictures start, in seconds of the source."""

    def reach(self, time: Fraction) -> None:
        """Take a time that the pictures reach, in seconds of the source: at the end, that of the end."""

    def write(self, packet: Packet[AudioStream] | None, *, offset: Fraction) -> None:
        """Pass a packet on; None ends the stream."""
        if packet is not None:
            self._mux(packet, offset=offset)

    def _mux(self, packet: Packet[AudioStream], *, offset: Fraction) -> None:
        pts, dts, base = packet.pts, packet.dts, packet.time_base
        if pts is None or not base:
            self.lost += 1
            return
        # The muxer refuses a file whose times run backwards, and would take the pictures down with it.
        order = (pts if dts is None else dts) * base
        end = order + (packet.duration or 0) * base
        late = Fraction(0)
        if self._last_dts is not None and order <= self._last_dts:
            if self._end is not None and end <= self._end and packet.duration:
                self.overlapping += 1
                return
            # Short packets whose times were rounded to the same thousandth of a second are no damage.
            late = self._last_dts + (self._stream.time_base or base) - order
        self._last_dts = order + late
        self._end = max(end, self._end or end)
        finer = min(base, self._stream.time_base or base)
        packet.pts = round((pts * base + offset + late) / finer)
        packet.dts = packet.pts if dts is None else round((dts * base + offset + late) / finer)
        packet.duration = round((packet.duration or 0) * base / finer)
        packet.time_base = finer
        packet.stream = self._stream
        try:
            self._output.mux_one(packet)
        except av.InvalidDataError:
            self.lost += 1  # its header is checked on the way from a transport stream into mp4


class _EncodedLane(_Lane):
    """One audio stream on its way to the output, encoded again."""

    run_up = _RUN_UP

    def __init__(
        self,
        source: AudioStream,
        output: OutputContainer,
        *,
        rules: SoundRules,
        layout: str | None,
        warn: Callable[[str], None],
        cut: bool,
    ) -> None:
        self._rules, self._layout, self._warn = rules, layout, warn
        self._cut = SoundCut() if cut else None
        self._codec = source.codec_context.codec.canonical_name
        self._rate = source.codec_context.sample_rate
        self._pcm: PcmReader | None = None
        self._is_pcm = is_plain_pcm(self._codec)
        super().__init__(source, output)
        self._stream.codec_context.open()
        self._resampler = av.AudioResampler(
            format=self._stream.format,
            layout=self._stream.layout,
            rate=self._stream.rate,
            frame_size=self._stream.codec_context.frame_size or None,  # PCM takes any
        )

    def _add(self, source: AudioStream, output: OutputContainer) -> AudioStream:
        rules = self._rules
        taken = not rules.rates or self._rate in rules.rates
        stream: AudioStream = output.add_stream(rules.encoder, rate=self._rate if taken else _USUAL_RATE)  # type: ignore[assignment]
        if rules.samples is not None:
            stream.codec_context.format = rules.samples
        _named(stream, source)
        if self._is_pcm:
            self._pcm = PcmReader.of(self._codec, channels=self._channels(), layout=self._layout)
            stream.layout = self._pcm.layout
            if self._pcm.is_mixed:
                self._warn(f"the sound has {self._pcm.channels} channels, and is mixed down to two")
            return stream
        count = source.codec_context.channels
        stream.layout = KEPT.get(count, "stereo")
        if rules.encoder == self._codec in _LOSSLESS:
            stream.codec_context.format = source.codec_context.format  # all its bits
        elif self._cut is not None and self._codec in rules.copied:
            # It would have been copied: encoding it again shall not be heard.
            stream.codec_context.bit_rate = max(source.codec_context.bit_rate or 0, _GOOD * stream.layout.nb_channels)
        if count not in KEPT:
            self._warn(f"the sound has {count} channels, and is mixed down to two")
        return stream

    def _channels(self) -> int:
        counted = count_of(self._layout)
        if counted is None:
            # By the bits a second: asking for the channels themselves may end the process.
            bits = self._rate * bits_of(self._codec)
            counted = max(1, round((self._source.codec_context.bit_rate or 2 * bits) / bits))
        return counted

    def write(self, packet: Packet[AudioStream] | None, *, offset: Fraction) -> None:
        """Pass a packet on; None ends the stream."""
        try:
            decoded = self._decoded(packet)
        except (av.FFmpegError, ValueError) as error:
            refuse_shortage(error)
            self.lost += packet is not None
            decoded = []
        if self._cut is not None:
            decoded = [*self._cut.push(decoded), *(self._cut.finish(self._cut.safe) if packet is None else ())]
        end: list[AudioFrame | None] = [None] if packet is None else []
        resampled = [sound for frame in [*decoded, *end] for sound in self._resampler.resample(frame)]
        for sound in [*resampled, *end]:
            for each in self._stream.encode(sound):
                self._mux(each, offset=offset)

    def begin(self, start: Fraction) -> None:
        """See `_Lane.begin`."""
        if self._cut is None:
            self._cut = SoundCut()
            self._cut.start, self._cut.safe = start, _NEVER
            return
        self._cut.start = self._cut.safe = start

    def reach(self, time: Fraction) -> None:
        """See `_Lane.reach`."""
        if self._cut is not None and self._cut.safe < _NEVER:
            self._cut.safe = time

    def _decoded(self, packet: Packet[AudioStream] | None) -> list[AudioFrame]:
        if self._pcm is None:
            return self._source.decode(packet)
        if packet is None:
            return []
        samples = self._pcm.read(bytes(packet))
        if samples.size == 0:
            return []
        frame = av.AudioFrame.from_ndarray(samples.reshape(1, -1), format="flt", layout=self._pcm.layout)
        frame.sample_rate, frame.time_base = self._rate, Fraction(1, self._rate)
        if packet.pts is not None and packet.time_base:
            frame.pts = round(packet.pts * packet.time_base * self._rate)
        return [frame]
