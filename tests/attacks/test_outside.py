"""Folders and files that would make covos write, read or tell outside of what the user named."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from attacks.results import Run, written_run
from covos.core.errors import UsageError
from covos.core.files import LOCK, exclusive, open_own, refuse_links
from covos.data import open_dataset
from covos.model import load_model
from covos.predict import predict
from covos.runs.folder import LIST, OutputFolder
from covos.runs.journal import Journal

CONTENT = b"the victim's own file\n"


@pytest.fixture
def victim(tmp_path: Path) -> Path:
    (tmp_path / "home").mkdir()
    file = tmp_path / "home" / "diary.txt"
    file.write_bytes(CONTENT)
    return file


@pytest.fixture(params=["symbolic", "hard", "dangling"])
def link(request: pytest.FixtureRequest, victim: Path):
    """Makes a link to the victim's file, of each kind; nothing may come of it."""

    def make(place: Path) -> None:
        if request.param == "hard":
            os.link(victim, place)
        elif request.param == "symbolic":
            place.symlink_to(victim)
        else:
            place.symlink_to(victim.with_name("new.txt"))

    yield make
    assert victim.read_bytes() == CONTENT
    assert list(victim.parent.iterdir()) == [victim]


@pytest.mark.parametrize("name", [LOCK, LIST])
@pytest.mark.parametrize("more", [[], ["-y"]])
def test_a_link_in_place_of_covos_own_files(
    covos: Run, clip: Path, tmp_path: Path, link, name: str, more: list[str]
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    link(out / name)
    code, said = covos("segment", clip, "-o", out, "-q", *more)
    assert code == 2
    assert "link" in said


def test_a_link_in_place_of_a_lock_or_journal(tmp_path: Path, link) -> None:
    (tmp_path / "out").mkdir()
    link(tmp_path / "out" / "x")
    with pytest.raises(UsageError, match="link"), exclusive(tmp_path / "out" / "x"):
        pass
    with pytest.raises(UsageError, match="link"):
        Journal(tmp_path / "out" / "x", batch=1)
    for mode in ("a", "w", "r"):
        with pytest.raises(UsageError, match="link"):
            open_own(tmp_path / "out" / "x", mode)


@pytest.mark.parametrize("verb", ["segment", "convert"])
@pytest.mark.parametrize("more", [[], ["-y"]])
def test_a_planted_folder_of_masks(
    covos: Run, clip: Path, tmp_path: Path, victim: Path, verb: str, more: list[str]
) -> None:
    """As in an archive of somebody's results, which are made anew with -y."""
    out = tmp_path / "out"
    out.mkdir()
    (out / LIST).write_text("")
    (out / "masks").symlink_to(victim.parent)
    given = clip if verb == "segment" else written_run(tmp_path / "run", source=clip)
    code, said = covos(verb, given, "-o", out, "-f", "palette", "-q", *more)
    assert code == 2
    # Without -y, a folder that is not empty is refused before its content is looked at.
    assert (f"{out / 'masks'} is a link" if more else f"{out} is not empty") in said
    assert list(victim.parent.iterdir()) == [victim]


@pytest.mark.parametrize("more", [[], ["-y"]])
def test_a_planted_folder_of_the_run_of_one_file(
    covos: Run, clip: Path, tmp_path: Path, victim: Path, more: list[str]
) -> None:
    """The user names the file alone; the run works in a folder beside it."""
    (tmp_path / "x.mov.covos").symlink_to(victim.parent)
    code, said = covos("segment", clip, "-o", tmp_path / "x.mov", "-q", *more)
    assert code == 2
    assert f"{tmp_path / 'x.mov.covos'} is a link" in said
    assert list(victim.parent.iterdir()) == [victim]
    assert not (tmp_path / "x.mov").exists()


def test_a_link_in_the_place_of_a_result(tmp_path: Path, victim: Path) -> None:
    (tmp_path / "out").mkdir()
    folder = OutputFolder(tmp_path / "out")
    folder.file("masks/0.png").write_bytes(b"")
    for name in ("masks/1.png", "report.json"):
        (tmp_path / "out" / name).symlink_to(victim)
        with pytest.raises(UsageError, match="written over"):
            folder.file(name)
    (tmp_path / "out" / "deep").mkdir()
    (tmp_path / "out" / "deep" / "in").symlink_to(victim.parent)
    with pytest.raises(UsageError, match="link"):
        folder.file("deep/in/side/a.png")
    assert list(victim.parent.iterdir()) == [victim]


def test_a_list_that_names_files_outside(covos: Run, clip: Path, tmp_path: Path, victim: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "into").symlink_to(victim.parent)
    names = [str(victim), "../home/diary.txt", "into/diary.txt", 7, None, ["a"], "\0", "a" * 5000]
    (out / LIST).write_text("".join(json.dumps(name) + "\n" for name in names) + "{\n")
    assert covos("segment", clip, "-o", out, "-f", "palette", "-q", "-y")[0] == 0
    assert victim.read_bytes() == CONTENT


def test_a_batch_whose_subfolder_is_a_link(covos: Run, clip: Path, tmp_path: Path, victim: Path) -> None:
    other = clip.with_name("other.mp4")
    other.write_bytes(clip.read_bytes())
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "other").symlink_to(victim.parent)
    code, said = covos("segment", clip, other, "-o", tmp_path / "out", "-q")
    assert code == 2
    assert "is a link" in said


@pytest.mark.parametrize("name", ["Annotations", ".partial", "reports"])
def test_a_predicted_data_set_with_a_link(tmp_path: Path, victim: Path, name: str) -> None:
    for folder in ("JPEGImages/480p/a", "Annotations/480p/a", "ImageSets/480p"):
        (tmp_path / "davis" / folder).mkdir(parents=True)
    for index in range(2):
        picture = Image.fromarray(np.random.default_rng(index).integers(0, 255, (48, 64, 3), np.uint8))
        picture.save(tmp_path / f"davis/JPEGImages/480p/a/{index:05d}.jpg")
    data, model = open_dataset(tmp_path / "davis"), load_model(device="cpu")
    predict(data, output=tmp_path / "out", model=model)
    made = tmp_path / "out" / name
    if name == ".partial":  # which is met only where something is left to do
        shutil.rmtree(tmp_path / "out" / "reports")
    if made.exists():
        made.rename(tmp_path / "moved")
    made.symlink_to(victim.parent)
    with pytest.raises(UsageError, match="is a link"):
        predict(data, output=tmp_path / "out", model=model)
    assert list(victim.parent.iterdir()) == [victim]


def test_links_on_the_way(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "root").symlink_to(tmp_path / "real")
    refuse_links(tmp_path / "root", tmp_path / "root" / "a" / "b")  # the folder that the user names may be one
    (tmp_path / "real" / "a").symlink_to(tmp_path)
    with pytest.raises(UsageError, match="is a link"):
        refuse_links(tmp_path / "root", tmp_path / "root" / "a" / "b")


@pytest.mark.parametrize("how", ["absolute", "above", "link", "link of a folder"])
def test_a_prompt_file_that_names_masks_elsewhere(covos: Run, clip: Path, tmp_path: Path, how: str) -> None:
    mask = tmp_path / "home" / "m.png"
    (tmp_path / "home").mkdir()
    (tmp_path / "given").mkdir()
    Image.fromarray(np.pad(np.ones((20, 20), np.uint8), ((9, 19), (9, 35)))).save(mask)
    name = {"absolute": str(mask), "above": "../home/m.png"}.get(how, "m.png" if how == "link" else "in/m.png")
    if how == "link":
        (tmp_path / "given" / "m.png").symlink_to(mask)
    elif how == "link of a folder":
        (tmp_path / "given" / "in").symlink_to(tmp_path / "home")
    prompts = tmp_path / "given" / "p.json"
    prompts.write_text(json.dumps({"masks": [{"file": name}]}))
    given = ["segment", clip, "-o", tmp_path / "out", "-f", "palette", "-q", "--prompts", prompts]
    code, said = covos(*given)
    assert code == 3
    assert "--trust-prompts" in said
    assert covos(*given, "--trust-prompts")[0] == 0


@pytest.mark.parametrize("name", ["\0", "a" * 5000, "loop", "", "."])
def test_a_prompt_file_that_names_no_file(covos: Run, clip: Path, tmp_path: Path, name: str) -> None:
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "p.json").write_text(json.dumps({"masks": [{"file": name}]}))
    assert covos("segment", clip, "-o", tmp_path / "out", "--prompts", tmp_path / "p.json")[0] == 3


def test_the_hash_of_a_file_that_a_report_names(covos: Run, tmp_path: Path, victim: Path) -> None:
    run = written_run(tmp_path / "run", source=victim)
    assert covos("convert", run, "-o", tmp_path / "out", "-f", "coco", "-q")[0] == 0
    assert json.loads((tmp_path / "out" / "report.json").read_text())["source"]["sha256"] is None


def test_the_hash_of_a_source_that_the_user_names(covos: Run, clip: Path, tmp_path: Path) -> None:
    run = written_run(tmp_path / "run", source=tmp_path / "gone.mp4", frames=8)
    assert covos("convert", run, "-o", tmp_path / "out", "-f", "coco", "-q", "--source", clip)[0] == 0
    assert json.loads((tmp_path / "out" / "report.json").read_text())["source"]["sha256"]


def test_a_pattern_that_a_report_names(covos: Run, tmp_path: Path) -> None:
    run = written_run(
        tmp_path / "run", source=Path("/**/*.png"), change=lambda content: content["source"].update(kind="frames")
    )
    code, said = covos("convert", run, "-o", tmp_path / "out", "-f", "overlay", "-q")
    assert code == 3
    assert "whole folders" in said


@pytest.mark.parametrize("stem", ["../../a", "/etc/a", "a/b", "..", "\0"])
def test_names_of_frames_that_lead_out(covos: Run, tmp_path: Path, stem: str) -> None:
    run = written_run(tmp_path / "run", source=tmp_path / "a.mp4", change=lambda c: c["frames"][0].update(stem=stem))
    assert covos("convert", run, "-o", tmp_path / "out", "-f", "binary", "-q")[0] == 3
    image = {"id": 1, "file_name": f"{stem}.jpg", "height": 4, "width": 4}
    (tmp_path / "coco.json").write_text(json.dumps({"images": [image], "annotations": []}))
    assert covos("convert", tmp_path / "coco.json", "-o", tmp_path / "out2" / "x", "-f", "binary", "-q")[0] in {0, 3}
    assert {path.name for path in tmp_path.iterdir()} <= {"run", "out2", "coco.json"}
