"""Damage clips of every container in many ways, and see whether each frame is delivered, or reported as missing.

    python benchmarks/damage.py [--kind TEXT] [--damage TEXT] [--brief]

A row for each container and damage: frames of the intact file, those that a plain decoder gives of the damaged one,
those that are delivered, those that are reported as missing ("?" where the end is missing, but nothing says how many
frames it had), and the exit code. At the end stands how many frames were lost without a word.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from covos.core.errors import CovosError
from covos.media.video import VideoSource
from damage_inputs import COUNT, DAMAGES, KINDS, decodable, make_clip


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kind", default="", help="only kinds whose name has this in it")
    parser.add_argument("--damage", default="", help="only damage whose name has this in it")
    parser.add_argument("--brief", action="store_true", help="only rows with frames lost without a word, and the sum")
    chosen = parser.parse_args()
    head = f"{'container':20} {'damage':28} {'intact':>6} {'plain':>6} {'given':>6} {'missing':>8} {'damaged':>8} exit"
    print(head)
    total = silent = alarms = withheld = 0
    with tempfile.TemporaryDirectory() as folder:
        for name, kind in KINDS.items():
            if chosen.kind not in name:
                continue
            clip = make_clip(kind, Path(folder))
            content = clip.read_bytes()
            for damage, apply in {"none": bytes, **DAMAGES}.items():
                if chosen.damage not in damage and damage != "none":
                    continue
                clip.write_bytes(apply(content))
                plain, row = decodable(clip), outcome(clip)
                given, missing, open_end, _, exit_code = row
                lost = 0 if exit_code == CovosError.exit_code or open_end else max(0, COUNT - given - missing)
                if exit_code == 3:
                    lost = 0
                if damage == "none":
                    alarms += exit_code != 0
                unsaid = lost if exit_code == 4 else max(0, COUNT - given) if exit_code == 0 else 0
                total, silent = total + 1, silent + unsaid
                short = max(0, (plain or 0) - given) if exit_code != 3 else plain or 0
                withheld += short
                wrong = unsaid or short or (damage == "none" and exit_code)
                if not chosen.brief or wrong:
                    said = f"{missing}{'?' if open_end else ''}"
                    print(
                        f"{name:20} {damage:28} {COUNT:6} {'-' if plain is None else plain:>6} {given:6} {said:>8} "
                        f"{row[3]:8} {exit_code:4}{f'  {unsaid} unsaid' if unsaid else ''}"
                        f"{f'  {short} withheld' if short else ''}"
                        f"{'  false alarm' if damage == 'none' and exit_code else ''}",
                        flush=True,
                    )
    print(
        f"{total} files: {silent} frames lost unreported, {withheld} decodable frames not delivered, "
        f"{alarms} false alarms"
    )


def outcome(clip: Path) -> tuple[int, int, bool, int, int]:
    """Read a clip: frames given, missing, whether more may be missing, damaged ones, and the exit code."""
    try:
        with VideoSource(clip, name=str(clip)) as source:
            given = sum(1 for _ in source)
            health = source.health
    except CovosError as error:
        return 0, 0, False, 0, error.exit_code
    return given, health.missing, health.at_least, len(health.concealed), 0 if health.complete else 4


if __name__ == "__main__":
    main()
