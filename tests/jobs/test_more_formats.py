"""The journal keeps the soft answer: a run that is done gets further formats without its network."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

import covos
import covos.task
from checked_output import check_output
from clips import bright_clip
from covos.cli import main
from covos.core.errors import InputError, UsageError
from covos.engines.find import FindEngine
from covos.job import Job
from covos.masks import read_label_map, write_label_map
from covos.model import Model
from covos.plan import Plan
from covos.runs.page import HTML
from covos.runs.schema import REPORT, load_report
from covos.runs.writing import Saved, is_finished
from covos.task import choose_task
from stub_model import bright_model


@pytest.fixture(scope="module")
def model() -> Model:
    return bright_model()


def run(clip: Path, folder: Path, model: Model, *formats: str, **more: object) -> Saved:
    plan = Plan(source=clip, formats=formats, **more)  # type: ignore[arg-type]
    saved = Job(plan, folder, load=lambda _plan: model).run()
    assert isinstance(saved, Saved)
    assert check_output(folder) == []
    return saved


@pytest.fixture
def clip(make_clip: Callable[..., Path]) -> Path:
    return make_clip(height=96, width=128)


def pixels(folder: Path) -> dict[str, bytes]:
    return {path.name: Image.open(path).tobytes() for path in sorted(folder.glob("*.png"))}


def alphas(folder: Path) -> NDArray[np.int16]:
    return np.stack([np.asarray(Image.open(path))[..., 3] for path in sorted(folder.glob("*.png"))]).astype(np.int16)


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch, model: Model) -> None:
    def computing(*_arguments: object, **_options: object) -> None:
        raise AssertionError("the network was run again")

    monkeypatch.setattr(type(model.network), "encode", computing)
    monkeypatch.setattr(FindEngine, "run", computing, raising=False)


def test_a_soft_format_is_added_to_a_finished_run(
    clip: Path, tmp_path: Path, model: Model, request: pytest.FixtureRequest
) -> None:
    run(clip, tmp_path / "both", model, "palette", "rgba", "matte")
    run(clip, tmp_path / "out", model, "palette")
    masks = pixels(tmp_path / "out" / "masks")
    request.getfixturevalue("no_network")
    added = run(clip, tmp_path / "out", model, "rgba")
    assert [path.name for path in added.outputs] == ["masks", "rgba"]
    more = run(clip, tmp_path / "out", model, "matte", "palette")
    assert [path.name for path in more.outputs] == ["masks", "rgba", "matte"]
    assert load_report(tmp_path / "out").settings["formats"] == ["palette", "rgba", "matte"]
    for name in ("rgba", "matte"):
        assert pixels(tmp_path / "out" / name) == pixels(tmp_path / "both" / name)
    assert pixels(tmp_path / "out" / "masks") == masks
    alpha = np.asarray(Image.open(tmp_path / "out" / "rgba" / "00003.png"))[..., 3]
    assert ((alpha > 0) & (alpha < 255)).any()
    assert run(clip, tmp_path / "out", model, "rgba").was_done


def stop_adding(clip: Path, folder: Path, model: Model, name: str, *, at: int = 3) -> None:
    """Ask for a further format of a run, and stop at a frame."""

    def stop(event: object) -> None:
        if isinstance(event, covos.FrameDone) and event.index == at:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Job(Plan(source=clip, formats=(name,)), folder, load=lambda _plan: model).run(stop)


def test_adding_goes_on_after_it_was_stopped(clip: Path, tmp_path: Path, model: Model) -> None:
    run(clip, tmp_path / "out", model, "palette")
    masks = pixels(tmp_path / "out" / "masks")

    stop_adding(clip, tmp_path / "out", model, "rgba")
    assert pixels(tmp_path / "out" / "masks") == masks, "what was done is not touched"
    done = run(clip, tmp_path / "out", model, "rgba")
    assert [path.name for path in done.outputs] == ["masks", "rgba"]
    assert len(pixels(tmp_path / "out" / "rgba")) == 8


@pytest.mark.parametrize("damage", ["cut", "lost at the end", "lost in the middle"])
def test_a_further_format_reports_the_damage_of_the_source(tmp_path: Path, model: Model, damage: str) -> None:
    clip = bright_clip(tmp_path / ("clip.mkv" if damage == "cut" else "clip.mp4"), frames=24)
    content = bytearray(clip.read_bytes())
    if damage == "cut":
        content = content[: len(content) * 7 // 10]
    else:
        with av.open(str(clip)) as container:
            places = [(packet.pos, packet.size) for packet in container.demux(video=0) if packet.size]
        for start, size in places[-2:] if damage == "lost at the end" else places[10:11]:
            content[start : start + size] = bytes(size)
    clip.write_bytes(content)
    first = run(clip, tmp_path / "out", model, "palette")
    assert not first.health.complete
    more = run(clip, tmp_path / "out", model, "coco")
    assert (more.health, more.warnings) == (first.health, first.warnings)
    assert load_report(tmp_path / "out").full_health() == first.health


def test_a_run_of_another_machine_is_taken_as_it_is(
    clip: Path, tmp_path: Path, model: Model, request: pytest.FixtureRequest
) -> None:
    out = run(clip, tmp_path / "out", model, "palette").folder
    terms, report = (json.loads((out / name).read_text()) for name in ("covos.json", REPORT))
    terms["settings"]["device"], terms["batch"], report["device"] = "cuda", 16, "a GPU"
    (out / "covos.json").write_text(json.dumps(terms))
    (out / REPORT).write_text(json.dumps(report))
    settings = report["settings"]
    request.getfixturevalue("no_network")
    assert run(clip, out, model, "palette").was_done
    stop_adding(clip, out, model, "coco")
    run(clip, out, model, "coco")
    again = json.loads((out / "covos.json").read_text())
    assert (again["settings"], again["batch"]) == (terms["settings"], 16)
    assert (load_report(out).device, load_report(out).outputs) == ("a GPU", ("masks", "coco.json"))
    assert load_report(out).settings == {**settings, "formats": ["palette", "coco"]}
    run(clip, out, model, "palette", edges=covos.Edges(grow=1))
    assert load_report(out).device == "a GPU"


def test_an_unfinished_run_of_another_device_is_refused(clip: Path, tmp_path: Path, model: Model) -> None:
    def stop(event: object) -> None:
        if isinstance(event, covos.FrameDone) and event.index == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Job(Plan(source=clip, formats=("palette",)), tmp_path / "out", load=lambda _plan: model).run(stop)
    terms = json.loads((tmp_path / "out" / "covos.json").read_text())
    terms["settings"]["device"] = "cuda"
    (tmp_path / "out" / "covos.json").write_text(json.dumps(terms))
    with pytest.raises(UsageError, match="device: cuda before, cpu now"):
        run(clip, tmp_path / "out", model, "palette")


@pytest.mark.parametrize("changed", [{}, {"label": "car"}])
def test_a_damaged_journal_is_refused_and_nothing_is_touched(
    clip: Path, tmp_path: Path, model: Model, changed: dict[str, str]
) -> None:
    out = run(clip, tmp_path / "out", model, "palette").folder
    lines = (out / "journal.jsonl").read_bytes().splitlines(keepends=True)
    lines[5] = lines[5].replace(b'"size"', b'"sizE"')
    (out / "journal.jsonl").write_bytes(b"".join(lines))
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    with pytest.raises(InputError, match=r"journal\.jsonl is damaged") as refusal:
        run(clip, out, model, "coco", **changed)
    assert refusal.value.why.startswith("entry 5 of 8 cannot be read")
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before
    # The way out that the error names.
    assert covos.convert(out, formats=["coco"], output=tmp_path / "coco").frames == 8


def test_a_journal_that_is_damaged_while_formats_are_added_is_refused(clip: Path, tmp_path: Path, model: Model) -> None:
    out = run(clip, tmp_path / "out", model, "palette").folder
    stop_adding(clip, out, model, "rgba")
    lines = (out / "journal.jsonl").read_bytes().splitlines(keepends=True)
    (out / "journal.jsonl").write_bytes(b"".join(lines[:5]))
    with pytest.raises(InputError, match=r"journal\.jsonl is damaged"):
        run(clip, out, model, "rgba")
    (out / "journal.jsonl").write_bytes(b"".join(lines))
    assert len(pixels(run(clip, out, model, "rgba").folder / "rgba")) == 8


@pytest.mark.parametrize("at", [0, 3, 7])
def test_the_result_is_good_while_formats_are_added(clip: Path, tmp_path: Path, model: Model, at: int) -> None:
    out = run(clip, tmp_path / "out", model, "palette").folder
    before, report, page = covos.load_result(out), *((out / name).read_bytes() for name in (REPORT, HTML))
    stop_adding(clip, out, model, "rgba", at=at)
    assert ((out / REPORT).read_bytes(), (out / HTML).read_bytes()) == (report, page)
    assert covos.load_result(out) == before
    assert covos.convert(out, formats=["coco"], output=tmp_path / "coco").frames == 8
    assert not is_finished(out)
    run(clip, out, model, "rgba")
    assert is_finished(out)
    assert (out / HTML).read_bytes() != page
    assert load_report(out).outputs == ("masks", "rgba")


def test_followed_objects_too(clip: Path, tmp_path: Path, random_follower: Path) -> None:
    model = covos.load_model(device="cpu", precision="fp32")
    first = np.zeros((96, 128), np.uint8)
    first[24:40, :16] = 1
    task = choose_task(prompts=covos.task.read_prompts(masks=first), follower=random_follower)
    run(clip, tmp_path / "both", model, "palette", "rgba", task=task)
    run(clip, tmp_path / "out", model, "palette", task=task)
    run(clip, tmp_path / "out", model, "rgba", task=task)
    assert pixels(tmp_path / "out" / "rgba") == pixels(tmp_path / "both" / "rgba")


def test_a_run_that_was_stopped_takes_further_formats(clip: Path, tmp_path: Path, model: Model) -> None:
    plan = Plan(source=clip, formats=("palette",))
    events = iter(Job(plan, tmp_path / "out", load=lambda _plan: model))
    for event in events:
        if isinstance(event, covos.FrameDone) and event.index == 5:
            events.close()  # type: ignore[attr-defined]
            break
    saved = run(clip, tmp_path / "out", model, "matte")
    assert {path.name for path in saved.outputs} == {"masks", "matte"}
    assert saved.resumed == 4


def test_other_edges_and_labels_are_made_of_the_same_masks(
    clip: Path, tmp_path: Path, model: Model, request: pytest.FixtureRequest
) -> None:
    grow = covos.Edges(grow=2)
    run(clip, tmp_path / "grown", model, "palette", "rgba", "coco", edges=grow, label="car")
    run(clip, tmp_path / "out", model, "palette", "rgba")
    plain = pixels(tmp_path / "out" / "rgba")
    request.getfixturevalue("no_network")
    saved = run(clip, tmp_path / "out", model, "coco", edges=grow, label="car")
    assert [path.name for path in saved.outputs] == ["masks", "rgba", "coco.json"]
    for name in ("masks", "rgba"):
        assert pixels(tmp_path / "out" / name) == pixels(tmp_path / "grown" / name)
    assert (tmp_path / "out/coco.json").read_bytes() == (tmp_path / "grown/coco.json").read_bytes()
    settings = load_report(tmp_path / "out").settings
    assert (settings["edges"], settings["label"]) == ({"grow": "2"}, {"every": "car"})
    assert run(clip, tmp_path / "out", model, "rgba", edges=grow, label="car").was_done
    # The first command again is the first result again.
    run(clip, tmp_path / "out", model, "palette", "rgba")
    assert pixels(tmp_path / "out" / "rgba") == plain


def test_outputs_that_somebody_edited_are_not_written_anew(clip: Path, tmp_path: Path, model: Model) -> None:
    run(clip, tmp_path / "out", model, "palette")
    mask, report = tmp_path / "out" / "masks" / "00003.png", tmp_path / "out" / "report.json"
    later = report.stat().st_mtime_ns + 10**9
    os.utime(mask, ns=(later, later))
    with pytest.raises(UsageError, match=r"00003\.png would be written anew: edges grow 2, before not given"):
        run(clip, tmp_path / "out", model, "palette", edges=covos.Edges(grow=2))
    assert mask.is_file()
    told: list[str] = []
    Job(Plan(source=clip, formats=("rgba",)), tmp_path / "out", load=lambda _plan: model).run(
        lambda event: told.append(event.text) if isinstance(event, covos.Warned) else None
    )
    assert any("00003.png was changed" in text and "rgba is of the masks that were found" in text for text in told)
    # A further format does not make an edited file one of covos again.
    with pytest.raises(UsageError, match=r"00003\.png would be written anew"):
        run(clip, tmp_path / "out", model, "palette", edges=covos.Edges(grow=2))
    assert mask.stat().st_mtime_ns == later


def test_writing_anew_goes_on_after_it_was_stopped(
    clip: Path, tmp_path: Path, model: Model, request: pytest.FixtureRequest
) -> None:
    run(clip, tmp_path / "grown", model, "palette", "rgba", edges=covos.Edges(grow=2))
    run(clip, tmp_path / "out", model, "palette", "rgba")
    request.getfixturevalue("no_network")
    plan = Plan(source=clip, formats=("rgba",), edges=covos.Edges(grow=2))
    events = iter(Job(plan, tmp_path / "out", load=lambda _plan: model))
    for event in events:
        if isinstance(event, covos.FrameDone) and event.index == 4:
            events.close()  # type: ignore[attr-defined]
            break
    saved = run(clip, tmp_path / "out", model, "rgba", edges=covos.Edges(grow=2))
    assert [path.name for path in saved.outputs] == ["masks", "rgba"]
    for name in ("masks", "rgba"):
        assert pixels(tmp_path / "out" / name) == pixels(tmp_path / "grown" / name)


def test_other_terms_are_refused(clip: Path, tmp_path: Path, model: Model) -> None:
    run(clip, tmp_path / "out", model, "palette")
    with pytest.raises(UsageError, match="references: 5 before, 3 now"):
        run(clip, tmp_path / "out", model, "palette", task=choose_task(references=3))
    run(clip, tmp_path / "out", model, "matte")
    (tmp_path / "out" / "journal.jsonl").unlink()
    with pytest.raises(UsageError, match=r"journal\.jsonl was removed"):
        run(clip, tmp_path / "out", model, "rgba")
    assert (tmp_path / "out" / "masks" / "00000.png").exists()


def test_a_format_with_another_value_is_refused_with_the_command_that_makes_it(
    clip: Path, tmp_path: Path, model: Model, request: pytest.FixtureRequest
) -> None:
    run(clip, tmp_path / "a run", model, "palette", "background=#ff0000")
    run(clip, tmp_path / "new", model, "prores")
    request.getfixturevalue("no_network")
    with pytest.raises(UsageError, match=r"format background=#0000ff beside the format background=#ff0000") as caught:
        run(clip, tmp_path / "a run", model, "palette", "background=#0000ff", "rgba")
    command, _, rest = caught.value.fix.partition(" writes it")
    assert rest == " without the network"
    _, *arguments = shlex.split(command)
    assert main(arguments) == 0
    assert {path.name for path in (tmp_path / "a run-background").iterdir()} >= {"background.mp4", "rgba"}
    with pytest.raises(UsageError, match="format prores=premultiplied beside") as caught:
        run(clip, tmp_path / "new", model, "prores=premultiplied", edges=covos.Edges(grow=1))
    assert caught.value.fix.endswith("; add your edges")


def test_a_stopped_run_of_another_value_is_to_be_finished_first(tmp_path: Path, clip: Path, model: Model) -> None:
    events = iter(Job(Plan(source=clip, formats=("matte",)), tmp_path / "out", load=lambda _plan: model))
    for event in events:
        if isinstance(event, covos.FrameDone) and event.index == 4:
            events.close()  # type: ignore[attr-defined]
            break
    with pytest.raises(UsageError, match="format matte=16 beside the format matte in") as caught:
        run(clip, tmp_path / "out", model, "matte=16")
    assert caught.value.remedy.command.startswith("finish this run without it (-f matte), then: covos convert ")


def test_converting_a_run_gives_what_the_run_would_have_written(clip: Path, tmp_path: Path, model: Model) -> None:
    run(clip, tmp_path / "run", model, "palette", "rgba")
    saved = covos.convert(tmp_path / "run", formats=["rgba"], output=tmp_path / "same")
    assert saved.warnings == ()
    assert pixels(tmp_path / "same" / "rgba") == pixels(tmp_path / "run" / "rgba")
    run(clip, tmp_path / "video", model, "prores")
    covos.convert(tmp_path / "video", formats=["palette", "rgba"], output=tmp_path / "back")
    assert pixels(tmp_path / "back" / "masks") == pixels(tmp_path / "run" / "masks")
    assert pixels(tmp_path / "back" / "rgba") == pixels(tmp_path / "run" / "rgba")


def test_masks_that_were_edited_are_taken_as_they_are(clip: Path, tmp_path: Path, model: Model) -> None:
    run(clip, tmp_path / "run", model, "palette", "rgba")
    edited = tmp_path / "run" / "masks" / "00002.png"
    labels = read_label_map(edited)
    labels[:4] = 1
    write_label_map(edited, labels)
    saved = covos.convert(tmp_path / "run", formats=["rgba"], output=tmp_path / "new")
    assert any("hard edges" in warning for warning in saved.warnings)
    alpha = np.asarray(Image.open(tmp_path / "new" / "rgba" / "00002.png"))[..., 3]
    np.testing.assert_array_equal(alpha, np.where(labels > 0, 255, 0))
    before, after = pixels(tmp_path / "run" / "rgba"), pixels(tmp_path / "new" / "rgba")
    assert [name for name in before if before[name] != after[name]] == ["00002.png"]


def test_edges_are_those_of_the_run_wherever_they_are_made(clip: Path, tmp_path: Path, model: Model) -> None:
    edges = covos.Edges(grow=2, feather=4, min_area=5)
    run(clip, tmp_path / "plain", model, "palette")
    run(clip, tmp_path / "run", model, "palette", "rgba", edges=edges)
    covos.convert(tmp_path / "plain", formats=["palette", "rgba"], edges=edges, output=tmp_path / "later")
    covos.segment(clip, model=model, edges=edges).save(tmp_path / "memory", formats=["palette", "rgba"])
    covos.convert(tmp_path / "run", formats=["rgba"], output=tmp_path / "again")
    assert pixels(tmp_path / "later" / "rgba") == pixels(tmp_path / "run" / "rgba")
    # Probabilities that were changed are rounded once more.
    assert np.abs(alphas(tmp_path / "again" / "rgba") - alphas(tmp_path / "run" / "rgba")).max() <= 4
    assert pixels(tmp_path / "memory" / "masks") == pixels(tmp_path / "run" / "masks")
    assert pixels(tmp_path / "later" / "masks") == pixels(tmp_path / "run" / "masks")
    assert pixels(tmp_path / "plain" / "masks") != pixels(tmp_path / "run" / "masks")
    settings = load_report(tmp_path / "run").settings
    assert settings["edges"] == {"grow": "2", "feather": "4", "min_area": "5"}


def test_smoothing_over_time_gives_every_frame(clip: Path, tmp_path: Path, model: Model) -> None:
    edges = covos.Edges(smooth_time=2)
    run(clip, tmp_path / "run", model, "palette", "overlay", edges=edges)
    run(clip, tmp_path / "plain", model, "palette")
    covos.convert(tmp_path / "plain", formats=["palette"], edges=edges, output=tmp_path / "later")
    assert pixels(tmp_path / "later" / "masks") == pixels(tmp_path / "run" / "masks")
    assert len(covos.segment(clip, model=model, edges=edges)) == 8


def test_16_bits_of_a_run_that_kept_8_are_told(clip: Path, tmp_path: Path, model: Model) -> None:
    deep = "matte=16", "matte-video=ffv1"
    once = run(clip, tmp_path / "once", model, *deep)
    assert not [note for note in once.notes if "8 bits" in note]
    run(clip, tmp_path / "out", model, "palette")
    later = run(clip, tmp_path / "out", model, *deep)
    elsewhere = covos.convert(tmp_path / "out", formats=deep, output=tmp_path / "elsewhere")
    for saved in (later, elsewhere):
        (note,) = (note for note in saved.notes if "8 bits" in note)
        assert note.startswith("matte=16, matte-video=ffv1: ")
        assert note.endswith("into another folder, with the format matte=16 from the beginning")
    assert [note for note in load_report(tmp_path / "elsewhere").notes if "8 bits" in note]
    assert levels(tmp_path / "out" / "matte") <= 254 < levels(tmp_path / "once" / "matte")


def levels(folder: Path) -> int:
    return len(np.unique(np.stack([np.asarray(Image.open(path)) for path in sorted(folder.glob("*.png"))])))
