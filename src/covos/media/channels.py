"""Read the channels of PCM sound without a decoder, and bring them into an order that encoders take.

PyAV frees the description of an order of channels that is not FFmpeg's own twice, which ends the process. It is reached
as soon as such sound is decoded, or asked how many channels it has. So another process finds the order of a stream, PCM
of any order is read here, and other sound of such an order cannot be converted.
"""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final

import av
import numpy as np
from numpy.typing import NDArray

_LISTED = re.compile(r"Stream #0:(\d+).*?: Audio: .*?, \d+ Hz, (\d+ channels(?: \([^)]*\))?|[^,]+),")
_PCM = re.compile(r"pcm_([suf])(8|16|24|32|64)(le|be)?")
_OWN_ORDER = re.compile(r"\d+ channels \((.+)\)")
_COUNTED = re.compile(r"(\d+) channels")
_PATIENCE = 60  # seconds

KEPT: Final = {1: "mono", 2: "stereo", 3: "3.0", 4: "quad", 6: "5.1", 8: "7.1"}
"""Layouts that encoders take, by the number of channels; others are mixed down to two."""
_ALIKE = {"SL": "BL", "SR": "BR"}


@lru_cache(maxsize=16)
def _listed(path: str, _changed: int) -> dict[int, str]:
    program = Path(__file__).with_name("channels_listed.py")
    try:
        done = subprocess.run(
            [sys.executable, str(program), path], capture_output=True, timeout=_PATIENCE, check=False, text=True
        )
    except (OSError, ValueError, subprocess.SubprocessError):  # no interpreter to start, or it hangs
        return {}
    return {int(index): layout for index, layout in _LISTED.findall(done.stdout)} if done.returncode == 0 else {}


def channel_layouts(path: Path) -> dict[int, str]:
    """Return how FFmpeg describes the channels of each sound stream, by its index; empty if that is not known.

    ``"5.1"`` and the like are orders of FFmpeg's own, ``"6 channels"`` is none, ``"6 channels (FL+FC+FR+...)"`` is
    another.
    """
    return _listed(str(path.absolute()), path.stat().st_mtime_ns)


def is_safe(layout: str | None) -> bool:
    """Tell if sound of this layout may be decoded in this process."""
    return layout is not None and _OWN_ORDER.fullmatch(layout) is None


def count_of(layout: str | None) -> int | None:
    """Return the number of channels of a layout; None if it is not known."""
    if layout is None:
        return None
    counted = _COUNTED.match(layout)
    if counted:
        return int(counted[1])
    try:
        return av.AudioLayout(layout).nb_channels
    except ValueError:
        return None


def is_plain_pcm(codec: str) -> bool:
    """Tell if the packets of a codec are samples, which need no decoder."""
    return _PCM.fullmatch(codec) is not None


def bits_of(codec: str) -> int:
    """Return the bits of one sample of a codec of plain PCM."""
    kind = _PCM.fullmatch(codec)
    assert kind is not None, "only plain PCM is read"
    return int(kind[2])


@dataclass(frozen=True, slots=True, kw_only=True)
class PcmReader:
    """Reads packets of PCM, and brings their channels to a layout that encoders take.

    Attributes:
        codec: FFmpeg's name, such as ``"pcm_s16le"``.
        channels: Number of channels.
        places: Name of each channel's place, such as ``"FL"``; empty if they are not known.
    """

    codec: str
    channels: int
    places: tuple[str, ...]

    @classmethod
    def of(cls, codec: str, *, channels: int, layout: str | None) -> PcmReader:
        """Make a reader for a stream; ``layout`` is as `channel_layouts` gives it."""
        own = _OWN_ORDER.fullmatch(layout or "")
        places: tuple[str, ...] = ()
        if own:
            places = tuple(own[1].split("+"))
        elif layout and not _COUNTED.fullmatch(layout):
            try:
                places = tuple(channel.name for channel in av.AudioLayout(layout).channels)
            except ValueError:
                places = ()
        return cls(codec=codec, channels=channels, places=places if len(places) == channels else ())

    @property
    def layout(self) -> str:
        """Layout of what `read` gives."""
        kept = KEPT.get(self.channels)
        return kept if kept is not None and self._order(kept) is not None else "stereo"

    @property
    def is_mixed(self) -> bool:
        """True if there are more channels than `read` gives."""
        return self.layout == "stereo" and self.channels > 2

    def read(self, content: bytes) -> NDArray[np.float32]:
        """Return samples as N x C float32 in [-1, 1], of `layout`; a rest that is no whole sample is left out."""
        kind = _PCM.fullmatch(self.codec)
        assert kind is not None, "only plain PCM is read"
        sign, bits, order = kind[1], int(kind[2]), ">" if kind[3] == "be" else "<"
        width = bits // 8 * self.channels
        content = content[: len(content) // width * width]
        if bits == 24:
            raw = np.frombuffer(content, np.uint8).reshape(-1, 3)
            raw = raw if order == "<" else raw[:, ::-1]
            wide = np.zeros((len(raw), 4), np.uint8)
            wide[:, 1:] = raw
            values = wide.view("<i4")[:, 0].astype(np.float64) / 2**31
            if sign == "u":
                values = np.where(values < 0, values + 1, values - 1)
        elif sign == "f":
            values = np.frombuffer(content, f"{order}f{bits // 8}").astype(np.float64)
        else:
            integers = np.frombuffer(content, f"{order}{'i' if sign == 's' else 'u'}{bits // 8}").astype(np.float64)
            half = 2.0 ** (bits - 1)
            values = (integers - (half if sign == "u" else 0)) / half
        samples = np.nan_to_num(values).clip(-1, 1).astype(np.float32).reshape(-1, self.channels)
        return np.ascontiguousarray(self._arranged(samples))

    def _order(self, layout: str) -> list[int] | None:
        """Return the number of the channel for each place of a layout; None if the places are others."""
        if not self.places:
            return list(range(self.channels))
        wanted = [channel.name for channel in av.AudioLayout(layout).channels]
        held = [_ALIKE.get(each, each) for each in self.places] if "SL" not in wanted else list(self.places)
        return [held.index(each) for each in wanted] if sorted(held) == sorted(wanted) else None

    def _arranged(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        if not self.is_mixed:
            order = self._order(self.layout)
            return samples if order is None else samples[:, order]
        places = self.places or tuple("LR"[index % 2] for index in range(self.channels))
        weights = np.zeros((2, self.channels), np.float32)
        for index, place in enumerate(places):
            if place.startswith("LFE"):
                continue
            is_left, is_right = place.endswith(("L", "LC")), place.endswith(("R", "RC"))
            weights[:, index] = (1, 0) if is_left else (0, 1) if is_right else (0.7071, 0.7071)
        weights /= max(1.0, float(weights.sum(axis=1).max()))
        return samples @ weights.T
