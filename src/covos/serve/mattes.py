"""The mattes that downloads have found, each with the masks that it belongs to: none is looked for twice."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from covos.core.files import open_own
from covos.masks.frame_json import soft_from_json, soft_to_json
from covos.masks.frame_mask import FrameMask
from covos.masks.soft import SoftMask
from covos.prompts.values import RegionPrompt

Regions = tuple[RegionPrompt, ...]


class Mattes:
    """The mattes of a clip, in a file beside its masks. Methods may be called from any thread.

    A matte belongs to the masks, and to the regions, that it was found for. It counts as long as these are there, and
    again when an undo brings them back.

    Args:
        file: Where they are kept; it need not be there. A line that is damaged is passed over.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._lock = threading.Lock()
        self._known: dict[int, tuple[str, SoftMask]] | None = None

    def forget(self) -> None:
        """Let go of them in memory: they are read again."""
        with self._lock:
            self._known = None

    def of(self, mask: FrameMask, regions: Regions) -> SoftMask | None:
        """Return the matte that was found for a frame's masks below these regions, if one was."""
        with self._lock:
            of, matte = self._read().get(mask.index, ("", None))
        return matte if matte is not None and matte.size == mask.size and of == _key(mask, regions) else None

    def keep(
        self, found: Mapping[int, SoftMask], *, masks: Mapping[int, FrameMask], regions: Mapping[int, Regions]
    ) -> None:
        """Keep mattes that were found, with the masks and regions that they were found for; all by index."""
        with self._lock, open_own(self._file, "a", encoding="ascii") as file:
            known = self._read()
            for index, matte in found.items():
                of = _key(masks[index], regions[index])
                known[index] = of, matte
                said = {"index": index, "of": of, "bits": matte.bits, "size": list(matte.size)}
                file.write(json.dumps({**said, "matte": soft_to_json(matte)}) + "\n")

    def _read(self) -> dict[int, tuple[str, SoftMask]]:
        if self._known is None:
            self._known = {}
            with suppress(FileNotFoundError), open_own(self._file, "rb") as file:
                for line in file:
                    with suppress(ValueError, KeyError, TypeError):  # a killed server leaves one half written
                        said = json.loads(line)
                        height, width = said["size"]
                        matte = soft_from_json(said["matte"], size=(int(height), int(width)), bits=said["bits"])
                        self._known[int(said["index"])] = str(said["of"]), matte
        return self._known


def _key(mask: FrameMask, regions: Regions) -> str:
    told = hashlib.blake2b(digest_size=16)
    for identity, rle in sorted(mask.objects.items()):
        told.update(f"{identity} {rle.size} {len(rle.counts)} ".encode())
        told.update(rle.counts.tobytes())
    told.update(b"" if mask.soft is None else mask.soft.data)
    told.update(repr([region.describe() for region in regions]).encode())
    return told.hexdigest()
