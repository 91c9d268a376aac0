"""What became of the objects that a run followed, in a few words."""

from __future__ import annotations

from covos.outputs.schema import ReportContent
from covos.runtime.words import counted


def followed_notes(report: ReportContent) -> list[str]:
    """How many objects were found, where they were looked for; and which of the objects are lost at the end.

    Args:
        report: Of a run; one that followed nothing gives no notes.

    Returns:
        At most two lines.
    """
    states: dict[int, str] = {}
    since: dict[int, int] = {}
    for row in report["frames"]:
        for key, said in row.get("states", {}).items():
            identity = int(key)
            states[identity] = said["state"]
            if said["state"] == "present":
                since.pop(identity, None)
            else:
                since.setdefault(identity, row["index"])
    notes = []
    if "objects" in report["settings"]:
        notes.append(f"{counted(len(states), 'object')} found")
    if lost := [identity for identity in sorted(states) if states[identity] == "lost"]:
        notes.append("lost at the end: " + ", ".join(f"object {each} since frame {since[each]}" for each in lost))
    return notes
