"""What is used unless a user says otherwise, and measured while training."""

from __future__ import annotations

DEFAULT_REFERENCES = 5
"""As in the paper: J no longer grows beyond (COSNet, table 4)."""
DEFAULT_AREA = 256 * 448
"""Pixels of the encoded frame: the size that covos-lite's training ends with."""
