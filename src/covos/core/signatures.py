"""Signatures: the first bytes that identify a kind of file, for several rooms."""

from __future__ import annotations

from typing import Final

PNG: Final = b"\x89PNG\r\n\x1a\n"
"""PNG (third edition), section 5.2."""

OPENEXR: Final = b"\x76\x2f\x31\x01"
"""OpenEXR File Layout, *Magic Number*."""
