"""OpenEXR pictures for compositing programs: linear light, a layer for each object, and ids of the objects."""

from __future__ import annotations

import json
import struct
from collections.abc import Collection, Mapping
from dataclasses import replace
from functools import cached_property
from importlib import import_module
from io import BytesIO
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from covos.core.errors import EnvironmentProblem
from covos.core.files import atomic_path
from covos.core.types import Frame, FrameResult, SourceInfo
from covos.formats.base import Format
from covos.formats.compose import ComposedResult
from covos.formats.composition import PLAIN_ALPHA
from covos.formats.light import Light, to_light
from covos.masks.object_ids import present_ids
from covos.media.primaries import chromaticities_of
from covos.media.tags import is_timecode_rate, later, timecode_parts
from covos.media.tones import PAPER, light_of

LAYER = "CryptoObject"
"""Name of the layer with the objects' ids."""
_LEVELS = 2
"""Pairs of objects and shares that one pixel can hold."""


class ExrFormat(Format):
    """``exr/<stem>.exr``: the subject in linear light, with premultiplied alpha, half floats.

    ``R``, ``G``, ``B``, ``A`` are of the whole subject; ``object1.R`` and so on of each object that was seen so far,
    ``car1.R`` where the object is called so.
    ``CryptoObject00`` and ``CryptoObject01`` hold the objects of each pixel and their shares, after Friedman and Jones,
    *Fully Automatic ID Mattes with Support for Motion Blur and Transparency*, SIGGRAPH 2015 (Cryptomatte, version 1.2).
    With ``invert``, all but the subject is one layer, and there are no others. With ``hdr``, light of an HDR source is
    its own, 1 is white paper of 203 nits, and light above it goes on.
    """

    name = output = "exr"
    has_alpha = True
    alpha_kinds = ("premultiplied",)
    shape = "a picture a frame"
    picture_suffixes = (".exr",)
    bytes_per_pixel = 0.97
    flags: ClassVar[tuple[str, ...]] = ("hdr", "invert", PLAIN_ALPHA)
    composes: ClassVar[Mapping[str, str]] = {"keep_hdr": "hdr", "invert": "invert"}

    @classmethod
    def check_installed(cls) -> None:
        """Refuse to begin without the packages that write it."""
        check_exr_installed("mmh3")

    @classmethod
    def names_objects(cls, value: str | None) -> bool:
        """Tell that they are the names of layers, where objects have some."""
        return "invert" not in cls.parsed(value)[1]

    def _add(self, result: FrameResult) -> None:
        composed = self._seen(result)
        if self._is_inverted:
            self._save(result, _layer("", self._light(composed), composed.opacity), names=())
            return
        self._known.update(dict.fromkeys(present_ids(composed.labels)))
        light = self._light(composed)
        shares = {identity: composed.share_of(identity) for identity in sorted(self._known)}
        channels: dict[str, NDArray[Any]] = {**_layer("", light, composed.opacity)}
        named = {self._name_of(identity): share for identity, share in shares.items()}
        for name, share in named.items():
            channels |= _layer(f"{name}.", light, share)
        channels |= _ids(named, size=result.frame.size)
        self._save(result, channels, names=named)

    def _save(self, result: FrameResult, channels: dict[str, NDArray[Any]], *, names: Collection[str]) -> None:
        path = self._folder.file(f"{self.output}/{result.frame.stem}.exr")
        further: dict[str, Any] = {**(_manifest(names) if names else {})}
        if self._keeps_hdr:
            further["whiteLuminance"] = PAPER
        info = replace(self._info, tags=self._told)
        write_exr(path, channels, info=info, frame=result.frame, further=further)

    @cached_property
    def _known(self) -> dict[int, None]:
        return {}

    @property
    def warnings(self) -> tuple[str, ...]:
        """Notes of the HDR that could not be kept."""
        return self._hdr_notes

    def _light(self, composed: ComposedResult) -> Light:
        if self._keeps_hdr and (own := self._info.tags.hdr) is not None:
            return light_of(composed.unmapped.deep_colours, own)
        if self._info.tags.bits > 8 and composed.frame.deep is not None:
            return to_light(composed.deep_colours)
        return to_light(composed.colours)

    def _name_of(self, identity: int) -> str:
        """Return the name of an object's layer: what it is called, and its number, which no other object has."""
        # A point ends the name of a layer, and a blank is not taken by every program.
        return "_".join(self._labels.of(identity).replace(".", " ").split()) + str(identity)

    def _finish(self) -> Path:
        return self._folder.path / self.output


def write_exr(
    path: Path,
    channels: Mapping[str, NDArray[Any]],
    *,
    info: SourceInfo,
    frame: Frame,
    further: Mapping[str, Any] = MappingProxyType({}),
) -> None:
    """Write an OpenEXR picture, whole or not at all; its header states what is known of the source and the frame.

    Args:
        path: The file.
        channels: H x W float16 or float32 each, by name.
        info: Facts about the source.
        frame: The frame.
        further: Texts and numbers that the header has as well, by name.

    Raises:
        EnvironmentProblem: The package that writes it is missing, or the disk is full or failed.
    """
    openexr, content = _imported("OpenEXR"), BytesIO()
    openexr.File({**_header(openexr, info, frame), **further}, dict(channels)).write(content)
    # Not by the library itself, which does not say of a failing disk what is wrong with it.
    with atomic_path(path) as temporary:
        temporary.write_bytes(content.getbuffer())


def _header(openexr: Any, info: SourceInfo, frame: Frame) -> dict[str, Any]:
    tags = info.tags
    header: dict[str, Any] = {
        "type": openexr.scanlineimage,
        "compression": openexr.ZIP_COMPRESSION,
        "pixelAspectRatio": float(info.pixel_aspect),
        "chromaticities": chromaticities_of(tags),
    }
    rate = info.frame_rate
    if rate is not None:
        # Two whole numbers of 32 bits; the average rate of uneven times may be of larger ones.
        header["framesPerSecond"] = rate.limit_denominator(10_000)
    if tags.reel is not None:
        header["reelName"] = tags.reel
    # Each picture has the timecode of its own frame, counted at the rate of the whole source.
    whole = info.whole_rate
    if tags.timecode is not None and whole is not None and is_timecode_rate(whole, drops=False):
        hours, minutes, seconds, number, drops = timecode_parts(later(tags.timecode, frame.number, rate=whole))
        header["timeCode"] = openexr.TimeCode(hours, minutes, seconds, number, int(drops), *[0] * 13)
    return header


def planes_of(light: Light, prefix: str = "") -> dict[str, NDArray[np.float16]]:
    """Return light as planes of red, green and blue, half floats, by the names that OpenEXR has for them."""
    half = light.astype(np.float16)
    return {f"{prefix}{name}": np.ascontiguousarray(half[..., place]) for place, name in enumerate("RGB")}


def check_exr_installed(*further: str) -> None:
    """Refuse to begin without the package that writes OpenEXR, and further ones.

    Raises:
        EnvironmentProblem: One is missing.
    """
    for name in ("OpenEXR", *further):
        _imported(name)


def _imported(name: str) -> Any:
    try:
        return import_module(name)
    except ImportError as error:
        raise EnvironmentProblem(
            f"exr needs the package {name}", why=str(error), fix="pip install 'covos[exr]', or choose another format"
        ) from error


def _layer(prefix: str, light: Light, share: NDArray[np.float32]) -> dict[str, NDArray[np.float16]]:
    premultiplied = np.asarray(light * share[..., None], np.float32)
    return {**planes_of(premultiplied, prefix), f"{prefix}A": np.ascontiguousarray(share.astype(np.float16))}


def _ids(shares: dict[str, NDArray[np.float32]], *, size: tuple[int, int]) -> dict[str, NDArray[np.float32]]:
    """Return the ranks of a Cryptomatte: pairs of an id and its share, the largest share first."""
    ranks = 2 * _LEVELS
    ids, parts = (np.zeros((max(ranks, len(shares)), *size), np.float32) for _ in range(2))
    for place, (name, share) in enumerate(shares.items()):
        parts[place] = share
        ids[place][share > 0] = _hash(name)[1]
    order = np.argsort(-parts, axis=0, kind="stable")[:ranks]
    ids, parts = np.take_along_axis(ids, order, axis=0), np.take_along_axis(parts, order, axis=0)
    planes: dict[str, NDArray[np.float32]] = {}
    for level in range(_LEVELS):
        for place, channel in enumerate("RGBA"):
            values = (ids, parts)[place % 2][2 * level + place // 2]
            planes[f"{LAYER}{level:02d}.{channel}"] = np.ascontiguousarray(values)
    return planes


def _manifest(names: Collection[str]) -> dict[str, str]:
    key = f"cryptomatte/{_hash(LAYER)[0][:7]}"
    return {
        f"{key}/name": LAYER,
        f"{key}/hash": "MurmurHash3_32",
        f"{key}/conversion": "uint32_to_float32",
        f"{key}/manifest": json.dumps({each: _hash(each)[0] for each in names}),
    }


def _hash(name: str) -> tuple[str, np.float32]:
    """Return the id of a name, in hexadecimal digits and as the float of the same bits, which is never NaN or tiny."""
    number: int = _imported("mmh3").hash(name, 0, signed=False)
    if (number >> 23) & 255 in {0, 255}:
        number ^= 1 << 23
    return f"{number:08x}", np.float32(struct.unpack("<f", struct.pack("<I", number))[0])
