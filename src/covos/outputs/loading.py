"""Read ``report.json`` back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NotRequired, cast, get_origin, get_type_hints

from covos.errors import InputError
from covos.outputs.report import REPORT
from covos.outputs.schema import SCHEMA, FrameRow, HealthRecord, ReportContent, SourceRecord, TotalsRecord


def load_report(path: Path) -> ReportContent:
    """Read a report.

    Args:
        path: The file, or the folder it lies in.

    Raises:
        InputError: It is missing, damaged, no report, or of a newer schema.
    """
    file = path / REPORT if path.is_dir() else path
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise _unusable(file, "there is no such file", fix="name the output folder of a run") from None
    except (OSError, ValueError) as error:
        raise _unusable(file, " ".join(str(error).split())) from error
    if fault := _fault(content):
        raise _unusable(file, fault)
    if content["schema"] > SCHEMA:
        raise _unusable(file, f"its schema is {content['schema']}, this covos knows {SCHEMA}", fix="update covos")
    return cast("ReportContent", content)


def _fault(content: Any) -> str | None:
    if not isinstance(content, dict) or not isinstance(content.get("schema"), int):
        return "it is not a report of covos: it has no schema number"
    rows = content.get("frames")
    if not isinstance(rows, list):
        return "it has no list of frames"
    parts: list[tuple[str, object, type]] = [
        ("it", content, ReportContent),
        ("its source", content.get("source"), SourceRecord),
        ("its health", content.get("health"), HealthRecord),
        ("its totals", content.get("totals"), TotalsRecord),
        *((f"frame row {number}", row, FrameRow) for number, row in enumerate(rows)),
    ]
    fields = {kind: _required(kind) for kind in {kind for _, _, kind in parts}}
    for where, part, kind in parts:
        lacking = fields[kind] - part.keys() if isinstance(part, dict) else fields[kind]
        if lacking:
            return f"{where} lacks {', '.join(sorted(lacking))}"
    return None


def _required(kind: type) -> set[str]:
    # Not `__required_keys__`, which in Python 3.11 does not see NotRequired in annotations that are kept as text.
    hints = get_type_hints(kind, include_extras=True)
    return {name for name, hint in hints.items() if get_origin(hint) is not NotRequired}


def _unusable(file: Path, why: str, *, fix: str = "run covos again") -> InputError:
    return InputError(f"cannot read the report {file}", why=why, fix=fix)
