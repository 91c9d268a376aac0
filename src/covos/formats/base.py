"""The base of the output formats: how one is written, how it is read, and its traits."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from difflib import get_close_matches
from functools import cached_property
from pathlib import Path
from typing import ClassVar, Literal, Protocol

from covos.core.errors import UsageError
from covos.core.labelling import NO_LABELS, Labelling
from covos.core.types import FrameResult, SourceInfo, Tags
from covos.formats.compose import ComposedResult
from covos.formats.composition import ONE_MORE, PLAIN_ALPHA, refuse_inverted, split_options, with_options
from covos.formats.reading import MaskInput, MasksRead

Bits = Literal[0, 8, 16]
"""Precision with which a format writes the probability; 0 if it does not."""

_MASTERED = (
    "the display that the source was graded on (MDCV) and its largest light (MaxCLL) are not stated: carry them over "
    "where you deliver"
)

OutputShape = Literal["file", "video", "a picture a frame", "a label map a frame", "a picture a frame and object"]


class Destination(Protocol):
    """A folder that files of a format go to: `covos.runs.folder.OutputFolder`, as far as a format knows it."""

    path: Path

    def file(self, name: str) -> Path:
        """Claim a file, by its relative name with forward slashes; return the path to write to."""
        ...


class Format(ABC):
    """A format. The class describes the format; an object of it writes the results of one source.

    Results come a frame at a time, in the order of the frames. Making an object touches no disk: the first frame does.
    Whoever makes one calls `close` or `abort` in the end; either may be called again after either, and then does
    nothing. A format defines `_add` and `_finish`, and `_abandon` where something would be left open.

    Args:
        folder: Where the files go.
        info: Facts about the source whose frames will come.
        source_path: The source, for what is copied from it (sound).
        value: The value that the user gave, as in ``matte=16``; checked by `check_value` before.
        labels: What objects are called.
    """

    name: ClassVar[str]
    """Name by which users ask for it."""
    output: ClassVar[str]
    """The file or folder that a run lists among its outputs, for a video and without a value: ``"overlay.mp4"``."""
    shape: ClassVar[OutputShape] = "file"
    """Arrangement of the output."""
    labels_only: ClassVar[bool] = False
    """True if it does not use the probability."""
    has_alpha: ClassVar[bool] = False
    """True if what it writes is transparent where the subject is not."""
    alpha_kinds: ClassVar[tuple[str, ...]] = ("straight",)
    """Kinds of alpha that it can have, the usual one first, if it has alpha."""
    lays_over: ClassVar[bool] = False
    """True if it lays all of the subject over another picture."""
    needs_pictures: ClassVar[bool] = True
    """False if it is made from the masks alone."""
    has_colours: ClassVar[bool] = True
    """False if the colours of the source are not seen in it: it is made from the masks, or is a matte."""
    own_sizes: ClassVar[bool] = False
    """True if frames keep their sizes where that of the source changes; else all have one, and others are fitted in."""
    bytes_per_pixel: ClassVar[float] = 0.0
    """Size on disk, as `benchmarks/formats.py` measures it at 480p, where a pixel holds more detail than at 1080p.
    0 stands for formats that are small beside the source itself."""
    flags: ClassVar[tuple[str, ...]] = ()
    """Options of its value that have no value themselves."""
    keyed: ClassVar[Mapping[str, str]] = {}
    """Options of its value that have a value themselves, each with an example of it: ``{"rate": "25"}``."""
    picture_suffixes: ClassVar[tuple[str, ...]] = ()
    """Suffixes that its picture of one frame may have, the usual one first; none if it makes no picture of a frame."""
    choices: ClassVar[tuple[str, ...]] = ()
    """Values for who chooses from a list, the first is what it has without one; all of them, but for formats whose
    `check_value` takes more."""
    offers: ClassVar[str] = "it is no value of this format"
    """The reason for which any other value is refused."""
    composes: ClassVar[Mapping[str, str]] = {}
    """Fields of `covos.formats.composition.Composition` that it knows, each with the name of its option in the format's
    value; without one, it is what the value begins with."""

    def __init__(
        self,
        folder: Destination,
        *,
        info: SourceInfo,
        source_path: Path,
        value: str | None = None,
        labels: Labelling = NO_LABELS,
    ) -> None:
        self._folder = folder
        self._labels = labels
        self._info = info
        self._source_path = source_path
        self._value = value
        self._written = 0
        self._is_over = False
        self._paths: tuple[Path, ...] = ()

    @classmethod
    def check_value(cls, value: str) -> None:
        """Refuse a value that makes no sense, before any work is done.

        Raises:
            UsageError: It is of the wrong kind, or names a file that is not there.
            SourceError: It names a file that cannot be read.
        """
        if not cls.flags and not cls.keyed and not cls.choices:
            raise UsageError(f"{cls.name} with a value", why=f"{cls.name} takes none", fix=f"write {cls.name} alone")
        main, options = cls.parsed(value)
        if main not in cls.choices and (main or not options):
            raise UsageError(f"{cls.name}={value}", why=cls.offers, fix=cls._remedy(main))
        refuse_inverted("invert" in options, each="each" in options)

    @classmethod
    def _remedy(cls, main: str) -> str:
        """Return what to write in place of a value that it does not know."""
        keyed = (f"{key}={example}" for key, example in cls.keyed.items())
        every = [*dict.fromkeys((*(choice for choice in cls.choices if choice), *cls.flags, *keyed))]
        near = get_close_matches(main.lower(), every, n=1)
        known = ", ".join(f"{cls.name}={each}" for each in every)
        return f"did you mean {cls.name}={near[0]}?" if near else f"write one of {cls.name}, {known}"

    @classmethod
    def parsed(cls, value: str | None) -> tuple[str, dict[str, str]]:
        """Split a value into what comes first and its options."""
        return split_options(value or "", known=cls.keyed, flags=cls.flags)

    @classmethod  # noqa: B027 - most formats need nothing more
    def check_installed(cls) -> None:
        """Refuse a format whose packages are not there, before any work is done.

        Raises:
            EnvironmentProblem: An optional package is missing.
        """

    @classmethod
    def composed(cls, value: str | None, asked: Mapping[str, object]) -> str:
        """Return the format's name with what is asked of its composition, by the fields of `composes`."""
        options = {cls.composes[field]: given for field, given in asked.items()}
        if "" in options:
            if cls.parsed(value)[0]:
                raise UsageError(
                    f"{cls.name} {options['']} beside the format {cls.name}={value}",
                    why="both name a value, and the format takes one",
                    fix=f"leave one of them out; {ONE_MORE}",
                )
            value = ",".join([str(options.pop("")), *([value] if value else [])])
        said = with_options(value, options)
        return f"{cls.name}={said}" if said else cls.name

    @classmethod
    def takes(cls, field: str, value: str | None, *, given: object = None) -> bool:
        """Tell if a field of a composition is seen in what it writes with a value, if this is given for it."""
        return field in cls.composes

    @classmethod
    def files_of(cls, value: str | None) -> tuple[Path, ...]:
        """Return the files that the value names: what is written depends on their content."""
        return ()

    @classmethod
    def bits_of(cls, value: str | None) -> Bits:
        """Return the precision with which the probability is written."""
        return 0 if cls.labels_only else 8

    @classmethod
    def names_objects(cls, value: str | None) -> bool:
        """Tell if the labels of objects are seen in what is written."""
        return False

    @classmethod
    def suffix_of(cls, value: str | None) -> str:
        """Return the suffix of the one file that it makes of a video; empty if it makes a folder, or several files."""
        return Path(cls.output).suffix if cls.shape in {"file", "video"} else ""

    @classmethod
    def still_suffixes(cls, value: str | None) -> tuple[str, ...]:
        """Return the suffixes that the one file of a single picture may have, the usual one first.

        There are none if it makes several files.
        """
        own = cls.suffix_of(value)
        return cls.picture_suffixes or ((own,) if own else ())

    @classmethod
    def value_for(cls, suffix: str, value: str | None) -> str | None:
        """Return the value with which it makes a file of this suffix, if it has one that agrees with what was given."""
        fitting = (asked.partition("=")[2] for asked, own in cls.suffixes().items() if own == suffix)
        return (next(fitting, "") or None) if value is None else value

    @classmethod
    def suffixes(cls) -> dict[str, str]:
        """Return the suffix of each kind of one file that it makes, by the name that asks for it."""
        return {cls.name: suffix} if (suffix := cls.suffix_of(None)) else {}

    @classmethod
    def size_of(cls, value: str | None) -> float:
        """Return the size on disk, in bytes a pixel of the source and frame."""
        return cls.bytes_per_pixel

    @classmethod
    def frames_of(cls, value: str | None, info: SourceInfo) -> int:
        """Return the frames that it writes of a source."""
        return info.frame_count

    @property
    def warnings(self) -> tuple[str, ...]:
        """Things that could not be kept, in plain words. Complete after `close`."""
        return ()

    @property
    def notes(self) -> tuple[str, ...]:
        """Changes that take nothing worth speaking of, in plain words. Complete after `close`."""
        return ()

    @property
    def _lost_aspect(self) -> tuple[str, ...]:
        """The warning of a format that has no place for pixels that are not square."""
        if self._info.pixel_aspect == 1 or not self._written:
            return ()
        why = f"the pixel aspect {self._info.pixel_aspect} is not kept: set it in the program that reads the files"
        return (f"{self.name}: {why}",)

    def write(self, result: FrameResult) -> None:
        """Add a frame.

        Raises:
            EnvironmentProblem: The disk is full or failed.
        """
        composed = ComposedResult.of(result)
        composed = composed.plain if self._is_plain else composed
        self._add(composed if self.own_sizes else composed.fitted)
        self._written += 1

    def _seen(self, result: FrameResult) -> ComposedResult:
        """Return what is seen of a frame: the subject, or all else if the value asks for that."""
        composed = ComposedResult.of(result)
        return composed.inverse if self._is_inverted else composed

    @cached_property
    def _is_inverted(self) -> bool:
        return "invert" in self.parsed(self._value)[1]

    @classmethod
    def is_plain(cls, value: str | None) -> bool:
        """Tell if a value asks for alpha without the matte that there may be."""
        return PLAIN_ALPHA in cls.parsed(value)[1]

    @cached_property
    def _is_plain(self) -> bool:
        return self.is_plain(self._value)

    @cached_property
    def _keeps_hdr(self) -> bool:
        """True if colours that are HDR or BT.2020 are written as the source has them."""
        return self._asks_for_hdr and self._info.tags.hdr is not None

    @property
    def _asks_for_hdr(self) -> bool:
        return "hdr" in self.parsed(self._value)[1]

    @property
    def _told(self) -> Tags:
        """The tags of the source, with the colours that are written."""
        return self._info.tags.unmapped if self._keeps_hdr else self._info.tags

    @property
    def tones(self) -> Literal["kept", "mapped"] | None:
        """The fate of HDR or BT.2020 of the source; None where it has none, or its colours are not written."""
        if self._info.tags.hdr is None or not (self._written and self.needs_pictures and self.has_colours):
            return None
        return "kept" if self._keeps_hdr else "mapped"

    @property
    def _hdr_notes(self) -> tuple[str, ...]:
        """Notes of the HDR that is asked for and could not be kept."""
        if not self._written or not self._asks_for_hdr:
            return ()
        if not self._keeps_hdr:
            return (f"{self.name}: the source has no HDR or BT.2020 that can be kept",)
        return (f"{self.name}: {_MASTERED}",) if self._info.tags.mastered else ()

    def close(self) -> tuple[Path, ...]:
        """Finish.

        Returns:
            The file, or the folder of a format with a file a frame, under its final name. Nothing if no frame was
            written.

        Raises:
            EnvironmentProblem: The disk is full or failed.
        """
        if self._written and not self._is_over:
            self._paths = self._finish_all()
        self._is_over = True
        return self._paths

    def abort(self) -> None:
        """Stop without finishing. Whole files, such as the masks of earlier frames, stay; no half file does."""
        if not self._is_over:
            self._is_over = True
            self._abandon()

    @abstractmethod
    def _add(self, result: FrameResult) -> None:
        """Add a frame."""

    def _finish_all(self) -> tuple[Path, ...]:
        """Finish every output; a format with one defines `_finish`."""
        return (self._finish(),)

    def _finish(self) -> Path:
        """Write what is left after the last frame, and return the output."""
        return self._folder.path / self.output

    def _abandon(self) -> None:  # noqa: B027 - many formats leave nothing open
        """Close and remove what is not finished."""


class ReadableFormat(Format):
    """A format that masks are read from, too."""

    read_as: ClassVar[str]
    """Name among the inputs that are read, such as ``"COCO JSON"``."""
    looks_like: ClassVar[str]
    """By what a file of it is recognised, in words."""

    @classmethod
    @abstractmethod
    def recognise(cls, masks: MaskInput) -> bool:
        """Return True if the content of a file or folder is of this format."""

    @classmethod
    @abstractmethod
    def read(cls, masks: MaskInput) -> MasksRead:
        """Read the masks of an input that `recognise` has accepted.

        Raises:
            DamagedError: It is damaged, or holds something that is not read.
            AnnotationError: A picture in it cannot be read.
        """
