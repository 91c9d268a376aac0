"""Range: the part of a source that is taken, as an editor says it: in seconds or frames, and each n-th frame.

The places are text: ``"12.5"`` and ``"00:01:02.5"`` are seconds after the first frame, as players show them, ``"f300"``
is the frame of that number, from 0, and ``"01:00:12:05"`` is a timecode, as editing programs show it. A frame is taken
if it begins at the start or later, and before the end.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, Protocol, TypeAlias

from pydantic import BeforeValidator, Field, ValidationInfo, model_validator

from covos.core.errors import UsageError
from covos.core.progress import counted
from covos.core.records import Value, spoken
from covos.core.types import SourceInfo, Times
from covos.media.tags import frames_at, is_timecode, is_timecode_rate, timecode_parts

_SECONDS = re.compile(
    r"(?:(?:(?P<hours>\d{1,6}):)?(?P<minutes>\d{1,6}):)?(?P<seconds>\d{1,12}(?:\.\d{0,12})?|\.\d{1,12})", re.ASCII
)
_MINUTE = 60
_FRAME = re.compile(r"f(?P<frame>\d{1,15})", re.ASCII)
_LAST_NUMBER = re.compile(r"\d{1,15}$", re.ASCII)
_CLOSE = Fraction(1, 1000)
"""Seconds: players show times to a thousandth, rounded up or down."""
_TAIL = 1
"""Seconds after the last frame that still are its end: the sound of a video outlasts its pictures."""


def read_seconds(text: str) -> Fraction | None:
    """Read ``12.5``, ``01:02.5`` or ``00:01:02.5``; None if it is no time. Below a colon there are at most 59."""
    found = _SECONDS.fullmatch(text)
    if found is None:
        return None
    hours, minutes, seconds = int(found["hours"] or 0), int(found["minutes"] or 0), Fraction(found["seconds"])
    if (found["minutes"] and seconds >= _MINUTE) or (found["hours"] and minutes >= _MINUTE):
        return None
    return (hours * _MINUTE + minutes) * _MINUTE + seconds


def _place(given: object, info: ValidationInfo) -> str:
    text = f"{given:.12g}" if isinstance(given, int | float) and not isinstance(given, bool) else str(given).strip()
    if not isinstance(given, int | float | str) or (
        read_seconds(text) is None and not _FRAME.fullmatch(text) and not is_timecode(text)
    ):
        raise UsageError(
            f"{spoken(info.field_name)} {given!r} is no place in a video",
            why="it takes seconds, minutes and seconds below 60, the number of a frame, or a timecode",
            fix="write 12.5, 01:02.5, 00:01:02.5, f300 for frame 300, or 00:01:02:12 for a timecode with frames",
        )
    return text


Place: TypeAlias = Annotated[str, BeforeValidator(_place, json_schema_input_type=str | float)]
"""Seconds after the first frame (``12.5``, ``"12.5"``, ``"00:01:02.5"``), the number of a frame, ``"f300"``, or a
timecode, ``"01:00:12:05"``: that of the file, or from 00:00:00:00 if the file states none."""


class Timed(Protocol):
    """A thing that a range is taken of: a `covos.media.source.Source`, or the frames of a result."""

    @property
    def info(self) -> SourceInfo:
        """Description of it."""

    @property
    def called(self) -> str:
        """Its name in messages."""

    @property
    def numbers(self) -> Sequence[int]:
        """Numbers of its frames in the whole source, ascending."""

    @property
    def stems(self) -> Sequence[str]:
        """Names of their files without suffixes; none if they are no files."""

    @property
    def promised(self) -> int:
        """Number of frames that there should be."""

    @property
    def length(self) -> Fraction:
        """Seconds from the beginning of the first frame to the end of the last."""

    def index_at(self, seconds: Fraction) -> int:
        """Return the index of the first frame that begins so long after the first one, or later."""

    def index_of(self, number: int) -> int:
        """Return the index of the frame with this number in the whole source."""


MOST_EVERY = 1_000_000_000
"""The widest step between frames that are taken: more than any video has."""


_Option: TypeAlias = Literal["start", "end"]


class EndBeyondError(UsageError):
    """The end of a range lies beyond that of its source: the source has less than was asked for."""


class Range(Value):
    """The part of a source that is taken.

    Attributes:
        start: Place of the first frame; None takes the source's own.
        end: Place of the first frame that is left out; None goes to the end.
        every: Takes each n-th frame, from the first: 2 halves the frame rate, and what is written keeps its speed.
        times: Times of the videos that are written: ``"zero"`` lets them start at zero, ``"source"`` keeps those of the
            source. Reports and annotations have the times of the source either way.

    Raises:
        UsageError: A place cannot be read, or the end is not after the start.
    """

    start: Place | None = None
    end: Place | None = None
    every: int = Field(default=1, ge=1, le=MOST_EVERY)
    times: Times = "zero"

    if TYPE_CHECKING:  # the fields hold what these become

        def __init__(
            self,
            *,
            start: str | float | None = None,
            end: str | float | None = None,
            every: int = 1,
            times: Times = "zero",
        ) -> None: ...

    @model_validator(mode="after")
    def _ascending(self) -> Range:
        if self.start is not None and self.end is not None and _kind(self.start) == _kind(self.end):
            start, end = (_order(place) for place in (self.start, self.end))
            if end <= start:
                raise _empty(self.start, self.end, f"{self.end} is not after {self.start}")
        return self

    def __bool__(self) -> bool:
        """Tell if anything is left out, or the times of the source are asked for."""
        return not self.takes_all or self.times == "source"

    @property
    def takes_all(self) -> bool:
        """True if no frame is left out."""
        return self.start is None and self.end is None and self.every == 1

    @classmethod
    def taken(cls, info: SourceInfo) -> Range:
        """Return the range that gives the same part again."""
        if not info.is_part:
            return cls(times=info.times or "zero")
        numbers = info.numbers
        return cls(start=f"f{numbers[0]}", end=f"f{numbers[-1] + 1}", every=info.every, times=info.times or "zero")

    def frames(self, source: Timed) -> range:
        """Return the indices of the frames that are taken of an open source; to its end, however many there come.

        Raises:
            UsageError: A place lies behind the end, or no frame lies between them.
        """
        info = source.info
        start = 0 if self.start is None else self._index("start", self.start, source)
        first = self.start or f"f{source.numbers[0]}"
        if start >= info.frame_count:
            raise _beyond("start", source, first)
        if self.end is None:
            return range(start, _ENDLESS, self.every)
        end = self._index("end", self.end, source, tail=_TAIL)
        if end > source.promised:
            raise _beyond("end", source, self.end)
        if end == info.frame_count and _kind(self.end) == "seconds":
            return range(start, _ENDLESS, self.every)
        if end <= start:
            if self.start is not None and end <= 0 and "seconds" not in {_kind(self.start), _kind(self.end)}:
                raise _before(self.start, self.end, source)
            no_frame = "no frame begins in between" if end == start else f"{self.end} is not after {first}"
            raise _empty(first, self.end, f"{no_frame}; {_held(source)}")
        return range(start, end, self.every)

    def side_of(self, number: int, seconds: Fraction) -> Literal["before", "within", "behind"]:
        """Return where a frame of a video without a known end lies; ``every`` is not looked at. No timecode is taken.

        Args:
            number: Of the frame, from 0.
            seconds: Its time since the first frame.
        """

        def reached(place: str) -> bool:
            return number >= int(place[1:]) if place.startswith("f") else seconds >= _number(place) - _CLOSE

        if self.end is not None and reached(self.end):
            return "behind"
        return "within" if self.start is None or reached(self.start) else "before"

    def refuse_timecodes(self, why: str) -> None:
        """Refuse places that are timecodes, with a UsageError, where nothing says which frame has which."""
        for option, place in (("start", self.start), ("end", self.end)):
            if place is not None and is_timecode(place):
                raise UsageError(
                    f"{option} {place} is a timecode", why=why, fix="write seconds, as 12.5, or a frame, as f300"
                )

    def start_number(self, info: SourceInfo) -> int | None:
        """Return the number of the first frame in the whole source; None if the range has no start, or has seconds."""
        return (
            None if self.start is None or _kind(self.start) == "seconds" else _frame_number("start", self.start, info)
        )

    @staticmethod
    def _index(option: _Option, place: str, source: Timed, *, tail: int = 0) -> int:
        if _kind(place) != "seconds":
            return source.index_of(_frame_number(option, place, source.info))
        seconds = _number(place)
        if tail and seconds > source.length + tail:
            raise _beyond("end", source, place)
        return source.index_at(max(Fraction(0), seconds - _CLOSE))


WHOLE: Final = Range()
"""All frames of a source."""
_ENDLESS = 1 << 62


def as_range(given: Any) -> Any:
    """Return a range of Python, which counts frames, as a `Range`, and None as the whole; a record stays one.

    Raises:
        UsageError: It is none of these, or a range of Python that runs backward or holds nothing.
    """
    if given is None:
        return WHOLE
    if isinstance(given, Range | dict):
        return given
    if not isinstance(given, range):
        raise UsageError(
            f"range = {given!r}",
            why="it is neither a covos.Range nor a range of frames",
            fix='write covos.Range(start=4, end="00:01:02.5"), or range(100, 300)',
        )
    if given.step < 1 or not given or given.start < 0:
        raise UsageError(
            f"{given} takes no frames",
            why="it counts frames, from 0, in the order of the video",
            fix="write range(100, 300), range(100, 300, 2), or covos.Range(start=4, end=12)",
        )
    return Range(start=f"f{given.start}" if given.start else None, end=f"f{given.stop}", every=given.step)


def only_frame(info: SourceInfo) -> int | None:
    """Return the number in the whole source of the one frame that a part has; None of a whole or a longer part."""
    return info.start if info.is_part and info.frame_count == 1 else None


def in_words(info: SourceInfo) -> str:
    """Return the frames of an opened part, in words."""
    numbers = info.numbers
    spread = "" if info.every == 1 else f", one of {info.every}"
    return f"frames {numbers[0]} to {numbers[-1]} of the source{spread}, times from {info.times}"


def place_of(number: int, info: SourceInfo) -> int:
    """Return the position of a frame among those that are taken, by its number in the whole source.

    Raises:
        UsageError: There is no such frame, or it is not taken.
    """
    numbers = info.numbers
    if number in numbers:
        return numbers.index(number)
    if not info.is_part:
        raise UsageError(
            f"frame {number} does not exist",
            why=f"{info.path} has {info.frame_count} frames, numbered from 0",
            fix=f"give one of 0 to {info.frame_count - 1}",
        )
    inside = numbers[0] <= number <= numbers[-1]
    near = numbers[(number - info.start) // info.every] if inside else numbers[0]
    raise UsageError(
        f"frame {number} is not taken",
        why=f"frames {numbers[0]} to {numbers[-1]} of {info.path} are"
        + ("" if info.every == 1 else f", one of {info.every}"),
        fix=f"prompts name frames of the whole source: give {near}, say, or widen the range",
    )


def _kind(place: str) -> Literal["frame", "timecode", "seconds"]:
    return "frame" if place.startswith("f") else "timecode" if is_timecode(place) else "seconds"


def _number(place: str) -> Fraction:
    if place.startswith("f"):
        return Fraction(place[1:])
    seconds = read_seconds(place)
    assert seconds is not None, "places are checked when they are given"
    return seconds


def _order(place: str) -> tuple[int | Fraction, ...]:
    """Return what compares with that of another place of the same kind."""
    return timecode_parts(place)[:4] if is_timecode(place) else (_number(place),)


def _frame_meant(place: str, info: SourceInfo) -> str:
    """Return the remedy for a timecode where a phone's rate is near one that timecodes count; nothing for others."""
    near = None if info.whole_rate is None else Fraction(round(info.whole_rate))
    if near is None or not is_timecode_rate(near, drops=False) or timecode_parts(place)[3] >= near:
        return ""
    first = info.tags.timecode
    number = frames_at(place, rate=near, drops=False)
    number -= 0 if first is None else frames_at(first, rate=near, drops=False)
    return "" if number < 0 else f"write f{number}, which it is at {near} frames a second, or seconds, as 12.5"


def _frame_number(option: _Option, place: str, info: SourceInfo) -> int:
    """Return the number in the whole source of a frame, or of the frame that has a timecode."""
    if place.startswith("f"):
        return int(place[1:])
    rate, first, dropping = info.whole_rate, info.tags.timecode, timecode_parts(place)[-1]
    # A file says by its own mark if numbers are dropped; people write a colon for either.
    drops = dropping if first is None else timecode_parts(first)[-1]
    if rate is None or not is_timecode_rate(rate, drops=drops):
        raise UsageError(
            f"{option} {place} is a timecode",
            why=f"{info.path} has no frame rate that "
            + ("drops numbers, as ; says" if drops and is_timecode_rate(rate, drops=False) else "timecodes count")
            + ("" if rate is None else f": {float(rate):.6g} frames a second"),
            fix=_frame_meant(place, info) or "write seconds, as 12.5, or a frame, as f300",
        )
    if timecode_parts(place)[3] >= round(rate):
        raise UsageError(
            f"{option} {place} is no timecode of {info.path}",
            why=f"a second has {round(rate)} frames, numbered from 0",
            fix=f"write a last number up to {round(rate) - 1}",
        )
    number = frames_at(place, rate=rate, drops=drops)
    number -= 0 if first is None else frames_at(first, rate=rate, drops=drops)
    if number < 0:
        raise UsageError(
            f"{option} {place} lies before the first frame",
            why=f"{info.path} states the timecode {first} for it",
            fix=f"write {first} or a later one; or count from the first frame, by seconds, as 12.5, or frames, as f300",
        )
    return number


def _empty(start: str, end: str, why: str) -> UsageError:
    return UsageError(
        f"start {start} and end {end} leave no frame", why=why, fix="give an end that lies behind the start"
    )


def _before(start: str, end: str, source: Timed) -> UsageError:
    """Return the error of a part that ends before the first frame that there is: a result may begin late."""
    return UsageError(
        f"start {start} and end {end} leave no frame",
        why=f"{start} to {end} lies before what there is; {_held(source)}",
        fix=f"give places from f{source.numbers[0]} to f{source.numbers[-1]}",
    )


def _held(source: Timed) -> str:
    """Say how many frames there are; and which, where they are not counted from 0."""
    numbers = source.numbers
    length = f", {float(source.length):.2f} seconds" if source.info.frame_rate is not None else ""
    which = "" if numbers[0] == 0 and numbers[-1] == len(numbers) - 1 else f", from f{numbers[0]} to f{numbers[-1]}"
    return f"{source.called} has {counted(len(numbers), 'frame')}{which}{length}"


def _file_meant(source: Timed, place: str) -> str:
    """Return the remedy for the number of a frame that a file bears in its name; nothing for others.

    It names no option, since a background has a start and an end as well.
    """
    if _kind(place) == "frame":
        for number, stem in zip(source.numbers, source.stems, strict=False):
            borne = _LAST_NUMBER.search(stem)
            if borne is not None and int(borne[0]) == int(place[1:]):
                return f"{stem} is frame {number}: write f{number}"
    return ""


def _beyond(option: _Option, source: Timed, place: str) -> UsageError:
    what = {"frame": f"frame {place[1:]}", "timecode": "this timecode", "seconds": f"{place} seconds"}[_kind(place)]
    timecode = f"; {source.info.path} begins at timecode {source.info.tags.timecode or '00:00:00:00'}"
    error = UsageError(
        f"{option} {place}: {what} is beyond the end",
        why=_held(source) + (timecode if _kind(place) == "timecode" else ""),
        fix=_file_meant(source, place)
        or f"give a place up to f{source.numbers[-1] + (option == 'end')}, or leave it out",
    )
    return EndBeyondError(error.what, why=error.why, fix=error.remedy) if option == "end" else error
