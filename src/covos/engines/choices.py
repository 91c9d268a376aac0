"""The choices that engines leave to the user, with their defaults and limits: known before anything is computed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple, TypeAlias, get_args

from covos.core.errors import UsageError
from covos.models.choices import Fusion, Refinement, check_refinement

AUTO: Final = "auto"
"""The choice of whoever leaves it to covos."""
SUBJECT: Final = 1
"""Id of the one subject that is found."""
DEFAULT_REFERENCES = 5
"""As in the paper: J no longer grows beyond (COSNet, table 4)."""
MAX_REFERENCES = 64

Quality = Literal["draft", "fast", "balanced", "best"]
"""Care in finding the subject. A draft finds it in small frames, the best in those of the training and in further
views. In a draft, and where it is fast, some frames are made of their neighbours (see `covos.engines.between`)."""
DEFAULT_QUALITY: Final = "balanced"

DEFAULT_AREA = 256 * 448
"""The pixels of a 448 x 256 frame, which is what 480p is at the encoder's stride of 32."""


class View(NamedTuple):
    """A size that frames are encoded in (its area counts: a frame keeps its shape); and if they are mirror images."""

    height: int
    width: int
    mirrored: bool = False

    @property
    def share(self) -> float:
        """Its area, as a share of the usual one."""
        return self.height * self.width / DEFAULT_AREA

    def __str__(self) -> str:
        return f"{self.height}x{self.width}{' mirrored' if self.mirrored else ''}"


VIEWS: Final[dict[Quality, tuple[View, ...]]] = {
    "draft": (View(192, 320),),
    "fast": (View(256, 448),),
    "balanced": (View(256, 448), View(320, 576)),
    "best": (View(256, 448), View(384, 672)),
}
"""Views in which the subject is found, for each quality; none is larger than the last."""
IN_TURN: Final = frozenset[Quality]({"balanced", "best"})
"""Qualities at which a frame is looked at in one view alone, and the next frame in the next view.

The smaller view is surer of which thing is meant, the larger one of its outline. Each frame is brought together with
those around it, so it has a mean of both, and the networks look at it once."""
APART: Final[dict[Quality, int]] = {"draft": 4, "fast": 2}
"""Frames from one that the network looks at to the next, where that is not the next one."""

FOLLOWED_IN: Final[dict[Quality, tuple[View, ...]]] = {
    "draft": (View(256, 448),),
    "fast": (View(256, 448),),
    "balanced": (View(320, 576),),
    "best": (View(384, 672), View(320, 576, mirrored=True)),
}
"""Views in which objects are followed, for each quality; masks are made at the size of the first.

They are as large as those in which the subject is found, or larger: the user has shown which thing is meant, so its
outline is what is left to find, and that is finer in more cells. A draft has no small ones: below the usual size a mask
floods over what looks like its object, and each frame passes that on to the next."""
SMALL: Final = 0.02
"""Share of the frame below which an object is small. It covers few cells, so it is followed in larger frames."""
SMALL_FOLLOWED_IN: Final[dict[Quality, tuple[View, ...]]] = {
    "balanced": (View(448, 768),),
    "best": (View(448, 768), View(320, 576, mirrored=True)),
}
"""Views in which objects are followed of which one is small, for the qualities that take the time for it."""
FOLLOWED_APART: Final[dict[Quality, int]] = {"draft": 4, "fast": 2}
"""Frames from one that the networks look at to the next while they follow, where that is not the next one.

In a run alone: who corrects in a session sees each frame as the networks do."""

FOUND_AND_FOLLOWED: Final = frozenset[Quality]({"best"})
"""Qualities at which the subject is followed, too, from where it was found most surely (`covos.engines.surest`)."""
FOUND_FOLLOWED_IN: Final = VIEWS["best"][-1]
"""The view in which it is, at every second frame: those in which it is found in this view. Each is encoded once."""
SMALL_FOUND_FOLLOWED_IN: Final = SMALL_FOLLOWED_IN["best"][0]
"""The view in which it is where it is small."""

AROUND: Final = 4
"""Frames on each side that a frame is brought together with."""

DEFAULT_MOST = 10
MAX_MOST = 20
"""Objects; as many as the unsupervised protocol of DAVIS lets be proposed."""

MAX_GIVEN = 64
"""Frames with masks from the user that one video may have, and that a memory holds."""
DEFAULT_MEMORY = 5
"""Frames between the given ones and the latest, unless the user says otherwise."""
MAX_MEMORY = 32

Direction: TypeAlias = Literal["auto", "forward", "backward", "both"]
"""Direction in which objects are followed from where they are shown; auto goes both ways if one is shown after the
first frame only, or on several frames."""

Cuts: TypeAlias = Literal["auto", "off"]
"""Find the cuts of a video, or take it as one shot, however long."""

SPAN: Final = 100
"""Frames of the past over which references are spread, by default: four seconds."""


def apart_of(quality: Quality) -> int:
    """Return the frames from one that the network looks at to the next."""
    return APART.get(quality, 1)


def followed_apart(quality: Quality) -> int:
    """Return the frames from one that the networks look at to the next while they follow through a video."""
    return FOLLOWED_APART.get(quality, 1)


def discovered_in(quality: Quality) -> View:
    """Return the view in which objects are discovered: the first of those in which they are followed.

    Things are told apart there, and small ones are lost in small frames.
    """
    return FOLLOWED_IN[quality][0]


def followed_in(quality: Quality, *, smallest: float) -> tuple[View, ...]:
    """Return the views in which objects are followed of which the smallest covers this share of the frame."""
    usual = FOLLOWED_IN[quality]
    return SMALL_FOLLOWED_IN.get(quality, usual) if smallest < SMALL else usual


def named_views(quality: Quality) -> str:
    """Name the views in which a subject is found, as records of a run have them: ``256x448, 320x576 in turn``."""
    return _named(VIEWS[quality]) + (" in turn" if quality in IN_TURN else "")


def named_followed_views(quality: Quality, *, smallest: float | None = None) -> str:
    """Name the views in which objects are followed, as records of a run have them.

    ``smallest`` is the share of the frame that the smallest of them covers; None names both cases.
    """
    if smallest is not None:
        return _named(followed_in(quality, smallest=smallest))
    usual, small = _named(FOLLOWED_IN[quality]), _named(SMALL_FOLLOWED_IN.get(quality, ()))
    return f"{usual}; {small} if an object is small" if small else usual


def _named(views: Iterable[View]) -> str:
    return ", ".join(map(str, views))


def check_references(count: int) -> int:
    """Return a number of references; refuse one that makes no sense."""
    if not 0 <= count <= MAX_REFERENCES:
        raise UsageError(
            f"references = {count}",
            why="memory and time grow with them and accuracy does not",
            fix=f"use 0 to {MAX_REFERENCES}; {DEFAULT_REFERENCES} is the default",
        )
    return count


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """The settings by which a subject is found, whatever the quality.

    Attributes:
        references: Frames of the video that every frame is compared with, 0 to `MAX_REFERENCES`; 0 takes each for
            itself.
        fusion: Way to use several references; None takes the network's best.
        reference_seed: Draw the references at random from this seed; None spreads them evenly over the video.
        refine: Way to fit the probabilities to the picture.

    Raises:
        UsageError: ``references`` is out of range, or there is no such refinement.
    """

    references: int = DEFAULT_REFERENCES
    fusion: Fusion | None = None
    reference_seed: int | None = None
    refine: Refinement = "none"

    def __post_init__(self) -> None:
        check_references(self.references)
        check_refinement(self.refine)


DEFAULT_FINDING: Final = Finding()


def check_memory(count: int) -> int:
    """Return a size of the memory; refuse one that makes no sense."""
    if not 0 <= count <= MAX_MEMORY:
        raise UsageError(
            f"memory = {count}",
            why="time and room grow with the remembered frames",
            fix=f"use 0 to {MAX_MEMORY}; {DEFAULT_MEMORY} is the default",
        )
    return count


def choose_direction(asked: Direction, *, frames: Sequence[int]) -> Direction:
    """Return the direction that is taken, never ``"auto"``, for prompts on these frames."""
    if asked not in get_args(Direction):
        raise UsageError(
            f"direction {asked!r}", why="there is none of this name", fix=f"use {', '.join(get_args(Direction))}"
        )
    if not frames:
        raise UsageError(
            "there is nothing to follow",
            why="no object was shown",
            fix="give a mask, a point or a box on one of the frames",
        )
    if asked != "auto":
        return asked
    return "forward" if tuple(frames) == (0,) else "both"
