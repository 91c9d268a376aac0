"""Walk through bare AV1 (AV1 bitstream specification, 5.3): from unit to unit, each of which states its size."""

from __future__ import annotations

from covos.media.structure_found import MOST_BREAKS, Content, Structure

OBU_FIRST = b"\x12\x00\x0a"
"""A delimiter and the beginning of a sequence header: so begins a bare stream."""
_DELIMITER = b"\x12\x00"
_IS_DELIMITER = 2
_KNOWN = frozenset((1, 2, 3, 4, 5, 6, 7, 8, 15))
_LONGEST = 8  # bytes of a size


def obu(content: Content) -> Structure:
    """Count the delimiters, one before each picture that is shown; behind a break, go on at the next."""
    size, at, frames = len(content), 0, 0
    breaks: list[int] = []
    while at < size and len(breaks) < MOST_BREAKS:
        end = _end(content, at)
        is_inside = end is not None and end <= size
        if end is None or (not is_inside and _next_delimiter(content, at + 1) < size):
            breaks.append(at)
            at = _next_delimiter(content, at + 1)
            continue
        frames += content[at] >> 3 == _IS_DELIMITER
        at = end
    return Structure(cut=at > size, breaks=tuple(breaks), frames=frames or None, is_total=False)


def _end(content: Content, at: int) -> int | None:
    """Return where the unit ends that begins at a place, None if none does; it may be behind the file's end."""
    first = content[at]
    kind, has_extension, has_size = first >> 3, bool(first & 4), bool(first & 2)
    if first & 0x81 or kind not in _KNOWN or not has_size:
        return None
    at += 2 if has_extension else 1
    length = 0
    for each in range(_LONGEST):
        if at >= len(content):
            return len(content) + 1
        byte = content[at]
        at += 1
        length |= (byte & 0x7F) << 7 * each
        if not byte & 0x80:
            return None if kind == _IS_DELIMITER and length else at + length
    return None


def _next_delimiter(content: Content, at: int) -> int:
    """Return the next place of a delimiter before two units; the file's size if there is none."""
    while (at := content.find(_DELIMITER, at)) >= 0:
        inner, known = at + len(_DELIMITER), 0
        while inner < len(content) and known < 2 and (end := _end(content, inner)) is not None:
            inner, known = end, known + 1
        if inner >= len(content) or known == 2:
            return at
        at += 1
    return len(content)
