"""Write displayed frames as a video, with the source's times and sound."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import av
import numpy as np
from av.codec.context import ThreadType
from av.video.reformatter import ColorRange, VideoReformatter

from covos.core.device import codec_threads, encoder_threads
from covos.core.errors import EnvironmentProblem, SourceError, UsageError
from covos.core.files import atomic_path
from covos.core.types import UNTAGGED, Colour, Planes, Tags, Times
from covos.media.conform import Conformed
from covos.media.displayed import deep_plane_of, from_full_white, plane_of
from covos.media.presets import H264, Preset, SoundChoice
from covos.media.prores import WiderProres
from covos.media.sound import SoundTrack
from covos.media.tags import is_timecode_rate, tag_picture, usual_colour

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from av.packet import Packet
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream
    from numpy.typing import NDArray

_LEAST_AHEAD = 160
"""Pixels of the shorter side. x264's look ahead reads memory that was never written for smaller pictures: of 100 equal
runs at 64 x 48, four gave another file."""

_LONGEST = (1 << 31) - 1  # units of time that a frame may last in any container
# Players show a video that starts late as black until then, and editing programs as a gap.
_LATEST_START = Fraction(10)
_ROUNDING = Fraction(2, 1000)
"""Seconds by which frames of one rate may differ in length: containers count in thousandths, QuickTime in 1/600."""


class VideoWriter:
    """A video under construction: unless asked otherwise, an H.264 mp4 that plays everywhere.

    Presentation times are kept as given: variable frame rates, gaps and a start after zero survive; mkv and webm
    round them to a thousandth of a second. The last frame is shown for as long as its ``duration`` says, and
    without one as long as the frame before.

    A start before zero, which the containers cannot express, or more than ten seconds after it is moved to zero,
    pictures and sound alike; see ``offset``. So is any late start in a video for editing, or if ``tags`` says that the
    times count on; sound before the first picture is left out. ``times`` says otherwise: from ``"zero"`` any start
    is moved, and times are kept from there; those of the ``"source"`` keep a late start, however late.

    ``audio_from`` names a file with the sound, and ``sound`` how it is written: without it as it is, if the container
    holds it and all programs read it there.

    With ``cut`` the pictures are a part of the source: the sound is cut to the sample, at their start and at their end.

    The file is written under a temporary name beside its place and takes its name on ``close``. As a context
    manager it is closed at the end of the block, or removed if the block raises.

    ``time_base`` is seconds per unit of ``pts``; the frame rate, 25 if None, gives the last frame's length. With a
    ``constant_rate`` the pictures are repeated or dropped until there are so many a second, see
    `covos.media.conform.Conformed`; the sound keeps its times. ``tags`` says of what colours the frames are, and which
    timecode the first one has: the file says so, too.

    Attributes:
        padding: (bottom, right) pixels added by repeating the edge, where the codec needs even sizes.
        offset: Seconds added to every time; zero unless the start had to be moved. Known after the first frame.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        height: int,
        width: int,
        time_base: Fraction,
        frame_rate: Fraction | None,
        constant_rate: Fraction | None = None,
        preset: Preset = H264,
        audio_from: Path | None = None,
        sound: SoundChoice | None = None,
        pixel_aspect: Fraction = Fraction(1),
        tags: Tags = UNTAGGED,
        cut: bool = False,
        times: Times | None = None,
    ) -> None:
        self._path = Path(path)
        self._times = times
        self._latest_start = Fraction(0) if preset.is_for_editing or tags.counts_on else _LATEST_START
        self._preset = preset
        self._size = height, width
        self._pixels = preset.pixels_of(tags.bits)
        self._samples = np.uint16 if preset.deep and tags.bits > 8 else np.uint8
        self._time_base = time_base
        self._step = max(1, round(1 / ((frame_rate or 25) * time_base)))
        self._duration: int | None = None  # of the latest frame
        self._conformed = None if constant_rate is None else Conformed[av.VideoFrame](constant_rate)
        rate = constant_rate or frame_rate
        self._unit = 1 / constant_rate if constant_rate else time_base
        self.padding = (height % 2, width % 2) if preset.needs_even else (0, 0)
        self.offset = Fraction(0)
        self._warnings: dict[str, None] = {}
        self._notes: dict[str, None] = {}
        self._held: Packet[VideoStream] | None = None
        self._last: int | None = None
        self._steps: tuple[int, int] | None = None  # the shortest and the longest
        self._shift = 0
        self._done = False
        self._sound: SoundTrack | None = None
        if self._path.exists():
            raise UsageError(
                f"{self._path}: the file exists", why="nothing is overwritten", fix="remove it, or choose another name"
            )
        self._colour = _written(tags.colour or usual_colour(height, width), preset)
        self._reformatter = VideoReformatter()
        self._place = ExitStack()
        self._partial = self._place.enter_context(atomic_path(self._path))
        # A picture may come out of the encoder many seconds after its sound, where there are few a second.
        options = {"max_interleave_delta": "0"}
        if preset.container in {"mp4", "mov"}:
            # The scale of start times, which are kept in thousandths otherwise: FFmpeg's own for the video track.
            scale = self._unit.denominator
            while scale < 10_000:
                scale *= 2
            options |= {"movflags": "+faststart", "movie_timescale": str(scale)}
        else:
            # Copied AAC begins a little before zero: mkv can say so, but its muxer would rather move everything later.
            # Its random ids are left out: equal runs, equal files.
            options |= {"avoid_negative_ts": "disabled", "fflags": "+bitexact"}
        # Nothing is opened on disk yet.
        self._container = av.open(
            str(self._partial.absolute()), "w", format=preset.container, container_options=options
        )
        with self._explained():
            self._partial.touch()  # an unwritable folder is noticed before the work, not after
            self._stream = self._add_video(rate, pixel_aspect=pixel_aspect)
            self._wider = WiderProres(self._stream) if preset.coded_even and width % 2 else None
            self._add_names(tags, rate)
            if audio_from is not None and sound != "none":
                self._sound = SoundTrack(
                    Path(audio_from),
                    output=self._container,
                    rules=preset.sound.asked(sound),
                    warn=self._warn,
                    note=self._note,
                    cut=cut,
                )

    @property
    def warnings(self) -> tuple[str, ...]:
        """Things that could not be kept, in plain words."""
        return tuple(self._warnings)

    @property
    def notes(self) -> tuple[str, ...]:
        """Changes that take nothing worth speaking of, in plain words."""
        return (*self._notes, *self._rate_notes())

    def write(self, image: NDArray[Any], *, pts: int, duration: int | None = None) -> None:
        """Add a frame, H x W x 3 uint8 RGB, or H x W x 4 RGBA if the preset has alpha; times must rise.

        It is uint16 of full range if the preset keeps more than 8 bits a sample and ``tags`` has so many. ``duration``
        counts if no other frame follows.
        """
        self._check(image, pts)
        self._put(self._converted(image), pts=pts, duration=duration)

    def codes_like(self, coded: Planes) -> bool:
        """Tell if this video codes its frames as a picture was coded, so that `write_drawn` takes it."""
        size = self._stream.codec_context.height, self._stream.codec_context.width
        return self._pixels == "yuv420p" and coded.luma.shape == size and coded.matrix == self._colour.matrix

    def write_drawn(
        self, coded: Planes, *, draw: Callable[[Planes], None], pts: int, duration: int | None = None
    ) -> None:
        """Add a frame that is as it was coded, but for what is drawn.

        Args:
            coded: The picture before anything was drawn; see `codes_like`.
            draw: Draws on a copy of its planes.
            pts: As of `write`.
            duration: As of `write`.
        """
        self._check_time(pts)
        height, width = coded.luma.shape
        picture = av.VideoFrame(width, height, "yuv420p")
        luma, blue, red = (plane_of(picture, place) for place in range(3))
        luma[:], blue[:], red[:] = coded.luma, coded.blue, coded.red
        draw(replace(coded, luma=luma, blue=blue, red=red))
        tag_picture(picture, self._colour, is_yuv=self._preset.is_yuv)
        self._put(picture, pts=pts, duration=duration)

    def _put(self, picture: VideoFrame, *, pts: int, duration: int | None) -> None:
        if self._last is None:
            start = pts * self._time_base
            late = start > self._latest_start and self._times != "source"
            self._shift = -pts if start < 0 or late or self._times == "zero" else 0
            self.offset = self._shift * self._time_base
            if self._shift and self._times != "zero":
                tell = self._note if 0 < start <= _LATEST_START else self._warn
                tell(f"the video starts at {float(start):.3f} s, which players do not expect: it is moved to 0")
            if self._sound is not None:
                self._sound.begin(start, offset=self.offset)
        else:
            self._step = pts - self._last
            shortest, longest = self._steps or (self._step, self._step)
            self._steps = min(shortest, self._step), max(longest, self._step)
        self._last, self._duration = pts, duration
        shown = pts + self._shift
        if self._conformed is None:
            self._encode([(picture, shown)])
        else:
            self._encode(self._conformed.push(picture, time=shown * self._time_base))

    def _encode(self, pictures: Iterable[tuple[VideoFrame, int]]) -> None:
        """Encode pictures at their times in the file, and the sound up to them."""
        with self._explained():
            for picture, time in pictures:
                picture.pts, picture.time_base = time, self._unit
                self._mux((self._wider or self._stream).encode(picture))
                if self._sound is not None:
                    self._sound.advance(time * self._unit)

    def close(self) -> None:
        """Finish the file and give it its name, or leave nothing if that fails. Closing again does nothing."""
        if self._done:
            return
        if self._last is None:
            self.abort()
            raise UsageError(
                f"{self._path}: no frames were written",
                why="a video needs at least one frame",
                fix="write frames before closing",
            )
        length = self._length * self._time_base
        end = (self._last + self._shift) * self._time_base + length
        if self._conformed is not None:
            self._encode(self._conformed.end(end))
            length = self._unit
        with self._explained():
            self._mux((self._wider or self._stream).encode(None))
            if self._held is not None:
                # More than the muxers hold comes of a damaged rate.
                self._held.duration = min(round(length / self._held.time_base), _LONGEST)
                self._container.mux_one(self._held)
            if self._sound is not None:
                self._sound.finish(end)
            self._container.close()
            self._place.close()
        self._done = True

    @property
    def _length(self) -> int:
        """Units of time for which the last frame is shown; those of the one before if they differ by rounding alone."""
        stated = self._duration
        near = stated is None or abs(stated - self._step) * self._time_base <= _ROUNDING
        return self._step if stated is None or near else stated

    def abort(self) -> None:
        """Stop, and remove what was written. Does nothing after ``close``."""
        if self._done:
            return
        self._done = True
        if self._sound is not None:
            self._sound.close()
        # The file is thrown away: that its end cannot be written, or moved about for the index, is of no interest,
        # and whatever led here is the problem to report.
        with suppress(OSError):
            self._partial.unlink()
        with suppress(av.FFmpegError, OSError):
            self._container.close()
        with suppress(OSError):
            self._partial.unlink(missing_ok=True)  # some systems keep a file that is open
            self._place.close()  # finds no file, and so makes none

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *exception: object) -> None:
        if kind is None:
            self.close()
        else:
            self.abort()

    def _add_video(self, frame_rate: Fraction | None, *, pixel_aspect: Fraction) -> VideoStream:
        preset = self._preset
        height, width = (size + more for size, more in zip(self._size, self.padding, strict=True))
        if pixel_aspect != 1 and preset.pixel_aspect == "scaled":
            # The longer side grows: nothing is thrown away.
            one = Fraction(1)
            width, height = round(width * max(one, pixel_aspect)), round(height * max(one, 1 / pixel_aspect))
            self._warn(f"{preset.label} has square pixels: the pictures are scaled to {width}x{height}")
        elif pixel_aspect != 1 and preset.pixel_aspect == "lost":
            self._warn(f"the pixel aspect {pixel_aspect} is not kept: set it in the program that reads the file")
        stream: VideoStream = self._container.add_stream(
            preset.codec,
            rate=Fraction(frame_rate or 25).limit_denominator(1001),
            options={**dict(preset.options), **({} if preset.crf is None else {"crf": str(preset.crf)})},
            width=width,
            height=height,
            pix_fmt=self._pixels,
        )  # type: ignore[assignment]
        context = stream.codec_context
        context.thread_count = codec_threads()
        if preset.codec == "libx264":
            # Whole frames side by side: slices of one would cost quality, and PyAV asks for a thread a processor.
            context.thread_count, context.thread_type = encoder_threads(), ThreadType.FRAME
            if min(height, width) < _LEAST_AHEAD:
                context.options = {**context.options, "x264-params": "mbtree=0"}
        context.time_base = self._unit
        if preset.pixel_aspect == "kept":
            context.sample_aspect_ratio = pixel_aspect
        context.color_primaries = self._colour.primaries
        context.color_trc = self._colour.transfer
        context.colorspace = self._colour.matrix
        context.color_range = ColorRange.MPEG if preset.is_yuv else ColorRange.JPEG
        return stream

    def _add_names(self, tags: Tags, frame_rate: Fraction | None) -> None:
        """Carry the timecode and the reel over; mov and mp4 get a track of timecode, Matroska has them as tags."""
        if tags.timecode is not None and is_timecode_rate(frame_rate, drops=tags.timecode[8] != ":"):
            self._stream.metadata["timecode"] = tags.timecode
        elif tags.timecode is not None:
            self._warn(f"the timecode {tags.timecode} is not kept: the frame rate is none that timecode counts")
        if tags.reel is not None:
            self._stream.metadata["reel_name"] = tags.reel

    def _converted(self, image: NDArray[Any]) -> VideoFrame:
        coded = self._wider or self._stream.codec_context
        bottom, right = self.padding if self._wider is None else (0, 1)
        if bottom or right:
            image = np.pad(image, ((0, bottom), (0, right), (0, 0)), mode="edge")
        if self._samples is np.uint16 and self._preset.is_yuv:
            image = np.concatenate([from_full_white(image[..., :3]), image[..., 3:]], axis=2)
        if self._samples is np.uint16 and not self._preset.is_yuv:
            return self._in_planes(image)
        kinds = ("rgba64le", "rgb48le") if self._samples is np.uint16 else ("rgba", "rgb24")
        pixels = kinds[0] if self._preset.has_alpha else kinds[1]
        picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format=pixels)
        matrix, limited = (self._colour.matrix, ColorRange.MPEG) if self._preset.is_yuv else (None, None)
        converted = self._reformatter.reformat(
            picture,
            format=self._pixels,
            width=coded.width,
            height=coded.height,
            dst_colorspace=matrix,
            dst_color_range=limited,
            threads=1,  # with more, swscale now and then gives a piece of the alpha of another frame
        )
        tag_picture(converted, self._colour, is_yuv=self._preset.is_yuv)
        return converted

    def _in_planes(self, image: NDArray[np.uint16]) -> VideoFrame:
        """Round deep RGB to the bits that are encoded: swscale would cut the others off."""
        height, width, _ = image.shape
        picture = av.VideoFrame(width, height, self._pixels)
        levels = _levels(picture.format.components[0].bits)
        for place, channel in enumerate((1, 2, 0, 3)[: image.shape[2]]):  # green, blue, red, alpha
            deep_plane_of(picture, place)[:] = levels[image[..., channel]]
        tag_picture(picture, self._colour, is_yuv=False)
        return picture

    def _mux(self, packets: Sequence[Packet[VideoStream]]) -> None:
        """Hold the latest packet back: how long the last frame is shown is not known from a next one."""
        for packet in packets:
            if self._held is not None:
                self._container.mux_one(self._held)
            self._held = packet

    def _rate_notes(self) -> Iterator[str]:
        if self._steps is None or self._conformed is not None or not self._preset.is_for_editing:
            return
        shortest, longest = (step * self._time_base for step in self._steps)
        if longest - shortest > _ROUNDING:
            least, most = (f"{float(1000 * each):.0f}" for each in (shortest, longest))
            yield (
                f"the time from frame to frame varies, from {least} to {most} ms, but editing programs work at one "
                "rate: write it at that of your timeline, for example at a constant rate of 25"
            )

    def _warn(self, text: str) -> None:
        self._warnings[text] = None

    def _note(self, text: str) -> None:
        self._notes[text] = None

    def _check(self, image: NDArray[Any], pts: int) -> None:
        self._check_time(pts)
        expected = (*self._size, 4 if self._preset.has_alpha else 3)
        if image.shape != expected or image.dtype != self._samples:
            raise UsageError(
                f"{self._path}: a frame is {image.shape} {image.dtype}",
                why=f"frames must be {expected} {np.dtype(self._samples)}",
                fix="resize it before writing",
            )

    def _check_time(self, pts: int) -> None:
        if self._done:
            raise UsageError(
                f"{self._path}: the writer is closed", why="it was closed or aborted", fix="open a new one"
            )
        if self._last is not None and pts <= self._last:
            raise UsageError(
                f"{self._path}: presentation time {pts} follows {self._last}",
                why="times must increase from frame to frame",
                fix="write frames in the source's order",
            )

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Turn a failing disk into a problem with a remedy, and leave nothing half written."""
        try:
            yield
        except av.error.ExternalError as error:
            self.abort()
            raise EnvironmentProblem(
                f"{self._path}: the video cannot be written",
                why=f"the encoder {self._preset.codec} failed without saying why, most often for lack of memory",
                fix="close other programs, raise the limit on memory if there is one, or choose another format",
            ) from error
        except av.ArgumentError as error:
            self.abort()
            raise SourceError(
                f"{self._path}: the frames cannot be written at their times",
                why=f"the container takes none like these: {error.strerror}",
                fix="mend the times of the input, or choose another format",
            ) from error
        except OSError as error:
            self.abort()
            raise EnvironmentProblem(
                f"{self._path}: the video cannot be written",
                why=str(error.strerror or error),
                fix="free some space or choose another folder; nothing half written was left",
            ) from error
        except BaseException:
            self.abort()
            raise


@cache
def _levels(bits: int) -> NDArray[np.uint16]:
    """Return the nearest level of so many bits for each of 16, of full range both."""
    most = np.uint32((1 << bits) - 1)
    return np.asarray((np.arange(1 << 16, dtype=np.uint32) * most + 32767) // 65535, np.uint16)


def _written(colour: Colour, preset: Preset) -> Colour:
    """Return the colours that a codec can state, of the same meaning."""
    if not preset.is_yuv:
        return replace(colour, matrix=0)
    # The curves of BT.601 and BT.2020 are that of BT.709, the only one of them that ProRes knows.
    same = preset.codec == "prores_ks" and colour.transfer in {6, 14, 15}
    return replace(colour, transfer=1) if same else colour
