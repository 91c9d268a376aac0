"""The benchmark of covos beside rembg, with a model of rembg's interface that is made here: it finds what is bright."""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image

from covos.masks import write_label_map

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
HEIGHT, WIDTH, FRAMES = 64, 96, 6


@pytest.fixture
def benchmark(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(Path(__file__).parents[1] / "benchmarks")
    return import_module("beside_rembg")


@pytest.fixture
def davis(tmp_path: Path) -> Path:
    """A tree of two videos, in which a bright square moves."""
    root = tmp_path / "DAVIS"
    for number, name in enumerate(("one", "two")):
        for index in range(FRAMES):
            image = np.full((HEIGHT, WIDTH, 3), 30, np.uint8)
            left = 10 + 4 * index + 8 * number
            image[20:44, left : left + 24] = (250, 240, 230)
            for folder in ("JPEGImages", "Annotations"):
                (root / folder / "480p" / name).mkdir(parents=True, exist_ok=True)
            Image.fromarray(image).save(root / "JPEGImages" / "480p" / name / f"{index:05}.jpg")
            labels = (image[..., 0] > 127).astype(np.uint8)
            write_label_map(root / "Annotations" / "480p" / name / f"{index:05}.png", labels)
    (root / "ImageSets" / "2017").mkdir(parents=True)
    (root / "ImageSets" / "2017" / "val_open.txt").write_text("one\ntwo\n")
    return root


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of rembg's models, with a u2netp: seven outputs, of which the first counts."""
    folder = tmp_path / "u2net"
    folder.mkdir()
    monkeypatch.setenv("U2NET_HOME", str(folder))
    helper, floats = onnx.helper, onnx.TensorProto.FLOAT
    outputs = [f"{1959 + number}" for number in range(7)]
    graph = helper.make_graph(
        [
            helper.make_node("ReduceMean", ["input.1"], [outputs[0]], axes=[1], keepdims=1),
            *(helper.make_node("Neg", [outputs[0]], [name]) for name in outputs[1:]),
        ],
        "u2netp",
        [helper.make_tensor_value_info("input.1", floats, [1, 3, 320, 320])],
        [helper.make_tensor_value_info(name, floats, [1, 1, 320, 320]) for name in outputs],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.save(model, folder / "u2netp.onnx")
    return folder


@pytest.mark.usefixtures("models")
def test_both_are_scored_on_the_same_frames(
    benchmark: ModuleType, davis: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "beside.json"
    benchmark.main(["--data", str(davis), "--quality", "fast", "--json", str(file), "--note", "Busy."])
    said = capsys.readouterr().out
    assert "rembg isnet-general-use: not measured, its model is not there" in said
    table = json.loads(file.read_text())["scores"]
    assert table["note"].endswith("by ONNX Runtime in float32. Busy.")
    assert "Busy." not in table["command"]
    assert table["columns"] == ["", *benchmark.COLUMNS]
    covos, rembg = table["rows"]
    assert (covos[0], rembg[0]) == ("covos, fast", "rembg u2netp")
    assert all(0 <= value <= 1 for row in (covos, rembg) for value in row[1:5])
    # It is sure of each frame by itself, and what is bright moves steadily.
    assert rembg[2] > 0.9
    assert rembg[4] < 0.2
    for row in (covos, rembg):
        assert row[5] * row[6] == pytest.approx(1000)  # milliseconds a frame, frames a second
    assert "rembg u2netp" in said


@pytest.mark.usefixtures("models")
def test_a_mask_has_the_size_of_the_picture_and_its_subject(benchmark: ModuleType) -> None:
    image = np.zeros((40, 70, 3), np.uint8)
    image[10:30, 20:50] = 200
    mask = benchmark.masker("u2netp")(image)
    assert mask.shape == (40, 70)
    assert mask.dtype == np.uint8
    assert mask.min() == 0
    assert mask.max() > 200  # resizing back overshoots at the edges, and they have 255
    assert ((mask > 127) == (image[..., 0] > 0)).mean() > 0.97


def test_what_is_missing_is_said(
    benchmark: ModuleType,
    davis: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("U2NET_HOME", str(tmp_path / "nothing"))
    benchmark.main(["--data", str(davis), "--videos", "two", "--quality", "fast"])
    said = capsys.readouterr().out
    assert f"rembg u2netp: not measured, its model is not there: {tmp_path / 'nothing' / 'u2netp.onnx'}" in said
    assert "val_open, 1 videos" in said
    assert "covos, fast" in said


@pytest.mark.usefixtures("models")
def test_of_stretches_rembg_computes_these_frames_alone(
    benchmark: ModuleType, davis: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []
    make = benchmark.masker

    def counting(model: str) -> object:
        mask = make(model)

        def counted(image: np.ndarray) -> np.ndarray:
            seen.append(image.shape[1])
            return mask(image)

        return counted

    monkeypatch.setattr(benchmark, "masker", counting)
    file = tmp_path / "beside.json"
    line = ["--data", str(davis), "--quality", "fast", "--models", "u2netp", "--stretch-of", "5", "--json", str(file)]
    benchmark.main(line)
    assert seen == [WIDTH] * 2 * benchmark.IN_A_ROW
    covos, rembg = json.loads(file.read_text())["stretches"]["rows"]
    assert all(0 <= value <= 1 for row in (covos, rembg) for value in row[1:5])
    assert rembg[2] > 0.9
