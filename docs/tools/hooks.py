"""The hooks of mkdocs: pages that stand elsewhere in the repository, notebooks, and tables that are made from the code.

mkdocs calls the functions by their names. It loads this file alone, so its neighbours are imported by their place.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).parent))

from mkdocs.structure.files import File, Files  # type: ignore[import-not-found, unused-ignore]

import messages
import notebooks

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[2]
ELSEWHERE = {
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security.md",
    "examples/ATTRIBUTION.md": "attribution.md",
}
"""Pages at the root of the repository, which programs and people look for there, and their names on the site."""
MESSAGES = "<!-- messages -->"
_LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)\s]+)\)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages from elsewhere, and a page for each notebook."""
    for source, name in ELSEWHERE.items():
        text = (ROOT / source).read_text(encoding="utf-8")
        files.append(File.generated(config, name, content=_moved(text, folder=Path(source).parent)))
    for notebook in sorted((ROOT / "docs" / "notebooks").glob("*.ipynb")):
        page, pictures = notebooks.as_markdown(notebook)
        files.append(File.generated(config, f"notebooks/{notebook.stem}.md", content=page))
        for name, content in pictures.items():
            files.append(File.generated(config, f"notebooks/{name}", content=content))
    return files


def on_page_markdown(markdown: str, page: Page, **_: object) -> str:
    """Lead links out of ``docs`` to their place on the site, and fill in what is made from the code."""
    folder = Path("docs", page.file.src_uri).parent
    if page.file.src_uri in ELSEWHERE.values():
        return markdown
    text = _moved(markdown, folder=folder)
    return text.replace(MESSAGES, messages.tables(ROOT / "src" / "covos")) if MESSAGES in text else text


def _moved(markdown: str, *, folder: Path) -> str:
    """Rewrite the links of a page that stands in a folder of the repository, so that they hold on the site.

    A file that the site does not have is named, and not linked.
    """

    def link(found: re.Match[str]) -> str:
        picture, text, target = found.groups()
        path, anchor, place = target.partition("#")
        if not path or "://" in path or path.startswith("mailto:"):
            return found[0]
        whole = (ROOT / folder / path).resolve()
        try:
            place_in_repository = whole.relative_to(ROOT).as_posix()
        except ValueError:
            return found[0]
        if place_in_repository == "README.md":
            name = "index.md"
        elif place_in_repository in ELSEWHERE:
            name = ELSEWHERE[place_in_repository]
        elif place_in_repository.endswith(".ipynb"):
            name = place_in_repository.removeprefix("docs/").removesuffix(".ipynb") + ".md"
        elif place_in_repository.startswith("docs/"):
            name = place_in_repository.removeprefix("docs/")
        else:
            return text
        up = "" if folder in {Path("docs"), Path(), Path("examples")} else "../"
        return f"{picture}[{text}]({up}{name}{anchor}{place})"

    fences = re.split(r"(```.*?```)", markdown, flags=re.DOTALL)
    return "".join(part if number % 2 else _LINK.sub(link, part) for number, part in enumerate(fences))
