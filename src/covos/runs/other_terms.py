"""A folder holds a run of other terms: the command that makes, of the masks that are there, what is asked for now."""

from __future__ import annotations

import shlex
from pathlib import Path

from covos.core.errors import UsageError
from covos.core.types import SourceInfo
from covos.core.words import OVERWRITE, Words
from covos.formats.table import parse_format
from covos.runs.beside import convert_command, part_options
from covos.runs.terms import COMPUTED, PRECISIONS, RunFile, RunTerms


def refuse_others(asked: RunTerms, found: RunFile, *, folder: Path, info: SourceInfo) -> None:
    """Refuse to mix what is asked for with the run of a folder, if it was made under other terms.

    Args:
        asked: The terms now.
        found: The run.
        folder: Where it lies.
        info: The source, as the part of it that is taken.

    Raises:
        UsageError: It was.
    """
    held = "the result" if found.complete else "an unfinished run"
    fix = _way_out(asked, found, folder, info)
    found.refuse_others(asked, what=f"{folder} holds {held} of other settings", fix=fix)
    if changed := [name for name in asked.shown if asked.shown[name] != found.shown.get(name, asked.shown[name])]:
        raise UsageError(
            f"{folder} holds {held} of {changed[0]}",
            why="the file that it names has another content now",
            fix="choose another folder, convert to one (covos convert), or start anew with " + OVERWRITE,
        )


def refuse_variants(asked: RunTerms, found: RunFile, *, folder: Path) -> None:
    """Refuse a format that the folder has with another value: its files would take the place of those there.

    Args:
        asked: The terms now.
        found: The run.
        folder: Where it lies.

    Raises:
        UsageError: There is such a format.
    """
    there = {name.partition("=")[0]: name for name in found.formats}
    more = [name for name in asked.formats if name not in found.formats]
    clash = next((name for name in more if name.partition("=")[0] in there), None)
    if clash is None:
        return
    kind = clash.partition("=")[0]
    convert = convert_command(folder, more, name=kind)
    is_done = asked.has_masks_in(found)
    begin = "" if is_done else _without(there[kind])
    raise UsageError(
        f"the format {clash} beside the format {there[kind]} in {folder}",
        why="their files would have the same names",
        fix=begin + f"{convert} writes it without the network{_to_add(asked, found)}",
    )


def _without(format: str) -> Words:
    alone = Words(f"-f {shlex.quote(format)}", python=f"formats=[{format!r}]")
    return "finish this run without it (" + alone + "), then: "


def _way_out(asked: RunTerms, found: RunFile, folder: Path, info: SourceInfo) -> Words:
    """Say what to do where the folder holds a run of other terms: the command, if the masks of the run will do."""
    fix = "go back to those, choose another folder, or start anew with " + OVERWRITE
    if found.is_whole and asked.is_but_for(("matte",), found):
        soft = [name for name in asked.formats if not parse_format(name)[0].labels_only]
        convert = convert_command(folder, soft or ["prores"], "--matte")
        return (
            "a matte of the masks that are there: "
            + Words(convert, python="covos.convert(..., matte=True)")
            + "; else "
            + fix
        )
    if (how := _computed_otherwise(found, asked)) is not None:
        return how + " goes on, on a machine that has it; else choose another folder, or start anew with " + OVERWRITE
    is_same = asked.has_masks_in(found)
    if found.complete and is_same and asked.is_but_for(("range", "frame_rate"), found):
        part = part_options(folder, info)
        if part is not None:
            convert = convert_command(folder, asked.formats, *part, name="part")
            added = _to_add(asked, found)
            return f"for this part of the masks that are there, without the network: {convert}{added}; else " + fix
    if is_same and not set(asked.formats) <= set(found.formats):
        convert = convert_command(folder, asked.formats)
        return f"for another format of the masks that are there: {convert}; else " + fix
    return fix


def _to_add(asked: RunTerms, found: RunFile) -> str:
    """Say which settings of what is written differ from those of a run, to be added to a command; or nothing."""
    changed = " and ".join(asked.later_than(found))
    return f"; add your {changed}" if changed else ""


def _computed_otherwise(found: RunTerms, asked: RunTerms) -> Words | None:
    """Return the options that compute as a run did, if what is asked for computes otherwise."""
    options = {
        "runtime": found.settings.get("runtime", "torch"),
        "precision": PRECISIONS.get(str(found.settings.get("precision")), "auto"),
    }
    other = any(found.in_words().get(name) != asked.in_words().get(name) for name in COMPUTED)
    if not other:
        return None
    return Words(
        " ".join(f"--{name} {value}" for name, value in options.items()),
        python=", ".join(f"{name}={value!r}" for name, value in options.items()),
    )
