"""Walk through an mp4 or mov file (ISO/IEC 14496-12): does it end early, and do the tables of its samples agree?"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

import numpy as np

from covos.media.structure_found import Content, Structure

MP4_FIRST = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot")
"""Types of the boxes with which a file may begin."""
_MOST_SAMPLES = 1 << 26
_HEAD = (b"tkhd",)  # from a track
_FEW, _FAR = 4, 20
_SLOWEST, _FASTEST = 0.1, 1000  # frames a second
_TO_THE_HEAD = (b"mdia", b"mdhd")  # from a track
_TO_THE_TABLES = (b"mdia", b"minf", b"stbl")  # from a track


def mp4_boxes(content: Content, size: int, *, start: int = 0) -> Iterator[tuple[bytes, int, int]]:
    """Yield (type, start, end) of each box of one level (4.2), from an offset to another."""
    at = start
    while at + 8 <= size:
        header = content[at : at + 16]
        length, kind = int.from_bytes(header[:4], "big"), header[4:8]
        if not kind.isalnum():
            return  # padding or rubbish after the last box
        if length == 1:
            length = int.from_bytes(header[8:16], "big")
        elif length == 0:
            length = size - at
        if length < 8:
            return
        yield kind, at, at + length
        at += length


def mp4(content: Content) -> Structure:
    """Walk from box to box."""
    size, reached, is_fragmented = len(content), 0, False
    torn, samples, second = 0, 0, 0
    for kind, start, end in mp4_boxes(content, size):
        is_fragmented |= kind == b"moof" or (kind == b"moov" and content.find(b"mvex", start, min(end, size)) >= 0)
        second = start if kind == b"ftyp" else second
        reached = end
        if end > size:
            # Fragments are read one after another: behind one that is damaged, nothing is found.
            if is_fragmented and content.find(b"moof", start + 16) >= 0:
                return Structure(breaks=(start,), frames=_fragment_samples(content), is_total=False)
            return Structure(cut=True, frames=_fragment_samples(content) if is_fragmented else None, is_total=False)
        if kind == b"moov" and not is_fragmented:
            torn, samples = _torn_tables(content, start, end)
    if is_fragmented and reached < size:
        return Structure(breaks=(reached,), frames=_fragment_samples(content), is_total=False)
    if is_fragmented and second:
        # If another film was joined to this one, some of its fragments may be passed over.
        return Structure(breaks=(second,), frames=_fragment_samples(content))
    return Structure(breaks=(torn,), frames=samples, is_total=False) if torn else Structure()


def _torn_tables(content: Content, start: int, end: int) -> tuple[int, int]:
    """Find the first track of pictures whose tables lack samples; return where it is, and how many there are."""
    for at, stop in _inside(content, start, end, (b"trak",)):
        handlers = [content[one + 16 : one + 20] for one, _ in _inside(content, at, stop, (b"mdia", b"hdlr"))]
        for one, other in _inside(content, at, stop, _TO_THE_TABLES) if b"vide" in handlers else ():
            boxes = list(mp4_boxes(content, other, start=one + 8))
            is_whole = bool(boxes) and not content[boxes[-1][2] : other].strip(b"\0")
            tables = {kind: begin for kind, begin, _ in boxes}
            longest = max(
                (_stated_units(content, head) for head, _ in _inside(content, at, stop, _TO_THE_HEAD)), default=0
            )
            if samples := _samples_of_torn(content, tables, is_whole=is_whole, longest=longest):
                return one, samples
            shown = max(
                (_seconds_shown(content, start, end, head) for head, _ in _inside(content, at, stop, _HEAD)), default=0
            )
            for head, _ in _inside(content, at, stop, _TO_THE_HEAD):
                if (samples := max(_counts(content, tables), default=0)) and _is_impossible(
                    content, head, samples, shown
                ):
                    return head, samples
    return 0, 0


def _seconds_shown(content: Content, start: int, end: int, head: int) -> float:
    """Return the duration of a track as its film counts (8.3.2, 8.2.2); 0 if it states none."""
    is_long = content[head + 8] == 1
    units = int.from_bytes(content[head + 36 : head + 44] if is_long else content[head + 28 : head + 32], "big")
    scale = max((_timescale(content, at) for at, _ in _inside(content, start, end, (b"mvhd",))), default=0)
    return units / scale if scale and units not in {(1 << 32) - 1, (1 << 64) - 1} else 0


def _timescale(content: Content, head: int) -> int:
    """Return the units in a second of a head of a film, or of a track's media (8.2.2, 8.4.2)."""
    return _word(content, head + (28 if content[head + 8] == 1 else 20))


def _is_impossible(content: Content, head: int, samples: int, shown: float) -> bool:
    """Return True if the units in a second make a rate that no film has, and a length far from that of the track."""
    scale, units = _timescale(content, head), _stated_units(content, head)
    if not scale:
        return True
    seconds = units / scale
    if not seconds or not shown or samples < _FEW:
        return False
    rate, ratio = samples / seconds, seconds / shown
    return not _SLOWEST <= rate <= _FASTEST and not 1 / _FAR <= ratio <= _FAR


def _stated_units(content: Content, head: int) -> int:
    """Return the duration that a track's head states (8.4.2); 0 if it states none."""
    is_long = content[head + 8] == 1
    units = int.from_bytes(content[head + 32 : head + 40] if is_long else content[head + 24 : head + 28], "big")
    return 0 if units in {(1 << 32) - 1, (1 << 64) - 1} else units


def _samples_of_torn(content: Content, tables: dict[bytes, int], *, is_whole: bool, longest: int) -> int:
    """Return the number of samples of a track whose tables are torn or do not fit together; 0 if they do.

    Samples of more bytes than the file has end the reading. So do times far behind the ``longest`` that the track
    states: an edit list hides them.

    Sizes, chunks and times (8.7.3, 8.7.4, 8.6.1.2) each state the number. If no two agree, the largest counts. Readers
    take no more than sizes and chunks have, and damaged times of display (8.6.1.3) hide samples.
    """
    read = _counts(content, tables)
    votes = Counter([*read, *_sums(content, tables, b"stts")])
    if not votes:
        return 0
    agreed, most = votes.most_common(1)[0]
    if not is_whole or most == 1:
        return max(votes) if len(votes) > 1 or not is_whole else 0
    is_short = bool(read) and (min(read) < agreed or read[0] != agreed)
    # One size for all stands in place of a list.
    if b"stsz" in tables and not _word(content, tables[b"stsz"] + 12):
        is_short |= int(_words(content, tables[b"stsz"] + 4, width=1).sum()) > len(content)
    if longest and b"stts" in tables:
        is_short |= int(_words(content, tables[b"stts"], width=2).prod(axis=1).sum()) > 2 * longest
    return agreed if is_short or any(each != agreed for each in _sums(content, tables, b"ctts")) else 0


def _sums(content: Content, tables: dict[bytes, int], name: bytes) -> list[int]:
    """Return the number of samples of a table of times, if it is there."""
    return [int(_words(content, tables[name], width=2)[:, 0].sum())] if name in tables else []


def _inside(content: Content, start: int, end: int, path: tuple[bytes, ...]) -> Iterator[tuple[int, int]]:
    """Yield (start, end) of the boxes that a path of types leads to, inside a box."""
    for kind, at, stop in mp4_boxes(content, end, start=start + 8):
        if kind == path[0] and stop <= end:
            if len(path) == 1:
                yield at, stop
            else:
                yield from _inside(content, at, stop, path[1:])


def _counts(content: Content, tables: dict[bytes, int]) -> list[int]:
    """Return the numbers of samples by sizes and by chunks, as far as they are there and can be read."""
    found = []
    if b"stsz" in tables:
        found.append(_word(content, tables[b"stsz"] + 16))
    offsets = tables.get(b"stco", tables.get(b"co64"))
    if offsets is not None and b"stsc" in tables:
        chunks = _word(content, offsets + 12)
        runs = _words(content, tables[b"stsc"], width=3)
        if len(runs):
            lengths = np.diff(np.append(runs[:, 0], chunks + 1))
            found.append(int((lengths * runs[:, 1]).sum()))
    return found


def _word(content: Content, at: int) -> int:
    return int.from_bytes(content[at : at + 4], "big")


def _words(content: Content, box: int, *, width: int) -> np.ndarray[tuple[int, int], np.dtype[np.int64]]:
    """Return the rows of a table with its number of rows in front; as far as the file goes."""
    count = min(_word(content, box + 12), _MOST_SAMPLES, max(0, len(content) - box - 16) // (4 * width))
    words = np.frombuffer(content[box + 16 : box + 16 + 4 * width * count], ">u4")
    rows: np.ndarray[tuple[int, int], np.dtype[np.int64]] = words.reshape(-1, width).astype(np.int64)
    return rows


def _fragment_samples(content: Content) -> int | None:
    """Count the samples of the track with the lowest id in all fragments that can be made out."""
    counts: dict[int, list[int]] = {}
    track = 0
    numbers = set()
    for found in re.finditer(rb"\x00...(mfhd|tfhd|trun)[\x00\x01]", content, re.DOTALL):
        start = found.end() - 1
        value = int.from_bytes(content[start + 4 : start + 8], "big")
        if found[1] == b"mfhd":
            numbers.add(value)
        elif found[1] == b"tfhd":
            track = value
        elif value < 1 << 20:
            counts.setdefault(track, []).append(value)
    if not counts:
        return None
    samples = counts[min(counts)]
    gone = max(numbers) - min(numbers) + 1 - len(numbers) if numbers else 0
    return sum(samples) + min(gone, len(numbers)) * int(np.median(samples))
