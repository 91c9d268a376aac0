"""Bring HDR (PQ, HLG) and the wide colours of BT.2020 to those of an ordinary picture, as networks know them.

Light is computed in nits by the formulas of ITU-R BT.2100, and turned to the primaries of BT.709. Reinhard's curve
(Reinhard et al., *Photographic Tone Reproduction for Digital Images*, 2002, equation 4) compresses the luminance, so
that hues stay. White paper (203 nits, ITU-R BT.2408) becomes a light grey, 1000 nits white.
"""

from __future__ import annotations

import tempfile
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import av
import numpy as np
from av.filter import Graph

from covos.media.srgb import to_code

if TYPE_CHECKING:
    from av.video.frame import VideoFrame
    from numpy.typing import NDArray

    from covos.core.types import Colour

    Light = NDArray[np.float64]

Transfer: TypeAlias = Literal["PQ", "HLG", "SDR"]

PAPER = 203.0
"""Nits of white paper in HDR."""
PEAK = 1000.0
"""Nits that become white; what is brighter is cut."""

# Numbers of ITU-T H.273: transfer characteristics, and colour primaries.
_TRANSFERS: dict[int, Transfer] = {16: "PQ", 18: "HLG"}
_BT2020 = 9
_UNSPECIFIED = frozenset({0, 2})
_TO_BT709 = np.array([[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]])
_LUMA_2020 = np.array([0.2627, 0.6780, 0.0593])
_LUMA_709 = np.array([0.2126, 0.7152, 0.0722])
_DISPLAY_GAMMA = 2.4
_SIDE = 33  # of the cube of colours that stands for the map
_PQ = 2610 / 16384, 2523 / 32, 3424 / 4096, 2413 / 128, 2392 / 128
"""m1, m2, c1, c2 and c3 of SMPTE ST 2084."""


def transfer_of(*, transfer: int, primaries: int) -> tuple[Transfer, bool] | None:
    """Tell how a picture is to be brought to ordinary tones, by its numbers of ITU-T H.273; None if it has these.

    Returns:
        Its transfer, and True if its primaries are those of BT.2020. HDR without primaries has these.
    """
    known = _TRANSFERS.get(transfer)
    if known is not None:
        return known, primaries == _BT2020 or primaries in _UNSPECIFIED
    return ("SDR", True) if primaries == _BT2020 else None


def to_ordinary(coded: Light, *, transfer: Transfer, wide: bool) -> Light:
    """Turn coded RGB, ... x 3 in [0, 1], to coded RGB of an ordinary picture, in [0, 1].

    Args:
        coded: As the source has it.
        transfer: ``"PQ"``, ``"HLG"``, or ``"SDR"``, of which the colours alone are turned.
        wide: True if the primaries are those of BT.2020, else BT.709.
    """
    light = _light(coded, transfer)
    if transfer == "SDR":
        return np.asarray(np.clip(light @ _TO_BT709.T, 0, 1) ** (1 / _DISPLAY_GAMMA))
    if wide:
        light = np.clip(light @ _TO_BT709.T, 0, None)
    luminance = light @ _LUMA_709
    peak = PEAK / PAPER
    compressed = (1 + luminance / peak**2) / (1 + luminance)
    shown = np.clip(light * compressed[..., None], 0, 1)
    return to_code(shown)


def light_of(image: NDArray[np.uint16], colour: Colour) -> NDArray[np.float32]:
    """Return the light of a picture in HDR or BT.2020, in its own primaries.

    Args:
        image: H x W x 3 RGB of full range.
        colour: As the source has it.

    Returns:
        H x W x 3 float32. White paper is 1: HDR goes up to 49.3 with PQ, and to 4.9 with HLG.
    """
    tones = transfer_of(transfer=colour.transfer, primaries=colour.primaries)
    assert tones is not None, "it is HDR or BT.2020"
    if tones[0] == "HLG":  # its channels depend on one another
        return _light(image / 65535, "HLG").astype(np.float32)
    return np.asarray(_light_table(tones[0])[image], np.float32)


def pq_of(light: NDArray[np.float32]) -> NDArray[np.uint16]:
    """Return the code of light by PQ, of full range at 16 bits; white paper is 1, and 10,000 nits are the end."""
    m1, m2, c1, c2, c3 = _PQ
    power = (np.clip(light * np.float32(PAPER / 10_000), 0, 1)) ** np.float32(m1)
    return np.asarray(np.rint(65535 * ((c1 + c2 * power) / (1 + c3 * power)) ** np.float32(m2)), np.uint16)


def tones_note(transfer: Transfer, *, pictures: bool = False) -> str:
    """Say that a source is brought to ordinary tones, and that no format keeps its own.

    Args:
        transfer: Of the source.
        pictures: True if they are pictures, which are read with eight bits, False for a video.
    """
    they, are = ("the pictures", "are") if pictures else ("the video", "is")
    if transfer == "SDR":
        have = "have" if pictures else "has"
        said = f"{they} {have} the colours of BT.2020: they are brought to those of BT.709, in what is written, too"
    else:
        it = "they are" if pictures else "it is"
        said = f"{they} {are} HDR ({transfer}): {it} tone-mapped, and overlays and cut-outs are of ordinary range"
    if pictures:
        return f"{said}; of these files only 8 bits can be read, so nothing keeps it: PNG of 16 bits with cICP would do"
    return said


@cache
def _light_table(transfer: Transfer) -> NDArray[np.float32]:
    return _light(np.arange(65536) / 65535, transfer).astype(np.float32)


def _light(coded: Light, transfer: Transfer) -> Light:
    """Return the light of coded RGB; white paper is 1."""
    if transfer == "SDR":
        return np.asarray(coded**_DISPLAY_GAMMA)
    return (_nits_of_pq(coded) if transfer == "PQ" else _nits_of_hlg(coded)) / PAPER


def _nits_of_pq(coded: Light) -> Light:
    m1, m2, c1, c2, c3 = _PQ
    power = coded ** (1 / m2)
    return np.asarray(10_000 * (np.clip(power - c1, 0, None) / (c2 - c3 * power)) ** (1 / m1))


def _nits_of_hlg(coded: Light) -> Light:
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    scene = np.where(coded <= 0.5, coded**2 / 3, (np.exp((coded - c) / a) + b) / 12)
    luminance = np.clip(scene @ _LUMA_2020, 1e-6, None)
    return np.asarray(PEAK * scene * (luminance**0.2)[..., None])  # system gamma 1.2 of a display of 1000 nits


class Toning:
    """Brings pictures to ordinary tones, by FFmpeg's lut3d; it is set up again where size or tones change."""

    def __init__(self) -> None:
        self._key: tuple[object, ...] = ()
        self._graph: Graph | None = None

    def apply(self, picture: VideoFrame, *, transfer: Transfer, wide: bool) -> VideoFrame:
        """Return a picture of planar RGB with 16 bits, with alpha or without, in ordinary tones."""
        key = (picture.width, picture.height, picture.format.name, transfer, wide)
        if self._graph is None or key != self._key:
            self._key, self._graph = key, _graph_for(picture, _cube(transfer, wide=wide))
        self._graph.push(picture)
        toned = self._graph.pull()
        assert isinstance(toned, av.VideoFrame)
        return toned


def tone(pixels: NDArray[Any], *, transfer: Transfer, wide: bool) -> NDArray[np.uint8]:
    """Bring H x W x 3 RGB, uint8 or uint16, to ordinary tones of 8 bits."""
    stored = av.VideoFrame.from_ndarray(pixels, format="rgb24" if pixels.dtype == np.uint8 else "rgb48le")
    toned = Toning().apply(stored.reformat(format="gbrp16le", threads=1), transfer=transfer, wide=wide)
    return np.asarray(toned.reformat(format="rgb24", threads=1).to_ndarray(), np.uint8)


def _graph_for(picture: VideoFrame, cube: str) -> Graph:
    graph = Graph()
    graph.threads = 1
    with tempfile.TemporaryDirectory(prefix="covos-") as folder:
        file = Path(folder) / "tones.cube"
        file.write_text(cube, encoding="ascii")
        # Not its own time base: a picture that was never in a file has none, and times pass through as they are.
        source = graph.add_buffer(
            width=picture.width, height=picture.height, format=picture.format, time_base=Fraction(1, 1000)
        )
        toning = graph.add("lut3d", file=str(file), interp="tetrahedral")
        sink = graph.add("buffersink")
        source.link_to(toning)
        toning.link_to(sink)
        graph.configure()  # reads the file
    return graph


@cache
def _cube(transfer: Transfer, *, wide: bool) -> str:
    """Return the map as a ``.cube`` file: red changes first."""
    steps = np.linspace(0, 1, _SIDE)
    blue, green, red = np.meshgrid(steps, steps, steps, indexing="ij")
    mapped = to_ordinary(np.stack([red, green, blue], -1).reshape(-1, 3), transfer=transfer, wide=wide)
    lines = "\n".join(f"{r:.6f} {g:.6f} {b:.6f}" for r, g, b in mapped.tolist())
    return f"LUT_3D_SIZE {_SIDE}\n{lines}\n"
