"""An editor's wishes for composed outputs, in whichever format, and how a format's value states them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from typing import Any, Final, Literal, TypeAlias

from pydantic import ConfigDict, model_validator

from covos.core.errors import UsageError
from covos.core.records import Record
from covos.masks.edges import Length
from covos.media.conform import ConstantRate
from covos.media.presets import SoundChoice
from covos.media.range import Place, Range

AlphaKind: TypeAlias = Literal["straight", "premultiplied"]
BEGINNING: Final = "0"
"""Start of a background of which nothing is left out."""


class Composition(Record):
    """The way in which outputs are composed. Each field concerns the formats that know it.

    It is written into the names of the formats, ``background=beach.mp4,wrap=1%``: a run and its report keep outputs
    apart by these.

    Attributes:
        background: The picture behind the subject, for ``background``: a colour as ``#204060`` or ``white``, a picture,
            a folder of pictures, a video, or ``"blur"``; ``"blur:2%"`` says how far out of focus the source is put.
        background_start: Place at which a video begins: seconds, ``"f300"``, or a timecode, see `covos.Range`.
        background_end: Place before which it ends; it is then shown again from its start.
        light_wrap: Length over which light of the background wraps around the subject's edges, for ``background`` and
            ``blur``.
        alpha: ``"straight"``, or ``"premultiplied"``, colours that are multiplied by it, for `prores`, `qtrle`, `ffv1`
            and `tiff`. None takes what each format has: straight alpha, and premultiplied in `exr`.
        each_object: If true, mattes and formats with alpha write each object by itself, a file or a folder of pictures;
            `exr` has layers.
        shadow: If true, the new background is darkened where the subject darkens the source.
        keep_hdr: If true, `prores`, `ffv1`, `rgba` and `exr` have the tones of a source in HDR or BT.2020.
        invert: If true, all but the subject is kept, with alpha 1 - a. Masks and annotations stay those of the objects.
        constant_rate: Frames a second of the videos, such as ``25`` or ``"29.97"``: frames are repeated or dropped by
            their times, and the sound stays. None keeps the times of the source.
        sound: Sound of the videos: ``"copy"`` copies what the file can hold, ``"pcm"`` and ``"aac"`` encode the rest,
            ``"none"`` leaves it out. None copies what programs read from such a file.
    """

    model_config = ConfigDict(extra="forbid")

    background: str | None = None
    background_start: Place = BEGINNING
    background_end: Place | None = None
    light_wrap: Length = "0"
    shadow: bool = False
    alpha: AlphaKind | None = None
    each_object: bool = False
    keep_hdr: bool = False
    invert: bool = False
    constant_rate: ConstantRate | None = None
    sound: SoundChoice | None = None

    @model_validator(mode="after")
    def _sense(self) -> Composition:
        background_part(self.background_start, self.background_end)
        refuse_inverted(self.invert, shadow=self.shadow, each=self.each_object)
        return self

    @property
    def chosen(self) -> dict[str, Any]:
        """The fields that ask for something."""
        fields = type(self).model_fields
        return {name: value for name, value in self if value != fields[name].default}


def background_part(start: str, end: str | None) -> Range:
    """Return the part of a background; refuse one that ends before it begins."""
    with of_background():
        return Range(start=None if start == BEGINNING else start, end=end)


@contextmanager
def of_background() -> Iterator[None]:
    """Name the options of a background where a range is refused: the source has a start and an end, too."""
    try:
        yield
    except UsageError as error:
        raise UsageError(f"background-{error.what}", why=error.why, fix=error.remedy) from error


def refuse_inverted(invert: bool, *, shadow: bool = False, each: bool = False) -> None:
    """Refuse what concerns the subject where all but the subject is kept."""
    if invert and shadow:
        raise UsageError(
            "shadow and invert together", why="all but the subject is kept, with its shadow", fix="leave shadow out"
        )
    if invert and each:
        raise UsageError(
            "each object and invert together",
            why="all but the subject is one picture, and no object's",
            fix="leave one of them out",
        )


PLAIN_ALPHA: Final = "plain"
"""Option of a format's value that takes the probability for alpha, also where a run has found a matte."""
PLAIN = Composition()
"""Nothing is asked for."""
ONE_MORE = "the other is then made of the finished run, without the network: covos convert RUN -f FORMAT -o OTHER/"
"""Remedy, after what to leave out, for two outputs that one folder cannot hold."""


def with_options(value: str | None, options: dict[str, Any]) -> str:
    """Return a format's value with further options: ``"beach.mp4"`` with a wrap becomes ``"beach.mp4,wrap=1%"``."""
    said = [key if given is True else f"{key}={given}" for key, given in options.items()]
    return ",".join([*([value] if value else []), *said])


def split_options(
    value: str, *, known: Collection[str], flags: Collection[str] = (), whole: Callable[[str], bool] = lambda _: False
) -> tuple[str, dict[str, str]]:
    """Split a format's value into what comes first, and its options; a flag has the value ``"true"``.

    The first part may have commas itself, as the name of a file may. ``whole`` says if a value has no options.
    """
    main, options = value, dict[str, str]()
    while main and not whole(main):
        before, _, last = main.rpartition(",")
        key, equals, given = last.partition("=")
        if equals and key in known:
            options[key] = given
        elif last in flags:
            options[last] = "true"
        else:
            break
        main = before
    return main, options
