"""The line after the last one that says which frames of a result to look at first."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from covos.core.progress import counted
from covos.formats.table import ASIDE

if TYPE_CHECKING:
    from covos.runs.writing import Saved


def doubt(saved: Saved, name: str) -> str:
    """Say how many frames stand out, which to look at first, and how to mend them; empty if none does.

    Args:
        saved: What was written.
        name: What was read, as the user gave it.
    """
    quality = saved.quality
    if quality is None:
        return ""
    if saved.frames and quality.flags.get("empty") == saved.frames:
        show = f"covos open {shlex.quote(name if saved.page is None else str(saved.folder))}"
        return (
            f"nothing was found in any of {counted(saved.frames, 'frame')}, so no subject is in what is written. "
            f"To show the object: --point X,Y@FRAME, or by clicks: {show}"
        )
    if not quality.suspicious:
        return ""
    first = quality.look_at_first[0]
    number = first.index if first.source_index is None else first.source_index
    many = quality.suspicious > 1
    stands_out = (
        f"{quality.suspicious} of {counted(saved.frames, 'frame')} {'are' if many else 'is'} doubtful; "
        f"look at frame {number} ({first.time:.2f} s) first: {first.reasons[0]}. "
    )
    if saved.page is None:  # one file, and nothing beside it that could be opened
        folder = shlex.quote(f"{saved.outputs[0]}{ASIDE}")
        return f"{stands_out}Run it again with --keep: a report shows them, and covos open {folder} corrects by clicks"
    return (
        f"{stands_out}{saved.page} shows them. To correct them by clicks: covos open {shlex.quote(str(saved.folder))}"
    )
