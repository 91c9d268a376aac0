"""Masks as arrays, as run lengths and as files; drawing them. Knows nothing of videos or models."""

from covos.masks.draw import draw_overlay
from covos.masks.fit import fit_labels
from covos.masks.ids import present_ids
from covos.masks.label_png import read_binary_mask, read_label_map, write_label_map
from covos.masks.objects import NAMELESS, VOID, objects_in, read_objects
from covos.masks.palette import davis_palette
from covos.masks.rle import RLE, decode, encode
from covos.masks.sheet import contact_sheet
from covos.masks.soft import read_soft_mask

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
    "objects_in",
    "present_ids",
    "read_binary_mask",
    "read_label_map",
    "read_objects",
    "read_soft_mask",
    "write_label_map",
]
