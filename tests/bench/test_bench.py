"""`covos bench`: what is measured is there, by a clip of a few small frames; the tables and the file."""

from __future__ import annotations

import _thread
import json
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from covos import cli
from covos.bench import profile, report, rivals, runs
from covos.bench.clips import make_clip
from covos.bench.networks import PARTS
from covos.bench.runs import RunAsked, RunMeasured
from covos.bench.spent import Spent, median
from covos.bench.ways import TORCH, Way, ways
from covos.core.errors import CovosError
from covos.masks import read_binary_mask
from covos.media.opening import open_source
from covos.models.registry import find_model

SIZE = (64, 96)
FRAMES = 10


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("bench") / "clip.mp4"
    make_clip(path, frames=FRAMES, size=SIZE)
    return path


def test_the_clip_moves_and_its_mask_shows_the_disc(clip: Path) -> None:
    with open_source(clip) as source:
        images = [frame.image for frame in source]
    assert len(images) == FRAMES
    mask = read_binary_mask(clip.with_suffix(".png"))
    assert mask.shape == images[0].shape[:2] == SIZE
    assert 0.05 < mask.mean() < 0.2
    assert np.abs(images[0].astype(int) - images[5]).mean() > 2


@pytest.mark.parametrize("work", ["limit", "follow"])
def test_a_run_is_measured(clip: Path, work: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("covos.model.DEFAULT_AREA", 64 * 96)  # small: the masks do not matter here
    asked = RunAsked(work=work, clip=clip, mask=clip.with_suffix(".png"), profile=sys.platform == "linux")
    found = runs._main(asked)
    assert found.frames == FRAMES
    assert found.wall > 0
    assert found.processor > 0
    if sys.platform == "linux":
        assert found.stages
        assert work == "limit" or "network" in found.stages
        # Only what the thread that looks has spent is left out.
        assert 0.5 * found.processor < sum(found.stages.values()) <= found.processor


def test_a_run_that_fails_says_why(tmp_path: Path) -> None:
    with pytest.raises(CovosError, match=r"nothing\.mp4"):
        runs.measure_run(RunAsked(work="limit", clip=tmp_path / "nothing.mp4"))


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux reports the time of each thread")
def test_the_time_of_a_thread_is_that_of_the_stage_it_stands_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(profile, "_PACKAGE", f"{Path(__file__).parent}/")
    monkeypatch.setattr(profile, "STAGES", {f"{Path(__file__).name}:spend": "spending"})
    profile._stage.cache_clear()
    spent = []

    def spend() -> None:
        before = time.thread_time()
        while time.thread_time() - before < 0.1:
            pass
        spent.append(time.thread_time() - before)

    with profile.Profile() as found:
        thread = threading.Thread(target=spend)
        thread.start()
        thread.join()
    profile._stage.cache_clear()
    assert found.seconds["spending"] == pytest.approx(spent[0], abs=0.05)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux reports the time of each thread")
def test_threads_of_libraries_that_outlive_a_run_are_the_networks() -> None:
    """Python does not list a thread that is begun like this: it stands for one of a library."""
    go, done = threading.Event(), threading.Semaphore(0)
    spent: dict[str, float] = {}

    def spend(name: str, seconds: float) -> None:
        go.wait()
        before = time.thread_time()
        while time.thread_time() - before < seconds:
            pass
        spent[name] = time.thread_time() - before
        done.release()
        time.sleep(0.1)  # the last look sees it

    _thread.start_new_thread(spend, ("pool", 0.2))
    time.sleep(0.05)
    with profile.Profile() as found:
        _thread.start_new_thread(spend, ("within", 0.1))
        go.set()
        for _ in range(2):
            done.acquire()
    assert found.seconds[profile.NETWORK] == pytest.approx(spent["pool"], abs=0.05)
    assert found.seconds[profile.LIBRARIES] == pytest.approx(spent["within"], abs=0.05)


def test_every_stage_names_a_place_in_the_package() -> None:
    package = Path(profile.__file__).parents[1]
    for key in profile.STAGES:
        file, _, function = key.partition(":")
        assert (package / file).exists(), key
        assert not function or f"def {function}(" in (package / file).read_text(), key


def test_the_middle_of_each_clock() -> None:
    assert median([Spent(2.0, 1.0), Spent(90.0, 5.0), Spent(4.0, 3.0)]) == (4.0, 3.0)


def test_the_ways_of_one_runtime_and_of_all() -> None:
    assert ways()[0] == TORCH
    assert {way.runtime for way in ways("torch")} == {"torch"}
    (chosen,) = ways("auto")
    assert chosen in ways()


def test_what_is_missing_of_rembg(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("U2NET_HOME", str(tmp_path))
    monkeypatch.setattr(rivals, "find_spec", lambda name: None)
    assert rivals.missing("u2netp") == "rembg is not installed"
    monkeypatch.setattr(rivals, "find_spec", lambda name: object())
    assert rivals.missing("u2netp") == f"its model is not there: {tmp_path / 'u2netp.onnx'}"
    (tmp_path / "u2netp.onnx").touch()
    assert rivals.missing("u2netp") == ""
    # Later releases of rembg have a folder for each model.
    later = tmp_path / "models" / "u2netp" / "u2netp.onnx"
    later.parent.mkdir(parents=True)
    later.touch()
    assert rivals.model_file("u2netp") == later


def test_rembg_is_measured_where_it_is_there(clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "rembg.py").write_text(
        "def new_session(model, providers): return model\n"
        "def remove(image, *, session, only_mask): return image[..., 0]\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("MODEL_CHECKSUM_DISABLED", "")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    try:
        assert runs._main(RunAsked(work="u2netp", clip=clip)).frames == FRAMES
    finally:
        sys.modules.pop("rembg", None)  # else later tests of this process find it


def test_the_tables_and_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    way = Way("torch", "fp32")
    measured = RunMeasured(frames=24, start=1, wall=2, processor=3, peak=5 << 20, stages={"network": 1.2})
    monkeypatch.setattr(report, "measure_networks", lambda *a, **k: {(way, name): Spent(0.025, 0.05) for name in PARTS})
    monkeypatch.setattr(report, "measure_run", lambda asked: measured)
    monkeypatch.setattr(report, "missing", lambda model: "rembg is not installed")
    file = tmp_path / "bench.json"
    line = ["bench", "--quick", "--runtime", "torch", "--size", "96x64", "--json", str(file)]
    assert cli.main(line) == 0
    said = capsys.readouterr()
    assert "25.0 (50.0)" in said.out
    assert "find torch fp32          12.0" in said.out
    assert "rembg u2netp: not measured, rembg is not installed" in said.out
    assert "measuring: find torch fp32" in said.err
    content = json.loads(file.read_text())
    assert {tuple(row["size"]) for row in content["runs"]} == {(64, 96)}
    assert [row["work"] for row in content["runs"]][:2] == ["limit", "find"]


def test_what_was_measured_before_a_run_fails_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    way = Way("torch", "fp32")
    measured = RunMeasured(frames=24, start=1, wall=2, processor=3, peak=5 << 20)

    def measure(asked: RunAsked) -> RunMeasured:
        if asked.work == "follow":
            raise KeyboardInterrupt
        return measured

    monkeypatch.setattr(report, "measure_networks", lambda *a, **k: {(way, name): Spent(0.025, 0.05) for name in PARTS})
    monkeypatch.setattr(report, "measure_run", measure)
    file = tmp_path / "bench.json"
    cli.main(["bench", "--quick", "--runtime", "torch", "--size", "96x64", "--json", str(file)])
    assert "find torch fp32          12.0" in capsys.readouterr().out
    assert [row["work"] for row in json.loads(file.read_text())["runs"]] == ["limit", "find"]


def test_the_model_and_the_quality_are_those_of_the_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    way = Way("torch", "fp32")
    measured = RunMeasured(frames=24, start=1, wall=2, processor=3, peak=5 << 20)
    asked: list[RunAsked] = []
    networks: list[str] = []

    def measure_networks(*_: object, model: str, **__: object) -> dict[tuple[Way, str], Spent]:
        networks.append(model)
        return {(way, name): Spent(0.025, 0.05) for name in PARTS}

    monkeypatch.setattr(report, "measure_networks", measure_networks)
    monkeypatch.setattr(report, "measure_run", lambda run: asked.append(run) or measured)
    monkeypatch.setattr(report, "missing", lambda model: "rembg is not installed")
    file = tmp_path / "bench.json"
    line = ["bench", "--quick", "--runtime", "torch", "--size", "96x64", "--json", str(file), "-q"]
    assert cli.main([*line, "--quality", "fast"]) == 0
    assert "end to end, 96x64, fast" in capsys.readouterr().out
    assert {run.quality for run in asked if run.work != "limit"} == {"fast"}
    assert {row["quality"] for row in json.loads(file.read_text())["runs"]} == {"fast", ""}
    assert [runs._plan(run).task.quality for run in asked if run.work != "limit"][:2] == ["fast", "fast"]
    # One that is no covos-lite finds, and cannot be followed by.
    asked.clear()
    entry = find_model("covos-lite")
    other = replace(entry, card=entry.card.model_copy(update={"architecture": "cosnet_resnet50"}))
    monkeypatch.setattr("covos.models.registry.find_model", lambda name: other)
    monkeypatch.setattr(report, "find_model", lambda name: other)
    assert cli.main([*line, "--model", "mine.safetensors"]) == 0
    assert [(run.work, run.model) for run in asked[1:]] == [("find", "mine.safetensors")] * len(ways("torch"))
    assert networks == ["covos-lite"]


def test_one_table_has_a_row_for_each_model_size_and_quality(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    way = Way("torch", "fp32")
    asked: list[RunAsked] = []

    def measure(run: RunAsked) -> RunMeasured:
        asked.append(run)
        return RunMeasured(frames=24, start=1, wall=len(asked), processor=3, peak=5 << 20, stages={"network": 1.2})

    monkeypatch.setattr(report, "measure_networks", lambda *a, **k: {(way, name): Spent(0.025, 0.05) for name in PARTS})
    monkeypatch.setattr(report, "measure_run", measure)
    monkeypatch.setattr(report, "missing", lambda model: "rembg is not installed")
    monkeypatch.setattr("covos.bench.ways.has_bfloat16", lambda: False)
    entry = find_model("covos-lite")
    for module in ("covos.models.registry", "covos.bench.report"):
        monkeypatch.setattr(f"{module}.find_model", lambda name: entry)
    file = tmp_path / "bench.json"
    line = ["bench", "--quick", "--runtime", "torch", "--json", str(file)]
    line += ["--size", "96x64", "--size", "128x64", "--size", "96x64"]
    assert cli.main([*line, "--quality", "fast", "--quality", "best", "-m", "covos-lite", "-m", "mine"]) == 0
    said = capsys.readouterr()
    rows = [
        (work, width, model, quality)
        for width in (96, 128)
        for work, model, quality in [
            ("limit", "", ""),
            *(
                (work, model, quality)
                for model in ("covos-lite", "mine")
                for quality in ("fast", "best")
                for work in ("find", "follow")
            ),
            ("u2netp", "", ""),
            ("isnet-general-use", "", ""),
        ]
    ]
    content = json.loads(file.read_text())
    assert [(row["work"], row["size"][1], row["model"], row["quality"]) for row in content["runs"]] == rows
    assert len({(row["model"], *row["size"], row["work"]) for row in content["networks"]}) == 4 * len(PARTS)
    lines = said.out.splitlines()
    (found,) = (each for each in lines if each.startswith("find torch fp32, 128x64, mine, best "))
    assert found.split()[-4] == f"{24 / 17:.1f}"  # the seventeenth run that was measured
    assert sum(each.startswith("decode and encode alone, ") for each in lines) == 2
    assert "measuring: follow torch fp32, 96x64, mine, fast" in said.err
    assert "measuring: u2netp rembg, 96x64" in said.err
    # What all rows share stands above them.
    assert cli.main([*line[:4], "--size", "96x64", "--quality", "fast", "--quality", "best", "-q"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert any(each.startswith("end to end, 96x64 ") for each in lines)
    assert any(each.startswith("find torch fp32, best ") for each in lines)


def test_a_model_that_is_not_there(capsys) -> None:
    assert cli.main(["bench", "--quick", "--model", "nosuch"]) == 2
    assert "nosuch" in capsys.readouterr().err


def test_a_quality_that_is_none(capsys) -> None:
    assert cli.main(["bench", "--quality", "fast", "--quality", "bset"]) == 2
    assert "did you mean best?" in capsys.readouterr().err


def test_a_size_that_is_none(capsys) -> None:
    assert cli.main(["bench", "--size", "big"]) == 2
    assert "it is no width and height" in capsys.readouterr().err
