"""Notes which frames are encoded, and by what."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from covos.engines.encoding import FrameEncoder
from covos.engines.motion import Observed


def note_encodings(patch: pytest.MonkeyPatch) -> list[tuple[FrameEncoder[Any], int]]:
    """Return a list to which each frame that is encoded is added, with its encoder, as its index."""
    noted: list[tuple[FrameEncoder[Any], int]] = []
    encode = FrameEncoder.encode

    def noting(self: FrameEncoder[Any], observed: Sequence[Observed]) -> Any:
        noted.extend((self, each.frame.index) for each in observed)
        return encode(self, observed)

    patch.setattr(FrameEncoder, "encode", noting)
    return noted
