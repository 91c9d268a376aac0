"""Read masks back: what covos writes, and what the annotation tools give in the same formats."""

from covos.outputs.readers.base import MasksRead, ReadFrame
from covos.outputs.readers.detect import read_masks

__all__ = ["MasksRead", "ReadFrame", "read_masks"]
