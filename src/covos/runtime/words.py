"""Words for numbers."""

from __future__ import annotations


def counted(count: int, noun: str) -> str:
    """The number and the noun, which takes an s unless the number is 1."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
