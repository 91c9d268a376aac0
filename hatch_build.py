"""Complete what PyPI shows of a build: the addresses of the project, and a README whose links hold there.

The project is where it is built: `REPOSITORY_URL` names the repository, such as ``https://github.com/NAME/covos``. The
workflows take it from the machine that they run on. Without it, the links stay as they are.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

_LINK = re.compile(r"(!?)\[([^\]]*)\]\((?!\w+:|#)([^)\s]+)\)")


class ProjectHook(MetadataHookInterface):  # type: ignore[misc, unused-ignore]
    """Fills in `readme` and `urls`, which pyproject.toml names as dynamic."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Put both into the metadata of the build, whose version is known by now."""
        readme = (Path(self.root) / "README.md").read_text(encoding="utf-8")
        repository = os.environ.get("REPOSITORY_URL", "").rstrip("/")
        tag = f"v{metadata['version']}"
        if repository:
            readme = absolute(readme, repository=repository, tag=tag)
        metadata["readme"] = {"content-type": "text/markdown", "text": readme}
        metadata["urls"] = addresses(repository) if repository else {}


def absolute(markdown: str, *, repository: str, tag: str) -> str:
    """Return the text with links to files of the repository as they are at a tag; pictures are taken as they are."""

    def link(found: re.Match[str]) -> str:
        picture, text, target = found.groups()
        return f"{picture}[{text}]({repository}/{'raw' if picture else 'blob'}/{tag}/{target})"

    return _LINK.sub(link, markdown)


def addresses(repository: str) -> dict[str, str]:
    """Return the links that PyPI lists beside the text, by their names."""
    return {
        "Repository": repository,
        "Documentation": f"{repository}/blob/main/docs/index.md",
        "Changelog": f"{repository}/blob/main/CHANGELOG.md",
        "Issues": f"{repository}/issues",
    }
