"""Say which formats have tones of HDR or BT.2020, and which have ordinary ones in their place."""

from __future__ import annotations

from collections.abc import Sequence

from covos.core.types import SourceInfo
from covos.formats.base import Format
from covos.media.tones import transfer_of

_KEEPING = ("prores=hdr", "ffv1=hdr", "rgba=hdr", "exr=hdr")


def tones_told(writers: Sequence[Format], *, info: SourceInfo) -> tuple[str, ...]:
    """Return a warning that names the formats that lost the tones of the source, and those that have them or would.

    There is none if no format lost them. OpenEXR pictures have linear light: every other format has it coded.
    """
    own = info.tags.hdr
    mapped = [each.name for each in writers if each.tones == "mapped"]
    if own is None or not mapped or info.codec == "exr":
        return ()
    kept = [each.name for each in writers if each.tones == "kept"]
    tones = transfer_of(transfer=own.transfer, primaries=own.primaries)
    assert tones is not None, "it is HDR or BT.2020"
    is_wide = tones[0] == "SDR"
    be, have, keep = "are" if mapped[1:] else "is", "have" if mapped[1:] else "has", "keep" if kept[1:] else "keeps"
    source = "has the colours of BT.2020" if is_wide else f"is HDR ({tones[0]})"
    lost = f"{have} those of BT.709" if is_wide else f"{be} tone-mapped, of ordinary range"
    its = "them" if is_wide else tones[0]
    held = f"{', '.join(kept)} {keep} {its}" if kept else f"{', '.join(_KEEPING)} would keep {its}"
    return (f"the source {source}: {', '.join(mapped)} {lost}; {held}",)
