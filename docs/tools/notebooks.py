"""A notebook as a page: its text, its code, and what the code showed."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any


def as_markdown(notebook: Path) -> tuple[str, dict[str, bytes]]:
    """Return a notebook as Markdown, and its pictures by their names."""
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    pictures: dict[str, bytes] = {}
    parts: list[str] = []
    for number, cell in enumerate(cells):
        text = "".join(cell["source"]).strip()
        if cell["cell_type"] == "markdown":
            parts.append(text)
        elif text:
            parts.append(f"```python\n{text}\n```")
            parts += _shown(cell["outputs"], pictures, stem=f"{notebook.stem}-{number}")
    parts.insert(1, f"*Made of the notebook `docs/notebooks/{notebook.name}`, which you can run.*")
    return "\n\n".join(parts) + "\n", pictures


def _shown(outputs: list[dict[str, Any]], pictures: dict[str, bytes], *, stem: str) -> Iterator[str]:
    for number, output in enumerate(outputs):
        data = output.get("data", {})
        kind = next((each for each in ("image/jpeg", "image/png") if each in data), None)
        if kind is not None:
            name = f"{stem}-{number}.{kind.removeprefix('image/')}"
            pictures[name] = base64.b64decode("".join(data[kind]))
            yield f"![Output of the cell above]({name})"
        else:
            text = "".join(output.get("text") or data.get("text/plain") or "")
            text = re.sub(r"\x1b\[[0-9;]*m", "", text).rstrip()
            if text:
                yield f"```text\n{text}\n```"
