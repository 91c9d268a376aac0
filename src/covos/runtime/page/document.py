"""The frame of a page: its head, with the style inside, and pictures inside it."""

from __future__ import annotations

import base64
import io
from html import escape
from importlib.resources import files
from typing import TYPE_CHECKING

from PIL import Image

import covos

if TYPE_CHECKING:
    from collections.abc import Iterable

    from covos.types import ImageArray


def document(body: Iterable[str], *, title: str) -> str:
    """A whole page, which loads nothing from anywhere.

    Args:
        body: Its parts, as HTML; empty ones are left out.
        title: Plain text.
    """
    style = files("covos.runtime.page").joinpath("page.css").read_text(encoding="utf-8")
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<meta name="generator" content="covos {covos.__version__}">\n'
        f"<title>{escape(title)}</title>\n<style>\n{style}</style>\n</head>\n"
        "<body>\n<main>\n" + "\n".join(part for part in body if part) + "\n</main>\n</body>\n</html>\n"
    )


def picture_uri(image: ImageArray) -> str:
    """A picture as a data URI, lossy.

    Args:
        image: H x W x 3 uint8 RGB.
    """
    content = io.BytesIO()
    Image.fromarray(image).save(content, format="WEBP", quality=82)
    return "data:image/webp;base64," + base64.b64encode(content.getvalue()).decode("ascii")
