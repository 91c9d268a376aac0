"""A finished run, opened on the page."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

import covos
from clips import write_combed
from covos.cli import main
from covos.core.errors import SourceError, UsageError
from covos.masks import write_label_map
from covos.media.inputs import open_input
from covos.media.opening import open_source
from covos.media.range import WHOLE, Range
from covos.media.source import Source
from covos.plan import Plan
from covos.serve.address import Address
from covos.serve.clip import Clip
from covos.serve.desk import Desk
from covos.serve.downloads import Downloads
from covos.serve.networks import Networks
from covos.serve.opened import load_run
from covos.serve.rules import Rules
from covos.serve.running import run_server
from covos.serve.schema import Wanted
from covos.serve.to_open import ToOpen, look_at
from covos.serve.workers import Here, TaskWorker

MakeClip = Callable[..., Path]
pytestmark = pytest.mark.usefixtures("small_networks")


@pytest.fixture
def run(make_clip: MakeClip, tmp_path: Path) -> Path:
    """A run whose objects were shown by a box and a mask, on a part of a clip, with a matte."""
    mask = np.zeros((48, 64), np.uint8)
    mask[30:40, 40:50] = 5
    write_label_map(tmp_path / "mask.png", mask)
    shown = ["--box", "12,12,30,30@3:1", "--mask", f"{tmp_path / 'mask.png'}@4", "--label", "5=dog"]
    part = ["--start", "f2", "--end", "f10", "--matte", "-f", "palette"]
    assert main(["segment", str(make_clip(frames=12)), "-o", str(tmp_path / "run"), *shown, *part, "-q"]) == 0
    return tmp_path / "run"


def test_what_a_run_knows_is_where_edits_begin(run: Path, tmp_path: Path) -> None:
    result = covos.load_result(run)
    video, known, _ = load_run(run, part=WHOLE)
    assert (video.range.start, video.range.end) == ("f2", "f10")
    assert {index: dict(mask.objects) for index, mask in known.frames.items()} == {
        mask.index: dict(mask.objects) for mask in result
    }
    assert {thing.id: thing.name for thing in known.things}[5] == "dog"
    seeds = {seed.object: seed for seed in known.seeds}
    box, drawn = seeds[1], seeds[5]
    assert (box.frame, box.given_as, drawn.frame) == (1, "box", 2)
    assert box.pointed is not None
    assert box.pointed.at.box is not None
    assert drawn.mask == result[2].objects[5]
    # The desk keeps it, also after a restart, and knows it again.
    desk = Desk(Rules(root=tmp_path / "clips"), plan=Plan(source="clip", device="cpu"))
    try:
        clip = desk.open(look_at(run))
        assert (clip.kept.state, clip.history.revision, clip.run) == ("done", 0, run)
        again = Clip.load(clip.folder)
        assert again.history.seeds == clip.history.seeds == known.seeds
        assert again.history.frames == clip.history.frames
        assert desk.open(look_at(run)) is clip
        # A download has the run's masks and matte.
        export = Downloads._task(clip, "npz", wanted=Wanted(), hidden=())
        export.run(Here(plan=Plan(source="clip"), stop=threading.Event(), tell=lambda _: None))  # type: ignore[arg-type]
        downloaded = covos.load_result(clip.folder / "results" / "npz")
        assert downloaded == result
        assert downloaded.origin.sha256 == result.origin.sha256
        assert export.frames[2].kept_matte == result[2].kept_matte is not None
        # A frame that is changed loses its matte, and the download finds it again, on that frame alone.
        changed = replace(clip.history.frames[1], kept_matte=None, soft=None)
        clip.add(clip.history.edit("prompt", frames={1: changed}))
        found, without = (alphas(clip, Wanted(matte=matte)) for matte in (None, False))
        assert not np.array_equal(found[1], without[1])
        np.testing.assert_array_equal(found[2], matted(result)[2])
    finally:
        desk.close()


def test_a_part_of_a_run_is_opened(run: Path, tmp_path: Path) -> None:
    result = covos.load_result(run)
    assert look_at(run) == ToOpen(path=run, part=Range(start="f2", end="f10"))
    asked = look_at(run, range=Range(start="0.04", every=2))  # seconds from the first frame of the run, which is 2
    assert asked.part == Range(start="f3", end="f10", every=2)
    assert look_at(run, range=Range(start="0", end="f10")).part == look_at(run).part, "that is all of it"
    desk = Desk(Rules(root=tmp_path / "clips"), plan=Plan(source="clip", device="cpu"))
    try:
        clip = desk.open(asked)
        assert clip.info.numbers == range(3, 10, 2)
        assert [dict(mask.objects) for mask in clip.history.frames.values()] == [
            dict(result[at].objects) for at in (1, 3, 5, 7)
        ]
        assert [(seed.frame, seed.object) for seed in clip.history.seeds] == [(0, 1)], "the mask lies on frame 4"
        assert desk.open(look_at(run, range=Range(start="f3", every=2))) is clip
        assert desk.open(look_at(run)) is not clip
        export = Downloads._task(clip, "npz", wanted=Wanted(), hidden=())
        export.run(Here(plan=Plan(source="clip"), stop=threading.Event(), tell=lambda _: None))  # type: ignore[arg-type]
        downloaded = covos.load_result(clip.folder / "results" / "npz")
        assert downloaded == result.trim(Range(start="f3", every=2))
        assert [mask.number for mask in downloaded] == [3, 5, 7, 9]
        assert downloaded.health.decoded == 4
    finally:
        desk.close()
    with pytest.raises(UsageError, match="start f0 and end f2 leave no frame") as refused:
        look_at(run, range=Range(start="f0", end="f2"))
    assert "from f2 to f9" in refused.value.why


def test_a_part_of_a_clip_is_opened(
    make_clip: MakeClip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    source = make_clip(frames=12)
    served = list[ToOpen]()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("covos.serve.running.run_server", lambda *_, **given: served.append(given["opening"]))
    wrong = {
        ("--start", "f12"): "start f12: frame 12 is beyond the end",
        ("--start", "soon"): "start 'soon' is no place in a video",
        ("--start", "f4", "--end", "f4"): "start f4 and end f4 leave no frame",
    }
    for options, words in wrong.items():
        said = []
        for verb in (["open", "--no-browser"], ["segment", "-o", "out"]):
            assert main([*verb, str(source), *options, "-q"]) == 2
            said.append(capsys.readouterr().err)
        assert words in said[0]
        assert said[0] == said[1], "the words are those of covos segment"
    assert not served
    assert main(["open", str(source), "--no-browser", "--start", "0.08", "--end", "f10", "--every", "2"]) == 0
    (asked,) = served
    assert asked.part == Range(start="f2", end="f9", every=2)
    desk = Desk(Rules(root=tmp_path / "clips"), plan=Plan(source="clip", device="cpu"))
    monkeypatch.setattr(desk, "_find", lambda *_, **__: None)
    try:
        clip = desk.open(asked)
        assert clip.info.numbers == range(2, 10, 2)
        assert desk.open(look_at(source, range=Range(start="f2", end="0.4", every=2))) is clip
        assert desk.open(look_at(source)) is not clip
        assert desk.open(asked, fresh=True) is not clip
    finally:
        desk.close()


def test_a_part_that_has_all_frames_is_the_whole_clip(make_clip: MakeClip, monkeypatch: pytest.MonkeyPatch) -> None:
    source, opened = make_clip(frames=12), list[str]()  # 25 a second

    def counted(path: str) -> Source:
        opened.append(path)
        return open_input(path)

    monkeypatch.setattr("covos.serve.to_open.open_input", counted)
    for part in (Range(start="0"), Range(end="f11")):
        look_at(source, range=part)
        assert len(opened) == 1, "it takes long to open a long video"
        opened.clear()
    for all_of_it in (Range(start="0"), Range(start="f0", end="f12"), Range(end="0.9")):
        assert look_at(source, range=all_of_it) == look_at(source) == ToOpen(path=source)
    for part in (Range(start="f1"), Range(end="f11"), Range(every=2)):
        assert look_at(source, range=part).part != look_at(source).part


@pytest.mark.parametrize("kind", ["video", "pictures"])
def test_a_run_is_read_as_when_it_was_made(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, way = write_combed(tmp_path / "clip.mp4"), ["--deinterlace", "on"]
    with open_source(source, deinterlace="on") as opened:
        seen = [frame.image for frame in opened]
    if kind == "pictures":
        source, way = tmp_path / "pictures", ["--frame-rate", "12"]
        source.mkdir()
        for index, image in enumerate(seen):
            Image.fromarray(image).save(source / f"{index}.png")
    assert main(["segment", str(source), "-o", str(tmp_path / "run"), *way, "-f", "palette", "-q"]) == 0
    desk = Desk(Rules(root=tmp_path / "clips"), plan=Plan(source="clip", device="cpu"))
    monkeypatch.setattr(desk, "_find", lambda *_, **__: None)
    try:
        clip = desk.open(ToOpen(path=tmp_path / "run"))
        part = desk.arrivals.add_part(clip, Range(start="f2"))
    finally:
        desk.close()
    for each in (clip, Clip.load(clip.folder), part):
        with each.video.open() as opened:
            assert opened.info.whole_rate == each.info.whole_rate == (12 if kind == "pictures" else 25)
            images = [frame.image for frame in opened]
        assert np.array_equal(images, seen[each.info.start :])
    with Networks(Plan(source="clip", device="cpu")).session(clip.video, ()) as session:
        assert session.source.info == clip.info


def matted(result: covos.Segmentation) -> list[np.ndarray]:
    """The mattes of a result, as bytes."""
    return [np.round(255 * mask.matte).astype(np.uint8) for mask in result if mask.matte is not None]


def alphas(clip: Clip, wanted: Wanted) -> list[np.ndarray]:
    """The alpha of each frame of a download."""
    export = Downloads._task(clip, "ffv1", wanted=wanted, hidden=())
    plan = Plan(source="clip", device="cpu")
    export.run(Here(plan=plan, stop=threading.Event(), tell=lambda _: None))  # type: ignore[arg-type]
    with av.open(str(clip.folder / "results" / "ffv1" / "ffv1.mkv")) as video:
        return [each.to_ndarray(format="rgba")[..., 3] for each in video.decode(video=0)]


def test_a_run_that_cannot_be_opened_says_why(
    run: Path,
    make_clip: MakeClip,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    source = Path(json.loads((run / "report.json").read_text())["source"]["path"])
    served: list[object] = []
    monkeypatch.setattr("covos.serve.running.run_server", lambda *_, **given: served.append(given["opening"].path))
    assert main(["open", str(run), "--no-browser"]) == 0
    assert capsys.readouterr().err == f"opening {run} ...\n"
    make_clip(source.name, frames=12, height=32)
    assert main(["open", str(run), "--no-browser"]) == 3
    assert "has changed since" in capsys.readouterr().err
    assert served == [run], "of the other size, nothing listens"
    make_clip(source.name, frames=4)
    desk = Desk(Rules(root=tmp_path / "clips"), plan=Plan(source="clip", device="cpu"))
    try:
        with pytest.raises((SourceError, UsageError)):
            desk.open(ToOpen(path=run))
        assert not list((tmp_path / "clips").iterdir())
    finally:
        desk.close()
    source.unlink()
    with pytest.raises(UsageError, match="cannot be corrected"):
        load_run(run, part=WHOLE)


def test_a_server_ends_with_what_it_cannot_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> Clip:
        raise SourceError("the clip has changed", why="it is shorter", fix="put it back")

    monkeypatch.setattr(TaskWorker, "offer", lambda *_, **__: None)
    monkeypatch.setattr(Desk, "open", refuse)
    raised: list[BaseException] = []

    def serve() -> None:
        try:
            rules = Rules(root=tmp_path / "clips")
            plan, opening = Plan(source="clip"), ToOpen(path=tmp_path)
            run_server(rules, address=Address(port=0), plan=plan, opening=opening, ready=raised.append)  # type: ignore[arg-type]
        except SourceError as error:
            raised.append(error)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    thread.join(60)
    address, error = raised
    assert str(address).endswith("/#opening"), "the page is there before the clip"
    assert str(error).splitlines()[0] == "the clip has changed"
