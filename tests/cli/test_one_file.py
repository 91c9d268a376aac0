"""``-o x.mov``: one file is written, nothing else is left, and nothing is overwritten unasked."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

import covos
from checked_output import check_output
from covos.cli import main
from covos.core.errors import UsageError
from covos.formats.composition import Composition
from covos.runs.onefile import choose_output

MakeClip = Callable[..., Path]
Capture = pytest.CaptureFixture[str]


def run(*words: object) -> int:
    return main(["segment", *(str(word) for word in words), "--device", "cpu", "--precision", "fp32", "-q"])


def left(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "place").mkdir()
    return tmp_path / "place"


@pytest.mark.parametrize(
    ("name", "formats", "codec"),
    [("x.mov", (), "prores"), ("x.MP4", ("green",), "h264"), ("x.gif", (), "gif"), ("x.json", (), "")],
)
def test_one_file_is_all_that_is_left(clip: Path, place: Path, name: str, formats: tuple[str, ...], codec: str) -> None:
    words = [word for each in formats for word in ("-f", each)]
    assert run(clip, "-o", place / name, *words) == 0
    assert left(place) == [name]
    if codec:
        with av.open(str(place / name)) as container:
            assert container.streams.video[0].codec_context.name == codec
            assert sum(1 for _ in container.decode(video=0)) == 8
    else:
        assert len(json.loads((place / name).read_text())["images"]) == 8


def test_a_background_makes_the_file(clip: Path, place: Path) -> None:
    assert run(clip, "-o", place / "x.mp4", "--background", "#0000ff") == 0
    assert left(place) == ["x.mp4"]
    with av.open(str(place / "x.mp4")) as container:
        first = next(container.decode(video=0)).to_ndarray(format="rgb24")
    red, _, blue = first[-4:, -4:].mean((0, 1))
    assert blue > 200, "where no subject is"
    assert red < 60


def test_a_file_for_each_object_is_no_one_file(clip: Path, place: Path, capsys: Capture) -> None:
    assert run(clip, "-o", place / "x.mov", "--each-object") == 2
    assert "prores=each writes several files" in capsys.readouterr().err
    assert left(place) == []


def test_a_file_that_is_there_stays(clip: Path, place: Path, capsys: Capture) -> None:
    target = place / "x.mp4"
    target.write_text("mine")
    assert run(clip, "-o", target) == 2
    assert "nothing is overwritten unless asked" in capsys.readouterr().err
    assert run(clip, "-o", target, "-n") == 0
    assert left(place) == ["x.mp4"]
    assert target.read_text() == "mine"
    assert run(clip, "-o", target, "-y") == 0
    assert left(place) == ["x.mp4"]
    assert target.stat().st_size > 1000


def test_what_is_kept_is_a_whole_result(clip: Path, place: Path) -> None:
    assert run(clip, "-o", place / "x.mov", "--keep") == 0
    assert left(place) == ["x.mov", "x.mov.covos"]
    assert check_output(place / "x.mov.covos") == []
    words = ["convert", str(place / "x.mov.covos"), "-o", str(place / "y.webm"), "-f", "webm", "-q"]
    assert main(words) == 0
    assert left(place) == ["x.mov", "x.mov.covos", "y.webm"]
    assert main(words) == 2
    assert main([*words, "-n"]) == 0
    (place / "x.mov").unlink()
    assert run(clip, "-o", place / "x.mov") == 0  # it was all there
    assert left(place) == ["x.mov", "y.webm"]


def test_further_formats_lie_in_the_folder_beside_the_file(clip: Path, place: Path, tmp_path: Path) -> None:
    assert run(clip, "-o", place / "x.mov", "-f", "palette", "-f", "prores", "-f", "coco") == 0
    assert left(place) == ["x.mov", "x.mov.covos"]
    kept = place / "x.mov.covos"
    assert {"masks", "coco.json", "report.json"} <= set(left(kept))
    assert check_output(kept) == []
    words = ["convert", str(kept), "-o", str(place / "y.npz"), "-f", "palette", "-f", "npz", "-q"]
    assert main(words) == 0
    assert np.load(place / "y.npz")["masks"].shape == (8, 48, 64)
    assert "masks" in left(place / "y.npz.covos")
    saved = covos.load_result(kept).save(place / "z.webm", formats=["webm", "binary"])
    assert saved.outputs == (place / "z.webm", place / "z.webm.covos" / "binary")


@pytest.mark.parametrize(
    ("name", "asked", "chosen"),
    [
        ("x.mov", ["matte-video", "prores"], ("prores", "matte-video")),
        ("x.mov", ["palette", "matte-video"], ("matte-video=prores", "palette")),
        ("x.mp4", ["matte-video", "prores"], ("matte-video", "prores")),
        ("x.mkv", ["green", "rgba=each", "ffv1"], ("ffv1", "green", "rgba=each")),
    ],
)
def test_the_file_is_of_the_format_that_makes_it_as_it_was_asked_for(
    tmp_path: Path, name: str, asked: list[str], chosen: tuple[str, ...]
) -> None:
    output = choose_output(tmp_path / name, asked)
    assert (output.formats, output.keep, output.is_file) == (chosen, True, True)


def test_formats_with_commas_between_are_named_one_by_one(clip: Path, place: Path, capsys: Capture) -> None:
    assert run(clip, "-o", place / "x.mov", "-f", "prores,palette") == 2
    assert "fix: name each by itself: -f prores -f palette" in capsys.readouterr().err
    assert run(clip, "-o", place / "x.mov", "-f", "prores,pallete") == 2
    assert "each by itself" not in capsys.readouterr().err


def test_a_note_says_that_an_mp4_holds_no_cut_out(clip: Path, place: Path, capsys: Capture) -> None:
    words = [str(clip), "--device", "cpu", "--precision", "fp32", "-o"]
    note = "shows the clip with the subject tinted, to look at"

    def said(*more: object) -> str:
        assert main(["segment", *words, *map(str, more)]) == 0
        return capsys.readouterr().err

    assert f"note: x.mp4 {note}" in said(place / "x.mp4", "--keep")
    assert f"note: x.gif {note}" in said(place / "x.gif")
    assert main(["convert", f"{place / 'x.mp4'}.covos", "-o", str(place / "again.mp4")]) == 0
    assert f"note: again.mp4 {note}" in capsys.readouterr().err
    assert note not in said(place / "asked.mp4", "-f", "overlay")
    assert note not in said(place / "green.mp4", "--background", "#00ff00")
    assert note not in said(place / "x.mov")
    assert note not in said(place / "folder")
    assert note not in said(place / "quiet.mp4", "-q")


def test_a_note_at_the_end_says_what_is_gone_with_the_folder(clip: Path, place: Path, capsys: Capture) -> None:
    words = ["segment", str(clip), "--device", "cpu", "--precision", "fp32", "-o"]
    assert main([*words, str(place / "x.mov")]) == 0
    alone = "only the file was kept"
    (line,) = (each for each in capsys.readouterr().err.splitlines() if alone in each)
    assert line.startswith("note: only the file was kept. With --keep, its masks")
    assert "covos convert" in line
    assert "without the networks" in line
    for further in (["--keep"], ["-f", "prores", "-f", "palette"]):
        assert main([*words, str(place / f"{len(further)}.mov"), *further]) == 0
        assert alone not in capsys.readouterr().err
    assert main([*words, str(place / "folder")]) == 0
    assert alone not in capsys.readouterr().err


def test_a_stopped_run_goes_on_beside_its_file(make_clip: MakeClip, place: Path) -> None:
    clip = make_clip(frames=10)
    single = choose_output(place / "x.mov")
    plan = covos.Plan(source=str(clip), formats=("prores",), device="cpu", precision="fp32")
    job = covos.Job(plan, single.folder)
    for event in job:
        if isinstance(event, covos.FrameDone) and event.index == 4:
            job.cancel()
    assert left(place) == ["x.mov.covos"]
    assert run(clip, "-o", place / "x.mov") == 0
    assert left(place) == ["x.mov"]


def test_a_damaged_clip_keeps_its_report(tmp_path: Path, place: Path) -> None:
    shots = tmp_path / "shots"
    shots.mkdir()
    for index in range(3):
        Image.fromarray(np.full((48, 64, 3), 60 * index, np.uint8)).save(shots / f"{index}.png")
    (shots / "1.png").write_bytes((shots / "1.png").read_bytes()[:60])
    assert run(shots, "-o", place / "x.mp4") == 4
    assert left(place) == ["x.mp4", "x.mp4.covos"]
    assert check_output(place / "x.mp4.covos") == []


def test_a_picture_makes_a_png(tmp_path: Path, place: Path) -> None:
    Image.fromarray(np.full((48, 64, 3), 60, np.uint8)).save(tmp_path / "photo.jpg")
    assert run(tmp_path / "photo.jpg", "-o", place / "x.png", "-f", "green") == 0
    assert left(place) == ["x.png"]
    assert run(tmp_path / "photo.jpg", "-o", place / "x.mp4", "-f", "green") == 2
    assert run(tmp_path / "photo.jpg", "-o", place / "cut.png") == 0
    with Image.open(place / "cut.png") as cut:
        assert cut.mode == "RGBA", "the name alone asks for the subject with alpha"


def test_one_frame_of_a_clip_makes_a_picture(clip: Path, place: Path) -> None:
    frame = ("--start", "f3", "--end", "f4")
    asked = {"x.png": (), "x.webp": (), "x.tif": (), "y.tiff": (), "mask.png": ("-f", "palette")}
    asked |= {"matte.png": ("-f", "matte"), "on.png": ("--background", "#0000ff"), "box.png": ("-f", "cutout")}
    asked |= {"hole.webp": ("-f", "rgba=invert")}
    for name, words in asked.items():
        assert run(clip, "-o", place / name, *frame, *words) == 0, name
    assert left(place) == sorted(asked)
    pictures = {}
    for name in asked:
        if not name.startswith(("x.t", "y.t")):
            with Image.open(place / name) as opened:
                pictures[name] = opened.mode, np.asarray(opened)
    assert [pictures[name][0] for name in ("x.png", "box.png", "mask.png", "matte.png", "on.png")] == [
        "RGBA",
        "RGBA",
        "P",
        "L",
        "RGB",
    ]
    cut = pictures["x.png"][1]
    assert np.array_equal(pictures["x.webp"][1], cut), "no loss, under the alpha neither"
    assert np.array_equal(255 - pictures["hole.webp"][1][..., 3], cut[..., 3])
    assert (place / "x.tif").read_bytes() == (place / "y.tiff").read_bytes()


def test_one_frame_of_a_clip_is_no_video(clip: Path, place: Path, capsys: Capture) -> None:
    for name, said in (
        ("x.mov", "the part has one frame (f3), and one frame is written as a picture: .png"),
        ("x.mov", "x.png, or take more frames: an earlier --start"),
        ("x.jpg", "x.png or"),
        ("x.pgn", "did you mean"),
    ):
        assert run(clip, "-o", place / name, "--start", "f3", "--end", "f4") == 2
        assert said in capsys.readouterr().err
    assert run(clip, "-o", place / "cut.png", "--start", "f3", "--end", "f4", "--each-object") == 2
    assert left(place) == []


def test_one_frame_is_spoken_of_as_one(clip: Path, tmp_path: Path, capsys: Capture) -> None:
    words = ["segment", str(clip), "-o", str(tmp_path / "out"), "--start", "f3", "--end", "f4", "--device", "cpu"]
    assert main([*words, "--precision", "fp32", "--min-area", "100%"]) == 0
    assert "no subject is left in the frame: " in capsys.readouterr().err
    assert main([*words, "--precision", "fp32", "--min-area", "100%", "-f", "npz"]) == 0
    assert "1 frame that was done" in capsys.readouterr().err


def test_one_frame_of_a_result_makes_a_picture(clip: Path, tmp_path: Path, place: Path) -> None:
    assert run(clip, "-o", tmp_path / "out", "-f", "palette") == 0
    words = ["convert", str(tmp_path / "out"), "-o", str(place / "x.tif"), "--start", "f3", "--end", "f4", "-q"]
    assert main(words) == 0
    assert main([*words, "-n"]) == 0
    covos.load_result(tmp_path / "out").trim(range(3, 4)).save(place / "x.png")
    assert left(place) == ["x.png", "x.tif"]


def test_one_frame_of_a_result_is_no_video(clip: Path, tmp_path: Path, place: Path, capsys: Capture) -> None:
    assert run(clip, "-o", tmp_path / "out", "-f", "palette") == 0
    words = ["convert", str(tmp_path / "out"), "-o", str(place / "x.mov"), "-q"]
    for start, end, more in (("f3", "f4", "an earlier --start"), ("f0", "f1", "a later --end")):
        assert main([*words, "--start", start, "--end", end]) == 2
        said = capsys.readouterr().err
        assert f"the part has one frame ({start})" in said
        assert f"x.png, or take more frames: {more}" in said
    assert left(place) == []
    assert run(clip, "-o", tmp_path / "one", "-f", "palette", "--start", "f3", "--end", "f4") == 0
    assert main([*words[:1], str(tmp_path / "one"), *words[2:]]) == 2
    assert "prores makes .png files of a single picture" in capsys.readouterr().err, "no part of it is longer"


def test_a_folder_of_one_picture_is_a_picture(tmp_path: Path, place: Path) -> None:
    (tmp_path / "shots").mkdir()
    Image.fromarray(np.full((48, 64, 3), 60, np.uint8)).save(tmp_path / "shots" / "1.png")
    assert run(tmp_path / "shots", "-o", place / "x.webp") == 0
    assert left(place) == ["x.webp"]


@pytest.mark.parametrize(
    ("name", "formats", "inputs", "said"),
    [
        ("x.mov", ["prores", "qtrle"], 1, "a file is of one format, and prores, qtrle make .mov files"),
        ("x.mov", ["prores=each", "green"], 1, "prores=each writes several files"),
        ("x.mov", ["webm", "palette"], 1, "a file is of one format, and none of them makes .mov files"),
        ("x.mov", ["prores"], 2, "each input makes a file of its own"),
        ("x.mp4", ["prores"], 1, "prores makes .mov files"),
        ("x.avi", ["prores"], 1, "prores makes .mov files"),
        ("x.png", ["palette"], 1, "palette writes a label map a frame"),
        ("x.avi", None, 1, "the name of a file chooses its format"),
        ("x.xyz", None, 1, "the name of a file chooses its format"),
        ("x.prores", None, 1, "the name of a file chooses its format"),
        ("x.prorez", None, 1, "the name of a file chooses its format"),
        ("x.gif", ["preview=webp"], 1, "preview=webp makes .webp files"),
        ("x.mov", ["prores=each"], 1, "prores=each writes several files"),
        ("x.json", ["yolo"], 1, "yolo writes a folder"),
        ("x.webm", ["webn"], 1, "no writer has this name"),
    ],
)
def test_what_cannot_be_one_file_is_refused(
    tmp_path: Path, name: str, formats: list[str] | None, inputs: int, said: str
) -> None:
    with pytest.raises(UsageError) as caught:
        choose_output(tmp_path / name, formats, inputs=inputs)
    assert said in caught.value.why


@pytest.mark.parametrize(
    ("name", "fix"),
    [
        ("x.mvo", "did you mean {}/x.mov?"),
        ("x.mp5", "did you mean {}/x.mp4?"),
        ("x.m4v", "write {0}/x.mp4 or {0}/x.mov"),
        ("x.AVI", "write {0}/x.mp4 or {0}/x.mov"),
        ("x.mxf", "write {0}/x.mp4 or {0}/x.mov"),
        ("x.exr", "write a folder of pictures: -f exr -o {}/x/; or one frame as a file: --start f30 --end f31"),
        ("x.tif", "write a folder of pictures: -f tiff -o {}/x/; or one frame as a file: --start f30 --end f31"),
        ("x.jpg", "write a folder of pictures: -f rgba -o {}/x/"),
        ("x.prorez", "did you mean -f prores -o {}/x.mov?"),
        ("x.palete", "did you mean -f palette -o {}/x/?"),
    ],
)
def test_a_suffix_that_no_format_has_names_the_nearest_alone(tmp_path: Path, name: str, fix: str) -> None:
    with pytest.raises(UsageError) as caught:
        choose_output(tmp_path / name)
    assert caught.value.remedy.command == fix.format(tmp_path)
    assert caught.value.why == "the name of a file chooses its format"


@pytest.mark.parametrize(
    ("name", "still", "formats"),
    [
        ("x.mov", False, "prores"),
        ("x.gif", False, "preview=gif"),
        ("x.png", False, "sheet"),
        ("x.png", True, "rgba"),
        ("x.webp", True, "rgba=webp"),
        ("x.tiff", True, "tiff"),
        ("x.npz", False, "npz"),
    ],
)
def test_the_name_of_a_file_chooses_its_format(tmp_path: Path, name: str, still: bool, formats: str) -> None:
    chosen = choose_output(tmp_path / name, still=still)
    assert (chosen.formats, chosen.is_file) == ((formats,), True)
    again = choose_output(tmp_path / name, [formats], still=still)
    assert again == chosen, "and what it chooses may be said as well"


def test_what_is_composed_makes_the_file_too(tmp_path: Path) -> None:
    white = Composition(background="white")
    assert choose_output(tmp_path / "x.mp4", composition=white).formats == ("background=white",)
    with pytest.raises(UsageError, match=r"one file .* for green, background=white"):
        choose_output(tmp_path / "x.mp4", ["green"], composition=white)


@pytest.mark.parametrize(
    ("name", "formats", "background", "fix"),
    [
        ("seq.%04d.png", [], None, "-f rgba -o PLACE/seq/, for PLACE/seq/rgba/00000.png and so on"),
        ("seq.####.exr", [], None, "-f exr -o PLACE/seq/, for PLACE/seq/exr/00000.exr and so on"),
        ("%05d.webp", [], None, "-f rgba=webp -o PLACE/frames/, for PLACE/frames/rgba/00000.webp and so on"),
        ("m_%d.png", ["matte=16"], None, "-f matte=16 -o PLACE/m/, for PLACE/m/matte/00000.png and so on"),
        ("m_%d.png", ["palette"], None, "-f palette -o PLACE/m/, for PLACE/m/masks/00000.png and so on"),
        ("b.%04d.tif", [], "white", "-f background=white,tiff -o PLACE/b/, for PLACE/b/background/00000.tif and so on"),
        ("b.%04d.png", ["blur"], None, "-f blur=png -o PLACE/b/, for PLACE/b/blur/00000.png and so on"),
        (
            "x.%04d.mov",
            ["prores"],
            None,
            "-f rgba -o PLACE/x/, for PLACE/x/rgba/00000.png and so on; for one file:",
        ),
        ("seq_%04d/", [], None, "-f rgba -o PLACE/seq/, for PLACE/seq/rgba/00000.png and so on"),
    ],
)
def test_a_pattern_of_names_is_refused_with_the_folder_that_has_numbered_files(
    tmp_path: Path, name: str, formats: list[str], background: str | None, fix: str
) -> None:
    with pytest.raises(UsageError, match=r"the pattern .* in the name of an output") as caught:
        choose_output(f"{tmp_path}/{name}", formats, composition=Composition(background=background))
    assert fix.replace("PLACE", str(tmp_path)) in caught.value.remedy.command


def test_what_a_pattern_is_refused_for_writes_these_files(clip: Path, place: Path, capsys: Capture) -> None:
    assert run(clip, "-o", place / "seq.%04d.png") == 2
    said = capsys.readouterr().err
    assert left(place) == []
    _, _, words = said.partition("a folder: ")
    options, _, first = words.partition(", for ")
    assert run(clip, *options.split()) == 0
    assert Path(first.split()[0]).is_file()


def test_a_name_with_a_percent_sign_is_no_pattern(tmp_path: Path) -> None:
    assert choose_output(tmp_path / "100%done.mp4").is_file
    (tmp_path / "take_%d").mkdir()
    assert choose_output(tmp_path / "take_%d").path == tmp_path / "take_%d"


def test_folders_are_folders(tmp_path: Path) -> None:
    (tmp_path / "old.mov").mkdir()
    for name in ("out", "out.v2", "old.mov", "new.mov/", "x.xyz/"):
        where = f"{tmp_path}/{name}"
        assert not choose_output(where, ["prores"]).is_file
        with pytest.raises(UsageError, match="keep=True"):
            choose_output(where, ["prores"], keep=True)


def test_an_input_is_never_written_over(
    clip: Path, tmp_path: Path, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shots = tmp_path / "shots"
    shots.mkdir()
    for index in range(2):
        Image.fromarray(np.full((48, 64, 3), 60 * index, np.uint8)).save(shots / f"{index}.png")
    mask = tmp_path / "mask.png"
    Image.fromarray(np.full((64, 96), 255, np.uint8)).save(mask)
    (tmp_path / "same.mp4").symlink_to(clip)
    beach = Path(shutil.copy(clip, tmp_path / "beach.mp4"))
    before = {path: path.read_bytes() for path in (clip, beach, mask, shots / "0.png")}
    for words in (
        (clip, "-o", clip),
        (clip, "-o", tmp_path / "same.mp4"),
        (clip, "-o", beach, "--background", beach),
        (clip, "-o", beach, "-f", f"background={beach},wrap=1%"),
        (clip, "-o", mask, "--mask", f"{mask}@0:1"),
        (shots, "-o", shots / "0.png"),
        (shots / "*.png", "-o", shots / "0.png"),
    ):
        for further in ((), ("-y",), ("-n",)):
            assert run(*words, *further) == 2
            assert "is read and would be written over" in capsys.readouterr().err, words
    assert {path: path.read_bytes() for path in before} == before

    result = covos.segment(clip, device="cpu", precision="fp32", range=range(2))
    with pytest.raises(UsageError, match="is read and would be written over"):
        result.save(clip, overwrite=True)
    masks = place / "x.json"
    result.save(masks)
    for output, name in ((masks, "coco"), (clip, "overlay")):
        with pytest.raises(UsageError, match="is read and would be written over"):
            covos.convert(masks, output=output, formats=[name], source=clip, overwrite=True)
    assert {path: path.read_bytes() for path in before} == before
    result.save(shots / "x.mp4")  # a new file beside the frames is nobody's


def test_python_writes_one_file_as_well(clip: Path, place: Path) -> None:
    result = covos.segment(clip, device="cpu", precision="fp32", range=range(2, 6))
    saved = result.save(place / "x.mov")
    assert (left(place), saved.outputs) == (["x.mov"], (place / "x.mov",))
    assert (saved.folder, saved.report, saved.page) == (place, None, None)
    with pytest.raises(UsageError, match="the file exists"):
        result.save(place / "x.mov", formats=["prores"])
    result.save(place / "x.mov", formats=["prores"], overwrite=True, keep=True)
    assert left(place) == ["x.mov", "x.mov.covos"]
    result.save(place / "x.json", formats=["coco"])
    covos.convert(place / "x.json", output=place / "x.npz")
    with pytest.raises(UsageError, match="no format to convert to"):
        covos.convert(place / "x.json", output=place / "new")
    assert left(place) == ["x.json", "x.mov", "x.mov.covos", "x.npz"]
