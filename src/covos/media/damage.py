"""The damage of a video in plain words, and the damage that lies in a part of a source."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from covos.core.progress import counted
from covos.media.source import Health

MAY_BE_MISSING: Final = "frames may be missing: the file is damaged or cut, and does not say how many it had"


def damage_in_words(
    health: Health, *, time_of: Callable[[int], int], shown: Callable[[Sequence[int]], str], ends: bool
) -> tuple[str, ...]:
    """Return the warnings that say the damage of a video.

    Args:
        health: The damage. If no frames came out beside it, it is not said of how many the missing ones are.
        time_of: Gives the time of a frame by its index.
        shown: Says times in words.
        ends: True if it is to be said that frames may be missing of which nothing is known.
    """
    said = ["the file is shorter than its header says, or ends in the midst of a frame"] if health.cut else []
    if lost := health.lost:
        count = f"{'at least ' if health.at_least else ''}{counted(len(lost), 'frame')}"
        of = f" of {health.decoded + len(lost)}" if health.decoded else ""
        said.append(f"{count} missing{of}, at {shown([each.pts for each in lost])}: the file is damaged or cut")
    elif ends and health.at_least:
        said.append(MAY_BE_MISSING)
    if health.concealed:
        places = shown([time_of(index) for index in health.concealed])
        said.append(f"{counted(len(health.concealed), 'frame')} damaged and painted over, at {places}")
    return tuple(said)


def damage_of_part(
    whole: Health,
    wanted: range,
    *,
    known: int,
    decoded: int,
    is_done: bool,
    place: Callable[[int], int],
    in_words: Callable[[Health], tuple[str, ...]],
) -> Health:
    """Return the damage of a part; what lies outside of it is said in its notes, and counts nowhere.

    Args:
        whole: The damage of the whole source.
        wanted: Indices of the part's frames in the whole; those behind its end are taken if they come.
        known: Frames that the whole is known to have.
        decoded: Frames of the part that came out.
        is_done: True if no more will come.
        place: Gives the index in the part, by that in the whole.
        in_words: Says some of the damage of the whole, with its indices: those of ``whole.warnings`` that concern it.
    """
    to_the_end = wanted.stop > known
    # Behind the last frame that came out, a missing one has the number that it would have.
    tail = whole.decoded - 1
    behind = [each for each in whole.lost if each.after == tail]
    gaps = [each for each in whole.lost if each.after != tail]
    inside = [each for each in gaps if wanted.start <= each.after + 1 < wanted.stop]
    inside += [each for index, each in enumerate(behind, tail + 1) if index in wanted]
    before = sum(each.after < wanted.start - 1 for each in gaps)
    promised = len(range(wanted.start, min(wanted.stop, whole.expected - before), wanted.step))
    concealed = tuple(index for index in whole.concealed if index in wanted)
    # Refused packets and a doubtful end have no place. They are of the damage that has one, if there is any.
    elsewhere = bool(whole.lost or whole.concealed) and not (inside or concealed)
    own = replace(
        whole,
        decoded=decoded,
        expected=decoded + len(inside) if is_done else promised,
        concealed=concealed,
        unreadable=tuple(index for index in whole.unreadable if index in wanted),
        undecodable=0 if elsewhere else whole.undecodable,
        cut=whole.cut and to_the_end,
        at_least=whole.at_least and to_the_end and not elsewhere,
        lost=tuple(inside),
    )
    others = replace(
        whole,
        decoded=0,
        concealed=tuple(index for index in whole.concealed if index not in wanted),
        unreadable=tuple(index for index in whole.unreadable if index not in wanted),
        cut=whole.cut and not own.cut,
        at_least=whole.at_least and not own.at_least,
        lost=tuple(each for each in whole.lost if each not in inside),
    )
    said, outside = in_words(whole), in_words(others)
    told = [each for each in whole.warnings if each not in said]
    notes = [f"outside of the part that is taken: {'; '.join(outside)}"] if outside else []
    return replace(
        own,
        concealed=tuple(map(place, own.concealed)),
        unreadable=tuple(map(place, own.unreadable)),
        lost=tuple(replace(each, after=place(each.after)) for each in own.lost),
        warnings=(*told, *in_words(own)),
        notes=(*whole.notes, *notes),
    )
