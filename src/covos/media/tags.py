"""Facts that a video file states beside its pictures: colours, bits of a sample, timecode, reel."""

from __future__ import annotations

import re
from dataclasses import replace
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from av.video.reformatter import ColorRange

from covos.core.types import Colour, Tags
from covos.media.tones import transfer_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from av.container import InputContainer
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

# Numbers of ITU-T H.273.
BT709 = Colour(primaries=1, transfer=1, matrix=1)
_BT2020 = 9
PQ_BT2020 = Colour(primaries=_BT2020, transfer=16, matrix=_BT2020)
_BT470BG, _SMPTE170M = 5, 6
_UNSPECIFIED = frozenset({0, 2, 3})
_NO_MATRIX = 2
_BROADCAST = frozenset({"mpegts", "mpeg"})
KNOWN_MATRICES = frozenset({1, 4, 5, 6, 7, 9})
"""Matrices that swscale converts: BT.709, FCC, BT.470BG, SMPTE 170M, SMPTE 240M, BT.2020."""

TIMECODE = r"(\d\d):([0-5]\d):([0-5]\d)([:;.])(\d{2,3})"
"""Hours, minutes, seconds and frames."""
_TIMECODE = re.compile(TIMECODE, re.ASCII)
_RATES = frozenset({24, 25, 30, 48, 50, 60, 100, 120})


def usual_matrix(height: int, width: int) -> int:
    """Return the matrix of a video that states none: high definition is BT.709, standard BT.601, as players take it."""
    return BT709.matrix if width >= 1280 or height > 576 else _SMPTE170M


def usual_colour(height: int, width: int) -> Colour:
    """Return the colours of pictures that are no video: sRGB's primaries, and the matrix that players expect."""
    return Colour(primaries=BT709.primaries, transfer=BT709.transfer, matrix=usual_matrix(height, width))


def tag_picture(picture: VideoFrame, colour: Colour, *, is_yuv: bool) -> None:
    """Say what colours a picture has that is to be coded: ProRes takes its tags from there, not from the stream."""
    picture.color_primaries, picture.color_trc = colour.primaries, colour.transfer
    if is_yuv:
        picture.colorspace = colour.matrix


class StatedColours:
    """The colours that a container or a stream's header states, for pictures that state none themselves.

    ProRes and many others state them in each picture, or leave them to the file that holds it, as FFmpeg's own encoder
    does unless each of its pictures is tagged. Made before the first picture is decoded, since decoders overwrite them.
    """

    def __init__(self, stream: VideoStream) -> None:
        context = stream.codec_context
        self._primaries, self._transfer = context.color_primaries, context.color_trc
        self._matrix, self._range = context.colorspace, context.color_range

    def tag(self, picture: VideoFrame) -> None:
        """Put them in a picture that was decoded, where it says nothing."""
        if picture.color_primaries in _UNSPECIFIED:
            picture.color_primaries = self._primaries
        if picture.color_trc in _UNSPECIFIED:
            picture.color_trc = self._transfer
        if picture.format.is_rgb:
            return
        if picture.colorspace == _NO_MATRIX and self._matrix:  # 0 is that of RGB
            picture.colorspace = self._matrix
        if picture.color_range == ColorRange.UNSPECIFIED:
            picture.color_range = self._range


def colour_of(picture: VideoFrame) -> Colour:
    """Return the colours of a displayed picture, by those of the decoded one.

    Only its matrix and range have been undone, but for HDR and BT.2020, which are brought to BT.709.
    """
    usual = usual_colour(picture.height, picture.width)
    if transfer_of(transfer=picture.color_trc, primaries=picture.color_primaries) is not None:
        return usual
    coded = not picture.format.is_rgb and picture.colorspace in KNOWN_MATRICES
    matrix = picture.colorspace if coded else usual.matrix
    primaries, transfer = picture.color_primaries, picture.color_trc
    if primaries in _UNSPECIFIED:
        primaries = usual.primaries
        if matrix in {_BT470BG, _SMPTE170M} and not picture.format.is_rgb:
            primaries = _BT470BG if matrix == _BT470BG or picture.height in {288, 576} else _SMPTE170M
    return Colour(
        primaries=primaries,
        # BT.601 has the curve of BT.709.
        transfer=BT709.transfer if transfer in _UNSPECIFIED else transfer,
        matrix=_SMPTE170M if matrix == _BT470BG else matrix,  # the same numbers
    )


def hdr_of(picture: VideoFrame) -> Colour | None:
    """Return the colours of a decoded picture that is HDR or has those of BT.2020, as it has them; None of others."""
    own = hdr_of_rgb(transfer=picture.color_trc, primaries=picture.color_primaries)
    if own is None or picture.format.is_rgb or picture.format.name.startswith("gray"):
        return own
    matrix = picture.colorspace if picture.colorspace in KNOWN_MATRICES else usual_matrix(picture.height, picture.width)
    return replace(own, matrix=_SMPTE170M if matrix == _BT470BG else matrix)


def hdr_of_rgb(*, transfer: int, primaries: int) -> Colour | None:
    """Return the colours of RGB with these numbers of ITU-T H.273; None if they are neither HDR nor of BT.2020."""
    tones = transfer_of(transfer=transfer, primaries=primaries)
    if tones is None:
        return None
    wide = tones[1]
    return Colour(
        primaries=_BT2020 if wide else primaries,
        transfer=BT709.transfer if transfer in _UNSPECIFIED else transfer,
        matrix=_BT2020 if wide else BT709.matrix,
    )


def _is_mastered(picture: VideoFrame) -> bool:
    try:
        said: Any = picture.side_data
    except ValueError:  # PyAV does not know all kinds
        return False
    return any(said.get(kind) is not None for kind in ("MASTERING_DISPLAY_METADATA", "CONTENT_LIGHT_LEVEL"))


def tags_of(container: InputContainer, picture: VideoFrame) -> Tags:
    """Return what a file says; ``picture`` is the first of its video."""
    said: list[Mapping[str, str]] = [*(each.metadata for each in container.streams), container.metadata]
    return Tags(
        colour=colour_of(picture),
        bits=max((each.bits for each in picture.format.components), default=8),
        timecode=next((text for text in _each(said, "timecode") if _TIMECODE.fullmatch(text)), None),
        reel=next(iter(_each(said, "reel_name")), None),
        hdr=hdr_of(picture),
        mastered=_is_mastered(picture),
        counts_on=container.format.name in _BROADCAST,
    )


def _each(said: list[Mapping[str, str]], name: str) -> list[str]:
    # Matroska writes them in capitals.
    return [value.strip() for each in said for key, value in each.items() if key.lower() == name and value.strip()]


def is_timecode_rate(rate: Fraction | None, *, drops: bool) -> bool:
    """Return True if timecode counts frames at this rate; it drops numbers at 29.97 a second and multiples of that."""
    if rate is None or round(rate) not in _RATES or abs(rate - round(rate)) > Fraction(round(rate), 900):
        return False
    return not drops or (round(rate) % 30 == 0 and rate.denominator != 1)


def is_timecode(text: str) -> bool:
    """Tell if it has hours, minutes, seconds, frames: ``01:00:00:00``, or ``01:00:00;00`` where numbers are dropped."""
    return _TIMECODE.fullmatch(text) is not None


def timecode_parts(timecode: str) -> tuple[int, int, int, int, bool]:
    """Return hours, minutes, seconds, the frame, and True if numbers are dropped."""
    found = _TIMECODE.fullmatch(timecode)
    assert found is not None, "timecodes are checked when they are read"
    return int(found[1]), int(found[2]), int(found[3]), int(found[5]), found[4] in ";."


def frames_at(timecode: str, *, rate: Fraction, drops: bool) -> int:
    """Return the frames from midnight to a timecode: SMPTE ST 12-1. ``drops`` decides, not the mark in the text."""
    hours, minutes, seconds, frame, _ = timecode_parts(timecode)
    minute = hours * 60 + minutes
    return (minute * 60 + seconds) * round(rate) + frame - _dropped(rate, drops=drops) * (minute - minute // 10)


def later(timecode: str, frames: int, *, rate: Fraction) -> str:
    """Return the timecode so many frames later: SMPTE ST 12-1, with its dropped numbers where it says so (``;``)."""
    drops = timecode_parts(timecode)[-1]
    a_second, dropped = round(rate), _dropped(rate, drops=drops)
    count = frames_at(timecode, rate=rate, drops=drops) + frames
    ten_minutes, one_minute = 600 * a_second - 9 * dropped, 60 * a_second - dropped
    tens, rest = divmod(count, ten_minutes)
    if dropped and rest >= dropped:
        count += dropped * (9 * tens + (rest - dropped) // one_minute)
    else:
        count += dropped * 9 * tens
    total, frame = divmod(count, a_second)
    hours, minutes, seconds = total // 3600 % 24, total // 60 % 60, total % 60
    return f"{hours:02d}:{minutes:02d}:{seconds:02d}{timecode[8]}{frame:0{len(timecode) - 9}d}"


def at_rate(timecode: str, *, rate: Fraction, wanted: Fraction) -> str:
    """Return the timecode of a frame as it is counted at another rate; the clock stays the same.

    At 50 frames a second, ``01:00:00:04`` is ``01:00:00:02`` at 25: there each second frame alone has a number.

    Args:
        timecode: Of the frame at the rate of the source.
        rate: Frames a second of the source.
        wanted: Frames a second by which it is to be counted.

    Raises:
        ValueError: There is none; its text says why.
    """
    frame, drops = timecode_parts(timecode)[3:]
    kind = "timecode with dropped numbers" if drops else "timecode"
    if not is_timecode_rate(wanted, drops=drops):
        raise ValueError(f"{kind} does not count {float(wanted):.5g} frames a second")
    if not is_timecode_rate(rate, drops=drops):
        raise ValueError(f"the source has {float(rate):.5g} frames a second, which {kind} does not count")
    number = frame * Fraction(round(wanted), round(rate))
    if number.denominator != 1:
        raise ValueError(f"at {float(wanted):.5g} frames a second no frame begins at that of {float(rate):.5g}")
    return f"{timecode[:9]}{int(number):0{len(timecode) - 9}d}"


def _dropped(rate: Fraction, *, drops: bool) -> int:
    # Two numbers at 29.97, at the beginning of each minute but the tenth ones.
    return round(rate) // 15 if drops else 0
