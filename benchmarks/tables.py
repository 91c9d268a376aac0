"""The tables that documents show, and the columns of each: `recorded.py` keeps these, and tests compare with them.

A name such as ``segment.speed`` is the table ``speed`` of `benchmarks/results/segment.json`. In a column, ``{}`` stands
for any text, such as a number of frames that the user chooses. The column ``...`` stands for one or more columns that
take their names from the data, such as a column for each sequence.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

SCORES = ("J&F", "J", "F")
ERRORS = ("SAD", "MSE", "Grad", "Conn", "s/MP")
ALONE = ("find", "follow", "matte")
SHARE = ("processor ms a frame", "frames a processor second")
FOLLOWED = ("quality", *SCORES, "frames looked at", "processor time of a frame")
EIGHT_BITS = ("in 8 bits", "encode, ms", "segment, ms", "both, ms", "J", "F", "J&F", "J with float32")
AROUND = ("frames on each side", "levels", *SCORES, "flicker", "processor ms")
WORDS = ("", "sentences", "mean words", "median", "above 30 words", "turned round")

TABLES: Final[dict[str, tuple[str, ...]]] = {
    "accuracy.parts": ("", *SCORES, "...", "ms"),
    "accuracy.quality": ("quality", "views (area)", *SCORES, "...", "processor ms"),
    "apart.apart": ("frames", "together", "J", "pieces", "objects"),
    "around.train": AROUND,
    "around.val_open": AROUND,
    "batch.errands": ("{} clips that are done", "processor ms a clip", "processor seconds of two, with the start"),
    "batch.ways": ("{} clips of {} frames", "seconds", "clips a minute", "speed over one process"),
    "beside_rembg.scores": ("", *SCORES, "flicker", *SHARE),
    "beside_rembg.stretches": ("", *SCORES, "flicker", *SHARE),
    "discover.multi": ("object", "subject", "parts", "apart", "tracks", "believed", "followed", "J", "F", "J&F"),
    "follow.davis": ("J&F", "covos", "copied", "warped"),
    "follow.quality": FOLLOWED,
    "follow.quality_ids": FOLLOWED,
    "follow.without": ("J&F", "covos", "copied", "warped", "..."),
    "formats.cost": ("format", *("{}, 854x480", "{}, 1920x1080") * 2),
    "formats.matted": (
        "format",
        *("{}, 854x480, plain", "{}, 854x480, matte", "{}, 1920x1080, plain", "{}, 1920x1080, matte") * 2,
    ),
    "int8.parts": EIGHT_BITS,
    "int8.vnni": EIGHT_BITS,
    "kept_memory.training": ("freed memory", "program, s a step", "system, s a step", "both", "GB at most"),
    "live.davis": ("", *SCORES),
    "matte.alphamatting": ("", *ERRORS),
    "matte.colours": ("", "MAE", "MSE", "dt", "s/MP"),
    "matte.composed": ("", *ERRORS, "dtSSD"),
    "matte.kinds": ("", "..."),
    "matte.masks": ("", "..."),
    "matte.sizes": ("size", "ms", "ms, colours"),
    "matte.whole": ("", *ERRORS, "dtSSD"),
    "memory_long.floor": ("", "MB"),
    "newcomer.steps": ("goal", "commands", "minutes", "MB fetched", "MB on the disk"),
    "objects.shapes": ("", *SCORES, "switches", "floods"),
    "pictures.quality": ("quality", "MAE", "maximal F"),
    "plain_alpha.alpha": (
        "",
        *(f"{way}: {each}" for way in ("stretched", "solid inside", "as written", "hard") for each in ("SAD", "MSE")),
    ),
    "readability.before": WORDS,
    "readability.pages": WORDS,
    "records.journal": ("", "KiB", "ms to keep", "ms to read back", "ms a flush waits"),
    "records.report": ("", "ms a frame", "ms at the end"),
    "refine.val_open": ("", "none: J", "F", "J&F", "crf: J", "crf: F", "crf: J&F"),
    "reproduce.val_open": ("", "...", "mean"),
    "reproduce.val_open_best": ("", "...", "mean"),
    "runtimes.alone": ("networks alone, processor ms", *ALONE),
    "runtimes.alone_avx2": ("networks alone, processor ms, AVX2", *ALONE),
    "runtimes.masks": ("masks", "found, J with torch float32", "followed", "val_open: J", "F"),
    "segment.memory": ("854 x 480, {}, with the report", "MiB"),
    "segment.speed": ("854 x 480, {}, with the report", ""),
    "serve.long": ("a clip of {} frames at {} x {}", ""),
    "serve.page": ("a clip of {} frames at {} x {}", ""),
    "shadows.kept": (
        "the subject",
        *("in the shadow, without", "with `--shadow`", "kept, %", "outside, without", "with `--shadow`"),
    ),
}
"""The columns of each table."""

OLDER: Final[dict[str, tuple[tuple[str, ...], str]]] = {
    "newcomer.steps": (
        ("goal", "commands", "minutes", "MB"),
        "Measured once, and not made anew. MB are those on the disk. "
        "The command now counts those that are fetched, too.",
    ),
    "runtimes.masks": (
        TABLES["runtimes.masks"],
        "Measured once, and not made anew: the command now prints the scores, and keeps no table.",
    ),
}
"""Tables that their commands do not write as they are shown: their columns, and the sentence that stands below them."""


def said_of_older(name: str, columns: Sequence[str]) -> str:
    """Return the sentence below a table that its command does not write any more; empty once it was made anew."""
    known, said = OLDER.get(name, ((), ""))
    return said if tuple(columns) == known else ""


def fits(name: str, columns: Sequence[str]) -> bool:
    """Return if a table of this name has these columns."""
    declared = (
        r"[^\n]+(?:\n[^\n]+)*" if each == "..." else re.escape(each).replace(r"\{\}", r"[^\n]+")
        for each in TABLES[name]
    )
    return re.fullmatch("\n".join(declared), "\n".join(columns)) is not None


def columns_of(name: str, *others: str) -> list[str]:
    """Return the columns of a table, with those that the data name in the place of ``...``."""
    declared = TABLES[name]
    at = declared.index("...") if "..." in declared else len(declared)
    return [*declared[:at], *others, *declared[at + 1 :]]
