"""Masks as arrays, as run lengths and as files; drawing them. Knows nothing of videos or models."""

from covos.masks.draw import contact_sheet, draw_overlay
from covos.masks.label_files import (
    fit_labels,
    read_binary_mask,
    read_label_map,
    write_label_map,
)
from covos.masks.letterbox import letterbox
from covos.masks.matte import read_soft_mask
from covos.masks.object_ids import NAMELESS, VOID, davis_palette, objects_in, present_ids
from covos.masks.rle import RLE, decode, encode
from covos.masks.shown import read_objects, read_shown_map

__all__ = [
    "NAMELESS",
    "RLE",
    "VOID",
    "contact_sheet",
    "davis_palette",
    "decode",
    "draw_overlay",
    "encode",
    "fit_labels",
    "letterbox",
    "objects_in",
    "present_ids",
    "read_binary_mask",
    "read_label_map",
    "read_objects",
    "read_shown_map",
    "read_soft_mask",
    "write_label_map",
]
