"""The notes after the last line: which frames of a result to look at first, and what a file of its name is."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from covos.core.progress import counted
from covos.formats.table import ASIDE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from covos.masks.edges import Edges
    from covos.runs.writing import Saved


_NEARLY_ALL = 0.8


def doubt(saved: Saved, name: str, *, edges: Edges | None = None, run: Path | None = None, shown: bool = False) -> str:
    """Say how many frames stand out, which to look at first, and how to mend them; empty if none does.

    Args:
        saved: What was written.
        name: What was read, as the user gave it.
        edges: The changes of the edges that were asked for, if any: they may have removed all.
        run: Folder of the run that the masks come from, if that is another than what was written: mistakes are mended
            there.
        shown: True if the user has shown objects, which were followed.
    """
    quality = saved.quality
    if quality is None:
        return ""
    kept = run or (None if saved.page is None else saved.folder)
    if saved.frames and quality.flags.get("empty") == saved.frames:
        show = f"covos open {shlex.quote(name if kept is None else str(kept))}"
        where = "the frame" if saved.frames == 1 else f"any of {counted(saved.frames, 'frame')}"
        if edges is not None and (removing := edges.removing):
            asked = " and ".join(_as_options(removing))
            return (
                f"no subject is left in {where}: none was found, or {asked} removed it: "
                f"try it without. To show the object: --point X,Y@FRAME, or by clicks: {show}"
            )
        return (
            f"nothing was found in {where}, so no subject is in what is written. "
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
    if shown and quality.suspicious > _NEARLY_ALL * saved.frames:
        stands_out += "Does each point, box or mask lie on its object, in the frame that it names? "
    if kept is None:  # one file, and nothing beside it that could be opened
        folder = shlex.quote(f"{saved.outputs[0]}{ASIDE}")
        return f"{stands_out}Run it again with --keep: a report shows them, and covos open {folder} corrects by clicks"
    shows = "" if saved.page is None else f"{saved.page} shows them. "
    return f"{stands_out}{shows}To correct them by clicks: covos open {shlex.quote(str(kept))}"


def tinted(saved: Saved | None, *, formats: Sequence[str] | None, background: str | None) -> str:
    """Say that a file holds no cut-out, where its name alone chose a format for looking at; empty otherwise.

    Args:
        saved: What was written; None if nothing was.
        formats: Formats that the user asked for.
        background: Background that the user asked for.
    """
    file = saved.outputs[0] if saved is not None and saved.outputs else None
    if formats or background is not None or file is None or file.is_dir():
        return ""
    from covos.runs.onefile import USUAL

    if not USUAL.get(file.suffix.lower(), "").startswith(("overlay", "preview")):
        return ""
    gif = ", or add -f cutout-gif" if file.suffix.lower() == ".gif" else ""
    return (
        f"{file.name} shows the clip with the subject tinted, to look at. A cut-out has alpha: name a .mov or .webm"
        f"{gif}; or give --background"
    )


def _as_options(asked: Mapping[str, str]) -> list[str]:
    return [f"--{name.replace('_', '-')} {value}" for name, value in asked.items()]
