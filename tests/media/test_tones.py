"""HDR and wide colours come out as an ordinary picture has them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image as Pillow

from covos.media.displayed import PictureReader
from covos.media.opening import open_source
from covos.media.tones import PAPER, PEAK, Transfer, to_ordinary, tone, transfer_of

PQ, HLG, BT709, BT2020_10 = 16, 18, 1, 14


def pq(nits: NDArray[np.float64]) -> NDArray[np.float64]:
    """SMPTE ST 2084, from light to code."""
    power = (nits / 10_000) ** (2610 / 16384)
    return ((3424 / 4096 + 2413 / 128 * power) / (1 + 2392 / 128 * power)) ** (2523 / 32)


def hlg(scene: NDArray[np.float64]) -> NDArray[np.float64]:
    """ITU-R BT.2100, from light of the scene to code."""
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    return np.where(scene <= 1 / 12, np.sqrt(3 * scene), a * np.log(np.maximum(12 * scene - b, 1e-9)) + c)


def grey(code: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.repeat(np.atleast_1d(code)[:, None], 3, axis=1)


NITS = np.array([0.0, 1, 10, 50, PAPER, 500, PEAK, 4000])


def test_pq_is_compressed_from_black_to_white_in_order() -> None:
    shown = to_ordinary(grey(pq(NITS)), transfer="PQ", wide=True)
    np.testing.assert_allclose(shown[:, 0], shown[:, 2], atol=2e-3)  # grey stays grey
    levels = shown[:, 1] * 255
    assert (np.diff(levels[:7]) > 3).all()
    assert levels[0] < 0.5
    assert 170 < levels[4] < 210  # white paper is bright
    assert levels[6] > 254
    assert levels[7] > 254


def test_hlg_and_pq_of_the_same_light_look_alike() -> None:
    scene = np.array([0.01, 0.1, 0.26, 0.6])
    nits = PEAK * scene**1.2
    one = to_ordinary(grey(hlg(scene)), transfer="HLG", wide=True)
    other = to_ordinary(grey(pq(nits)), transfer="PQ", wide=True)
    np.testing.assert_allclose(one, other, atol=2e-3)


def test_wide_colours_become_those_of_bt709() -> None:
    # The red, green and blue of BT.709 in the primaries of BT.2020 (ITU-R BT.2087), with a display's gamma.
    red, green, blue = np.array([[0.6274, 0.0691, 0.0164], [0.3293, 0.9195, 0.0880], [0.0433, 0.0114, 0.8956]]) ** (
        1 / 2.4
    )
    shown = to_ordinary(np.stack([red, green, blue]), transfer="SDR", wide=True)
    np.testing.assert_allclose(shown, np.eye(3), atol=0.06)
    np.testing.assert_allclose(to_ordinary(grey(np.array([0.5])), transfer="SDR", wide=True), 0.5, atol=1e-3)


@pytest.mark.parametrize(
    ("transfer", "primaries", "expected"),
    [
        (PQ, 9, ("PQ", True)),
        (HLG, 2, ("HLG", True)),
        (PQ, BT709, ("PQ", False)),
        (BT709, BT709, None),
        (BT2020_10, 9, ("SDR", True)),
        (2, 2, None),
    ],
)
def test_what_is_brought_to_ordinary_tones(transfer: int, primaries: int, expected: object) -> None:
    assert transfer_of(transfer=transfer, primaries=primaries) == expected


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_the_table_agrees_with_the_formulas(dtype: type[np.generic]) -> None:
    top = np.iinfo(dtype).max
    rng = np.random.default_rng(0)
    coded = rng.uniform(0.05, 0.75, (16, 16, 3))
    shown = tone(np.rint(coded * top).astype(dtype), transfer="PQ", wide=True)
    expected = to_ordinary(coded, transfer="PQ", wide=True) * 255
    assert np.abs(shown - expected).mean() < 2


def write(path: Path, levels: NDArray[np.float64], *, transfer: int, primaries: int, alpha: bool = False) -> Path:
    """A lossless video of grey bars, tagged."""
    width, height = 16 * len(levels), 32
    codec, pix_fmt = ("prores_ks", "yuva444p10le") if alpha else ("libx264", "yuv420p10le")
    frame = av.VideoFrame(width, height, pix_fmt)
    luma = np.rint((16 + 219 * levels) * 4).astype("<u2")
    for number, plane in enumerate(frame.planes):
        flat = np.full(plane.line_size // 2, 512 if number < 3 else 1023, "<u2")
        if number == 0:
            flat[:width] = np.repeat(luma, 16)
        plane.update(np.tile(flat, (plane.height, 1)).tobytes())
    tags = {"color_trc": transfer, "color_primaries": primaries, "colorspace": 9, "color_range": 1}
    with av.open(str(path), "w") as container:
        options = {} if alpha else {"qp": "0"}
        stream = container.add_stream(codec, rate=25, width=width, height=height, options=options)
        stream.pix_fmt = pix_fmt
        for name, value in tags.items():
            setattr(stream.codec_context, name, value)
            setattr(frame, name, value)
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


@pytest.mark.parametrize(("transfer", "name"), [(PQ, "PQ"), (HLG, "HLG")])
@pytest.mark.parametrize("alpha", [False, True])
def test_hdr_video_is_tone_mapped(tmp_path: Path, transfer: int, name: Transfer, alpha: bool) -> None:
    levels = pq(NITS[:7]) if name == "PQ" else np.linspace(0, 1, 7)
    path = write(tmp_path / "hdr.mov", levels, transfer=transfer, primaries=9, alpha=alpha)
    with open_source(path) as source:
        (frame,) = source
        assert not any("HDR" in text for text in source.health.warnings), "whoever writes says which files lose it"
    expected = to_ordinary(grey(levels), transfer=name, wide=True) * 255
    np.testing.assert_allclose(frame.image[16, 8::16], expected, atol=4)


def test_hdr_that_the_facts_of_a_file_do_not_state_is_said_by_who_reads_it(tmp_path: Path) -> None:
    path = write(tmp_path / "hdr.mov", np.linspace(0, 1, 7), transfer=HLG, primaries=9)
    said: list[str] = []
    with av.open(str(path)) as container:
        (frame,) = container.decode(video=0)
        PictureReader("a camera", size=(frame.width, frame.height), warn=said.append).read(frame)
    assert any("HDR (HLG): it is tone-mapped" in text for text in said)


def test_bt2020_of_ordinary_range_becomes_bt709(tmp_path: Path) -> None:
    path = write(tmp_path / "wide.mov", np.linspace(0, 1, 5), transfer=BT2020_10, primaries=9)
    with open_source(path) as source:
        (frame,) = source
        assert not any("BT.2020" in text for text in source.health.warnings)
    np.testing.assert_allclose(frame.image[16, 8::16, 1], np.linspace(0, 255, 5), atol=3)


def test_a_png_that_states_hdr_is_tone_mapped(tmp_path: Path) -> None:
    code = np.rint(pq(np.array([PAPER])) * 255).astype(np.uint8)
    Pillow.fromarray(np.broadcast_to(code, (4, 4, 3)).copy()).save(tmp_path / "plain.png")
    content = (tmp_path / "plain.png").read_bytes()
    import zlib

    chunk = b"cICP" + bytes([9, PQ, 0, 1])
    stated = b"\0\0\0\x04" + chunk + zlib.crc32(chunk).to_bytes(4, "big")
    (tmp_path / "hdr.png").write_bytes(content[:33] + stated + content[33:])
    with open_source(tmp_path / "hdr.png") as source:
        assert 170 < int(next(iter(source)).image.mean()) < 210


def test_an_avif_that_states_hdr_is_tone_mapped(tmp_path: Path, draw: Callable[..., NDArray[np.uint8]]) -> None:
    Pillow.fromarray(draw(0)).save(tmp_path / "a.avif", quality=95)
    content = (tmp_path / "a.avif").read_bytes()
    at = content.index(b"colrnclx") + 8
    hdr = content[:at] + bytes([0, 9, 0, PQ]) + content[at + 4 :]
    (tmp_path / "b.avif").write_bytes(hdr)
    plain, toned = (next(iter(open_source(tmp_path / name))).image for name in ("a.avif", "b.avif"))
    assert np.abs(tone(plain, transfer="PQ", wide=True).astype(int) - toned).mean() < 1
