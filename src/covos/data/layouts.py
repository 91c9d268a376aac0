"""The layouts that are known, and how a tree is told to be one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from covos.data import davis, image_mask, tianchi, youtube_vos
from covos.data.base import Dataset, Encoding, Layout


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What is asked of a layout's reader; None leaves the choice to it."""

    subset: str | None = None
    resolution: str | None = None
    encoding: Encoding | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LayoutReader:
    """One layout.

    Attributes:
        looks_like: Where its files lie, for messages.
        matches: Whether a root is laid out so; fast, no file is opened.
        read: Opens a root; raises an InputError that says what is missing.
    """

    looks_like: str
    matches: Callable[[Path], bool]
    read: Callable[[Path, Options], Dataset]


LAYOUTS: dict[Layout, LayoutReader] = {
    "davis": LayoutReader(looks_like=davis.LOOKS_LIKE, matches=davis.matches, read=davis.read),
    "youtube-vos": LayoutReader(looks_like=youtube_vos.LOOKS_LIKE, matches=youtube_vos.matches, read=youtube_vos.read),
    "tianchi": LayoutReader(looks_like=tianchi.LOOKS_LIKE, matches=tianchi.matches, read=tianchi.read),
    "image-mask": LayoutReader(looks_like=image_mask.LOOKS_LIKE, matches=image_mask.matches, read=image_mask.read),
}
"""In the order in which they are tried: a DAVIS tree would pass for TIANCHI, not the other way round."""


def detect(root: Path) -> Layout | None:
    """The first layout that a root matches, or None."""
    return next((name for name, reader in LAYOUTS.items() if reader.matches(root)), None)
