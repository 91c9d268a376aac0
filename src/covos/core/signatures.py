"""Signatures: first bytes by which a file is told, where several rooms look for them."""

from __future__ import annotations

from typing import Final

PNG: Final = b"\x89PNG\r\n\x1a\n"
"""PNG (third edition), section 5.2."""
