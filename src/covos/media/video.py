"""A video file as a source of frames."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING, Self

import av

from covos.core.errors import SourceError
from covos.core.progress import counted
from covos.core.types import Frame, SourceInfo
from covos.media.container import is_cut, open_container, packets_of, picture_stream
from covos.media.decoding import Tally, Timeline, decode_file, decode_packet
from covos.media.packets import read_packet_table
from covos.media.picture import PictureReader, orientation_of, rotation_degrees
from covos.media.source import Health, Source, check_indices, check_open

if TYPE_CHECKING:
    from collections.abc import Container, Iterator, Sequence
    from pathlib import Path
    from types import TracebackType

    from av.container import InputContainer
    from av.packet import Packet
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

    from covos.media.packets import PacketTable


# Jump to a frame by way of the packet table, and notice when the file does not keep its promise.


class Cursor:
    """Walks forward through a video's pictures, skipping ahead to key packets.

    A step checks that the packet seeked to and each picture's time are those of the table. At the first
    difference, decoding error or damaged picture it gives up, since only a full pass can then tell which
    picture has which index.
    """

    def __init__(self, path: Path, *, table: PacketTable) -> None:
        if table.pts is None or table.is_key is None or table.seek_to is None:
            raise ValueError("a cursor needs a table with trusted presentation times")
        self._path = path
        self._pts = table.pts
        self._keys = table.is_key.nonzero()[0]
        self._seek_to = table.seek_to
        self._next = 0  # index of the next picture to come out
        self._ready: deque[VideoFrame] = deque()
        self._tally = Tally()

    def __enter__(self) -> Self:
        self._container = open_container(self._path)
        self._stream = picture_stream(self._container, self._path)
        self._packets: Iterator[Packet[VideoStream] | None] = self._from_here()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._container.close()

    def move_to(self, index: int) -> VideoFrame | None:
        """Decode on, or from a later key packet, to the picture with this index.

        Args:
            index: Above that of the previous call.

        Returns:
            The picture; None if the file differs from its table, after which the cursor is of no more use.
        """
        before = self._keys.searchsorted(index, side="right")
        key = int(self._keys[before - 1]) if before else 0
        if key > self._next and not self._jump(key):
            return None
        while (picture := self._decode()) is not None:
            # Pictures before the key's time refer to what came before it, and are broken after a jump.
            if picture.pts is not None and picture.pts < self._pts[self._next]:
                continue
            if picture.pts != self._pts[self._next] or picture.is_corrupt:
                return None
            self._next += 1
            if self._next > index:
                return picture
        return None

    def _jump(self, key: int) -> bool:
        depth = self._stream.codec_context.reorder_depth
        try:
            self._container.seek(int(self._seek_to[key]), stream=self._stream)
        except av.FFmpegError:
            return False
        # Flushing resets the depth that the decoder has learnt, which would drop or misorder pictures.
        self._stream.codec_context.reorder_depth = depth
        self._ready.clear()
        self._packets = self._from_here()
        for packet in self._packets:
            if packet is None or (packet.dts is not None and packet.dts > self._pts[key]):
                return False
            if packet.pts == self._pts[key] and packet.is_keyframe:
                self._next = key
                self._ready.extend(decode_packet(self._stream, packet, tally=self._tally))
                return True
        return False

    def _decode(self) -> VideoFrame | None:
        while not self._ready:
            try:
                packet = next(self._packets)
            except StopIteration:
                return None
            self._ready.extend(decode_packet(self._stream, packet, tally=self._tally))
            if self._tally.undecodable:
                return None
        return self._ready.popleft()

    def _from_here(self) -> Iterator[Packet[VideoStream] | None]:
        """The packets to come, then None to drain the decoder."""
        yield from packets_of(self._container, self._stream)
        yield None


# Codecs whose key packets can be decoded on their own. GIF and APNG mark pictures as keys that are patches.
_SEEKABLE = frozenset(
    {"av1", "dnxhd", "ffv1", "h264", "hevc", "mjpeg", "mpeg1video", "mpeg2video", "mpeg4", "png", "prores"}
    | {"qtrle", "vp8", "vp9"}
)


@dataclass(slots=True)
class _Pass:
    """Counts of one full pass."""

    tally: Tally = field(default_factory=Tally)
    decoded: int = 0
    concealed: list[int] = field(default_factory=list)
    finished: bool = False
    keeps_table: bool = True  # whether each frame had the time that the packet table gives its index


class VideoSource(Source):
    """A video file; see ``open_source``.

    Opening reads all packets once and decodes the first frame, so that what cannot be used is refused before
    any output exists.
    """

    def __init__(self, path: Path, *, name: str) -> None:
        self._path = path
        self._name = name
        self._closed = False
        self._warnings: dict[str, None] = {}  # in the order met, each once
        self._pass = _Pass()
        self._is_cut = is_cut(path)
        with open_container(path) as container:
            stream = picture_stream(container, path)
            self._table = read_packet_table(container, stream, is_cut=self._is_cut)
            if len(container.streams.video) > 1:
                self._warn(f"the file has {len(container.streams.video)} video streams: #{stream.index} is read")
            self._time_base = stream.time_base or 1 / self._table.frame_rate
            picture = self._first_picture()
            self._coded_size = picture.width, picture.height
            self.info = self._describe(container, stream, picture)

    @property
    def health(self) -> Health:
        """See ``Source.health``; ``expected`` counts packets, or more where an index or header states more."""
        latest, expected = self._pass, self._table.expected
        warnings = list(self._warnings)
        if self._is_cut:
            warnings.append("the file is shorter than its header says: its end is missing")
        if latest.finished and latest.decoded < expected:
            basis = "packets" if expected == self._table.count else "header"
            warnings.append(
                f"expected about {expected} frames by its {basis}, got {latest.decoded}: the file is damaged or cut"
            )
        if latest.concealed:
            warnings.append(f"{counted(len(latest.concealed), 'frame')} damaged and painted over by the decoder")
        return Health(
            decoded=latest.decoded,
            expected=expected,
            concealed=tuple(latest.concealed),
            undecodable=latest.tally.undecodable,
            cut=self._is_cut,
            warnings=tuple(warnings),
        )

    @property
    def files(self) -> tuple[Path, ...]:
        """See ``Source.files``."""
        return (self._path,)

    def __iter__(self) -> Iterator[Frame]:
        check_open(self._closed, name=self._name)
        return self._full_pass()

    def select(self, indices: Sequence[int]) -> Iterator[Frame]:
        """See ``Source.select``; seeks where that saves decoding and the file's times can be trusted."""
        check_open(self._closed, name=self._name)
        return self._selected(check_indices(indices, count=self._table.count))

    def close(self) -> None:
        """See ``Source.close``."""
        self._closed = True

    def _warn(self, text: str) -> None:
        self._warnings[text] = None

    def _full_pass(self) -> Iterator[Frame]:
        latest = self._pass = _Pass()
        for frame in self._frames(tally=latest.tally):
            latest.decoded += 1
            if frame.status == "concealed":
                latest.concealed.append(frame.index)
            latest.keeps_table &= self._is_in_table(frame)
            yield frame
        latest.finished = True

    def _frames(self, *, tally: Tally, wanted: Container[int] | None = None) -> Iterator[Frame]:
        reader = self._reader()
        timeline = self._timeline()
        for index, picture in enumerate(decode_file(self._path, tally=tally)):
            pts = timeline.at(picture)
            if wanted is None or index in wanted:
                yield self._frame(reader, picture, index=index, pts=pts)

    def _frame(self, reader: PictureReader, picture: VideoFrame, *, index: int, pts: int) -> Frame:
        return Frame(
            index=index,
            stem=f"{index:05d}",
            image=reader.rgb(picture),
            pts=pts,
            time_base=self._time_base,
            status="concealed" if picture.is_corrupt else "ok",
        )

    def _selected(self, wanted: tuple[int, ...]) -> Iterator[Frame]:
        done = 0
        if self._can_seek():
            for frame in self._by_seeking(wanted):
                yield frame
                done += 1
        rest = wanted[done:]
        if not rest:
            return
        for frame in self._frames(tally=Tally(), wanted=frozenset(rest)):
            yield frame
            if frame.index == rest[-1]:
                return

    def _is_in_table(self, frame: Frame) -> bool:
        pts = self._table.pts
        return pts is not None and frame.index < len(pts) and bool(pts[frame.index] == frame.pts)

    def _can_seek(self) -> bool:
        latest = self._pass
        damaged = latest.concealed or latest.tally.undecodable or not latest.keeps_table
        short = latest.finished and latest.decoded != self._table.count
        return not damaged and not short and self._table.pts is not None and self.info.codec in _SEEKABLE

    def _by_seeking(self, wanted: tuple[int, ...]) -> Iterator[Frame]:
        """The wanted frames, up to the first at which the file does not keep what the packet table promises."""
        reader = self._reader()
        timeline = self._timeline()
        with Cursor(self._path, table=self._table) as cursor:
            for index in wanted:
                picture = cursor.move_to(index)
                if picture is None:
                    return
                yield self._frame(reader, picture, index=index, pts=timeline.at(picture))

    def _reader(self) -> PictureReader:
        return PictureReader(self._name, size=self._coded_size, warn=self._warn)

    def _timeline(self) -> Timeline:
        return Timeline(
            time_base=self._time_base,
            frame_rate=self._table.frame_rate,
            first_dts=self._table.first_dts,
            has_pts=self._table.has_pts,
            warn=self._warn,
        )

    def _first_picture(self) -> VideoFrame:
        if self._table.count == 0:
            raise SourceError(
                f"{self._name}: it has no frames",
                why="its video stream is empty",
                fix="check the recording; export the video again",
            )
        for picture in decode_file(self._path, tally=Tally()):
            return picture
        raise SourceError(
            f"{self._name}: none of its {self._table.count} frames can be decoded",
            why="the video data is damaged or encrypted",
            fix="check that it plays elsewhere; convert it to H.264 mp4 if it does",
        )

    def _describe(self, container: InputContainer, stream: VideoStream, picture: VideoFrame) -> SourceInfo:
        height, width = self._reader().rgb(picture).shape[:2]
        rotation = rotation_degrees(orientation_of(picture))
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
            rotation=rotation,
            has_audio=bool(container.streams.audio),
            codec=stream.codec_context.codec.canonical_name,
            pixel_aspect=1 / aspect if rotation in (90, 270) else aspect,
        )
