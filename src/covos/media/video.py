"""A video file as a source of frames."""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import partial
from typing import TYPE_CHECKING

from covos.core.errors import SourceError
from covos.core.types import Deinterlace, Frame, SourceInfo
from covos.media.clock import STEADY, Clock, read_clock
from covos.media.container import open_container, picture_stream, size_unknown
from covos.media.damage import damage_in_words
from covos.media.decoding import Cursor, Decoded, Tally, decode_file
from covos.media.displayed import Orientations, PictureReader, rotation_degrees
from covos.media.fields import deinterlaced, with_neighbours
from covos.media.joined import second_file
from covos.media.missing import missing_frames, spans
from covos.media.packets import read_packet_table
from covos.media.picture import is_alpha_used
from covos.media.source import Health, MissingFrame, Source, check_pixels
from covos.media.structure import examine
from covos.media.tags import hdr_of, tags_of

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable, Iterator, Sequence
    from pathlib import Path

    from av.container import InputContainer
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream
    from numpy import uint16
    from numpy.typing import NDArray

    from covos.media.packets import PacketTable


# Codecs whose key packets can be decoded on their own. GIF and APNG mark pictures as keys that are patches.
_SEEKABLE = frozenset(
    {"av1", "dnxhd", "ffv1", "h264", "hevc", "mjpeg", "mpeg1video", "mpeg2video", "mpeg4", "png", "prores"}
    | {"qtrle", "vp8", "vp9"}
)


@dataclass(slots=True)
class _Pass(Tally):
    """Counts and findings of one full pass."""

    decoded: int = 0
    concealed: list[int] = field(default_factory=list)
    packets_of: array[int] = field(default_factory=lambda: array("q"))  # number of each frame's packet
    times: array[int] = field(default_factory=lambda: array("q"))
    finished: bool = False
    missing: tuple[MissingFrame, ...] | None = None  # once the pass is finished and it was asked for
    keeps_table: bool = True  # each frame had the time that the packet table gives its index


class VideoSource(Source):
    """A video file; see ``open_source``. Opening reads all packets once and decodes the first frame.

    Args:
        path: The file.
        name: Its name, as the user gave it.
        deinterlace: As of `covos.media.opening.open_source`.
        uses_alpha: True if alpha counts whatever the first frame shows; None asks `is_alpha_used`.

    Attributes:
        has_alpha: True if its pictures have an alpha channel.
    """

    def __init__(
        self, path: Path, *, name: str, deinterlace: Deinterlace = "auto", uses_alpha: bool | None = None
    ) -> None:
        self._path = path
        self._name = name
        self._deinterlace: Deinterlace = deinterlace
        self.files = (path,)
        self._warnings: dict[str, None] = {}  # in the order met, each once
        self._pass = _Pass()
        self._uses_alpha, self._is_asked = True, uses_alpha is None
        self._orientations = Orientations()
        self._seeks = True  # until a part turns out to be damaged
        structure = examine(path)
        self._is_cut, self._second = structure.cut, second_file(path)
        with open_container(path) as container:
            stream = picture_stream(container, path)
            self._table = read_packet_table(container, stream, structure=structure)
            self._stream = stream.index
            self._clock = read_clock(path) if self._table.jumps else STEADY
            if len(container.streams.video) > 1:
                self._warn(f"the file has {len(container.streams.video)} video streams: #{stream.index} is read")
            self._time_base = stream.time_base or 1 / self._table.frame_rate
            picture = self._first_picture(has_size=bool(stream.width and stream.height))
            self._coded_size = picture.width, picture.height
            self._is_interlaced = picture.interlaced_frame or deinterlace == "on"
            self.info = self._describe(container, stream, picture)

    @property
    def health(self) -> Health:
        """See ``Source.health``; warnings say how many frames are missing, and at which times."""
        latest, table = self._pass, self._table
        lost = self._missing()
        met = lost or latest.concealed or latest.refused or latest.undecodable
        at_least = table.at_least or (bool(met) and not table.has_total) or self._second is not None
        health = Health(
            decoded=latest.decoded,
            expected=latest.decoded + len(lost) if latest.finished else max(table.expected, latest.decoded),
            concealed=tuple(latest.concealed),
            undecodable=latest.undecodable,
            cut=self._is_cut,
            at_least=at_least,
            lost=lost,
        )
        return replace(health, warnings=(*self._warnings, *self.damage_in_words(health)))

    def damage_in_words(self, health: Health) -> tuple[str, ...]:
        """See `Source.damage_in_words`."""
        latest, said = self._pass, []
        if self._second is not None and health.at_least:
            said.append(
                f"another file begins in it, at byte {self._second}, which is not read: split it there, or join both "
                "with a program that knows the format"
            )
        ends = latest.finished and self._second is None
        return (
            *said,
            *damage_in_words(health, time_of=lambda index: latest.times[index], shown=self._spans, ends=ends),
        )

    def _spans(self, times: Sequence[int]) -> str:
        return spans(times, time_base=self._time_base, frame_rate=self._table.frame_rate)

    def _missing(self) -> tuple[MissingFrame, ...]:
        latest = self._pass
        if latest.missing is not None:
            return latest.missing
        found = missing_frames(
            self._table,
            packets=latest.packets_of,
            times=latest.times,
            damaged=[*latest.refused, *(latest.packets_of[index] for index in latest.concealed)],
            time_base=self._time_base,
            is_whole=latest.finished,
        )
        if latest.finished:
            latest.missing = found
        return found

    def _read_all(self) -> Iterator[Frame]:
        latest = self._pass = _Pass()
        times = () if self._table.seeking is None else self._table.seeking.pts
        for frame in self._frames(self._noted(self._whole(enumerate(decode_file(self._path, tally=latest))))):
            latest.decoded += 1
            if frame.status == "concealed":
                latest.concealed.append(frame.index)
            latest.times.append(frame.pts)
            latest.keeps_table &= frame.index < len(times) and bool(times[frame.index] == frame.pts)
            yield frame
        latest.finished = True

    def _read_part(self, wanted: range) -> Iterator[Frame]:
        """Seek to the first frame and go on from there, if nothing shows damage; else read from the beginning."""
        table, given = self._table, 0
        intact = not (self._is_cut or table.lost or table.suspects or table.at_least or table.jumps)
        if self._seeks and intact:
            self._pass = _Pass()
            sought = wanted[: len(range(wanted.start, table.count, wanted.step))]
            for frame in self._frames(self._sought(tuple(sought))):
                yield frame
                given += 1
            if given == len(sought):
                return
            self._seeks = False
        yield from super()._read_part(wanted[given:])

    def _noted(self, pictures: Iterable[tuple[int, Decoded]]) -> Iterator[tuple[int, Decoded]]:
        for index, each in pictures:
            self._pass.packets_of.append(each.packet)
            yield index, each

    def _whole(self, pictures: Iterable[tuple[int, Decoded]]) -> Iterator[tuple[int, Decoded]]:
        return deinterlaced(pictures, choice=self._deinterlace, warn=self._warn)

    def _ticks(self) -> list[int] | None:
        table = self._table
        return None if table.seeking is None or table.jumps else table.seeking.pts.tolist()

    def _last_duration(self) -> int | None:
        return self._table.last_duration

    def _read_some(self, indices: tuple[int, ...]) -> Iterator[Frame]:
        """Seek where that saves decoding and the file's times can be trusted; decode from the start for the rest."""
        done = 0
        for frame in self._frames(self._sought(indices)):
            yield frame
            done += 1
        rest = indices[done:]
        if not rest:
            return
        pictures = self._whole(enumerate(decode_file(self._path, tally=Tally())))
        for frame in self._frames(pictures, wanted=frozenset(rest)):
            yield frame
            if frame.index == rest[-1]:
                return

    def _frames(
        self, pictures: Iterable[tuple[int, Decoded]], *, wanted: Container[int] | None = None
    ) -> Iterator[Frame]:
        """Make frames of the pictures with their indices; of the wanted ones alone, though all count for the times."""
        reader, deep = self._reader(), self._reader()
        timeline = Timeline(
            self._table, time_base=self._time_base, warn=self._warn, clock=self._clock, stream=self._stream
        )
        for index, decoded in pictures:
            picture = decoded.picture
            pts = timeline.at(picture, packet=decoded.packet)
            if wanted is None or index in wanted:
                later = reader.later(picture)
                shown = reader.read(picture) if later is None else None
                yield Frame(
                    index=index,
                    stem=f"{index:05d}",
                    image=later if shown is None else shown.image,  # type: ignore[arg-type]
                    pts=pts,
                    time_base=self._time_base,
                    status="concealed" if decoded.is_damaged else "ok",
                    alpha=None if shown is None else shown.alpha,
                    bare=None if shown is None else shown.bare,
                    source_size=None if shown is None or shown.size == self._size else self._size,
                    # Its own reader: another thread may ask, and most never do.
                    deep=partial(deep.deep, picture) if self.info.tags.bits > 8 else None,
                    coded=reader.coded(picture),
                    hdr=self._unmapped(deep, picture),
                    duration=self._table.last_duration if index == self._table.count - 1 else None,
                )

    def _sought(self, indices: tuple[int, ...]) -> Iterator[tuple[int, Decoded]]:
        """Yield the wanted pictures by seeking, up to the first at which the file differs from the packet table."""
        latest, table = self._pass, self._table.seeking
        damaged = latest.concealed or latest.undecodable or not latest.keeps_table
        short = latest.finished and latest.decoded != self._table.count
        if damaged or short or table is None or self.info.codec not in _SEEKABLE:
            return
        wanted = frozenset(indices)
        takes_neighbours = self._is_interlaced and self._deinterlace != "off"
        with open_container(self._path) as container:
            cursor = Cursor(container, picture_stream(container, self._path, strict=True), table=table)
            gave_up = False

            def walk() -> Iterator[tuple[int, Decoded]]:
                nonlocal gave_up
                needed = with_neighbours(indices, count=table.pts.size) if takes_neighbours else indices
                for index in needed:
                    picture = cursor.move_to(index)
                    surprise = picture is not None and picture.interlaced_frame and not takes_neighbours
                    if picture is None or (surprise and self._deinterlace == "auto"):
                        self._is_interlaced |= surprise
                        gave_up = True
                        return
                    yield index, Decoded(picture=picture, packet=-1)

            for index, each in self._whole(walk()):
                if gave_up:  # without its successor, it may differ
                    return
                if index in wanted:
                    yield index, each

    def _unmapped(self, reader: PictureReader, picture: VideoFrame) -> Callable[[], NDArray[uint16]] | None:
        """Return what makes a picture with the HDR or wide colours of the source, if it has such."""
        own = self.info.tags.hdr
        if own is None:
            return None
        if hdr_of(picture) != own:
            self._warn("its transfer or primaries change: where HDR is kept, they are stated as in the first frame")
        return partial(reader.unmapped, picture)

    def _warn(self, text: str) -> None:
        self._warnings[text] = None

    def _reader(self) -> PictureReader:
        return PictureReader(
            self._name,
            size=self._coded_size,
            warn=self._warn,
            uses_alpha=self._uses_alpha,
            orientations=self._orientations,
            hdr_is_stated=self._hdr_is_stated,
        )

    def _first_picture(self, *, has_size: bool) -> VideoFrame:
        if self._table.count == 0:
            raise SourceError(
                f"{self._name}: it has no frames",
                why="its video stream is empty",
                fix="check the recording; export the video again",
            )
        for decoded in decode_file(self._path, tally=Tally()):
            check_pixels(self._name, height=decoded.picture.height, width=decoded.picture.width)
            return decoded.picture
        if not has_size:
            raise size_unknown(self._path)
        raise SourceError(
            f"{self._name}: none of its {self._table.count} frames can be decoded",
            why="the video data is damaged or encrypted",
            fix="check that it plays elsewhere; convert it to H.264 mp4 if it does",
        )

    def _describe(self, container: InputContainer, stream: VideoStream, picture: VideoFrame) -> SourceInfo:
        self._hdr_is_stated = hdr_of(picture) is not None
        ((_, first),) = self._whole([(0, Decoded(picture=picture, packet=-1))])  # warns of what it does
        pixels = self._reader().pixels(first.picture)
        self.has_alpha = pixels.shape[2] == 4
        if self._is_asked:
            self._uses_alpha = is_alpha_used(pixels)
        self._size = height, width = self._reader().laid(pixels).size
        rotation = rotation_degrees(self._orientations.of(picture))
        aspect = Fraction(stream.sample_aspect_ratio or 1) or Fraction(1)
        duration = None
        if stream.duration is not None:
            duration = float(stream.duration * self._time_base)
        elif container.duration is not None:
            duration = container.duration / 1_000_000
        return SourceInfo(
            path=self._name,
            kind="video",
            height=height,
            width=width,
            frame_count=self._table.count,
            frame_rate=self._table.frame_rate,
            duration=duration,
            time_base=self._time_base,
            deinterlace=self._deinterlace,
            rotation=rotation,
            has_audio=bool(container.streams.audio),
            codec=stream.codec_context.codec.canonical_name,
            pixel_aspect=1 / aspect if rotation in (90, 270) else aspect,
            tags=tags_of(container, picture),
        )


class Timeline:
    """Gives each picture of one pass its presentation time, strictly increasing, whatever the container states.

    Stated times are kept as they are, but for jumps of the clock, which `covos.media.clock` closes. A picture without
    one takes its decoding time, or else a time by the frame rate. A time that does not advance becomes the previous one
    plus one unit.
    """

    def __init__(
        self,
        table: PacketTable,
        *,
        time_base: Fraction,
        warn: Callable[[str], None],
        clock: Clock = STEADY,
        stream: int = 0,
    ) -> None:
        self._step = 1 / (table.frame_rate * time_base)
        self._table = table
        self._warn = warn
        self._clock, self._stream, self._time_base = clock, stream, time_base
        self._last: int | None = None
        self._lead: int | None = None
        self._anchor = Fraction(table.first_dts or 0)
        self._since_anchor = 0

    def at(self, picture: VideoFrame, *, packet: int = -1) -> int:
        """Return the presentation time of the next picture, above that of the one before; ``packet`` is its packet."""
        stated = None if packet in self._clock.wrong else self._stated(picture)
        if stated is None:
            # Counted from an anchor, so that a frame rate of 29.97 does not drift by rounding.
            self._since_anchor += self._last is not None
            time = round(self._anchor + self._since_anchor * self._step)
        else:
            time = stated
            if self._clock.jumps and (shift := self._clock.shift(self._stream, packet)):
                self._warn(
                    "the file's clock jumps, as where recordings were joined: what follows is moved to go on there"
                )
                time += round(shift / self._time_base)
        if self._last is not None and time <= self._last:
            self._warn("some frames do not advance in time: their presentation times are moved forward")
            time = self._last + 1
        if stated is not None:
            self._anchor, self._since_anchor = Fraction(time), 0
        self._last = time
        return time

    def _stated(self, picture: VideoFrame) -> int | None:
        if picture.pts is not None:
            return picture.pts
        if self._table.has_pts:
            self._warn("some frames have no presentation time: it is filled in from the frame rate")
            return None
        first_dts = self._table.first_dts
        if first_dts is None:
            self._warn("the file states no times: they are made from the frame rate")
            return None
        # AVI states decoding times only. A picture comes out as many packets late as the codec reorders; the
        # first one's delay shows how many.
        if picture.dts is None:
            return None
        if self._lead is None:
            self._lead = picture.dts - first_dts
        return picture.dts - self._lead
