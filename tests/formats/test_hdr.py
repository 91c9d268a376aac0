"""HDR and BT.2020 that are kept: the written files, read back by FFmpeg and OpenEXR, have the source's own colours."""

from __future__ import annotations

import json
import struct
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import OpenEXR
import pytest
from numpy.typing import NDArray
from PIL import Image as Pillow

from covos.cli import main
from covos.core.errors import UsageError
from covos.core.types import Colour, FrameResult
from covos.formats.composition import Composition
from covos.formats.options import composed_formats
from covos.formats.table import check_formats, make_writer
from covos.formats.toned import tones_told
from covos.masks import write_label_map
from covos.media.inputs import open_input
from covos.media.opening import open_source
from covos.media.range import Range
from covos.runs.folder import OutputFolder
from hdr_clips import BT2020, FRAMES, HEIGHT, HLG, PQ, SDR_2020, WIDTH, write

SUBJECT = np.s_[16:32, 16:48]
FAR = np.s_[:8, :]


def decoded(path: Path) -> list[tuple[tuple[int, int, int], NDArray[np.uint16]]]:
    """Decode by FFmpeg alone: primaries, transfer and matrix of each frame, and its RGB at 10 bits.

    White of YUV is 65280 in FFmpeg's RGB of 16 bits.
    """
    frames = []
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            tags = frame.color_primaries, frame.color_trc, frame.colorspace
            if frame.format.is_rgb:
                planes = [np.frombuffer(plane, "<u2").reshape(HEIGHT, -1)[:, :WIDTH] for plane in frame.planes]
                pixels = np.stack([planes[2], planes[0], planes[1]], -1)
            else:
                wide = frame.reformat(format="gbrp16le", src_colorspace=BT2020, threads=1).to_ndarray()
                pixels = np.rint(wide / 65280 * 1023).clip(0, 1023).astype(np.uint16)
            frames.append((tags, pixels))
    return frames


def results(source: Any) -> list[FrameResult]:
    labels = np.zeros((HEIGHT, WIDTH), np.uint8)
    labels[SUBJECT] = 1
    probability = labels.astype(np.float32)
    return [FrameResult(frame=frame, probability=probability, labels=labels, confidence=1.0) for frame in source]


def kept(folder: Path, name: str, video: Path, **part: Any) -> Any:
    with open_input(video, range=Range(**part)) as source:
        writer = make_writer(name, OutputFolder(folder), info=source.info, source_path=video)
        for each in results(source):
            writer.write(each)
        writer.paths = writer.close()
    return writer


@pytest.mark.parametrize("transfer", [PQ, HLG], ids=["PQ", "HLG"])
@pytest.mark.parametrize(("name", "inside", "outside"), [("prores", 4, None), ("ffv1", 1, 1)])
def test_a_video_has_the_colours_and_tags_of_its_source(
    tmp_path: Path, transfer: int, name: str, inside: int, outside: int | None
) -> None:
    video = write(tmp_path / "hdr.mov", transfer=transfer)
    (path,) = kept(tmp_path / "out", f"{name}=hdr", video).paths
    own, found = decoded(video), decoded(path)
    assert len(found) == FRAMES
    for (_, source), (tags, pixels) in zip(own, found, strict=True):
        assert tags == (BT2020, transfer, BT2020 if name == "prores" else 0)
        assert np.abs(pixels[SUBJECT].astype(int) - source[SUBJECT]).max() <= inside
        if outside is not None:  # lossless formats keep the source under the alpha
            assert np.abs(pixels[FAR].astype(int) - source[FAR]).max() <= outside
    with av.open(str(path)) as container:
        stream = container.streams.video[0].codec_context
        assert (stream.color_primaries, stream.color_trc) == (BT2020, transfer)
        (frame, *_) = container.decode(video=0)
        bits = frame.format.components[3].bits
        assert bits >= 10
        alpha = np.frombuffer(frame.planes[3], "<u2").reshape(HEIGHT, -1)[:, :WIDTH]
    assert alpha[SUBJECT].min() == (1 << bits) - 1
    assert alpha[FAR].max() == 0


def test_a_finished_run_is_converted_with_its_hdr(tmp_path: Path) -> None:
    video, masks = write(tmp_path / "hdr.mov", transfer=PQ), tmp_path / "masks"
    masks.mkdir()
    for index in range(FRAMES):
        write_label_map(masks / f"{index:05d}.png", results([None])[0].labels)
    words = ["convert", str(masks), "--source", str(video), "-o", str(tmp_path / "x.mov"), "--keep-hdr", "-q"]
    assert main(words) == 0
    for (_, source), (tags, pixels) in zip(decoded(video), decoded(tmp_path / "x.mov"), strict=True):
        assert tags == (BT2020, PQ, BT2020)
        assert np.abs(pixels[SUBJECT].astype(int) - source[SUBJECT]).max() <= 4


def test_without_the_wish_it_is_tone_mapped_as_before(tmp_path: Path) -> None:
    video = write(tmp_path / "hdr.mov", transfer=PQ)
    (path,) = kept(tmp_path / "out", "ffv1", video).paths
    ((tags, pixels), *_) = decoded(path)
    ((_, source), *_) = decoded(video)
    assert tags == (1, 1, 0)
    assert np.abs(pixels[SUBJECT].astype(int) - source[SUBJECT]).mean() > 20


def test_8_bits_of_hdr_are_written_at_10(tmp_path: Path) -> None:
    video = write(tmp_path / "hdr.mov", transfer=HLG, pixels="yuv420p")
    (path,) = kept(tmp_path / "out", "ffv1=hdr", video).paths
    with av.open(str(path)) as container:
        assert container.streams.video[0].codec_context.pix_fmt == "gbrap10le"
    for (_, source), (_, pixels) in zip(decoded(video), decoded(path), strict=True):
        assert np.abs(pixels[SUBJECT].astype(int) - source[SUBJECT]).max() <= 2


def test_wide_colours_of_ordinary_range_are_kept_likewise(tmp_path: Path) -> None:
    video = write(tmp_path / "wide.mov", transfer=SDR_2020)
    (path,) = kept(tmp_path / "out", "ffv1=hdr", video).paths
    for (_, source), (tags, pixels) in zip(decoded(video), decoded(path), strict=True):
        assert tags == (BT2020, SDR_2020, 0)
        assert np.abs(pixels[SUBJECT].astype(int) - source[SUBJECT]).max() <= 1


def test_a_frame_of_another_size_is_fitted_in_with_its_own_tones(tmp_path: Path) -> None:
    video = write(tmp_path / "hdr.mov", transfer=PQ)
    with open_source(video) as source:
        info = replace(source.info, height=2 * HEIGHT, width=2 * WIDTH)
        (first, *_) = results(source)
        fitted = replace(first, frame=replace(first.frame, source_size=(2 * HEIGHT, 2 * WIDTH)))
        writer = make_writer("ffv1=hdr", OutputFolder(tmp_path / "out"), info=info, source_path=video)
        writer.write(fitted)
        (path,) = writer.close()
    with av.open(str(path)) as container:
        (frame,) = container.decode(video=0)
        green = np.frombuffer(frame.planes[0], "<u2").reshape(2 * HEIGHT, -1)[40:56, 40:88]
    ((_, own), *_) = decoded(video)
    assert np.abs(green[::2, ::2].astype(int) - own[20:28, 20:44, 1]).max() <= 12


def test_a_single_frame_is_a_png_that_states_its_colours(tmp_path: Path) -> None:
    video = write(tmp_path / "hdr.mov", transfer=PQ)
    (path,) = kept(tmp_path / "out", "prores=hdr", video, start="f1", end="f2").paths
    assert path.suffix == ".png"
    content = path.read_bytes()
    at = content.index(b"cICP")
    assert struct.unpack(">I", content[at - 4 : at]) == (4,)
    with av.open(str(path)) as container:
        (frame,) = container.decode(video=0)
    assert (frame.color_primaries, frame.color_trc) == (BT2020, PQ)
    samples = frame.reformat(format="rgba64le").to_ndarray()[..., :3] >> 6
    _, own = decoded(video)[1]
    assert np.abs(samples[SUBJECT].astype(int) - own[SUBJECT]).max() <= 1


@pytest.mark.parametrize("name", ["rgba=hdr", "rgba=16,hdr"])
def test_pictures_of_16_bits_state_their_colours(tmp_path: Path, name: str) -> None:
    video = write(tmp_path / "hdr.mov", transfer=HLG)
    (folder,) = kept(tmp_path / "out", name, video).paths
    files = sorted(folder.iterdir())
    assert len(files) == FRAMES
    for file, (_, own) in zip(files, decoded(video), strict=True):
        with av.open(str(file)) as container:
            (frame,) = container.decode(video=0)
        assert (frame.format.name, frame.color_primaries, frame.color_trc) == ("rgba64be", BT2020, HLG)
        samples = frame.reformat(format="rgba64le").to_ndarray() >> 6
        assert np.abs(samples[SUBJECT][..., :3].astype(int) - own[SUBJECT]).max() <= 1
        assert np.abs(samples[FAR][..., :3].astype(int) - own[FAR]).max() <= 1
        assert samples[FAR][..., 3].max() == 0
    for wrong in ("rgba=8,hdr", "rgba=webp,hdr"):
        with pytest.raises(UsageError, match="hdr"):
            check_formats([wrong])


@pytest.mark.parametrize("transfer", [PQ, HLG, SDR_2020], ids=["PQ", "HLG", "BT.2020"])
def test_openexr_has_the_light_of_the_source(tmp_path: Path, transfer: int) -> None:
    video = write(tmp_path / "hdr.mov", transfer=transfer)
    (folder,) = kept(tmp_path / "out", "exr=hdr", video).paths
    file = OpenEXR.File(str(sorted(folder.iterdir())[0]), separate_channels=True)
    header = file.header()
    assert header["whiteLuminance"] == 203
    assert np.allclose(header["chromaticities"][:6], (0.708, 0.292, 0.170, 0.797, 0.131, 0.046))
    found = np.stack([file.channels()[name].pixels for name in "RGB"], -1).astype(np.float64)
    ((_, own), *_) = decoded(video)
    code = own / 1023
    if transfer == PQ:  # SMPTE ST 2084
        power = code ** (32 / 2523)
        bent = np.clip(power - 3424 / 4096, 0, None) / (2413 / 128 - 2392 / 128 * power)
        light = 10_000 * bent ** (16384 / 2610) / 203
    elif transfer == HLG:  # ITU-R BT.2100, on a display of 1000 nits
        a, b, c = 0.17883277, 0.28466892, 0.55991073
        scene = np.where(code <= 0.5, code**2 / 3, (np.exp((code - c) / a) + b) / 12)
        light = 1000 / 203 * scene * ((scene @ (0.2627, 0.6780, 0.0593)) ** 0.2)[..., None]
    else:
        light = code**2.4
    np.testing.assert_allclose(found[SUBJECT], light[SUBJECT], rtol=0.03, atol=1e-3)
    assert (found[SUBJECT].max() > 1) == (transfer != SDR_2020)  # what is brighter than paper is kept


def test_what_was_graded_on_is_said_not_to_be_written(tmp_path: Path) -> None:
    master = "G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,50)"
    options = {"x265-params": f"lossless=1:log-level=none:master-display={master}:max-cll=1000,400:hdr10=1"}
    video = write(tmp_path / "hdr.mkv", transfer=PQ, options=options)
    writer = kept(tmp_path / "out", "prores=hdr", video)
    assert any("MaxCLL" in text for text in writer.warnings)
    assert not any("MaxCLL" in text for text in kept(tmp_path / "more", "prores", video).warnings)
    plain = write(tmp_path / "plain.mov", transfer=PQ)
    assert kept(tmp_path / "third", "prores=hdr", plain).warnings == ()


def test_a_source_of_ordinary_range_has_none_to_keep(tmp_path: Path) -> None:
    video = write(tmp_path / "hdr.mov", transfer=PQ)
    with open_source(video) as source:
        info = replace(source.info, tags=replace(source.info.tags, hdr=None))
        (each, *_) = results(source)
        plain = replace(each, frame=replace(each.frame, hdr=None, pts=0, time_base=Fraction(1, 25)))
        writer = make_writer("prores=hdr", OutputFolder(tmp_path / "out"), info=info, source_path=video)
        writer.write(plain)
        writer.close()
    assert any("that can be kept" in text for text in writer.warnings)


def test_a_transfer_that_changes_is_said(tmp_path: Path) -> None:
    one, other = (write(tmp_path / f"{transfer}.h264", transfer=transfer) for transfer in (PQ, HLG))
    (tmp_path / "both.h264").write_bytes(one.read_bytes() + other.read_bytes())
    for name, said in ((one.name, False), ("both.h264", True)):
        with open_source(tmp_path / name) as source:
            list(source)
            assert any("primaries change" in text for text in source.health.warnings) == said


def test_the_wish_stands_in_the_names_of_formats_that_can() -> None:
    names = composed_formats(["prores", "palette", "exr", "ffv1"], Composition(keep_hdr=True, each_object=True))
    assert names == ("prores=each,hdr", "palette", "exr=hdr", "ffv1=each,hdr")
    assert check_formats(names) == names


@pytest.mark.parametrize("name", ["webm", "qtrle", "tiff", "matte"])
def test_a_format_that_cannot_hold_it_names_those_that_can(name: str) -> None:
    with pytest.raises(UsageError, match="keep-hdr is asked for") as caught:
        composed_formats([name], Composition(keep_hdr=True))
    assert all(can in caught.value.remedy.command for can in ("-f prores", "-f ffv1", "-f exr", "-f rgba"))
    with pytest.raises(UsageError):
        check_formats([f"{name}=hdr"])


# ---- pictures ------------------------------------------------------------------------------------------------------


def written_of(folder: Path, name: str, pictures: Path) -> Any:
    with open_input(pictures) as source:
        writer = make_writer(name, OutputFolder(folder), info=source.info, source_path=pictures)
        for each in results(source):
            writer.write(each)
        writer.paths = writer.close()
    return writer


def pixels_of(file: Path) -> NDArray[np.uint16]:
    with av.open(str(file)) as container:
        (frame,) = container.decode(video=0)
    return np.asarray(frame.reformat(format="rgba64le").to_ndarray()[..., :3])


def test_pictures_of_16_bits_that_state_hdr_keep_it(tmp_path: Path) -> None:
    """What ``rgba=hdr`` wrote is taken as input, and written again; a damaged one shows that before it."""
    video = write(tmp_path / "hdr.mov", transfer=PQ)
    (pictures,) = kept(tmp_path / "first", "rgba=hdr", video).paths
    names = sorted(file.name for file in pictures.iterdir())
    (pictures / names[1]).write_bytes((pictures / names[1]).read_bytes()[:200])
    with open_source(pictures) as source:
        assert (source.info.tags.hdr, source.info.tags.bits) == (Colour(primaries=9, transfer=PQ, matrix=9), 16)
        tones = [frame.image for frame in source]
        assert not any("HDR" in text for text in source.health.warnings)
    (again,) = written_of(tmp_path / "second", "rgba=hdr", pictures).paths
    own = pixels_of(pictures / names[0])
    for name in names[:2]:
        np.testing.assert_array_equal(pixels_of(again / name)[SUBJECT], own[SUBJECT])
    assert np.abs(tones[0].astype(int) - (own >> 8)).max() > 20, "the networks see another picture"
    (again,) = written_of(tmp_path / "third", "prores=hdr", pictures).paths
    assert decoded(again)[0][0] == (BT2020, PQ, BT2020)


def test_light_of_openexr_above_white_is_kept(tmp_path: Path) -> None:
    light = np.geomspace(0.01, 40, WIDTH, dtype=np.float32)[None].repeat(HEIGHT, axis=0)
    pictures = tmp_path / "light"
    pictures.mkdir()
    for index in range(2):
        planes = {"R": light, "G": light / 2, "B": light / 4}
        OpenEXR.File({"type": OpenEXR.scanlineimage}, planes).write(str(pictures / f"{index:03d}.exr"))
    (folder,) = written_of(tmp_path / "out", "exr=hdr", pictures).paths
    file = OpenEXR.File(str(folder / "000.exr"), separate_channels=True)
    assert np.allclose(file.header()["chromaticities"][:6], (0.708, 0.292, 0.170, 0.797, 0.131, 0.046))
    found = np.stack([file.channels()[name].pixels for name in "RGB"], -1).astype(np.float64)
    to_bt709 = np.array([[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]])
    wanted = np.stack([light, light / 2, light / 4], -1)
    np.testing.assert_allclose((found @ to_bt709.T)[SUBJECT], wanted[SUBJECT], rtol=5e-3)
    (folder,) = written_of(tmp_path / "plain", "exr", pictures).paths
    plain = OpenEXR.File(str(folder / "000.exr"), separate_channels=True).channels()["R"].pixels
    assert plain.max() <= 1, "without it, light above white is cut"
    (video,) = written_of(tmp_path / "video", "prores=hdr", pictures).paths
    assert decoded(video)[0][0] == (BT2020, PQ, BT2020)


def test_pictures_that_are_read_with_8_bits_say_that_nothing_keeps_their_hdr(tmp_path: Path) -> None:
    Pillow.new("RGB", (WIDTH, HEIGHT), (90, 100, 110)).save(tmp_path / "plain.avif")
    content = (tmp_path / "plain.avif").read_bytes()
    at = content.index(b"colrnclx") + 8
    (tmp_path / "hdr.avif").write_bytes(content[:at] + bytes([0, BT2020, 0, HLG]) + content[at + 4 :])
    with open_source(tmp_path / "hdr.avif") as source:
        list(source)
        (said,) = (text for text in source.health.warnings if "HDR" in text)
    assert "HDR (HLG): they are tone-mapped" in said
    assert "nothing keeps it" in said
    writer = written_of(tmp_path / "out", "rgba=hdr", tmp_path / "hdr.avif")
    assert any("no HDR or BT.2020 that can be kept" in text for text in writer.warnings)


@pytest.mark.parametrize(
    ("formats", "told"),
    [
        (("prores=hdr", "palette", "matte"), None),
        (("prores=hdr", "webm", "green"), "the source is HDR (PQ): webm, green are tone-mapped, of ordinary range; "),
        (("overlay",), "the source is HDR (PQ): overlay is tone-mapped, of ordinary range; "),
    ],
)
def test_a_run_says_which_of_its_files_lost_hdr(tmp_path: Path, formats: tuple[str, ...], told: str | None) -> None:
    video, masks, out = write(tmp_path / "hdr.mov", transfer=PQ), tmp_path / "masks", tmp_path / "out"
    masks.mkdir()
    for index in range(FRAMES):
        write_label_map(masks / f"{index:05d}.png", results([None])[0].labels)
    words = ["convert", str(masks), "--source", str(video), "-o", str(out), "-q"]
    assert main([*words, *(word for name in formats for word in ("-f", name))]) == 0
    report = json.loads((out / "report.json").read_text())
    said = [text for text in (*report["health"]["warnings"], *report["warnings"]) if "HDR" in text or "tone" in text]
    kept = "prores keeps PQ" if "webm" in formats else "prores=hdr, ffv1=hdr, rgba=hdr, exr=hdr would keep PQ"
    assert said == ([] if told is None else [f"{told}{kept}"])


def test_a_run_says_which_of_its_files_lost_the_colours_of_bt2020(tmp_path: Path) -> None:
    video = write(tmp_path / "wide.mov", transfer=SDR_2020)
    with open_source(video) as source:
        names = ("webm", "ffv1=hdr")
        folder = OutputFolder(tmp_path / "out")
        writers = [make_writer(name, folder, info=source.info, source_path=video) for name in names]
        for each in results(source):
            for writer in writers:
                writer.write(each)
        for writer in writers:
            writer.close()
        assert source.health.warnings == ()
        (told,) = tones_told(writers, info=source.info)
    assert told == "the source has the colours of BT.2020: webm has those of BT.709; ffv1 keeps them"


@pytest.mark.parametrize(
    ("transfer", "told"), [(PQ, "it is HDR (PQ): it is tone-mapped"), (SDR_2020, "it has the colours of BT.2020")]
)
def test_a_background_whose_tones_are_lost_says_so(tmp_path: Path, transfer: int, told: str) -> None:
    behind = write(tmp_path / "behind.mov", transfer=transfer)
    plain = tmp_path / "plain.png"
    Pillow.new("RGB", (WIDTH, HEIGHT), (90, 100, 110)).save(plain)
    writer = written_of(tmp_path / "out", f"background={behind}", plain)
    assert any(f"{behind}: {told}" in text for text in writer.warnings)
